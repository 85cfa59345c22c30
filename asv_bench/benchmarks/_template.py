"""What the benchmarks share. asv runs concrete classes only: these are abstract."""

from abc import ABC, abstractmethod

import numpy as np


def make_table(n_samples, n_features=20, seed=0):
    """Return correlated normal rows with 1 % of uniform ones among them."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features))
    X = rng.normal(size=(n_samples, n_features)) @ mixing
    strange = rng.random(n_samples) < 0.01
    low, high = X.min(axis=0), X.max(axis=0)
    X[strange] = rng.uniform(low, high, size=(strange.sum(), n_features))
    return X


class _Detectors(ABC):
    """Detectors over the number of rows; the last parameter is that number."""

    timeout = 1800

    @abstractmethod
    def make_detector(self, *params):
        """Return an unfitted detector."""

    def setup(self, *params):
        *params, n_samples = params
        small = make_table(200)
        # The first call compiles.
        self.make_detector(*params).fit(small).score_samples(small)
        self.detector = self.make_detector(*params)
        self.X = make_table(n_samples)


class DetectorBenchmark(_Detectors):
    """Seconds to fit and to score."""

    number = 1
    repeat = (1, 5, 30.0)
    rounds = 1
    warmup_time = 0

    def setup(self, *params):
        super().setup(*params)
        self.fitted = self.make_detector(*params[:-1]).fit(self.X)

    def time_fit(self, *params):
        self.detector.fit(self.X)

    def time_score_samples(self, *params):
        self.fitted.score_samples(self.X)


class MemoryBenchmark(_Detectors):
    """Peak memory; asv counts what `setup` takes, so nothing is fitted there."""

    def peakmem_fit_and_score(self, *params):
        self.detector.fit(self.X).score_samples(self.X)
