"""Point adjustment, what it gives to scores without content, and PA%K."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_scalar

from skad._segments import SeriesRows
from skad.metrics._checks import check_predictions, check_scores, is_undefined
from skad.metrics._f1 import best_f1


def pa_k_f1_score(y_true, y_pred, *, k=20, groups=None, outlier_label=None):
    """Compute F1 after all of an event is flagged if more than k % of it is, PA%K.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    y_pred : array-like of shape (n_timesteps,)
        What ``predict`` of a detector returned, {-1, 1}, or {0, 1} or bool. Where
        all are 1 and not bool, nothing is flagged.

    k : float, default=20
        Per cent, in [0, 100]. 100 is F1 without adjustment; 0 is point adjustment,
        which see :func:`point_adjusted_report` about.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events end where
        their series ends. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers in `y_true`; only needed if they are neither
        {-1, 1} nor {0, 1} nor bool.

    Returns
    -------
    f1 : float
        F1 of the rows after adjustment, in [0, 1]; NaN with an
        ``UndefinedMetricWarning`` if `y_true` has only one class.

    See Also
    --------
    pa_k_auc_score : Over all k.

    References
    ----------
    .. [1] Kim, S., Choi, K., Choi, H.-S., Lee, B. and Yoon, S. "Towards a rigorous
       evaluation of time-series anomaly detection". Proceedings of the AAAI
       Conference on Artificial Intelligence 36 (2022).
       :doi:`10.1609/aaai.v36i7.20680`

    Examples
    --------
    >>> from skad.metrics import pa_k_f1_score
    >>> y_true, y_pred = [0, 1, 1, 1, 1, 0], [0, 0, 1, 0, 0, 0]
    >>> pa_k_f1_score(y_true, y_pred)
    1.0
    >>> pa_k_f1_score(y_true, y_pred, k=50)
    0.4
    """
    check_scalar(k, "k", Real, min_val=0, max_val=100)
    counts = _adjustable("pa_k_f1_score", y_true, y_pred, groups, outlier_label)
    if counts is None:
        return np.nan
    length, flagged, n_false = counts
    found = np.where(100 * flagged > k * length, length, flagged).sum()
    return float(2 * found / (length.sum() + found + n_false))


def pa_k_auc_score(y_true, y_pred, *, groups=None, outlier_label=None):
    """Compute the mean of PA%K's F1 over all k from 0 to 100 %.

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
        series are taken in their order and need not be adjacent; events end where
        their series ends. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers in `y_true`; only needed if they are neither
        {-1, 1} nor {0, 1} nor bool.

    Returns
    -------
    area : float
        The mean, in [0, 1]; NaN with an ``UndefinedMetricWarning`` if `y_true` has
        only one class.

    See Also
    --------
    pa_k_f1_score : With one k, and the reference.

    Notes
    -----
    F1 is a step function of k, with a step where k is the flagged share of an event:
    the integral over it is exact.

    Examples
    --------
    >>> from skad.metrics import pa_k_auc_score
    >>> pa_k_auc_score([0, 1, 1, 1, 1, 0], [0, 0, 1, 0, 0, 0])
    0.55
    """
    counts = _adjustable("pa_k_auc_score", y_true, y_pred, groups, outlier_label)
    if counts is None:
        return np.nan
    length, flagged, n_false = counts
    share, event = np.unique(flagged / length, return_inverse=True)
    # What is found while k is below each of the shares, in ascending order.
    gained = np.bincount(event, weights=length - flagged)
    found = flagged.sum() + np.append(np.cumsum(gained[::-1])[::-1], 0)
    values = 2 * found / (length.sum() + found + n_false)
    return float(values @ np.diff(share, prepend=0, append=1))


def point_adjusted_report(
    y_true,
    scores,
    *,
    period=100,
    n_repeats=20,
    random_state=None,
    groups=None,
    outlier_label=None,
):
    """Report the point-adjusted F1 beside what scores without content get.

    Point adjustment flags all rows of an event as soon as one is flagged. A long
    event is then found by chance, and all of its rows count as found: on many public
    data sets random scores reach values that were published for detectors. It is
    here for comparison with such tables only, and never alone.

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

    period : int, default=100
        The clock flags one row in every `period` rows, whatever the data are.
        Detectors whose score always peaks in each window act like a clock with the
        window's length.

    n_repeats : int, default=20
        How many random scores are averaged.

    random_state : int, RandomState instance or None, default=None
        Seed of the random scores.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events end, and
        the clock starts anew, where their series ends, while the threshold is common
        to all. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if `y_true` is neither {-1, 1} nor
        {0, 1} nor bool.

    Returns
    -------
    report : :class:`~sklearn.utils.Bunch`
        With the attributes

        f1 : float
            The highest point-adjusted F1 that any threshold reaches.
        threshold : float
            That threshold; rows with a lower score are flagged.
        random_f1 : float
            The same of scores drawn at random, on average.
        clock_f1 : float
            Point-adjusted F1 of the clock, averaged over its `period` phases.

        All are NaN, with an ``UndefinedMetricWarning``, if `y_true` has only one
        class.

    See Also
    --------
    pa_k_f1_score : Point adjustment with a condition.
    vus_pr_score : What to look at instead.

    References
    ----------
    .. [1] Kim, S., Choi, K., Choi, H.-S., Lee, B. and Yoon, S. "Towards a rigorous
       evaluation of time-series anomaly detection". Proceedings of the AAAI
       Conference on Artificial Intelligence 36 (2022).
       :doi:`10.1609/aaai.v36i7.20680`

    Examples
    --------
    >>> import numpy as np
    >>> from skad.metrics import point_adjusted_report
    >>> y_true = np.zeros(5000)
    >>> y_true[1000:1400] = 1
    >>> noise = np.random.default_rng(0).normal(size=5000)
    >>> report = point_adjusted_report(y_true, noise, random_state=0)
    >>> round(report.random_f1, 2), round(report.clock_f1, 2)
    (0.99, 0.95)
    """
    is_outlier, abnormality = check_scores(y_true, scores, outlier_label)
    rows = SeriesRows.from_groups(groups, len(is_outlier))
    check_scalar(period, "period", Integral, min_val=1)
    check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
    rng = check_random_state(random_state)
    if is_undefined(is_outlier, "point_adjusted_report"):
        names = ("f1", "threshold", "random_f1", "clock_f1")
        return Bunch(**dict.fromkeys(names, np.nan))
    is_outlier = is_outlier[rows.order]
    f1, threshold = _best_adjusted(rows, is_outlier, abnormality[rows.order])
    by_chance = [
        _best_adjusted(rows, is_outlier, rng.uniform(size=len(is_outlier)))[0]
        for _ in range(n_repeats)
    ]
    return Bunch(
        f1=f1,
        threshold=threshold,
        random_f1=float(np.mean(by_chance)),
        clock_f1=float(np.mean(_clock_f1(rows, is_outlier, period))),
    )


def _adjustable(name, y_true, y_pred, groups, outlier_label):
    """Return rows and flagged rows of each event, and how many others are flagged."""
    is_outlier, is_flagged = check_predictions(y_true, y_pred, outlier_label)
    rows = SeriesRows.from_groups(groups, len(is_outlier))
    if is_undefined(is_outlier, name, stacklevel=4):
        return None
    is_outlier, is_flagged = is_outlier[rows.order], is_flagged[rows.order]
    events = rows.segments(is_outlier)
    n_false = np.count_nonzero(is_flagged & ~is_outlier)
    return events.length, events.sums(is_flagged), n_false


def _best_adjusted(rows, is_outlier, abnormality):
    """Best F1 and threshold if the rows of an event share its highest score."""
    events = rows.segments(is_outlier)
    adjusted = abnormality.copy()
    adjusted[is_outlier] = np.repeat(-events.minima(-abnormality), events.length)
    return best_f1(is_outlier, adjusted)


def _clock_f1(rows, is_outlier, period):
    """Point-adjusted F1 of a clock, for each of its phases."""
    place = np.arange(len(is_outlier)) - np.repeat(rows.bounds[:-1], rows.sizes)
    n_false = np.bincount(place[~is_outlier] % period, minlength=period)
    events = rows.segments(is_outlier)
    # Phases that meet an event are consecutive, and may go round the end once.
    first = (events.start - events.first) % period
    last = first + np.minimum(events.length, period)
    found = np.bincount(first, events.length, 2 * period + 1)
    found = np.cumsum(found - np.bincount(last, events.length, 2 * period + 1))
    found = found[:period] + found[period : 2 * period]
    return 2 * found / (events.length.sum() + found + n_false)
