"""From an anomaly to a normal row, one feature at a time."""

from typing import Any, NamedTuple

import numpy as np


class CounterfactualStep(NamedTuple):
    """One feature changed on the way from an anomaly to a normal row.

    Attributes
    ----------
    feature : str or int
        The feature's name, or its index where columns have no names.

    old, new : object
        Its value before and after.

    score : float
        ``score_samples`` of the row after the step.
    """

    feature: str | int
    old: Any
    new: Any
    score: float


def greedy_path(score_samples, x, target, threshold):
    """Move `x` to `target` by the feature that helps most, until it is normal.

    Parameters
    ----------
    score_samples : callable
        Scores rows of shape (n_rows, n_features).
    x, target : ndarray of shape (n_features,)
        Where to start, and where to go; NaN is a value like any other.
    threshold : float
        The score at which a row is normal.

    Yields
    ------
    feature, score : int, float
        The feature moved, and the score after.
    """
    x = x.copy()
    differs = (x != target) & ~(np.isnan(x) & np.isnan(target))
    left = np.flatnonzero(differs)
    score = score_samples(x[np.newaxis])[0]
    while left.size and score < threshold:
        candidates = np.repeat(x[np.newaxis], left.size, axis=0)
        candidates[np.arange(left.size), left] = target[left]
        scores = score_samples(candidates)
        best = scores.argmax()
        x, score = candidates[best], scores[best]
        yield left[best], score
        left = np.delete(left, best)
