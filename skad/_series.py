"""Series as rows: side by side, in windows, and from windows back to rows."""

import warnings
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skad._groups import group_codes
from skad._kernels._sequence import add_windows

# Windows that a function sees at once: no more, and no more values than these.
_BLOCK = 1024
_BLOCK_VALUES = 2**18


class Series:
    """Rows of several series, those of one side by side and in the order of time.

    Nothing in it is to be changed. In front of a series that is too short for a window
    its first row is repeated; `restored` leaves these out.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels), dtype float64
        The rows, without gaps.

    bounds : ndarray of shape (n_series + 1,)
        The first row of each series, and the number of rows.

    place : ndarray of shape (n_timesteps,), default=None
        The row of each time step that the caller gave, in the caller's order. None
        if they are the rows.

    observed : ndarray of shape (n_rows, n_channels), default=None
        False for values that were missing and are to add nothing to a score. None
        if there are none.

    added : ndarray of shape (n_series,), default=None
        The number of repeated rows in front of each series. None if there are none.
    """

    def __init__(self, values, bounds, place=None, observed=None, added=None):
        self.values = values.view()
        self.values.flags.writeable = False
        self.bounds = bounds
        self.place = place
        self.observed = observed
        self.added = np.zeros(len(bounds) - 1, dtype=int) if added is None else added

    def __len__(self):
        return len(self.values)

    @property
    def lengths(self):
        """The number of rows of each series."""
        return np.diff(self.bounds)

    def slices(self):
        """Return the rows of each series."""
        return [slice(*pair) for pair in pairwise(self.bounds.tolist())]

    def with_values(self, values):
        """Return the same series with other values."""
        return Series(values, self.bounds, self.place, self.observed, self.added)

    def restored(self, values):
        """Return what belongs to rows in the order of the caller's time steps."""
        return values if self.place is None else values[self.place]

    def channel_shares(self, terms):
        """Return what each channel adds to the mean over those that were observed.

        Parameters
        ----------
        terms : ndarray of shape (n_rows, n_channels)
            What each entry says of its row.

        Returns
        -------
        shares : ndarray of shape (n_rows, n_channels)
            The shares, which sum to the mean; 0 for what was not observed.
        """
        if self.observed is None:
            return terms / terms.shape[1]
        counts = np.maximum(self.observed.sum(axis=1, keepdims=True), 1)
        return np.where(self.observed, terms, 0) / counts

    def bridged(self, scores):
        """Return scores with those of rows of which nothing was observed replaced.

        They are interpolated from the nearest observed rows of the same series.
        """
        scores = np.asarray(scores)
        if self.observed is None:
            return scores
        is_seen = self.observed.any(axis=1)[:, np.newaxis]
        means = np.zeros(1)  # not used: every series has an observed row
        return filled(scores[:, np.newaxis], ~is_seen, self.bounds, means)[:, 0]

    def padded(self, length):
        """Return series of which none is shorter, by repeating first rows."""
        added = np.maximum(length - self.lengths, 0)
        if not added.any():
            return self
        warnings.warn(
            f"{np.count_nonzero(added)} of {len(added)} series have fewer rows than a "
            f"window ({length}); their first rows are repeated in front of them.",
            stacklevel=2,
        )
        return self.preceded(added)

    def preceded(self, added):
        """Return series with the first row of each repeated in front of it.

        Parameters
        ----------
        added : ndarray of shape (n_series,)
            How often.
        """
        lengths = self.lengths + added
        bounds = np.r_[0, np.cumsum(lengths)]
        step = np.arange(bounds[-1]) - np.repeat(bounds[:-1] + added, lengths)
        rows = np.maximum(step, 0) + np.repeat(self.bounds[:-1], lengths)
        place = np.arange(len(self)) + np.repeat(np.cumsum(added), self.lengths)
        observed = None if self.observed is None else self.observed[rows]
        return Series(
            self.values[rows],
            bounds,
            self.restored(place),
            observed,
            self.added + added,
        )

    def windows(self, window_size):
        """Return the windows that begin at each row, as a view.

        Only those at `window_starts` are of one series.

        Returns
        -------
        windows : ndarray of shape (n_rows - window_size + 1, window_size, n_channels)
            The windows.
        """
        return np.moveaxis(sliding_window_view(self.values, window_size, axis=0), -1, 1)

    def window_starts(self, window_size, stride=1):
        """Return the first rows of windows that hold every row of every series.

        Parameters
        ----------
        window_size : int
            The number of rows of a window, no more than any series has.

        stride : int, default=1
            The distance of windows, no more than `window_size`. The last window of a
            series may be nearer to the one before: it ends where the series ends.

        Returns
        -------
        starts : ndarray of shape (n_windows,)
            The first rows, ascending.
        """
        lasts = self.bounds[1:] - window_size
        pairs = zip(self.bounds[:-1], lasts, strict=True)
        return np.concatenate([np.r_[a:last:stride, last] for a, last in pairs])


