"""Affiliation of alarms and events, after Huet et al."""

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_scalar

from skad._segments import SeriesRows
from skad.metrics._checks import check_predictions, is_undefined
from skad.metrics._range_precision import harmonic_mean

# All functions that are integrated over time are linear between multiples of a
# quarter of a row: their values in the middle of each quarter give exact integrals.
_MIDDLES = np.array([1, 3, 5, 7]) / 8


def affiliation_report(
    y_true, y_pred, *, n_repeats=20, random_state=None, groups=None, outlier_label=None
):
    """Report affiliation precision and recall beside those of random flags.

    Time is divided into zones, one around each event, in which every instant is
    nearest to that event. In its zone, a flagged instant is rated by the probability
    that a random instant lies at least as far from the event, and an instant of the
    event by the probability that a random one lies farther from it than the nearest
    flag. Near misses count; no buffer has to be chosen.

    Parameters
    ----------
    y_true : array-like of shape (n_timesteps,)
        Labels of the time steps, in order: {-1, 1} (-1 is the outlier), {0, 1} or
        bool (1 is the outlier), or any two with `outlier_label`. An event is a run
        of outliers.

    y_pred : array-like of shape (n_timesteps,)
        What ``predict`` of a detector returned, {-1, 1}, or {0, 1} or bool. Where
        all are 1 and not bool, nothing is flagged.

    n_repeats : int, default=20
        How many random predictions are averaged.

    random_state : int, RandomState instance or None, default=None
        Seed of the random predictions.

    groups : array-like of shape (n_timesteps,), default=None
        The series that a time step belongs to, if there are several. Rows of a
        series are taken in their order and need not be adjacent; events and zones
        end where their series ends. If None, all rows are one series.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers in `y_true`; only needed if they are neither
        {-1, 1} nor {0, 1} nor bool.

    Returns
    -------
    report : :class:`~sklearn.utils.Bunch`
        With the attributes

        precision : float
            Mean over the zones in which something is flagged, 0 if there is none.
        recall : float
            Mean over all zones; 0 in one without a flag.
        f1 : float
            Harmonic mean of the two.
        random_precision, random_recall, random_f1 : float
            The same if as many rows are flagged at random, on average: the floor
            above which the values begin to say something.

        All are NaN, with an ``UndefinedMetricWarning``, if `y_true` has only one
        class.

    See Also
    --------
    event_report : Whether events are found at all.
    vus_pr_score : Needs no threshold.

    Notes
    -----
    The floor is high, because a random instant rates 1/2 on average and because any
    dense prediction has a flag near every event. Compare values with it, or rescale
    them to (value - floor) / (1 - floor).

    The definition of [1]_ knows a single series with at least one event. Of several
    series, one without events counts as a zone with precision 0 if anything is
    flagged in it.

    References
    ----------
    .. [1] Huet, A., Navarro, J. M. and Rossi, D. "Local evaluation of time series
       anomaly detection algorithms". Proceedings of the 28th ACM SIGKDD Conference
       on Knowledge Discovery and Data Mining (2022).
       :doi:`10.1145/3534678.3539339`

    Examples
    --------
    >>> import numpy as np
    >>> from skad.metrics import affiliation_report
    >>> y_true, y_pred = np.zeros(90), np.zeros(90)
    >>> y_true[20:40] = 1
    >>> y_pred[10:30] = y_pred[85:90] = 1
    >>> report = affiliation_report(y_true, y_pred, random_state=0)
    >>> round(report.precision, 3), round(report.recall, 3), round(report.f1, 3)
    (0.672, 0.944, 0.785)
    >>> round(report.random_f1, 2)
    0.68
    """
    is_outlier, is_flagged = check_predictions(y_true, y_pred, outlier_label)
    rows = SeriesRows.from_groups(groups, len(is_outlier))
    check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
    rng = check_random_state(random_state)
    names = ("precision", "recall", "f1")
    if is_undefined(is_outlier, "affiliation_report"):
        values, floor = np.full((2, 3), np.nan)
    else:
        zones = _Zones(rows, is_outlier[rows.order])
        is_flagged = is_flagged[rows.order]
        values = zones.rate(is_flagged)
        by_chance = [zones.rate(rng.permutation(is_flagged)) for _ in range(n_repeats)]
        floor = np.mean(by_chance, axis=0)
    report = Bunch(**dict(zip(names, map(float, values), strict=True)))
    for name, value in zip(names, floor, strict=True):
        report[f"random_{name}"] = float(value)
    return report


