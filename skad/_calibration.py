"""From the statistic of a row to a p-value which means what it says."""

import numpy as np
from scipy.special import gammainc, gammaincc, gammaln

# A tail is learnt from so many values that do not depend on each other, as far as that
# is between these shares of all of them, but from no fewer than ten.
_N_INDEPENDENT = 40
_TAIL_SHARES = 0.01, 0.05
_FEWEST = 10
# As many independent rows say as much about the shape of the tail as not knowing it.
_N_PRIOR = 10
# Values between which the body is interpolated.
_N_KNOTS = 500
# Below this share of what it would be if sensors were independent, a variance is
# rounding.
_LEAST_VARIANCE = 1e-6
# Values this close, in units of the smallest scale, are not told apart.
_ROUNDING = 1e-9
# Where the upper incomplete gamma function is this small, its logarithm is computed
# by itself.
_UNDERFLOW = 1e-250
_N_FRACTIONS = 1000


class GammaCalibration:
    """The Gamma distribution with the mean and the variance of the statistic.

    Parameters
    ----------
    statistics : ndarray of shape (n_rows,)
        The statistics of the training rows.

    null_shape : tuple of two floats
        Shape and scale if sensors were independent; used where the statistics do not
        vary.
    """

    def __init__(self, statistics, null_shape):
        self.shape, self.scale = null_shape
        mean, variance = statistics.mean(), statistics.var()
        if variance > _LEAST_VARIANCE * self.shape * self.scale**2:
            self.shape, self.scale = mean**2 / variance, variance / mean

    def log_pvalues(self, statistics):
        """Return the log p-values of statistics."""
        return log_gamma_tail(self.shape, statistics / self.scale)


class ChiSquareCalibration(GammaCalibration):
    """The distribution that the statistic would have if sensors were independent.

    Parameters
    ----------
    statistics : ndarray of shape (n_rows,)
        Ignored.

    null_shape : tuple of two floats
        Shape and scale of the Gamma distribution.
    """

    def __init__(self, statistics, null_shape):
        self.shape, self.scale = null_shape


class EmpiricalCalibration:
    """The share of the training rows that are at least as abnormal.

    Parameters
    ----------
    statistics : ndarray of shape (n_rows,)
        The statistics of the training rows.

    null_shape : tuple of two floats
        Ignored.
    """

    def __init__(self, statistics, null_shape):
        self._sorted = np.sort(statistics)

    def log_pvalues(self, statistics):
        """Return the log p-values of statistics."""
        n_rows = len(self._sorted)
        n_above = n_rows - np.searchsorted(self._sorted, statistics)
        return np.log((n_above + 1) / (n_rows + 1))


class ParetoCalibration:
    """The ranks among the training rows, with a tail that never ends.

    Parameters
    ----------
    statistics : ndarray of shape (n_rows,)
        The statistics of the training rows.

    null_shape : tuple of two floats
        Shape and scale if sensors were independent; used where the statistics do not
        vary.
    """

    def __init__(self, statistics, null_shape):
        least = np.sqrt(_LEAST_VARIANCE * null_shape[0]) * null_shape[1]
        self._law = RanksWithTail(statistics, least)

    def log_pvalues(self, statistics):
        """Return the log p-values of statistics."""
        return self._law.log_pvalues(statistics)


CALIBRATIONS = {
    "pareto": ParetoCalibration,
    "gamma": GammaCalibration,
    "empirical": EmpiricalCalibration,
    "chi2": ChiSquareCalibration,
}


