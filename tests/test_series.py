"""Series, their windows, and the way from windows back to rows."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad._series import Series, WindowMean, filled, rows_from_windows, side_by_side

SEEDS = st.integers(0, 1000)


@st.composite
def windowed(draw):
    """Draw series, the size of a window that fits into all, and a stride."""
    size = draw(st.integers(1, 6))
    stride = draw(st.integers(1, size))
    lengths = draw(st.lists(st.integers(size, 25), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(SEEDS))
    bounds = np.r_[0, np.cumsum(lengths)]
    values = rng.normal(size=(bounds[-1], draw(st.integers(1, 3))))
    return Series(values, bounds), size, stride


@given(windowed())
def test_windows_hold_every_row_and_cross_no_boundary(drawn):
    series, size, stride = drawn
    starts = series.window_starts(size, stride)
    assert np.all(np.diff(starts) > 0)
    held = starts[:, np.newaxis] + np.arange(size)
    assert_array_equal(np.unique(held), np.arange(len(series)))
    number = np.repeat(np.arange(len(series.lengths)), series.lengths)
    assert np.all(number[held] == number[starts][:, np.newaxis])
    steps = np.diff(starts)[np.diff(number[starts]) == 0]
    assert np.all(steps <= stride)


@given(windowed())
def test_windows_are_views(drawn):
    series, size, stride = drawn
    windows = series.windows(size)
    assert np.shares_memory(windows, series.values)
    for start in series.window_starts(size, stride):
        assert_array_equal(windows[start], series.values[start : start + size])


@given(windowed(), st.integers(0, 2), st.integers(1, 7), SEEDS)
def test_means_of_windows_are_those_of_a_loop(drawn, n_axes, block, seed):
    series, size, stride = drawn
    starts = series.window_starts(size, stride)
    shape = (len(starts), *(size, 2)[:n_axes])
    said = np.random.default_rng(seed).normal(size=shape)
    mean, at_once = WindowMean(len(series), size), WindowMean(len(series), size)
    for first in range(0, len(starts), block):
        part = slice(first, first + block)
        mean.add(starts[part], said[part])
    at_once.add(starts, said)
    assert_array_equal(mean.mean(), at_once.mean())
    for row, found in enumerate(mean.mean()):
        inside = np.flatnonzero((starts <= row) & (row < starts + size))
        values = [said[i] if n_axes == 0 else said[i, row - starts[i]] for i in inside]
        assert_allclose(found, np.mean(values, axis=0), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windows_are_added_in_float64(dtype):
    mean = WindowMean(3, 2)
    mean.add(np.array([0, 1]), np.array([[2**24, 1], [1, 1]], dtype=dtype))
    mean.add(np.array([0]), np.array([[1, 0.5]], dtype=dtype))
    assert mean.mean().dtype == np.float64
    assert_array_equal(mean.mean(), [(2**24 + 1) / 2, 2.5 / 3, 1])


@given(windowed())
def test_what_windows_say_of_their_rows_comes_back_to_the_rows(drawn):
    series, size, stride = drawn
    rows = rows_from_windows(lambda windows: windows, series, size, stride)
    assert_allclose(rows, series.values, rtol=1e-12)


@given(windowed(), st.integers(0, 3))
def test_series_do_not_know_of_each_other(drawn, which):
    series, size, stride = drawn
    part = series.slices()[which % len(series.lengths)]
    alone = Series(series.values[part], np.array([0, part.stop - part.start]))
    weights = np.random.default_rng(0).normal(size=(size * series.values.shape[1], 3))

    def projected(windows):
        return (windows.reshape(len(windows), -1) @ weights).max(axis=1)

    together = rows_from_windows(projected, series, size, stride)
    assert_array_equal(
        rows_from_windows(projected, alone, size, stride), together[part]
    )


def test_all_windows_are_never_in_memory_together():
    values = np.ones((20_000, 4))
    series = Series(values, np.array([0, len(values)]))
    rows_from_windows(np.square, series, 100)  # compiles
    tracemalloc.start()
    rows_from_windows(np.square, series, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * values.nbytes / 5


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_rows_of_a_group_come_together_and_go_back(groups):
    X = np.arange(len(groups) * 2.0).reshape(-1, 2)
    series, labels = side_by_side(X, groups)
    assert_array_equal(series.restored(series.values), X)
    assert labels == list(dict.fromkeys(groups))
    for label, part in zip(labels, series.slices(), strict=True):
        assert_array_equal(series.values[part], X[np.array(groups) == label])


def test_rows_that_are_together_are_not_copied():
    X = np.arange(12.0).reshape(6, 2)
    series, labels = side_by_side(X, [3, 3, 1, 1, 1, 2])
    assert np.shares_memory(series.values, X)
    assert series.place is None
    assert series.bounds.tolist() == [0, 2, 5, 6]
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 1
    X[0] = 1  # only the series' own view is


def test_short_series_begin_with_their_first_row_repeated():
    groups = ["a", "b", "b", "a", "b", "b", "c"]
    X = np.arange(7.0)[:, np.newaxis]
    series, _ = side_by_side(X, groups)
    with pytest.warns(UserWarning, match=r"2 of 3 series .* a window \(3\)"):
        padded = series.padded(3)
    assert padded.values[:, 0].tolist() == [0, 0, 3, 1, 2, 4, 5, 6, 6, 6]
    assert padded.bounds.tolist() == [0, 3, 7, 10]
    assert_array_equal(padded.restored(padded.values), X)
    assert series.padded(1) is series


@given(st.integers(1, 12), SEEDS)
def test_gaps_are_filled_as_pandas_does(n_rows, seed):
    rng = np.random.default_rng(seed)
    bounds = np.array([0, n_rows, n_rows + 5])
    values = rng.normal(size=(n_rows + 5, 3))
    missing = rng.random(values.shape) < rng.choice([0.2, 0.8])
    values[missing] = np.nan
    means = np.array([10.0, 20.0, 30.0])
    expected = [
        pd.DataFrame(values[a:b])
        .interpolate(limit_direction="both")
        .fillna(dict(enumerate(means)))
        for a, b in ((0, n_rows), (n_rows, n_rows + 5))
    ]
    found = filled(values, missing, bounds, means)
    assert_allclose(found, np.concatenate(expected), rtol=1e-12)
    assert_array_equal(found[~missing], values[~missing])


def test_channels_that_were_not_observed_add_nothing():
    observed = np.array([[True, True], [True, False], [False, False], [False, True]])
    series = Series(np.zeros((4, 2)), np.array([0, 4]), observed=observed)
    terms = np.array([[1.0, 3.0], [1.0, 9.0], [9.0, 9.0], [np.nan, 5.0]])
    shares = series.channel_shares(terms)
    assert shares.tolist() == [[0.5, 1.5], [1, 0], [0, 0], [0, 5]]
    assert series.bridged(np.array([2.0, 1.0, np.nan, 5.0])).tolist() == [2, 1, 3, 5]
    complete = Series(series.values, series.bounds)
    assert complete.channel_shares(terms[:1]).tolist() == [[0.5, 1.5]]