class _Zones:
    """The zones of the events, and the instants in them."""

    def __init__(self, rows, is_outlier):
        self.events = rows.segments(is_outlier)
        start, stop = self.events.start, self.events.stop
        follows = self.events.first[1:] == self.events.first[:-1]
        between = (stop[:-1] + start[1:]) / 2
        self.low = self.events.first.astype(float)
        self.low[1:] = np.where(follows, between, self.low[1:])
        self.high = self.events.last.astype(float)
        self.high[:-1] = np.where(follows, between, self.high[:-1])
        # Series without events have no zone; their rows count all the same.
        self.n_events = np.add.reduceat(is_outlier, rows.bounds[:-1], dtype=int)
        self.series = np.repeat(np.arange(len(rows.sizes)), rows.sizes)
        self.instants = _instants(is_outlier)
        self.zone = np.repeat(np.arange(len(start)), len(_MIDDLES) * (stop - start))

    def rate(self, is_flagged):
        """Return precision, recall and F1 of a prediction."""
        precision, recall = self._precision(is_flagged), self._recall(is_flagged)
        return precision, recall, harmonic_mean(precision, recall)

    def _precision(self, is_flagged):
        series = self.series[is_flagged]
        is_lost = self.n_events[series] == 0
        n_lost = len(np.unique(series[is_lost]))
        instants = _instants(is_flagged)[np.repeat(~is_lost, len(_MIDDLES))]
        zone = np.searchsorted(self.high, instants)
        start, stop = self.events.start[zone], self.events.stop[zone]
        distance = np.maximum(np.maximum(start - instants, instants - stop), 0)
        low, high = self.low[zone], self.high[zone]
        nearer = np.minimum(distance, start - low) + np.minimum(distance, high - stop)
        rating = 1 - (stop - start + nearer) / (high - low)
        rating[distance == 0] = 1
        n_instants = np.bincount(zone, minlength=len(self.low))
        total = np.bincount(zone, rating, minlength=len(self.low))
        used = n_instants > 0
        n_zones = np.count_nonzero(used) + n_lost
        return np.sum(total[used] / n_instants[used]) / n_zones if n_zones else 0.0

    def _recall(self, is_flagged):
        low, high = self.low[self.zone], self.high[self.zone]
        rating = np.zeros(len(self.instants))
        flagged = np.flatnonzero(is_flagged)
        if len(flagged):
            distance = self._distance_to_flag(flagged, low, high)
            reached = np.isfinite(distance)
            x, d = self.instants[reached], distance[reached]
            low, high = low[reached], high[reached]
            nearer = np.minimum(d, x - low) + np.minimum(d, high - x)
            rating[reached] = 1 - nearer / (high - low)
        total = np.bincount(self.zone, rating)
        return np.mean(total / np.bincount(self.zone))

    def _distance_to_flag(self, flagged, low, high):
        """Distance of the events' instants to the flags in their zone."""
        x = self.instants
        after = np.searchsorted(flagged, x)
        before = flagged[np.maximum(after - 1, 0)]
        left = np.where((after > 0) & (before + 1 > low), x - before - 1, np.inf)
        next_ = flagged[np.minimum(after, len(flagged) - 1)]
        right = np.where((after < len(flagged)) & (next_ < high), next_ - x, np.inf)
        # An instant within a flagged row has passed its begin, not its end.
        return np.maximum(np.minimum(left, right), 0)


def _instants(mask):
    return (np.flatnonzero(mask)[:, np.newaxis] + _MIDDLES).ravel()
