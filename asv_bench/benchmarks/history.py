"""Features from the past, over the number of records and of windows."""

import numpy as np

from skad.preprocessing import HistoryFeatures

WINDOWS = {"past": (None,), "four": (1, 7, 30, None)}


def make_payments(n_samples, seed=0):
    """Return customer, terminal, time and amount; a customer pays 250 times."""
    rng = np.random.default_rng(seed)
    customer = rng.integers(0, 1 + n_samples // 250, n_samples)
    return np.column_stack(
        [
            customer,
            rng.integers(0, 1 + n_samples // 40, n_samples),
            np.sort(rng.uniform(0, 180, n_samples)),
            rng.exponential(1 + customer % 100),
        ]
    )


def make_history(windows):
    return HistoryFeatures(2, entities=[0, 1], windows=WINDOWS[windows])


class History:
    """Seconds to make features of all records, and of the last 1 % of them."""

    params = (["past", "four"], [10_000, 100_000, 400_000])
    param_names = ["windows", "n_samples"]
    number = 1
    repeat = (1, 5, 30.0)
    rounds = 1
    warmup_time = 0

    def setup(self, windows, n_samples):
        make_history(windows).fit_transform(make_payments(1000))  # compiles
        self.X = make_payments(n_samples)
        self.history = make_history(windows)
        self.fitted = make_history(windows).fit(self.X[: -n_samples // 100])

    def time_fit_transform(self, windows, n_samples):
        self.history.fit_transform(self.X)

    def time_transform_the_last(self, windows, n_samples):
        self.fitted.transform(self.X[-self.X.shape[0] // 100 :])


class HistoryMemory:
    """Peak memory; asv counts what `setup` takes, so nothing is fitted there."""

    params = [100_000, 400_000]
    param_names = ["n_samples"]

    def setup(self, n_samples):
        self.X = make_payments(n_samples)

    def peakmem_fit_transform(self, n_samples):
        make_history("four").fit_transform(self.X)
