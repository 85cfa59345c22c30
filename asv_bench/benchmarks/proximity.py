"""Proximities of all pairs of rows."""

from benchmarks._template import make_table
from skad import UnsupervisedRandomForest


class Proximity:
    """Seconds for the proximities of all pairs of rows."""

    params = [500, 2_000]
    param_names = ["n_samples"]
    timeout = 600

    def setup(self, n_samples):
        self.X = make_table(n_samples)
        self.detector = UnsupervisedRandomForest(random_state=0).fit(self.X)
        self.detector.proximity(self.X[:2])

    def time_proximity(self, n_samples):
        self.detector.proximity(self.X)

    def peakmem_proximity(self, n_samples):
        self.detector.proximity(self.X)
