"""Distributions of the residuals of sensors, and p-values from them."""

import numpy as np
from scipy.special import expit, log_ndtr

from skad._calibration import RanksWithTail
from skad._kernels._mixture import fit_mixture

# In standard deviations of a sensor: smaller residuals are not told apart.
_FLOOR = 0.1
# Added to residuals before the logarithm, in units of their median.
_OFFSET = 0.1
# Where signed residuals begin to be bent, in units of their interquartile range.
_STRAIGHT = 2.0
# The smallest spread of a component, and that in units of the spread of all.
_LEAST_SPREAD = 0.05
_LEAST_COMPONENT = 0.05
_MOST_COMPONENTS = 5
# Rows for each component but the first: the criterion is for many.
_ROWS_EACH = 20
# Bins that a mixture is fitted to, twice as many: some have few values, and others are
# narrow, up to so many standard deviations from the mean.
_N_BINS = 150
_MIDDLE = 3.0
_N_ITER = 300
_TOL = 1e-6


class Density:
    """Distributions of the residuals of sensors, each by itself.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_sensors)
        The residuals of the training rows in the order of time, NaN where there are
        none.

    two_sided : bool
        Whether residuals have a sign, and both ends are abnormal.
    """

    def __init__(self, values, *, two_sided):
        law = self._two_sided if two_sided else self._one_sided
        observed = [column[~np.isnan(column)] for column in values.T]
        self._laws = [law(column) if len(column) else None for column in observed]

    def log_pvalues(self, values):
        """Return log p-values of residuals; NaN where there are none."""
        result = np.full(values.shape, np.nan)
        for j, law in enumerate(self._laws):
            if law is not None:
                seen = ~np.isnan(values[:, j])
                result[seen, j] = np.minimum(law(values[seen, j]), 0)
        return result


class _OneSidedNormal:
    """A normal distribution of residuals that are abnormal where they are large."""

    def __init__(self, values):
        self._mean, self._spread = values.mean(), max(values.std(), _FLOOR)

    def __call__(self, values):
        return log_ndtr(-self._standard(values))

    def _standard(self, values):
        return (values - self._mean) / self._spread


class _TwoSidedNormal(_OneSidedNormal):
    """A normal distribution of residuals that are abnormal on either side."""

    def __call__(self, values):
        return np.log(2) + log_ndtr(-np.abs(self._standard(values)))


class _OneSidedRanks:
    """Ranks of residuals that are abnormal where they are large."""

    def __init__(self, values):
        self._upper = RanksWithTail(values, _FLOOR)

    def __call__(self, values):
        return self._upper.log_pvalues(values)


class _TwoSidedRanks:
    """Ranks of residuals from either end."""

    def __init__(self, values):
        self._upper = RanksWithTail(values, _FLOOR)
        self._lower = RanksWithTail(-values, _FLOOR)

    def __call__(self, values):
        upper, lower = self._upper.log_pvalues(values), self._lower.log_pvalues(-values)
        return np.log(2) + np.minimum(upper, lower)


class _OneSidedMixture:
    """A mixture of the logarithms of positive residuals."""

    def __init__(self, values):
        self._offset = max(_OFFSET * np.median(values), _FLOOR)
        self._mixture = _Mixture(self._bent(values))

    def _bent(self, values):
        return np.log(np.maximum(values, 0) + self._offset)

    def __call__(self, values):
        return self._mixture.log_upper(self._bent(values))


class _TwoSidedMixture:
    """A mixture of residuals that are bent where they are far from the median."""

    def __init__(self, values):
        low, self._center, high = np.quantile(values, [0.25, 0.5, 0.75])
        self._scale = max(_STRAIGHT * (high - low), _FLOOR)
        self._mixture = _Mixture(self._bent(values))

    def _bent(self, values):
        return np.arcsinh((values - self._center) / self._scale)

    def __call__(self, values):
        bent = self._bent(values)
        upper, lower = self._mixture.log_upper(bent), self._mixture.log_lower(bent)
        return np.log(2) + np.minimum(upper, lower)


