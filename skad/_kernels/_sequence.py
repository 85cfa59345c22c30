"""Windows of series and the rows in them."""

from numba import njit


@njit(cache=True, nogil=True)
def add_windows(total, starts, windows):
    """Add what windows say about their rows to what was said before.

    Windows are added one after the other: the order in which a row's values are added
    does not depend on how the windows are divided into blocks.

    Parameters
    ----------
    total : ndarray of shape (n_rows, n_channels), dtype float64
        The sums so far, which change.
    starts : ndarray of shape (n_windows,), dtype int64
        The first row of each window.
    windows : ndarray of shape (n_windows, window_size, n_channels)
        Values of float32 or float64.
    """
    for i in range(windows.shape[0]):
        for j in range(windows.shape[1]):
            for k in range(windows.shape[2]):
                total[starts[i] + j, k] += windows[i, j, k]
