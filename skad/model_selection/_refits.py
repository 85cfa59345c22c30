"""What the criteria without labels share: scores, seeds and draws."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_scalar
from sklearn.utils.validation import _num_samples

from skad._orientation import orientation, ranking_method
from skad._seeding import seed_nested


def normality(estimator, X):
    """Return the scores of a fitted detector, high where rows are normal.

    Parameters
    ----------
    estimator : estimator
        The detector, PyOD's included, or a pipeline that ends in one.

    X : array-like of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        The scores.
    """
    sign = orientation(estimator)
    score = getattr(estimator, ranking_method(estimator))
    scores = np.asarray(score(X), dtype=np.float64)
    if scores.shape != (_num_samples(X),):
        raise ValueError(
            f"{type(estimator).__name__} gives scores of shape {scores.shape} to "
            f"{_num_samples(X)} rows; expected one for each row."
        )
    if n_missing := np.isnan(scores).sum():
        raise ValueError(
            f"{type(estimator).__name__} gives NaN to {n_missing} of "
            f"{len(scores)} rows; they cannot be ranked."
        )
    return sign * scores


def refit(estimator, X, random_state):
    """Return a clone that is fitted to X, with seeds that are drawn.

    Parameters
    ----------
    estimator : estimator
        The detector.

    X : array-like of shape (n_samples, n_features)
        The rows.

    random_state : RandomState
        What a seed is drawn from, for all seeds in the clone.

    Returns
    -------
    refitted : estimator
        The clone.
    """
    orientation(estimator)  # A classifier is refused before it asks for labels.
    # One number is drawn, however many the detector takes: what is drawn next must not
    # depend on the candidate.
    seed = random_state.randint(np.iinfo(np.int32).max)
    estimator = clone(estimator)
    seed_nested(estimator, np.random.RandomState(seed))
    # A frozen estimator stays as it is, but wants to be told that there is no y.
    return estimator.fit(X, None)


def random_half(X, random_state):
    """Return a random half of the rows, rounded up, and the other one."""
    order = random_state.permutation(_num_samples(X))
    n_half = (len(order) + 1) // 2
    halves = np.sort(order[:n_half]), np.sort(order[n_half:])
    return tuple(_safe_indexing(X, rows) for rows in halves)


def make_random_state(seed):
    """Return a generator that is the same for every candidate of a search."""
    # Another draw for each candidate would decide between close ones.
    check_scalar(seed, "random_state", Integral, min_val=0, max_val=2**32 - 1)
    return np.random.RandomState(seed)


def check_rows(X, n_least):
    """Raise a ValueError where there are too few rows."""
    if _num_samples(X) < n_least:
        raise ValueError(f"X has {_num_samples(X)} rows; expected at least {n_least}.")
