"""Precision and recall of ranges, after Tatbul et al."""

from numbers import Real

import numpy as np
from sklearn.utils.validation import check_scalar

from skad._segments import SeriesRows
from skad.metrics._checks import check_predictions, is_undefined

_BIASES = ("flat", "front", "middle", "back")


def range_precision_score(
    y_true, y_pred, *, bias="flat", groups=None, outlier_label=None
):
    """Compute how much of the flagged ranges lies in events, range by range.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    y_pred : array-like of shape (n_timesteps,)
        What ``predict`` of a detector returned, {-1, 1}, or {0, 1} or bool. Where
        all are 1 and not bool, nothing is flagged. A range is a run of flagged
        rows.

    bias : {"flat", "front", "middle", "back"}, default="flat"
        The rows of a range that count more than others: none, or linearly more the
        nearer they are to the front, the middle or the back.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and ranges
        end where their series ends. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers in `y_true`; only needed if they are neither
        {-1, 1} nor {0, 1} nor bool.

    Returns
    -------
    precision : float
        Mean over flagged ranges, in [0, 1], 0 if there is none; NaN with an
        ``UndefinedMetricWarning`` if `y_true` has only one class.

    See Also
    --------
    range_recall_score : The same of events.

    Notes
    -----
    See :func:`range_f1_score`, which has the definition and the reference.

    Examples
    --------
    >>> from skad.metrics import range_precision_score
    >>> range_precision_score([0, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0, 1])
    0.333...
    """
    rows, is_outlier, is_flagged = _check(y_true, y_pred, bias, groups, outlier_label)
    if is_undefined(is_outlier, "range_precision_score"):
        return np.nan
    return _reward(rows, is_flagged, is_outlier, bias, alpha=0)


def range_recall_score(
    y_true, y_pred, *, alpha=0.0, bias="flat", groups=None, outlier_label=None
):
    """Compute how much of the events is flagged, event by event.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    y_pred : array-like of shape (n_timesteps,)
        What ``predict`` of a detector returned, {-1, 1}, or {0, 1} or bool. Where
        all are 1 and not bool, nothing is flagged. A range is a run of flagged
        rows.

    alpha : float, default=0.0
        The part of the reward, in [0, 1], that an event gets for being found at all.

    bias : {"flat", "front", "middle", "back"}, default="flat"
        The rows of an event that count more than others: none, or linearly more the
        nearer they are to the front, the middle or the back.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and ranges
        end where their series ends. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers in `y_true`; only needed if they are neither
        {-1, 1} nor {0, 1} nor bool.

    Returns
    -------
    recall : float
        Mean over events, in [0, 1]; NaN with an ``UndefinedMetricWarning`` if
        `y_true` has only one class.

    See Also
    --------
    range_precision_score : The same of flagged ranges.

    Notes
    -----
    See :func:`range_f1_score`, which has the definition and the reference.

    Examples
    --------
    >>> from skad.metrics import range_recall_score
    >>> y_true, y_pred = [0, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0, 1]
    >>> range_recall_score(y_true, y_pred)
    0.666...
    >>> range_recall_score(y_true, y_pred, bias="front")
    0.5
    """
    rows, is_outlier, is_flagged = _check(y_true, y_pred, bias, groups, outlier_label)
    check_scalar(alpha, "alpha", Real, min_val=0, max_val=1)
    if is_undefined(is_outlier, "range_recall_score"):
        return np.nan
    return _reward(rows, is_outlier, is_flagged, bias, alpha)


