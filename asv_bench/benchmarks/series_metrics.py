"""Metrics of series over the number of rows; VUS beside its direct definition."""

from time import perf_counter

import numpy as np

from skad import metrics


def make_series(n_timesteps, seed=0):
    """Return {0, 1} labels with an event per 2000 rows, and scores that see them."""
    rng = np.random.default_rng(seed)
    y = np.zeros(n_timesteps, dtype=int)
    for start in rng.integers(0, n_timesteps - 300, n_timesteps // 2000):
        y[start : start + rng.integers(1, 300)] = 1
    return y, rng.normal(size=n_timesteps) - y


def direct_vus_pr(y, scores, buffer, n_thresholds=250):
    """Go through all buffers and thresholds, each time over all rows."""
    ranks = np.linspace(0, len(y) - 1, n_thresholds).astype(int)
    thresholds = np.sort(scores)[ranks]
    edges = np.flatnonzero(np.diff(y, prepend=0, append=0)).reshape(-1, 2)
    areas = []
    for width in range(buffer + 1):
        half = width // 2
        degree = y.astype(float)
        for start, stop in edges:
            after = np.arange(stop, min(stop + half, len(y)))
            before = np.arange(max(start - half, 0), start)
            degree[after] += np.sqrt(1 - (after - stop + 1) / max(width, 1))
            degree[before] += np.sqrt(1 - (start - before) / max(width, 1))
        np.minimum(degree, 1, out=degree)
        apart = edges[1:, 0] - half > edges[:-1, 1] - 1 + half
        first = np.maximum(edges[np.append(True, apart), 0] - half, 0)
        last = np.minimum(edges[np.append(apart, True), 1] + half, len(y))
        area = reached = 0
        for threshold in thresholds:
            flagged = scores <= threshold
            total = np.append(0, np.cumsum(flagged))
            touched = np.mean(total[last] > total[first])
            found = degree @ flagged
            positive = (2 * y.sum() + found - y @ flagged) / 2
            recall = min(found / positive, 1) * touched
            area += (recall - reached) * found / total[-1]
            reached = recall
        areas.append(area)
    return np.mean(areas)


class Volume:
    """VUS over the number of rows and the buffer."""

    params = ([10_000, 100_000, 1_000_000], [20, 100, 300])
    param_names = ["n_timesteps", "buffer"]

    def setup(self, n_timesteps, buffer):
        self.y, self.scores = make_series(n_timesteps)

    def time_vus_pr_score(self, n_timesteps, buffer):
        metrics.vus_pr_score(self.y, self.scores, buffer=buffer)

    def peakmem_vus_pr_score(self, n_timesteps, buffer):
        metrics.vus_pr_score(self.y, self.scores, buffer=buffer)


class VolumeAgainstDefinition:
    """How many times faster than the definition, and how far from its value."""

    params = [10_000, 100_000]
    param_names = ["n_timesteps"]
    timeout = 600

    def setup(self, n_timesteps):
        self.y, self.scores = make_series(n_timesteps)

    def track_speed_up(self, n_timesteps):
        begin = perf_counter()
        direct_vus_pr(self.y, self.scores, buffer=100)
        middle = perf_counter()
        metrics.vus_pr_score(self.y, self.scores, buffer=100)
        return (middle - begin) / (perf_counter() - middle)

    def track_difference(self, n_timesteps):
        expected = direct_vus_pr(self.y, self.scores, buffer=100)
        return abs(metrics.vus_pr_score(self.y, self.scores, buffer=100) - expected)

    track_speed_up.unit = "times"
    track_difference.unit = "absolute"


class Predictions:
    """Metrics of flagged rows."""

    params = (
        [
            "affiliation_report",
            "event_report",
            "pa_k_auc_score",
            "point_adjusted_report",
            "range_f1_score",
        ],
        [100_000, 1_000_000],
    )
    param_names = ["metric", "n_timesteps"]

    def setup(self, metric, n_timesteps):
        y, scores = make_series(n_timesteps)
        takes_scores = metric == "point_adjusted_report"
        self.args = y, scores if takes_scores else scores < -2
        self.metric = getattr(metrics, metric)

    def time_metric(self, metric, n_timesteps):
        self.metric(*self.args)
