"""The Hodrick-Prescott trend, in linear time for series and as a matrix for windows."""

from functools import lru_cache

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded


def hp_trend(values, penalty):
    """Return the smooth part of a series that is known from its beginning to its end.

    It is the g for which sum((x - g)**2) + penalty * sum(second differences of g ** 2)
    is least, for each column: the solution of a system of equations with five
    diagonals.

    Parameters
    ----------
    values : ndarray of shape (n_rows, ...)
        The series.

    penalty : float
        How much bends cost. Waves of 2 pi / (2 arcsin(penalty**-0.25 / 2)) rows are
        halved, shorter ones disappear.

    Returns
    -------
    trend : ndarray of the shape of values
        The trend. Series of fewer than three rows are their own.
    """
    n_rows = len(values)
    if n_rows < 3:
        return np.array(values, dtype=float)
    columns = np.reshape(values, (n_rows, -1))
    factor = cholesky_banded(_bands(n_rows, penalty))
    return cho_solve_banded((factor, False), columns).reshape(np.shape(values))


@lru_cache(maxsize=64)
def smoother(length, penalty):
    """Return the matrix that turns a window into its trend.

    It is computed once for a length and a penalty, and must not be changed.

    Parameters
    ----------
    length : int
        The number of rows of a window.

    penalty : float
        As of `hp_trend`.

    Returns
    -------
    smoother : ndarray of shape (length, length)
        The matrix, which is symmetric; its rows add up to 1.
    """
    matrix = hp_trend(np.eye(length), penalty)
    matrix.flags.writeable = False
    return matrix


def causal_trend(values, length, penalty):
    """Return the trend at each row as it was known at that row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels)
        The series.

    length : int
        From how many rows, the last of which is the row itself, a trend is taken;
        at the beginning from those that there are.

    penalty : float
        As of `hp_trend`.

    Returns
    -------
    trend : ndarray of shape (n_rows, n_channels)
        The last value of the trend of each window.
    """
    n_first = min(length - 1, len(values))
    found = np.empty(np.shape(values))
    for row in range(n_first):
        found[row] = smoother(row + 1, penalty)[-1] @ values[: row + 1]
    if n_first < len(values):
        views = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)
        found[n_first:] = views @ smoother(length, penalty)[-1]
    return found


def _bands(n_rows, penalty):
    """Return the upper diagonals of I + penalty * D'D, D the second differences."""
    rows = np.arange(n_rows)
    # Each second difference is 1, -2, 1 on three rows: how often a row is the first,
    # the middle and the last of them.
    first, middle = rows < n_rows - 2, (rows > 0) & (rows < n_rows - 1)
    last = rows > 1
    bands = np.zeros((3, n_rows))
    bands[2] = 1 + penalty * (first + 4.0 * middle + last)
    bands[1, 1:] = -2 * penalty * (middle[1:].astype(float) + middle[:-1])
    bands[0, 2:] = penalty
    return bands
