"""Columns on a common scale, on which no tail is heavier than an exponential one."""

from dataclasses import dataclass

import numpy as np

from skad._columns import column_support

# Standard deviations between the first and the last tenth of a normal distribution.
_MIDDLE = 2.563
# Shares of the values beyond the three points that a tail is measured at. The last
# hundredth has no say: it may be the anomalies.
_SHARES = np.array([0.16, 0.04, 0.01])
_HEAVIEST = 2.0
# By so much a tail must widen to be heavy: more than rounding makes of equal steps,
# less than can be seen.
_WIDENING = 1.001
# What is left of the largest value when it is divided by its scale stays a number.
_LEAST = 1e-100


@dataclass(frozen=True)
class ColumnScale:
    """How one column is bent and scaled.

    Beyond `bounds`, a distance `d` becomes ``length * log(1 + d / length)``, which
    goes on for ever, and never jumps or turns.

    Parameters
    ----------
    center, scale : float
        What is subtracted at the end, and then divided by.

    bounds : tuple of two floats
        Where the lower and the upper tail begin.

    lengths : tuple of two floats
        The smaller, the heavier the tail; infinite where it is not heavy.

    step : float
        The distance of the values of a grid, once scaled; 0 for other columns.

    origin : float
        A value of the grid, once scaled.
    """

    center: float
    scale: float
    bounds: tuple
    lengths: tuple
    step: float = 0.0
    origin: float = 0.0

    def __call__(self, column):
        """Return bent and scaled values as a new array."""
        low, high = self.bounds
        middle = np.clip(column, low, high)
        upper = _moved(np.maximum(column - high, 0), self.lengths[1])
        lower = _moved(np.maximum(low - column, 0), self.lengths[0])
        return (middle + upper - lower - self.center) / self.scale


def column_scale(column):
    """Learn the scale of a column from its middle, and its tails from near it.

    Nothing depends on the largest and the smallest hundredth of the values, unless
    they are all that is not the same: a few values of any size hide nothing.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
        The values.

    Returns
    -------
    scale : ColumnScale
        The scale.
    """
    column = np.asarray(column, dtype=np.float64)
    size = np.abs(column).max() or 1.0
    low, center, high = np.quantile(column, [0.1, 0.5, 0.9])
    scale = (high - low) / _MIDDLE
    if high == low:  # squares of large numbers would overflow
        scale = size * np.std(column / size)
    if column.min() == column.max():
        scale = size
    scale = max(scale, _LEAST * size)
    support = column_support(column[:, np.newaxis], np.zeros(1, dtype=int))
    step, origin = support.step[0], support.low[0] + support.step[0] / 2
    points = np.quantile(column, [*_SHARES, *(1 - _SHARES)])
    lengths = _tail_length(-points[:3]), _tail_length(points[3:])
    if np.isfinite(lengths).any():
        step = 0.0  # the values would not be equally far any more
    return ColumnScale(
        center,
        scale,
        bounds=(points[0], points[3]),
        lengths=lengths,
        step=step / scale,
        origin=(origin - center) / scale,
    )


def _tail_length(points):
    """Return the scale of a generalised Pareto tail over its shape, from quantiles.

    The quantiles are those of Pickands' estimator. A shape above 0 means a tail that
    is heavier than exponential, and the logarithm makes it exponential.
    """
    near, far = np.diff(points)
    # As good as equal values say nothing, and their ratio would overflow.
    if near <= _LEAST * far or far <= _WIDENING * near:
        return np.inf
    ratio = _SHARES[0] / _SHARES[1]
    shape = min(np.log(far / near) / np.log(ratio), _HEAVIEST)
    return near / (ratio**shape - 1)


def _moved(distance, length):
    return distance if np.isinf(length) else length * np.log1p(distance / length)
