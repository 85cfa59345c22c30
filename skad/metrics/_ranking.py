"""How well scores rank the outliers before the normal samples."""

from numbers import Integral

import numpy as np
from sklearn import metrics as sklearn_metrics
from sklearn.utils.validation import check_scalar

from skad.metrics._checks import check_scores, is_undefined


def roc_auc_score(y_true, scores, *, outlier_label=None, sample_weight=None):
    """Compute the area under the ROC curve of the outliers.

    It is the probability that an outlier scores lower than a normal sample, ties
    counting half: 1 is a perfect ranking, 0.5 is chance.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels: {-1, 1} (-1 is the outlier), {0, 1} or bool (1 is the outlier), or
        any two with `outlier_label`.

    scores : array-like of shape (n_samples,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.

    Returns
    -------
    auc : float
        Area under the curve, in [0, 1]; NaN with an ``UndefinedMetricWarning``
        if `y_true` has only one class.

    See Also
    --------
    average_precision_score : Says more when outliers are rare.
    outlier_scorer : The same metric for model selection.

    Notes
    -----
    scikit-learn's function and its scorer ``"roc_auc"`` take the greater label
    as the positive class. For a detector's scores that is right if labels are
    {-1, 1}; with {0, 1} they silently return one minus the area.

    Examples
    --------
    >>> from sklearn import metrics
    >>> from skad.metrics import roc_auc_score
    >>> y_true, scores = [0, 0, 0, 1], [0.3, 0.1, 0.2, -0.4]
    >>> roc_auc_score(y_true, scores)
    1.0
    >>> metrics.roc_auc_score(y_true, scores)
    0.0
    """
    is_outlier, abnormality = check_scores(y_true, scores, outlier_label)
    if is_undefined(is_outlier, "roc_auc_score"):
        return np.nan
    return float(
        sklearn_metrics.roc_auc_score(
            is_outlier, abnormality, sample_weight=sample_weight
        )
    )


def average_precision_score(y_true, scores, *, outlier_label=None, sample_weight=None):
    """Compute the average precision with which outliers are found.

    Precision among the lowest scores, averaged over the steps of recall. Chance
    level is the proportion of outliers, not 0.5.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels: {-1, 1} (-1 is the outlier), {0, 1} or bool (1 is the outlier), or
        any two with `outlier_label`.

    scores : array-like of shape (n_samples,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.

    Returns
    -------
    average_precision : float
        Average precision, in [0, 1]; NaN with an ``UndefinedMetricWarning`` if
        `y_true` has only one class.

    See Also
    --------
    roc_auc_score : Does not depend on the proportion of outliers.
    outlier_scorer : The same metric for model selection.

    Notes
    -----
    scikit-learn's scorer ``"average_precision"`` takes the greater label as the
    positive class and a high score as its sign: with {-1, 1} it returns the
    average precision of the normal samples, which is close to 1 for almost any
    ranking. Without outliers scikit-learn's function returns 0, a value that
    would enter the mean over cross-validation folds unnoticed.

    Examples
    --------
    >>> from skad.metrics import average_precision_score
    >>> average_precision_score([1, -1, 1, -1], [0.4, -0.1, 0.1, 0.2])
    0.833...
    """
    is_outlier, abnormality = check_scores(y_true, scores, outlier_label)
    if is_undefined(is_outlier, "average_precision_score"):
        return np.nan
    return float(
        sklearn_metrics.average_precision_score(
            is_outlier, abnormality, sample_weight=sample_weight
        )
    )


def precision_at_n_score(y_true, scores, *, outlier_label=None, n=None):
    """Compute the proportion of outliers among the `n` lowest scores.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels: {-1, 1} (-1 is the outlier), {0, 1} or bool (1 is the outlier), or
        any two with `outlier_label`.

    scores : array-like of shape (n_samples,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    n : int, default=None
        How many samples are inspected. If None, as many as there are outliers,
        and precision equals recall.

    Returns
    -------
    precision : float
        Precision, in [0, 1]; NaN with an ``UndefinedMetricWarning`` if `y_true`
        has only one class.

    See Also
    --------
    average_precision_score : Averages over all numbers of inspected samples.

    Notes
    -----
    Samples that tie on the n-th score share the remaining places: the result is
    the expected precision if ties were broken at random. It depends neither on
    the order of the samples nor on chance, and constant scores get the proportion
    of outliers.

    Examples
    --------
    >>> from skad.metrics import precision_at_n_score
    >>> y_true, scores = [0, 0, 1, 0, 1], [0.9, 0.2, 0.2, 0.8, 0.1]
    >>> precision_at_n_score(y_true, scores, n=1)
    1.0
    >>> precision_at_n_score(y_true, scores)  # the second place is shared
    0.75
    """
    is_outlier, abnormality = check_scores(y_true, scores, outlier_label)
    if n is not None:
        check_scalar(n, "n", Integral, min_val=1, max_val=len(is_outlier))
    if is_undefined(is_outlier, "precision_at_n_score"):
        return np.nan
    n = int(is_outlier.sum()) if n is None else n
    cut = np.partition(abnormality, -n)[-n]
    above, tied = abnormality > cut, abnormality == cut
    found = is_outlier[above].sum() + (n - above.sum()) * is_outlier[tied].mean()
    return float(found / n)
