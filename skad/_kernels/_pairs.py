"""Comparisons of the series of pairs of nodes."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def compare_pairs(series, index, min_overlap):
    """Compare the series of nodes with those of their neighbours.

    Parameters
    ----------
    series : ndarray of shape (n_nodes, n_times), dtype float32 or float64
        The series of the nodes; NaN where there is no value.
    index : ndarray of shape (n_nodes, n_neighbors), dtype intp
        The neighbours of each node; -1 for none.
    min_overlap : int
        How many times two series must both have.

    Returns
    -------
    statistics : ndarray of shape (n_nodes, n_neighbors, 2), dtype float64
        Pearson correlation and mean absolute difference; zeros where there is no
        neighbour or where too few times are common.
    """
    statistics = np.zeros((index.shape[0], index.shape[1], 2))
    for i in range(index.shape[0]):
        for k in range(index.shape[1]):
            if index[i, k] >= 0:
                pair = _compare(series[i], series[index[i, k]], min_overlap)
                statistics[i, k, 0], statistics[i, k, 1] = pair
    return statistics


@njit(cache=True, nogil=True)
def _compare(x, y, min_overlap):
    """Return the correlation and the mean absolute difference of two series."""
    count = 0
    x_first = y_first = x_sum = y_sum = difference = 0.0
    for t in range(x.shape[0]):
        a, b = np.float64(x[t]), np.float64(y[t])
        if np.isnan(a) or np.isnan(b):
            continue
        if count == 0:
            x_first, y_first = a, b
        count += 1
        # From the first value on: the mean of equal values is then exact.
        x_sum += a - x_first
        y_sum += b - y_first
        difference += abs(a - b)
    if count == 0 or count < min_overlap:
        return 0.0, 0.0
    x_mean, y_mean = x_sum / count, y_sum / count
    xx = yy = xy = 0.0
    for t in range(x.shape[0]):
        a = np.float64(x[t]) - x_first - x_mean
        b = np.float64(y[t]) - y_first - y_mean
        if np.isnan(a) or np.isnan(b):
            continue
        xx += a * a
        yy += b * b
        xy += a * b
    if xx == 0 or yy == 0:
        return 0.0, difference / count
    # Rounding may lead past 1.
    correlation = xy / (np.sqrt(xx) * np.sqrt(yy))
    return min(1.0, max(-1.0, correlation)), difference / count
