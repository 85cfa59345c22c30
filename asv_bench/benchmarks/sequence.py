"""Windows of series: gathered for a net, and brought back to rows."""

import numpy as np
import torch
from torch import nn

from skad._nets._net import DetectorNet
from skad._nets._windows import Windows, row_means
from skad._series import Series, WindowMean

N_ROWS, N_CHANNELS, WINDOW_SIZE, BLOCK = 100_000, 38, 100, 64


class Copy(nn.Module):
    """Costs nothing: what is measured is the way there and back."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))  # an optimizer wants one

    def forward(self, x):
        return x

    def anomaly_score(self, x):
        return x


def make_series(n_rows=N_ROWS):
    values = np.random.default_rng(0).normal(size=(n_rows, N_CHANNELS))
    return Series(values, np.array([0, n_rows // 3, n_rows]))


def windows_to_rows(series, block):
    """Bring all windows back, as if each block were what a net says of it."""
    starts = series.window_starts(WINDOW_SIZE)
    mean = WindowMean(len(series), WINDOW_SIZE)
    for first in range(0, len(starts), BLOCK):
        mean.add(starts[first : first + BLOCK], block[: len(starts) - first])
    return mean.mean()


class WindowsToRows:
    """The mean of each row and channel over the 100 windows that hold it."""

    params = ["float32", "float64"]
    param_names = ["dtype"]
    number = 1
    warmup_time = 0

    def setup(self, dtype):
        self.block = np.ones((BLOCK, WINDOW_SIZE, N_CHANNELS), dtype=dtype)
        windows_to_rows(make_series(1000), self.block)  # compiles
        self.series = make_series()

    def time_windows_to_rows(self, dtype):
        windows_to_rows(self.series, self.block)


class ThroughANet:
    """Windows gathered, handed to a net that does nothing, and brought back."""

    number = 1
    warmup_time = 0

    def setup(self):
        torch.set_num_threads(1)
        self.net = DetectorNet(Copy, nn.MSELoss, batch_size=128).initialize()
        self.series = make_series(1000)
        self.time_row_means()  # compiles
        self.series = make_series()

    def time_row_means(self):
        row_means(self.net, Windows(self.series, WINDOW_SIZE, lambda rows: rows))

    def peakmem_row_means(self):
        self.time_row_means()
