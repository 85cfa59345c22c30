"""UnsupervisedRandomForest beside IsolationForest, and the kernels it is made of."""

import numpy as np
from sklearn.ensemble import IsolationForest

from benchmarks._template import DetectorBenchmark, MemoryBenchmark, make_table
from skad import UnsupervisedRandomForest
from skad._kernels._trees import grow_tree

N_TREES = 300
DETECTORS = {
    "UnsupervisedRandomForest": UnsupervisedRandomForest,
    "IsolationForest": IsolationForest,
}


def make_forest(name, n_jobs):
    """Return a forest of as many trees and jobs as the others."""
    return DETECTORS[name](n_estimators=N_TREES, n_jobs=n_jobs, random_state=0)


class Forests(DetectorBenchmark):
    """Seconds to fit and to score."""

    params = (list(DETECTORS), [1, 2], [10_000, 100_000, 1_000_000])
    param_names = ["detector", "n_jobs", "n_samples"]

    def make_detector(self, name, n_jobs):
        return make_forest(name, n_jobs)


class ForestsMemory(MemoryBenchmark):
    """Peak memory of the process that fits and scores, data and imports included."""

    params = (list(DETECTORS), [1], [10_000, 100_000, 1_000_000])
    param_names = ["detector", "n_jobs", "n_samples"]

    def make_detector(self, name, n_jobs):
        return make_forest(name, n_jobs)


class Explain:
    """Seconds to explain rows, and to score them for comparison."""

    params = [1_000, 10_000]
    param_names = ["n_samples"]

    def setup(self, n_samples):
        self.X = make_table(n_samples)
        self.detector = make_forest("UnsupervisedRandomForest", 1).fit(self.X)
        self.detector.explain(self.X[:2])
        self.detector.score_samples(self.X[:2])

    def time_explain(self, n_samples):
        self.detector.explain(self.X)

    def time_score_samples(self, n_samples):
        self.detector.score_samples(self.X)


class GrowTree:
    """One tree over the number of its rows."""

    params = [256, 4_096, 65_536]
    param_names = ["n_rows"]

    def setup(self, n_rows):
        self.Z = make_table(n_rows)
        self.box = self.Z.min(axis=0), self.Z.max(axis=0), np.zeros(self.Z.shape[1])
        self.time_grow_tree(n_rows)

    def time_grow_tree(self, n_rows):
        rng = np.random.default_rng(0)
        grow_tree(self.Z, *self.box, n_rows, False, False, False, rng)
