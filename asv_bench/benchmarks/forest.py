"""UnsupervisedRandomForest beside IsolationForest, and the kernels it is made of."""

from functools import partial

import numpy as np
from sklearn.ensemble import IsolationForest

from benchmarks._template import DetectorBenchmark, MemoryBenchmark, make_table
from skad import UnsupervisedRandomForest
from skad._kernels._leaves import apply, leaf_sums
from skad._kernels._trees import grow_tree

N_TREES = 300
# With contamination="auto", its default, IsolationForest does not score the training
# rows; with a number it does, as the others do for their threshold.
DETECTORS = {
    "UnsupervisedRandomForest": UnsupervisedRandomForest,
    "IsolationForest": IsolationForest,
    "IsolationForest, 0.1": partial(IsolationForest, contamination=0.1),
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
        grow_tree(self.Z, *self.box, 5, 30 * n_rows, False, False, rng)


class Leaves:
    """Rows that walk down the forest: their leaves, and sums over them."""

    params = [1, 1_000, 100_000]
    param_names = ["n_rows"]

    def setup(self, n_rows):
        X = make_table(100_000)
        self.forest = make_forest("UnsupervisedRandomForest", 1).fit(X)._forest
        self.X = X[:n_rows]
        self.tables = np.ones((len(self.forest.n_real), 2))
        self.time_apply(n_rows)
        self.time_leaf_sums(n_rows)

    def time_apply(self, n_rows):
        apply(self.X, self.forest._arrays)

    def time_leaf_sums(self, n_rows):
        leaf_sums(self.X, self.forest._arrays, self.tables)
