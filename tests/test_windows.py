"""Windows for a net, and what a net says of them for each row."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skad._nets._net import DetectorNet
from skad._nets._rows import Batches
from skad._nets._windows import LastWindows, Windows, row_means
from skad._series import Series

rng = np.random.default_rng(0)
BOUNDS = np.array([0, 30, 37, 100])
SERIES = Series(rng.normal(size=(100, 3)), BOUNDS)


def as_it_is(rows):
    return rows


class Net(nn.Module):
    """Says something of windows, of their rows, and of their entries."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(3, 8, 3, padding=1), nn.BatchNorm1d(8))

    def forward(self, x):
        return self.layers(x.transpose(1, 2))

    def of_entries(self, x):
        return self(x).transpose(1, 2)

    def of_all(self, x):
        entries = self.of_entries(x)
        rows = entries.mean(dim=2)
        return {"entry": entries, "row": rows, "window": rows.mean(dim=1)}


@pytest.fixture(scope="module")
def net():
    return made_net(batch_size=20)


def made_net(batch_size):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DetectorNet(Net, nn.MSELoss, batch_size=batch_size).initialize()


def test_windows_are_the_series_rows_as_float32():
    windows = Windows(SERIES, 5, as_it_is, stride=2)
    assert len(windows) == len(windows.starts)
    expected = SERIES.windows(5)[windows.starts].astype(np.float32)
    assert windows[:].dtype == torch.float32
    assert_array_equal(windows[:].numpy(), expected)
    assert_array_equal(windows[3:9].numpy(), expected[3:9])
    assert_array_equal(windows[torch.tensor([7, 0, 7])].numpy(), expected[[7, 0, 7]])
    assert windows[:4].is_contiguous()


def test_each_series_is_converted_once_and_as_a_whole():
    seen = []

    def differences(rows):
        seen.append(len(rows))
        return np.c_[rows, np.diff(rows, axis=0, prepend=rows[:1])]

    windows = Windows(SERIES, 5, differences)
    assert windows[:].shape == (len(windows), 5, 6)
    assert seen == [30, 7, 63]
    first = windows.starts.tolist().index(30)
    assert_array_equal(windows[first : first + 1][0, 0, 3:], np.zeros(3))


def test_windows_that_overlap_are_not_in_memory():
    windows = Windows(SERIES, 7, as_it_is)
    assert windows._views.untyped_storage().nbytes() == SERIES.values.size * 4


def test_batches_hold_every_window_once():
    windows = Windows(SERIES, 5, as_it_is, stride=2)
    batches = torch.cat([batch for batch, _ in Batches(windows, 16)])
    assert_array_equal(batches, windows[:])


@pytest.mark.parametrize("stride", [1, 3, 5])
def test_means_of_rows_are_those_of_all_windows(net, stride):
    windows = Windows(SERIES, 5, as_it_is, stride)
    said = net.evaluate(windows, "of_entries")
    found = row_means(net, windows, "of_entries")
    assert found.shape == (100, 8)
    assert found.dtype == np.float64
    for row in range(100):
        inside = (windows.starts <= row) & (row < windows.starts + 5)
        values = said[inside, row - windows.starts[inside]]
        assert_allclose(found[row], values.mean(axis=0), rtol=1e-12)


def test_windows_rows_and_entries_come_back_alike(net):
    windows = Windows(SERIES, 5, as_it_is)
    found = row_means(net, windows, "of_all")
    assert_array_equal(found["entry"], row_means(net, windows, "of_entries"))
    assert_allclose(found["row"], found["entry"].mean(axis=1), rtol=1e-4, atol=1e-6)
    said = net.evaluate(windows, "of_all")["window"]
    for row in (0, 29, 30, 33, 36, 37, 60, 99):
        inside = (windows.starts <= row) & (row < windows.starts + 5)
        assert_allclose(found["window"][row], said[inside].mean(), rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 33, 64, 500])
def test_means_do_not_depend_on_the_batch(net, batch_size):
    windows = Windows(SERIES, 5, as_it_is)
    expected = row_means(net, windows, "of_entries")
    other = row_means(made_net(batch_size), windows, "of_entries")
    assert_allclose(other, expected, rtol=1e-5, atol=1e-6)
    for part in SERIES.slices():
        values = SERIES.values[part]
        alone = Windows(Series(values, np.array([0, len(values)])), 5, as_it_is)
        assert_array_equal(row_means(net, alone, "of_entries"), expected[part])


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.8])
@pytest.mark.parametrize("stride", [1, 4])
def test_the_end_of_each_series_is_held_out(fraction, stride):
    windows = Windows(SERIES, 5, as_it_is, stride)
    train, valid = (
        windows.starts[subset.indices] for subset in LastWindows(fraction)(windows)
    )
    held = valid[:, np.newaxis] + np.arange(5)
    trained = train[:, np.newaxis] + np.arange(5)
    assert np.intersect1d(held, trained).size == 0
    for start, stop in ((0, 30), (37, 100)):
        n_held = max(5, round(fraction * (stop - start)))
        assert_array_equal(
            np.unique(held[(held >= start) & (held < stop)])[-1], stop - 1
        )
        assert held[(held >= start) & (held < stop)].min() >= stop - n_held
        assert trained[trained < stop].max() < stop - n_held
    assert not np.any((held >= 30) & (held < 37))
    assert np.any((trained >= 30) & (trained < 37))


def test_nothing_to_hold_out_is_an_error():
    short = Windows(Series(np.zeros((9, 1)), np.array([0, 9])), 5, as_it_is)
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 holds nothing out"):
        LastWindows(0.1)(short)