class RanksWithTail:
    """An empirical distribution with a generalised Pareto tail.

    If the tail is exponential and its rows are independent, the distances of ``k``
    rows from where it begins, with mean ``m``, say of another one exactly that it is
    beyond ``t`` with probability ``(1 + t / (k m)) ** -k``: a Pareto tail of shape
    ``1 / k``. Rows that depend on those before them count as fewer. What the
    distances say about the shape is added, as far as they are many enough to say it.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Values in the order of time, at least one, none of them NaN.

    least : float
        The smallest scale of the tail. Where many values are equal, the share of those
        above falls within this distance from them, not at once: rounding is no news.
    """

    def __init__(self, values, least):
        self._least = least
        independent_share = _independent_share(values)
        values = np.sort(values)
        n_tail = _tail_size(len(values), independent_share)
        self._start = values[-1 - n_tail]
        excess = values[values > self._start] - self._start
        self._tail_share = (len(excess) + 1) / (len(values) + 1)
        n_independent = max(independent_share * len(excess), 1.0)
        self._scale, self._shape = _pareto_tail(excess, n_independent, least)
        self._knots, self._log_shares = _body(values, len(values) - n_tail, least)

    def log_pvalues(self, values):
        """Return the log of the share of values at least as large, falling strictly."""
        excess = np.maximum(values - self._start, 0)
        tail = -np.log1p(self._shape * excess / self._scale) / self._shape
        equal = self._log_shares[-1] - np.log(self._tail_share)
        tail += equal * np.maximum(1 - excess / self._least, 0)
        below = np.minimum(values - self._knots[0], 0) / self._scale
        body = np.interp(values, self._knots, self._log_shares) * np.exp(below)
        return np.where(excess > 0, np.log(self._tail_share) + tail, body)


def _tail_size(n_values, independent_share):
    """Return how many of the largest values the tail is learnt from."""
    fewest, most = (int(share * n_values) for share in _TAIL_SHARES)
    wanted = min(max(int(_N_INDEPENDENT / independent_share), fewest), most)
    return min(max(wanted, _FEWEST), n_values - 1)


def _pareto_tail(excess, n_independent, least):
    """Return scale and shape of the tail that sorted distances from its start have."""
    if not len(excess):
        return least, 1.0
    mean, shape = excess.mean(), 0.0
    if len(excess) > 1:
        # Half the mean difference of two of them; half the mean if exponential.
        ranks = np.arange(len(excess))
        half_difference = np.mean(excess * (2 * ranks / (len(excess) - 1) - 1))
        if 2 * half_difference > mean:
            shape = 2 - mean / half_difference
    shape *= n_independent / (n_independent + _N_PRIOR)
    return max(mean * (1 - shape), least), shape + 1 / n_independent


def _independent_share(values):
    """Return how many independent values tell as much about a spread, per value.

    It is that of a Markov chain with the same correlation of neighbours; squares, and
    what is beyond a threshold, correlate by the square of it.
    """
    steps = values - values.mean()
    squares = steps @ steps
    correlation = steps[1:] @ steps[:-1] / squares if squares > 0 else 0.0
    square = max(correlation, 0.0) ** 2
    return (1 - square) / (1 + square)


def _body(values, stop, least):
    """Return some of the sorted values, and the logs of the shares at or above them."""
    index = np.linspace(0, stop - 1, min(stop, _N_KNOTS)).astype(int)
    knots = values[index]
    # The slope between values that differ by rounding would overflow.
    knots = knots[np.diff(knots, prepend=-np.inf) > _ROUNDING * least]
    n_above = len(values) - np.searchsorted(values, knots)
    return knots, np.log(n_above / (len(values) + 1))


def log_gamma_tail(shape, x):
    """Return the log of the regularised upper incomplete gamma function.

    Parameters
    ----------
    shape : float
        The shape.

    x : ndarray of shape (n,)
        Where; numbers from 0 up.

    Returns
    -------
    log_tail : ndarray of shape (n,)
        The logarithms, which do not underflow.
    """
    lower, upper = gammainc(shape, x), gammaincc(shape, x)
    with np.errstate(divide="ignore"):
        log_tail = np.where(lower < 0.5, np.log1p(-lower), np.log(upper))
    far = upper < _UNDERFLOW
    log_tail[far] = _log_far_tail(shape, x[far])
    return log_tail


def _log_far_tail(shape, x):
    """Return what `log_gamma_tail` does, by a continued fraction from its far end."""
    fraction = np.zeros_like(x)
    for i in range(_N_FRACTIONS, 0, -1):
        fraction = i * (i - shape) / (x + 2 * i + 1 - shape - fraction)
    front = shape * np.log(x) - x - gammaln(shape)
    return front - np.log(x + 1 - shape - fraction)
