"""From the p-values of the sensors of a row to one statistic.

Everything is computed from logarithms: a p-value of 1e-5000 is one like any other."""

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

# Rows that are more usual than this make up for nothing: one sensor that forecasts
# exactly would outweigh all others.
_LEAST_Z = -3.0
_LOG_MOST_USUAL = np.log(0.99)
# Where cot(x) is 1 / x, and arctan(x) is x, to the last digit.
_SMALL = 1e-9
_UNDERFLOW = 1e-290


class Combination:
    """One of the statistics that are -2 log p of a p-value for the whole row.

    Parameters
    ----------
    log_combined : callable
        From log p-values of shape (n_rows, n_sensors) and weights which sum to 1 to
        logs of combined p-values.
    """

    def __init__(self, log_combined):
        self._log_combined = log_combined

    def __call__(self, log_pvalues, weights):
        """Return the statistic of each row, 0 or more, high where it is abnormal."""
        has_say = weights > 0
        log_pvalues, weights = log_pvalues[:, has_say], weights[has_say]
        log_combined = self._log_combined(log_pvalues, weights / weights.sum())
        return -2 * np.minimum(log_combined, 0)

    def null_shape(self, weights):
        """Return shape and scale of the statistic if sensors were independent."""
        return 1.0, 2.0


class Fisher:
    """The weighted sum of -2 log p."""

    def __call__(self, log_pvalues, weights):
        """Return the statistic of each row, 0 or more, high where it is abnormal."""
        return -2 * log_pvalues @ weights

    def null_shape(self, weights):
        """Return shape and scale of the Gamma distribution with the same moments."""
        squares = np.sum(weights**2)
        return weights.sum() ** 2 / squares, 2 * squares / weights.sum()


def terms(log_pvalues, weights):
    """Return what each sensor adds to Fisher's statistic; 0 if it was not observed."""
    return np.where(np.isnan(log_pvalues), 0.0, -2 * log_pvalues * weights)


def _stouffer(log_pvalues, weights):
    # No logarithm of 0 comes in: p = 1 would be minus infinity.
    z = np.maximum(-ndtri_exp(np.minimum(log_pvalues, -1e-300)), _LEAST_Z)
    return log_ndtr(-(z @ weights) / np.sqrt(np.sum(weights**2)))


def _simes(log_pvalues, weights):
    order = np.argsort(log_pvalues, axis=1)
    shares = np.cumsum(weights[order], axis=1)
    in_order = np.take_along_axis(log_pvalues, order, axis=1)
    return np.min(in_order - np.log(shares), axis=1)


def _cauchy(log_pvalues, weights):
    # In units of the largest cotangent, which may be too large for a number.
    log_pvalues = np.minimum(log_pvalues, _LOG_MOST_USUAL)
    log_least = log_pvalues.min(axis=1)
    least = np.exp(log_least)
    angles = np.pi * np.exp(log_pvalues)
    small = np.exp(log_least[:, np.newaxis] - log_pvalues) / np.pi
    large = least[:, np.newaxis] / np.tan(np.maximum(angles, _SMALL))
    total = np.where(angles < _SMALL, small, large) @ weights
    is_number = least > _UNDERFLOW
    far = log_least - np.log(np.pi * np.where(is_number, 1, total))
    near = np.arctan2(np.where(is_number, least, 1), total) / np.pi
    return np.where(is_number, np.log(near), far)


COMBINATIONS = {
    "fisher": Fisher(),
    "stouffer": Combination(_stouffer),
    "simes": Combination(_simes),
    "cauchy": Combination(_cauchy),
}
