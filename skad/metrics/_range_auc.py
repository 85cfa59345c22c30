"""Areas under curves in which events are widened by a buffer, and their volumes."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_array, check_scalar

from skad._segments import SeriesRows
from skad.metrics._buffered_curves import buffered_areas
from skad.metrics._checks import check_scores, is_undefined

# TSB-AD's choices: rows and lags that it looks at, and periods that it believes.
_N_ROWS, _N_LAGS, _SHORTEST, _LONGEST, _DEFAULT = 20_000, 400, 6, 303, 125


def vus_pr_score(
    y_true, scores, *, buffer=100, groups=None, outlier_label=None, n_thresholds=250
):
    """Compute the volume under the PR surface of a series, VUS-PR.

    It is :func:`range_pr_auc_score`, averaged over all buffers from 0 to `buffer`.
    A detector that answers a little early or late is not punished as if it had
    missed the event, no single buffer decides, no threshold has to be chosen, and an
    event is not found as a whole by one lucky row: of the metrics of series it is
    the one to look at first.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    scores : array-like of shape (n_timesteps,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    buffer : int, default=100
        The largest buffer in time steps, half of it on either side of an event. The
        period of the series is a usual choice, see :func:`estimate_buffer`.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and buffers
        end where their series ends, while thresholds are common to all. If None,
        all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    n_thresholds : int, default=250
        The number of thresholds, at equally spaced ranks of the scores.

    Returns
    -------
    volume : float
        Mean area, high = good; NaN with an ``UndefinedMetricWarning`` if `y_true`
        has only one class.

    See Also
    --------
    vus_roc_score : The same of ROC curves.
    range_pr_auc_score : With a single buffer.
    average_precision_score : Without buffers and without events.

    Notes
    -----
    Chance level is about the share of outliers among the rows, more if there are
    many short events. The factor for the share of touched events (see
    :func:`range_pr_auc_score`) can turn the order of two detectors round: report
    :func:`average_precision_score` as well.

    The definition and the values are those of the TSB-AD benchmark [2]_ (its
    variant "opt"). What is computed once per buffer and threshold there is read off
    a table of distances to events here.

    References
    ----------
    .. [1] Paparrizos, J., Boniol, P., Palpanas, T., Tsay, R. S., Elmore, A. and
       Franklin, M. J. "Volume under the surface: a new accuracy evaluation measure
       for time-series anomaly detection". Proceedings of the VLDB Endowment 15
       (2022). :doi:`10.14778/3551793.3551830`
    .. [2] Liu, Q. and Paparrizos, J. "The elephant in the room: towards a reliable
       time-series anomaly detection benchmark". Advances in Neural Information
       Processing Systems 37 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from skad.metrics import average_precision_score, vus_pr_score
    >>> y_true = np.zeros(300)
    >>> y_true[100:120] = 1
    >>> late = np.zeros(300)
    >>> late[105:125] = -1
    >>> round(average_precision_score(y_true, late), 2)
    0.58
    >>> round(vus_pr_score(y_true, late, buffer=20), 2)
    0.78
    """
    areas = _mean_areas(
        "vus_pr_score", y_true, scores, 0, buffer, groups, outlier_label, n_thresholds
    )
    return areas[1]


def vus_roc_score(
    y_true, scores, *, buffer=100, groups=None, outlier_label=None, n_thresholds=250
):
    """Compute the volume under the ROC surface of a series, VUS-ROC.

    It is :func:`range_roc_auc_score`, averaged over all buffers from 0 to `buffer`.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    scores : array-like of shape (n_timesteps,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    buffer : int, default=100
        The largest buffer in time steps, half of it on either side of an event. The
        period of the series is a usual choice, see :func:`estimate_buffer`.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and buffers
        end where their series ends, while thresholds are common to all. If None,
        all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    n_thresholds : int, default=250
        The number of thresholds, at equally spaced ranks of the scores.

    Returns
    -------
    volume : float
        Mean area, high = good; NaN with an ``UndefinedMetricWarning`` if `y_true`
        has only one class.

    See Also
    --------
    vus_pr_score : Says more when outliers are rare.

    Notes
    -----
    Definition and values are those of TSB-AD, as in :func:`vus_pr_score`, which has
    the references.

    Examples
    --------
    >>> import numpy as np
    >>> from skad.metrics import vus_roc_score
    >>> y_true = np.zeros(300)
    >>> y_true[100:120] = 1
    >>> late = np.zeros(300)
    >>> late[105:125] = -1
    >>> round(vus_roc_score(y_true, late, buffer=20), 2)
    0.92
    """
    areas = _mean_areas(
        "vus_roc_score", y_true, scores, 0, buffer, groups, outlier_label, n_thresholds
    )
    return areas[0]


def range_pr_auc_score(
    y_true, scores, *, buffer=100, groups=None, outlier_label=None, n_thresholds=250
):
    """Compute the area under the PR curve of events with a buffer, range-PR-AUC.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    scores : array-like of shape (n_timesteps,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    buffer : int, default=100
        The buffer in time steps, half of it on either side of an event. The period
        of the series is a usual choice, see :func:`estimate_buffer`.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and buffers
        end where their series ends, while thresholds are common to all. If None,
        all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    n_thresholds : int, default=250
        The number of thresholds, at equally spaced ranks of the scores.

    Returns
    -------
    area : float
        Area under the curve, high = good; NaN with an ``UndefinedMetricWarning`` if
        `y_true` has only one class.

    See Also
    --------
    vus_pr_score : The mean over all buffers up to one.

    Notes
    -----
    With a buffer :math:`w`, a row at a distance :math:`d \\le \\lfloor w / 2 \\rfloor`
    from an event counts as anomalous to the degree :math:`\\sqrt{1 - d / w}`; degrees
    of several events add up, to at most 1. For the rows flagged at a threshold, let
    :math:`T` be the sum of their degrees, :math:`T'` the part of it outside events,
    and :math:`P` the number of labelled outliers. Then

    .. math::

       \\text{precision} = \\frac{T}{\\text{number flagged}},
       \\qquad
       \\text{recall} = \\min\\left(\\frac{T}{P + T' / 2}, 1\\right)
       \\cdot \\text{share of widened events with a flagged row},

    and the area is the sum of precision times the step of recall. Widened events
    that meet are one. Without a buffer it is the average precision, times that share,
    at `n_thresholds` points.

    Definition and values are those of TSB-AD, as in :func:`vus_pr_score`, which has
    the references.

    Examples
    --------
    >>> from skad.metrics import range_pr_auc_score
    >>> y_true = [0, 0, 0, 1, 1, 0, 0, 0]
    >>> scores = [0, 0, 0, 0, -3, -2, 0, 0]
    >>> round(range_pr_auc_score(y_true, scores, buffer=2), 3)
    0.81
    """
    areas = _mean_areas(
        "range_pr_auc_score",
        y_true,
        scores,
        buffer,
        buffer,
        groups,
        outlier_label,
        n_thresholds,
    )
    return areas[1]


def range_roc_auc_score(
    y_true, scores, *, buffer=100, groups=None, outlier_label=None, n_thresholds=250
):
    """Compute the area under the ROC curve of events with a buffer, range-ROC-AUC.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    scores : array-like of shape (n_timesteps,)
        What ``score_samples`` or ``decision_function`` of a scikit-learn detector
        returned: the higher, the more normal. Negate scores in which high means
        abnormal.

    buffer : int, default=100
        The buffer in time steps, half of it on either side of an event. The period
        of the series is a usual choice, see :func:`estimate_buffer`.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and buffers
        end where their series ends, while thresholds are common to all. If None,
        all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    n_thresholds : int, default=250
        The number of thresholds, at equally spaced ranks of the scores.

    Returns
    -------
    area : float
        Area under the curve, high = good; NaN with an ``UndefinedMetricWarning`` if
        `y_true` has only one class.

    See Also
    --------
    vus_roc_score : The mean over all buffers up to one.
    range_pr_auc_score : The same terms, and their definition.

    Notes
    -----
    In the terms of :func:`range_pr_auc_score`, recall is plotted over the flagged
    rows less :math:`T`, divided by the number of rows less :math:`P + T' / 2`. The
    curve is closed with a straight line to (1, 1).

    Definition and values are those of TSB-AD, as in :func:`vus_pr_score`, which has
    the references.

    Examples
    --------
    >>> from skad.metrics import range_roc_auc_score
    >>> y_true = [0, 0, 0, 1, 1, 0, 0, 0]
    >>> scores = [0, 0, 0, 0, -3, -2, 0, 0]
    >>> round(range_roc_auc_score(y_true, scores, buffer=2), 3)
    0.868
    """
    areas = _mean_areas(
        "range_roc_auc_score",
        y_true,
        scores,
        buffer,
        buffer,
        groups,
        outlier_label,
        n_thresholds,
    )
    return areas[0]


def estimate_buffer(X):
    """Estimate the period of a series, for metrics that need a buffer.

    The lag of the highest peak of the autocorrelation, as the TSB-AD benchmark
    determines it.

    Parameters
    ----------
    X : array-like of shape (n_timesteps,) or (n_timesteps, n_channels)
        The series, without missing values. Of several channels the first counts.

    Returns
    -------
    buffer : int
        The period in time steps, between 6 and 303; 125 if there is no peak, or if
        the highest lies elsewhere.

    See Also
    --------
    vus_pr_score : Takes the buffer.

    Notes
    -----
    Lags from 3 to 400 of the first 20,000 time steps are looked at. The
    autocorrelation is that of TSB-AD [1]_: normalised by the number of time steps,
    not by the number of pairs.

    References
    ----------
    .. [1] Liu, Q. and Paparrizos, J. "The elephant in the room: towards a reliable
       time-series anomaly detection benchmark". Advances in Neural Information
       Processing Systems 37 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from skad.metrics import estimate_buffer
    >>> estimate_buffer(np.sin(2 * np.pi * np.arange(2000) / 50))
    50
    """
    X = check_array(X, ensure_2d=False, dtype=np.float64, input_name="X")
    x = X.reshape(len(X), -1)[:_N_ROWS, 0]
    if np.ptp(x) == 0:
        return _DEFAULT  # rounding has peaks of its own
    spectrum = np.fft.rfft(x - x.mean(), 2 * len(x))
    shape = np.fft.irfft(np.abs(spectrum) ** 2)[: len(x)][3 : _N_LAGS + 1]
    is_peak = (shape[1:-1] > shape[:-2]) & (shape[1:-1] > shape[2:])
    if not is_peak.any():
        return _DEFAULT
    peaks = np.flatnonzero(is_peak) + 1
    period = int(peaks[np.argmax(shape[peaks])]) + 3
    return period if _SHORTEST <= period <= _LONGEST else _DEFAULT


def _mean_areas(
    name, y_true, scores, smallest, buffer, groups, outlier_label, n_thresholds
):
    """Return the mean areas of the ROC and PR curves over buffers up to `buffer`."""
    is_outlier, abnormality = check_scores(y_true, scores, outlier_label)
    rows = SeriesRows.from_groups(groups, len(is_outlier))
    check_scalar(buffer, "buffer", Integral, min_val=0)
    check_scalar(n_thresholds, "n_thresholds", Integral, min_val=2)
    if is_undefined(is_outlier, name, stacklevel=4):
        return np.nan, np.nan
    areas = buffered_areas(
        rows,
        is_outlier[rows.order],
        abnormality[rows.order],
        np.arange(smallest, buffer + 1),
        n_thresholds,
    )
    return tuple(float(area.mean()) for area in areas)
