"""Criteria without labels, over the number of rows and of columns."""

from sklearn.ensemble import IsolationForest

from benchmarks._template import make_table
from skad import model_selection


class Criteria:
    """Seconds for a fitted detector; clones that are fitted again are included."""

    params = (
        ["excess_mass", "neg_mass_volume", "stability", "consensus"],
        [5, 20],
        [1_000, 10_000],
    )
    param_names = ["criterion", "n_features", "n_samples"]
    number = 1
    repeat = (1, 5, 30.0)
    rounds = 1
    warmup_time = 0

    def setup(self, criterion, n_features, n_samples):
        self.criterion = getattr(model_selection, criterion)
        self.X = make_table(n_samples, n_features)
        self.detector = IsolationForest(random_state=0).fit(self.X)

    def time_criterion(self, criterion, n_features, n_samples):
        self.criterion(self.detector, self.X)
