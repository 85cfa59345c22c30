"""Proximities of all pairs of rows, and neighbours."""

from benchmarks._template import make_table
from skad import UnsupervisedRandomForest


class Proximity:
    """Seconds for all pairs of rows, and for the ten nearest of each."""

    params = [500, 2_000]
    param_names = ["n_samples"]
    timeout = 600

    def setup(self, n_samples):
        self.X = make_table(n_samples)
        self.detector = UnsupervisedRandomForest(random_state=0).fit(self.X)
        self.detector.proximity(self.X[:2])
        self.detector.kneighbors_graph(self.X[:20])

    def time_gap_proximity(self, n_samples):
        self.detector.gap_proximity(self.X)

    def time_kneighbors_graph(self, n_samples):
        self.detector.kneighbors_graph(self.X)

    def time_proximity(self, n_samples):
        self.detector.proximity(self.X)

    def peakmem_proximity(self, n_samples):
        self.detector.proximity(self.X)
