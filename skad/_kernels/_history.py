"""Moments of the earlier rows of a group, over a window of time that slides along.

Moments are ``(count, mean, m2, size)``: the number of values, their mean, the sum of
their squared distances from it, and the mean of their absolute values. Two of them
merge into those of both [1]_. Nothing is ever subtracted, hence nothing cancels: the
window is a queue made of two stacks, in which a row that leaves uncovers moments
computed without it. Rows that do not sit in a window leave no trace in its rounding.

References
----------
.. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample
   variance: analysis and recommendations", The American Statistician 37(3), 1983.
   :doi:`10.2307/2683386`
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _merge(a, b):
    if a[0] == 0:
        return b
    if b[0] == 0:
        return a
    count = a[0] + b[0]
    share = b[0] / count
    step = b[1] - a[1]
    return (
        count,
        a[1] + share * step,
        a[2] + b[2] + a[0] * share * step * step,
        a[3] + share * (b[3] - a[3]),
    )


@njit(cache=True, nogil=True)
def past_moments(group, time, value, window):
    """Return the moments of the rows that a row may know of.

    Parameters
    ----------
    group : ndarray of shape (n_samples,), dtype int64
        Group of each row; rows are sorted by group, then by time.
    time, value : ndarray of shape (n_samples,), dtype float64
        Time and value of each row.
    window : float
        How far back a row looks: at the rows of its group whose time is smaller than
        its own by `window` at most, and by more than nothing.

    Returns
    -------
    moments : ndarray of shape (n_samples, 4)
        Count, mean, sum of squared distances from the mean, and mean absolute value;
        zeros where there are no such rows.
    """
    moments = np.empty((group.size, 4))
    # Moments of the rows from each one to the last that moved to the front stack.
    front = np.zeros((group.size + 1, 4))
    nothing = (0.0, 0.0, 0.0, 0.0)
    back = nothing
    start = turn = stop = 0  # front stack: [start, turn); back stack: [turn, stop)
    for i in range(group.size):
        if i == 0 or group[i] != group[i - 1]:
            start = turn = stop = i
            back = nothing
        while time[stop] < time[i]:
            back = _merge(back, (1.0, value[stop], 0.0, abs(value[stop])))
            stop += 1
        while start < stop and time[start] < time[i] - window:
            start += 1
        if start > turn:  # rows of the back stack have to leave: move it to the front
            turn, back = stop, nothing
            behind = nothing
            for j in range(stop - 1, start - 1, -1):
                behind = _merge((1.0, value[j], 0.0, abs(value[j])), behind)
                front[j] = behind
        if start < turn:
            top = (front[start, 0], front[start, 1], front[start, 2], front[start, 3])
            moments[i] = _merge(top, back)
        else:
            moments[i] = back
    return moments
