"""Data with classes as data with anomalies."""

from numbers import Real

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import (
    check_consistent_length,
    check_scalar,
    column_or_1d,
)


def one_against_rest(X, y, *, outliers, outlier_rate=0.1, random_state=None):
    """Turn data with classes into data with anomalies.

    Some classes are declared anomalous and thinned at random, because anomalies
    are rare; all samples of the other classes are kept as normal. The result is
    shuffled.

    Parameters
    ----------
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The data.

    y : array-like of shape (n_samples,)
        The classes.

    outliers : label or list of labels
        The anomalous classes.

    outlier_rate : float, default=0.1
        Proportion of anomalies in the result, in (0, 0.5]; it is rounded to whole
        samples, at least one. If None, all anomalies are kept.

    random_state : int, RandomState instance or None, default=None
        Determines which anomalies are kept, and the order of the samples.

    Returns
    -------
    X : {ndarray, sparse matrix, dataframe} of shape (n_kept, n_features)
        The samples that are kept, of the type that was given.

    y : ndarray of shape (n_kept,)
        1 for normal samples, -1 for anomalies.

    Notes
    -----
    The anomalies belong together here, as a class. Detectors of scattered
    anomalies look worse on such data than on faults, of which each is different.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skad.datasets import one_against_rest
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = one_against_rest(X, y, outliers=2, outlier_rate=0.05, random_state=0)
    >>> X.shape, int((y == -1).sum())
    ((105, 4), 5)
    """
    y = column_or_1d(y)
    check_consistent_length(X, y)
    is_outlier = _is_outlier(y, outliers)
    normal, anomalous = np.flatnonzero(~is_outlier), np.flatnonzero(is_outlier)
    random_state = check_random_state(random_state)
    if outlier_rate is not None:
        n_outliers = _n_outliers(outlier_rate, len(normal), len(anomalous))
        anomalous = random_state.choice(anomalous, n_outliers, replace=False)
    kept = random_state.permutation(np.concatenate([normal, anomalous]))
    X = X if hasattr(X, "shape") else np.asarray(X)
    return _safe_indexing(X, kept), np.where(is_outlier[kept], -1, 1)


def _is_outlier(y, outliers):
    classes = np.unique(y)
    wanted = np.unique(np.atleast_1d(outliers))
    unknown = set(wanted.tolist()) - set(classes.tolist())
    if unknown or len(wanted) in (0, len(classes)):
        raise ValueError(
            f"outliers={outliers!r}; expected some, but not all, of the classes "
            f"{classes.tolist()}."
        )
    return np.isin(y, wanted)


def _n_outliers(rate, n_normal, n_available):
    check_scalar(
        rate,
        "outlier_rate",
        Real,
        min_val=0,
        max_val=0.5,
        include_boundaries="right",
    )
    n_outliers = max(1, round(rate / (1 - rate) * n_normal))
    if n_outliers > n_available:
        raise ValueError(
            f"outlier_rate={rate} needs {n_outliers} anomalies beside {n_normal} "
            f"normal samples and there are {n_available}; expected at most "
            f"{n_available / (n_available + n_normal):.3f}, or None to keep all."
        )
    return n_outliers