class WindowMean:
    """The mean of each row over all windows that hold it, block by block.

    The result does not depend on how the windows are divided into blocks, to the last
    bit, as long as they come in the same order.

    Parameters
    ----------
    n_rows : int
        The number of rows.

    window_size : int
        The number of rows of a window.
    """

    def __init__(self, n_rows, window_size):
        self._window_size = window_size
        # One more where a window begins, one less after its end.
        self._change = np.zeros(n_rows + 1)
        self._total = None

    def add(self, starts, windows):
        """Add a block of windows.

        Parameters
        ----------
        starts : ndarray of shape (n_windows,)
            The first row of each window, all of them different.

        windows : ndarray of shape (n_windows,) or (n_windows, window_size, ...)
            What each window says of all of its rows, or of each of them.
        """
        if windows.ndim == 1:
            shape = (len(windows), self._window_size)
            windows = np.broadcast_to(windows[:, np.newaxis], shape)
        if self._total is None:
            self._total = np.zeros((len(self._change) - 1, *windows.shape[2:]))
        flat = windows.reshape(*windows.shape[:2], -1)
        add_windows(self._total.reshape(len(self._total), -1), starts, flat)
        self._change[starts] += 1
        self._change[starts + self._window_size] -= 1

    def mean(self):
        """Return the means, as an ndarray of shape (n_rows, ...)."""
        counts = np.cumsum(self._change)[:-1]
        return self._total / counts.reshape(-1, *[1] * (self._total.ndim - 1))


def rows_from_windows(function, series, window_size, stride=1):
    """Compute something for windows, and its mean over all windows of each row.

    Parameters
    ----------
    function : callable
        Takes an ndarray of shape (n_windows, window_size, n_channels), and returns one
        of shape (n_windows,) or (n_windows, window_size, ...), each window by itself.
        All calls have the same number of windows, the last one being filled up: the
        order in which a matrix product adds depends on that number.

    series : Series
        The data.

    window_size : int
        The number of rows of a window.

    stride : int, default=1
        The distance of windows.

    Returns
    -------
    means : ndarray of shape (n_rows, ...)
        The mean for each row of `series`.
    """
    views = series.windows(window_size)
    starts = series.window_starts(window_size, stride)
    size = 16 * max(1, min(_BLOCK, _BLOCK_VALUES // views[0].size) // 16)
    mean = WindowMean(len(series), window_size)
    for first in range(0, len(starts), size):
        block = starts[first : first + size]
        full = np.pad(block, (0, size - len(block)), mode="edge")
        mean.add(block, function(views[full])[: len(block)])
    return mean.mean()


def side_by_side(X, groups):
    """Return a Series, which may have gaps, and the label of each series."""
    codes, labels = group_codes(groups, len(X))
    bounds = np.r_[0, np.cumsum(np.bincount(codes))]
    values = np.ascontiguousarray(X, dtype=np.float64)
    if np.all(codes[:-1] <= codes[1:]):
        return Series(values, bounds), labels
    order = np.argsort(codes, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Series(values[order], bounds, place), labels


def filled(values, missing, bounds, means):
    """Interpolate in time what is missing, inside each series; else take the mean."""
    values = values.copy()
    for start, stop in pairwise(bounds):
        gaps = missing[start:stop]
        for k in np.flatnonzero(gaps.any(axis=0)):
            channel, gap = values[start:stop, k], gaps[:, k]
            if gap.all():
                channel[:] = means[k]
                continue
            (empty,), (known,) = np.nonzero(gap), np.nonzero(~gap)
            channel[empty] = np.interp(empty, known, channel[known])
    return values
