"""Detectors of faults in a week of sensors: baselines, and CAnemon as it may be set."""

import numpy as np
from scipy.ndimage import uniform_filter1d
from sklearn.linear_model import Ridge

from skad import CAnemon

# Added to what is usual, in standard deviations: nothing is divided by nothing.
_FLOOR = 0.1
_N_COMPONENTS = 20
_SMOOTHING = 7


def own_history(week, seed):
    """Score by how unusual a reading is for the sensor at this hour of the day."""
    known, new = week.standardised()
    anomaly = np.empty_like(new)
    for hour in range(24):
        before, now = (hours == hour for hours in week.hours())
        usual = np.median(known[before], axis=0)
        spread = np.percentile(np.abs(known[before] - usual), 75, axis=0) + _FLOOR
        anomaly[now] = np.abs(new[now] - usual) / spread
    return anomaly


def neighbor_mean(week, seed):
    """Score by the difference from the mean of the neighbours."""
    known, new = (z - _means(z, week.neighbors) for z in week.standardised())
    return np.abs(new) / _usual(known)


def ridge(week, seed, smoothing=1):
    """Score by the error of a ridge regression on the neighbours, of each sensor."""
    known, new = week.standardised()
    errors = known.copy(), new.copy()
    for node, row in enumerate(week.neighbors):
        others = row[row >= 0]
        if len(others):
            model = Ridge(10.0).fit(known[:, others], known[:, node])
            for error, z in zip(errors, (known, new), strict=True):
                error[:, node] -= model.predict(z[:, others])
    smoothed = uniform_filter1d(errors[1], smoothing, axis=0)
    return np.abs(smoothed) / _usual(errors[0])


def pca(week, seed):
    """Score by what the first principal components of all sensors leave over."""
    known, new = week.standardised()
    components = np.linalg.svd(known, full_matrices=False)[2][:_N_COMPONENTS]
    return np.abs(new - new @ components.T @ components)


BASELINES = {
    "own history": own_history,
    "neighbour mean": neighbor_mean,
    "ridge": ridge,
    "ridge, smoothed": lambda week, seed: ridge(week, seed, _SMOOTHING),
    "PCA": pca,
}
VARIANTS = {
    "CAnemon": {},
    "CAnemon, one pass": {"robust": False},
    "CAnemon, no changes": {"change_window": 0},
    "CAnemon, no smoothing": {"smoothing": 1},
    "CAnemon, readings only": {"change_window": 0, "smoothing": 1},
    "CAnemon, past": {"neighbor_window": "past"},
    "CAnemon, causal": {"causal": True},
    "CAnemon, 5 neighbours": {"n_neighbors": 5},
    "CAnemon, 20 neighbours": {"n_neighbors": 20},
}


def canemon(week, seed, params):
    """Score by CAnemon, told who is whose neighbour."""
    detector = CAnemon(node="node", time="time", random_state=seed, **params)
    detector.fit(week.rows_before(), adjacency=week.adjacency())
    return -detector.score_samples(week.rows_after()).reshape(week.test.shape)


def _means(z, neighbors):
    """Return the means of neighbours; 0, which is usual, where there are none."""
    is_there = neighbors >= 0
    sums = (z[:, neighbors] * is_there).sum(axis=2)
    return sums / np.maximum(is_there.sum(axis=1), 1)


def _usual(errors):
    return np.median(np.abs(errors), axis=0) + _FLOOR
