"""Anomalies of which it is known what is wrong with them."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

_KINDS = ("extreme", "joint", "mixed")

# Standard deviation around the line of a cluster, and how far from its proper
# value, at least, a "joint" anomaly is put. Along the line the standard deviation
# of a feature is 0.5 to 1.5.
_NOISE, _OFF = 0.1, 2.0


def make_planted_anomalies(
    n_samples=500,
    n_features=10,
    n_anomalies=25,
    n_planted_features=2,
    *,
    kind="mixed",
    n_clusters=3,
    random_state=None,
):
    """Generate correlated clusters with anomalies in known features.

    Each cluster is a noisy line in a random direction, along which all features
    vary together. An anomaly is a sample of a cluster with new values in a few of
    its features: those that an explanation has to find.

    Parameters
    ----------
    n_samples : int, default=500
        Number of samples, anomalies included; at least 4.

    n_features : int, default=10
        Number of features, at least 2.

    n_anomalies : int, default=25
        Number of anomalies, at most half of the samples.

    n_planted_features : int, default=2
        Number of features that are changed in each anomaly, at most half of all:
        were it more, the features that are left alone would be the odd ones.

    kind : {"extreme", "joint", "mixed"}, default="mixed"
        What a changed value is like:

        - ``"extreme"``: beyond the range of the normal samples, by a quarter to
          three quarters of that range;
        - ``"joint"``: a value that a normal sample has, but far from what the other
          features say, so that it hardly shows in a single feature;
        - ``"mixed"``: one or the other, drawn for each anomaly.

    n_clusters : int, default=3
        Number of clusters.

    random_state : int, RandomState instance or None, default=None
        Determines the generated data.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        The data, shuffled.

    y : ndarray of shape (n_samples,)
        1 for normal samples, -1 for anomalies.

    mask : ndarray of shape (n_samples, n_features)
        True for the values that were planted.

    Examples
    --------
    >>> from skad.datasets import make_planted_anomalies
    >>> X, y, mask = make_planted_anomalies(
    ...     n_samples=100, n_anomalies=5, random_state=0
    ... )
    >>> mask[y == -1].sum(axis=1)
    array([2, 2, 2, 2, 2])
    >>> bool(mask[y == 1].any())
    False
    """
    _check(n_samples, n_features, n_anomalies, n_planted_features, kind, n_clusters)
    random_state = check_random_state(random_state)
    X = _clusters(n_samples, n_features, n_clusters, random_state)
    is_normal = np.arange(n_samples) >= n_anomalies
    mask = np.zeros(X.shape, dtype=bool)
    rank = random_state.random_sample((n_anomalies, n_features)).argsort(axis=1)
    mask[~is_normal] = rank < n_planted_features
    planted = _planted(X[~is_normal], X[is_normal], kind, random_state)
    X[mask] = planted[mask[~is_normal]]
    order = random_state.permutation(n_samples)
    return X[order], np.where(is_normal, 1, -1)[order], mask[order]


def _clusters(n_samples, n_features, n_clusters, random_state):
    """Draw samples around one line per cluster."""
    shape = (n_clusters, n_features)
    centers = random_state.uniform(-3, 3, shape)
    directions = random_state.uniform(0.5, 1.5, shape)
    directions *= random_state.choice((-1, 1), shape)
    cluster = random_state.randint(n_clusters, size=n_samples)
    position = random_state.standard_normal((n_samples, 1))
    noise = _NOISE * random_state.standard_normal((n_samples, n_features))
    return centers[cluster] + position * directions[cluster] + noise


def _planted(X, normal, kind, random_state):
    """Return a new value for every value of X."""
    share = {"extreme": 1, "joint": 0, "mixed": 0.5}[kind]
    is_extreme = random_state.random_sample((len(X), 1)) < share
    extreme = _extreme(X.shape, normal, random_state)
    columns = zip(X.T, normal.T, strict=True)
    joint = np.column_stack([_joint(x, np.sort(v), random_state) for x, v in columns])
    return np.where(is_extreme, extreme, joint)


def _extreme(shape, normal, random_state):
    """Draw values beyond the range of each feature, on either side."""
    low, high = normal.min(axis=0), normal.max(axis=0)
    beyond = random_state.uniform(0.25, 0.75, shape) * (high - low)
    is_low = random_state.random_sample(shape) < 0.5
    return np.where(is_low, low - beyond, high + beyond)


def _joint(x, values, random_state):
    """Draw from the sorted values of a feature, but none that is close to x."""
    # Where all values are close, those at the farther end are taken.
    off = np.minimum(_OFF, 0.99 * np.maximum(x - values[0], values[-1] - x))
    n_below = np.searchsorted(values, x - off, side="right")
    n_close = np.searchsorted(values, x + off, side="left") - n_below
    drawn = random_state.randint(len(values) - n_close)
    return values[np.where(drawn < n_below, drawn, drawn + n_close)]


def _check(n_samples, n_features, n_anomalies, n_planted_features, kind, n_clusters):
    check_scalar(n_samples, "n_samples", Integral, min_val=4)
    check_scalar(n_features, "n_features", Integral, min_val=2)
    check_scalar(
        n_anomalies, "n_anomalies", Integral, min_val=0, max_val=n_samples // 2
    )
    check_scalar(
        n_planted_features,
        "n_planted_features",
        Integral,
        min_val=1,
        max_val=n_features // 2,
    )
    check_scalar(n_clusters, "n_clusters", Integral, min_val=1)
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r}; expected one of {_KINDS}.")