class _Mixture:
    """Normal distributions, as many as the Bayesian information criterion wants."""

    def __init__(self, values):
        self._mean, self._spread = values.mean(), max(values.std(), _LEAST_SPREAD)
        standard = np.sort(values - self._mean) / self._spread
        least = max(_LEAST_SPREAD / self._spread, _LEAST_COMPONENT)
        self._mixture = _best_mixture(standard, least)

    def log_upper(self, values):
        """Return the logs of the probabilities of larger values."""
        return self._log_tail(values, -1)

    def log_lower(self, values):
        """Return the logs of the probabilities of smaller values."""
        return self._log_tail(values, 1)

    def _log_tail(self, values, sign):
        standard = (values - self._mean) / self._spread
        result = np.full(values.shape, -np.inf)
        for weight, mean, spread in self._mixture.T:
            tail = log_ndtr(sign * (standard - mean) / spread)
            np.logaddexp(result, np.log(weight) + tail, out=result)
        return result


def _best_mixture(values, least):
    """Return the mixture of sorted values with the lowest criterion.

    Residuals depend on those before them, so that there are fewer than they seem. The
    criterion counts them all the same: a component too many costs less accuracy than
    one that is missing.
    """
    bins = _bins(values)
    best, lowest = None, np.inf
    most = min(_MOST_COMPONENTS, 1 + len(values) // _ROWS_EACH)
    for n_components in range(1, most + 1):
        mixture = _start(bins, n_components, least)
        likelihood = fit_mixture(*bins, mixture, least, _N_ITER, _TOL)
        penalty = (3 * n_components - 1) * np.log(len(values))
        criterion = penalty - 2 * len(values) * likelihood
        if criterion < lowest:
            best, lowest = mixture, criterion
    return best


def _start(bins, n_components, least):
    """Return a mixture of as many parts of the values, one after the other."""
    means, variances, shares = bins
    middles = np.cumsum(shares) - shares / 2
    part = (middles * n_components).astype(int)
    _, part = np.unique(part, return_inverse=True)
    weights = np.bincount(part, shares)
    centers = np.bincount(part, shares * means) / weights
    squares = (means - centers[part]) ** 2 + variances
    spreads = np.sqrt(np.bincount(part, shares * squares) / weights)
    return np.stack([weights, centers, np.maximum(spreads, least)])


def _bins(values):
    """Return means, variances and shares of bins of sorted, standardised values.

    Bins have few values in the tails, and are narrow in the middle.
    """
    n_values = len(values)
    logits = np.linspace(-1, 1, _N_BINS + 1) * (np.log(n_values) + 1)
    few = np.rint(n_values * expit(logits)).astype(int)
    narrow = np.searchsorted(values, np.linspace(-_MIDDLE, _MIDDLE, _N_BINS + 1))
    edges = np.unique(np.r_[0, few, narrow, n_values])
    sizes = np.diff(edges)
    means = np.add.reduceat(values, edges[:-1]) / sizes
    squares = (values - np.repeat(means, sizes)) ** 2
    return means, np.add.reduceat(squares, edges[:-1]) / sizes, sizes / n_values


class NormalDensity(Density):
    """A normal distribution for each sensor."""

    _one_sided, _two_sided = _OneSidedNormal, _TwoSidedNormal


class MixtureDensity(Density):
    """A mixture of normal distributions for each sensor.

    Residuals are bent first, so that a mixture of few components has their tail: the
    logarithm of those that are positive, the inverse hyperbolic sine of others.
    """

    _one_sided, _two_sided = _OneSidedMixture, _TwoSidedMixture


class EmpiricalDensity(Density):
    """The ranks of residuals among those of their sensor."""

    _one_sided, _two_sided = _OneSidedRanks, _TwoSidedRanks


DENSITIES = {
    "normal": NormalDensity,
    "gmm": MixtureDensity,
    "empirical": EmpiricalDensity,
}
