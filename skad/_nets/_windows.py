"""Windows of series for a net: made of one tensor, when they are asked for."""

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from skad._series import WindowMean


class Windows(Dataset):
    """The windows of series as float32 tensors.

    Every series is converted once, as a whole, and windows are gathered from that:
    what is in memory is one row for each row, however much windows overlap. Takes the
    place of `Rows`: its "rows" are windows.

    Parameters
    ----------
    series : Series
        The series.

    window_size : int
        The number of rows of a window, no more than any series has.

    convert : callable
        Turns the rows of one series into the rows that the net takes, as many.

    stride : int, default=1
        The distance of windows, see `Series.window_starts`.
    """

    def __init__(self, series, window_size, convert, stride=1):
        self.window_size = window_size
        self.starts = series.window_starts(window_size, stride)
        self.bounds = series.bounds
        rows = [_tensor(convert(series.values[part])) for part in series.slices()]
        rows = torch.cat(rows)
        self._views = rows.unfold(0, window_size, 1).movedim(-1, 1)
        self._starts = torch.from_numpy(self.starts)

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, index):
        """Return the windows of a slice, or of an array of indices."""
        return self._views[self._starts[index]]


class LastWindows:
    """Hold out the end of each series, for skorch's ``train_split``.

    Windows overlap: held out by chance, each would be known from those beside it. No
    window for training has a row in common with one that is held out. A series too
    short for both is trained on.

    Parameters
    ----------
    fraction : float
        The share of the rows of each series that is held out, at least a window.
    """

    def __init__(self, fraction):
        self.fraction = fraction

    def __call__(self, windows, y=None, groups=None):
        """Return the windows for training and those held out, as Subsets."""
        size, bounds = windows.window_size, windows.bounds
        lengths = np.diff(bounds)
        n_held = np.maximum(np.round(self.fraction * lengths).astype(int), size)
        n_held[lengths - n_held < size] = 0
        if not n_held.any():
            raise ValueError(
                f"validation_fraction={self.fraction} holds nothing out: no series has "
                f"{2 * size} rows, two windows, or the rest of it has not {size}."
            )
        n_windows = np.diff(np.searchsorted(windows.starts, bounds))
        end = np.repeat(bounds[1:] - n_held, n_windows)
        train = np.flatnonzero(windows.starts + size <= end)
        valid = np.flatnonzero(windows.starts >= end)
        return Subset(windows, train), Subset(windows, valid)


def row_means(net, windows, method="anomaly_score"):
    """Compute a method of a net's module for windows, and its mean for each row.

    Windows are added to their rows batch by batch: the results of all windows, which
    are as many times larger as windows overlap, are never in memory together.

    Parameters
    ----------
    net : DetectorNet
        The net.

    windows : Windows
        The windows.

    method : str, default="anomaly_score"
        The name of a method of the module that takes a batch of shape
        (n_windows, window_size, n_channels) and returns a tensor, or a dict of
        tensors, of shape (n_windows,) or (n_windows, window_size, ...).

    Returns
    -------
    means : ndarray of shape (n_rows, ...) or dict of str to ndarray
        The mean over all windows that hold a row, for each row of the series, as
        float64.
    """
    found = {}
    for start, result in net.evaluate_batches(windows, method):
        for name, part in _parts(result).items():
            if name not in found:
                found[name] = WindowMean(windows.bounds[-1], windows.window_size)
            starts = windows.starts[start : start + len(part)]
            found[name].add(starts, part[: len(starts)].cpu().numpy())
    means = {name: mean.mean() for name, mean in found.items()}
    return means if isinstance(result, dict) else means[None]


def _parts(result):
    return result if isinstance(result, dict) else {None: result}


def _tensor(rows):
    # A copy: torch would share memory with the caller, and warns where that is
    # read-only.
    return torch.tensor(np.asarray(rows), dtype=torch.float32)
