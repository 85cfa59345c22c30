"""Events that are found or missed, and what that takes."""

import numpy as np
from sklearn.utils import Bunch

from skad._segments import SeriesRows
from skad.metrics._checks import check_predictions, is_undefined
from skad.metrics._range_precision import harmonic_mean


def event_report(y_true, y_pred, *, groups=None, outlier_label=None):
    """Report how many events are found, by how many alarms, and how late.

    An event is found if any of its rows is flagged. An alarm is a run of flagged
    rows, and justified if any of them belongs to an event.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    y_pred : array-like of shape (n_timesteps,)
        What ``predict`` of a detector returned, {-1, 1}, or {0, 1} or bool. Where
        all are 1 and not bool, nothing is flagged.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and alarms
        end where their series ends. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers in `y_true`; only needed if they are neither
        {-1, 1} nor {0, 1} nor bool.

    Returns
    -------
    report : :class:`~sklearn.utils.Bunch`
        With the attributes

        precision : float
            The share of alarms that are justified, 0 if there is none.
        recall : float
            The share of events that are found.
        f1 : float
            Harmonic mean of the two.
        composite_f1 : float
            Harmonic mean of `recall` and the share of flagged rows that are
            outliers.
        flagged_fraction : float
            The share of rows that are flagged.
        detection_delay : float
            Mean number of rows from the begin of an event to its first flagged row,
            over the events that are found; NaN if none is.
        n_events, n_found, n_alarms : int
            Numbers of events, of those that are found, and of alarms.

        The first four and the delay are NaN, with an ``UndefinedMetricWarning``, if
        `y_true` has only one class.

    See Also
    --------
    range_f1_score : Asks how much of an event is flagged.
    affiliation_report : Asks how near the alarms are.

    Notes
    -----
    A detector that flags every row has a single alarm, and an F1 of 1: never read
    `f1` without `flagged_fraction`. `composite_f1` [1]_ punishes that, because its
    precision is one of rows.

    References
    ----------
    .. [1] Garg, A., Zhang, W., Samaran, J., Savitha, R. and Foo, C.-S. "An evaluation
       of anomaly detection and diagnosis in multivariate time series". IEEE
       Transactions on Neural Networks and Learning Systems 33 (2022).
       :doi:`10.1109/TNNLS.2021.3105827`

    Examples
    --------
    >>> from skad.metrics import event_report
    >>> report = event_report([0, 1, 1, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0, 1])
    >>> report.recall, report.precision, report.detection_delay
    (0.5, 0.5, 1.0)
    >>> everything = event_report([0, 1, 1, 1, 0, 0, 1, 0], [True] * 8)
    >>> everything.f1, everything.flagged_fraction
    (1.0, 1.0)
    """
    is_outlier, is_flagged = check_predictions(y_true, y_pred, outlier_label)
    rows = SeriesRows.from_groups(groups, len(is_outlier))
    is_outlier, is_flagged = is_outlier[rows.order], is_flagged[rows.order]
    events, alarms = rows.segments(is_outlier), rows.segments(is_flagged)
    is_found = events.sums(is_flagged) > 0
    report = Bunch(
        precision=np.nan,
        recall=np.nan,
        f1=np.nan,
        composite_f1=np.nan,
        flagged_fraction=float(is_flagged.mean()),
        detection_delay=np.nan,
        n_events=len(events),
        n_found=int(is_found.sum()),
        n_alarms=len(alarms),
    )
    if is_undefined(is_outlier, "event_report"):
        return report
    report.precision = _share(alarms.sums(is_outlier) > 0)
    report.recall = _share(is_found)
    report.f1 = harmonic_mean(report.precision, report.recall)
    report.composite_f1 = harmonic_mean(_share(is_outlier[is_flagged]), report.recall)
    if is_found.any():
        flagged = np.flatnonzero(is_flagged)
        begin = events.start[is_found]
        first = flagged[np.searchsorted(flagged, begin)]
        report.detection_delay = float(np.mean(first - begin))
    return report


def _share(is_good):
    return float(is_good.mean()) if len(is_good) else 0.0
