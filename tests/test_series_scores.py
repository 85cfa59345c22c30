"""From errors of channels to scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skad._series import Series
from skad._series_scores import ChannelScaler, ErrorScale, WindowLevel, smoothed


def series_of(values, lengths=None, observed=None):
    values = np.asarray(values, dtype=float)
    bounds = np.r_[0, np.cumsum(lengths or [len(values)])]
    return Series(values, bounds, observed=observed)


def noise(n_rows=300, n_channels=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_channels))


def test_channels_are_standardised_by_the_training_data():
    values = 3 + 2 * noise()
    scaler = ChannelScaler(series_of(values))
    expected = (values - values.mean(axis=0)) / values.std(axis=0)
    assert_allclose(scaler(values), expected)
    assert_allclose(scaler(values[:1] + 7), expected[:1] + 7 / values.std(axis=0))


def test_channels_that_never_moved_are_only_centred():
    scaler = ChannelScaler(series_of(np.full((50, 1), 0.1)))
    assert_allclose(scaler(np.array([[0.1], [2.1]])), [[0], [2]], atol=1e-12)


def test_far_values_are_moved_to_ten_standard_deviations():
    scaler = ChannelScaler(series_of(noise()))
    assert_array_equal(scaler(np.array([[1e9, -1e9, 0]]))[0, :2], [10, -10])


def test_values_that_were_not_observed_teach_nothing():
    values = noise()
    observed = np.ones(values.shape, dtype=bool)
    observed[::3, 1] = False
    wrong = np.where(observed, values, 99)
    scaler = ChannelScaler(series_of(wrong, observed=observed))
    assert_allclose(scaler.mean[1], values[observed[:, 1], 1].mean())
    scale = ErrorScale(series_of(wrong, observed=observed), np.abs(wrong)).scale
    assert_allclose(scale[1], np.sqrt(np.mean(values[observed[:, 1], 1] ** 2)) + 0.1)


def test_errors_count_from_their_usual_size_on():
    errors = np.abs(noise())
    scale = ErrorScale(series_of(errors), errors)
    usual = np.sqrt((errors**2).mean(axis=0)) + 0.1
    assert_allclose(scale.excess(np.vstack([usual, 3 * usual])), [[0] * 3, [2] * 3])


@given(
    arrays(float, (20, 2), elements=st.floats(-10, 10)),
    st.integers(1, 30),
    st.booleans(),
)
def test_moving_means_stay_inside_their_series(values, n_rows, causal):
    lengths = [7, 1, 12]
    result = smoothed(series_of(values, lengths), values, n_rows, causal=causal)
    before = n_rows - 1 if causal else n_rows // 2
    after = n_rows - 1 - before
    start = 0
    for length in lengths:
        stop = start + length
        for row in range(start, stop):
            held = values[max(start, row - before) : min(stop, row + after + 1)]
            assert_allclose(result[row], held.mean(axis=0), atol=1e-12)
        start = stop


def direct_level(train, test, size):
    """Window by window, as the docstrings say it."""

    def statistics(values):
        starts = range(len(values) - size + 1)
        windows = [values[i : i + size] for i in starts]
        return np.array([[w.mean(0), np.log(w.std(0) + 0.1)] for w in windows])

    usual = statistics(train)
    z = np.abs(statistics(test) - usual.mean(0)) / (usual.std(0) + 0.1)
    of_windows = np.maximum(z - 2, 0).mean(axis=1)
    rows = [
        of_windows[max(0, i - size + 1) : i + 1].mean(axis=0) for i in range(len(test))
    ]
    return np.array(rows), of_windows


def test_levels_are_those_of_the_windows_that_hold_a_row():
    train, test = noise(90), 3 * noise(40, seed=1) + 1
    level = WindowLevel(series_of(train), 12)
    rows, of_windows = direct_level(train, test, 12)
    assert of_windows.max() > 1
    assert_allclose(level.excess(series_of(test)), rows, atol=1e-9)
    causal = level.excess(series_of(test), causal=True)
    assert_allclose(causal[11:], of_windows, atol=1e-9)
    assert_array_equal(causal[:11], 0)


@pytest.mark.parametrize("causal", [False, True])
def test_levels_of_a_series_do_not_depend_on_other_series(causal):
    level = WindowLevel(series_of(noise()), 20)
    a, b = 2 + noise(50, seed=1), noise(70, seed=2)
    both = level.excess(series_of(np.vstack([a, b]), [50, 70]), causal=causal)
    assert_array_equal(both[:50], level.excess(series_of(a), causal=causal))
    assert_array_equal(both[50:], level.excess(series_of(b), causal=causal))


def test_a_shift_and_a_silence_are_unusual_levels():
    level = WindowLevel(series_of(noise(2000)), 50)
    test = noise(500, seed=1)
    test[100:200, 0] += 3
    test[300:400, 1] = 0
    excess = level.excess(series_of(test))
    assert excess[110:190, 0].min() > 1
    assert excess[310:390, 1].min() > 1
    assert excess[:, 2].max() < 0.5


def test_windows_are_shorter_where_training_holds_fewer_than_three():
    assert WindowLevel(series_of(noise(30)), 30).window_size == 10
    assert WindowLevel(series_of(noise(2)), 2).window_size == 1


@pytest.mark.parametrize("causal", [False, True])
def test_a_series_shorter_than_a_window_has_no_level(causal):
    level = WindowLevel(series_of(noise()), 20)
    assert_array_equal(level.excess(series_of(99 + noise(19)), causal=causal), 0)


@pytest.mark.parametrize("causal", [False, True])
def test_repeated_rows_make_no_window(causal):
    level = WindowLevel(series_of(noise()), 20)
    short = 99 + noise(25)
    alone = level.excess(series_of(short), causal=causal)
    series = Series(
        np.vstack([short[:1].repeat(7, axis=0), short]),
        np.array([0, 32]),
        added=np.array([7]),
    )
    assert alone.max() > 1
    padded = level.excess(series, causal=causal)[7:]
    # Where windows with repeated rows hold a row as well, they count as usual ones.
    assert_allclose(padded[-1], alone[-1])
    assert np.all(padded <= alone + 1e-9)


def test_short_training_series_teach_no_level():
    long, short = noise(300), 99 + noise(30, seed=1)
    both = WindowLevel(series_of(np.vstack([long, short]), [300, 30]), 50)
    alone = WindowLevel(series_of(long), 50)
    assert_array_equal(both.mean, alone.mean)
    assert_array_equal(both.spread, alone.spread)