def range_f1_score(
    y_true, y_pred, *, alpha=0.0, bias="flat", groups=None, outlier_label=None
):
    """Compute F1 of ranges: an event or a flagged range counts once.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    y_pred : array-like of shape (n_timesteps,)
        What ``predict`` of a detector returned, {-1, 1}, or {0, 1} or bool. Where
        all are 1 and not bool, nothing is flagged. A range is a run of flagged
        rows.

    alpha : float, default=0.0
        The part of the reward, in [0, 1], that an event gets for being found at all.

    bias : {"flat", "front", "middle", "back"}, default="flat"
        The rows of an event or range that count more than others: none, or linearly
        more the nearer they are to the front, the middle or the back.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and ranges
        end where their series ends. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers in `y_true`; only needed if they are neither
        {-1, 1} nor {0, 1} nor bool.

    Returns
    -------
    f1 : float
        Harmonic mean of :func:`range_precision_score` and
        :func:`range_recall_score`, in [0, 1]; NaN with an
        ``UndefinedMetricWarning`` if `y_true` has only one class.

    See Also
    --------
    event_report : Counts, the flagged fraction and the delay.
    vus_pr_score : Needs no threshold.

    Notes
    -----
    The recall of an event :math:`R` is, after [1]_,

    .. math::

       \\alpha \\, [R \\text{ has a flagged row}] + (1 - \\alpha) \\,
       \\frac{1}{\\max(n, 1)} \\,
       \\frac{\\sum_{i \\in R \\cap F} \\delta(i)}{\\sum_{i \\in R} \\delta(i)},

    with :math:`F` the flagged rows, :math:`n` the number of flagged ranges that meet
    the event, so that pieces are worth less than a whole, and :math:`\\delta` the
    bias. Precision is the same with events and flagged ranges exchanged and
    :math:`\\alpha = 0`. Of the paper's choices for the factor of pieces this is the
    reciprocal one. The TSB-AD benchmark has :math:`\\alpha = 0.2`.

    References
    ----------
    .. [1] Tatbul, N., Lee, T. J., Zdonik, S., Alam, M. and Gottschlich, J. "Precision
       and recall for time series". Advances in Neural Information Processing Systems
       31 (2018). :arxiv:`1803.03639`

    Examples
    --------
    >>> from skad.metrics import range_f1_score
    >>> range_f1_score([0, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0, 1])
    0.444...
    """
    rows, is_outlier, is_flagged = _check(y_true, y_pred, bias, groups, outlier_label)
    check_scalar(alpha, "alpha", Real, min_val=0, max_val=1)
    if is_undefined(is_outlier, "range_f1_score"):
        return np.nan
    precision = _reward(rows, is_flagged, is_outlier, bias, alpha=0)
    recall = _reward(rows, is_outlier, is_flagged, bias, alpha)
    return harmonic_mean(precision, recall)


def harmonic_mean(precision, recall):
    """Harmonic mean of two numbers, 0 if both are 0."""
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _check(y_true, y_pred, bias, groups, outlier_label):
    is_outlier, is_flagged = check_predictions(y_true, y_pred, outlier_label)
    rows = SeriesRows.from_groups(groups, len(is_outlier))
    if bias not in _BIASES:
        raise ValueError(f"bias={bias!r} is unknown; expected one of {_BIASES}.")
    return rows, is_outlier[rows.order], is_flagged[rows.order]


def _reward(rows, ranges, hits, bias, alpha):
    """Mean over `ranges` of what they get for the rows, and pieces, of `hits`."""
    segments = rows.segments(ranges)
    if not len(segments):
        return 0.0
    weights = _weights(segments, len(hits), bias)
    overlap = segments.sums(weights * hits) / segments.sums(weights)
    pieces = segments.n_overlapping(rows.segments(hits))
    reward = alpha * (pieces > 0) + (1 - alpha) * overlap / np.maximum(pieces, 1)
    return float(reward.mean())


def _weights(segments, n_rows, bias):
    """Return the weight of each row in its segment, counted from 1."""
    weights = np.zeros(n_rows)
    row = np.repeat(np.arange(len(segments)), segments.length)
    place = np.arange(len(row)) - np.repeat(
        np.cumsum(segments.length) - segments.length, segments.length
    )
    from_front, from_back = place + 1, segments.length[row] - place
    weights[segments.start[row] + place] = {
        "flat": np.ones(len(row)),
        "front": from_back,
        "middle": np.minimum(from_front, from_back),
        "back": from_front,
    }[bias]
    return weights
