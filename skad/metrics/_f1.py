"""F1 of time steps, at one threshold and at the best of all."""

from numbers import Real

import numpy as np
from sklearn.utils.validation import check_scalar

from skad.metrics._checks import check_scores, is_undefined


def f1_at_threshold_score(
    y_true, scores, threshold=0.0, *, groups=None, outlier_label=None
):
    """Compute F1 of the rows whose score lies below a threshold.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`.

    scores : array-like of shape (n_timesteps,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    threshold : float, default=0.0
        Rows with a lower score are flagged. 0 is the threshold of a detector in
        terms of its ``decision_function``, ``offset_`` in terms of its
        ``score_samples``.

    groups : Ignored
        Not used, present because the metrics of series are called alike: rows count
        one by one.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    Returns
    -------
    f1 : float
        F1 of the outliers, in [0, 1], 0 if none is found; NaN with an
        ``UndefinedMetricWarning`` if `y_true` has only one class.

    See Also
    --------
    best_f1_score : The threshold that is best for given labels.

    Notes
    -----
    A threshold that was learned without labels and without the rows that are scored
    makes this an honest figure of what an alarm is worth; with a quantile of the
    scored rows it is not one.

    Examples
    --------
    >>> from skad.metrics import f1_at_threshold_score
    >>> f1_at_threshold_score([0, 0, 1, 1], [0.3, 0.1, -0.2, 0.2])
    0.666...
    """
    is_outlier, abnormality = check_scores(y_true, scores, outlier_label)
    check_scalar(threshold, "threshold", Real)
    if is_undefined(is_outlier, "f1_at_threshold_score"):
        return np.nan
    return f1(is_outlier, abnormality > -threshold)


def best_f1_score(y_true, scores, *, groups=None, outlier_label=None):
    """Compute the highest F1 that any threshold reaches, and that threshold.

    The threshold is chosen with the labels: an upper bound for what a detector with
    these scores could do, not an estimate of what it will do.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`.

    scores : array-like of shape (n_timesteps,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    groups : Ignored
        Not used, present because the metrics of series are called alike: rows count
        one by one.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    Returns
    -------
    f1 : float
        F1 of the outliers at the best threshold, in (0, 1]; NaN with an
        ``UndefinedMetricWarning`` if `y_true` has only one class.

    threshold : float
        The threshold; rows with a lower score are flagged. Of several best ones the
        one that flags fewest rows.

    See Also
    --------
    f1_at_threshold_score : F1 at a threshold that was chosen before.

    Notes
    -----
    With a share :math:`p` of outliers, flagging every row has an F1 of
    :math:`2 p / (1 + p)`: no score can do worse.

    Examples
    --------
    >>> from skad.metrics import best_f1_score
    >>> best_f1_score([0, 0, 1, 1], [0.3, 0.1, -0.2, 0.2])
    (0.8, 0.3)
    """
    is_outlier, abnormality = check_scores(y_true, scores, outlier_label)
    if is_undefined(is_outlier, "best_f1_score"):
        return np.nan, np.nan
    return best_f1(is_outlier, abnormality)


def f1(is_outlier, is_flagged):
    """F1 of a prediction; there are outliers."""
    found = np.count_nonzero(is_outlier & is_flagged)
    total = np.count_nonzero(is_outlier) + np.count_nonzero(is_flagged)
    return float(2 * found / total)


def best_f1(is_outlier, abnormality):
    """Return the best F1, and the lowest score (high = normal) that is not flagged."""
    scores = -abnormality
    order = np.argsort(scores)
    ranked = scores[order]
    found = np.cumsum(is_outlier[order])
    # Rows that tie are flagged together.
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    values = 2 * found[last] / (found[-1] + last + 1)
    best = int(np.argmax(values))
    beyond = np.append(ranked, np.nextafter(ranked[-1], np.inf))
    return float(values[best]), float(beyond[last[best] + 1])
