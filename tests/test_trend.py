"""The Hodrick-Prescott trend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad._trend import causal_trend, hp_trend, smoother

penalties = st.sampled_from([0.0, 1.0, 10.0, 1600.0, 6400.0])


def walk(n_rows, n_channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_channels)).cumsum(axis=0)


@given(st.integers(1, 60), penalties)
def test_the_trend_solves_the_dense_system(n_rows, penalty):
    x = walk(n_rows)
    bends = np.diff(np.eye(n_rows), 2, axis=0) if n_rows > 2 else np.zeros((1, n_rows))
    dense = np.linalg.solve(np.eye(n_rows) + penalty * bends.T @ bends, x)
    assert_allclose(hp_trend(x, penalty), dense, rtol=1e-8, atol=1e-8)


@given(st.integers(1, 200), penalties, st.floats(-5, 5), st.floats(-100, 100))
def test_a_straight_line_is_its_own_trend(n_rows, penalty, slope, start):
    line = start + slope * np.arange(n_rows)
    assert_allclose(hp_trend(line, penalty), line, rtol=1e-8, atol=1e-6)


def test_without_penalty_the_trend_is_the_series():
    assert_allclose(hp_trend(walk(30), 0.0), walk(30))


@pytest.mark.parametrize("penalty", [10.0, 6400.0])
def test_the_wave_that_the_docstring_names_is_halved(penalty):
    period = np.pi / np.arcsin(penalty**-0.25 / 2)
    wave = np.cos(2 * np.pi * np.arange(4001) / period)
    middle = slice(1500, 2500)
    assert_allclose(hp_trend(wave, penalty)[middle], wave[middle] / 2, atol=1e-6)


@given(st.integers(1, 60), penalties)
def test_the_smoother_is_symmetric_and_keeps_means(length, penalty):
    matrix = smoother(length, penalty)
    assert_allclose(matrix, matrix.T, atol=1e-10)
    assert_allclose(matrix.sum(axis=1), 1, rtol=1e-8)
    x = walk(length)
    assert_allclose(matrix @ x, hp_trend(x, penalty), rtol=1e-8, atol=1e-8)


def test_the_smoother_of_a_length_is_computed_once_and_cannot_be_changed():
    matrix = smoother(30, 6400.0)
    assert matrix is smoother(30, 6400.0)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1


@given(st.integers(1, 50), st.integers(1, 20), penalties)
def test_the_causal_trend_is_the_last_value_of_the_trend_until_then(n, length, penalty):
    x = walk(n)
    found = causal_trend(x, length, penalty)
    for row in range(n):
        known = x[max(0, row + 1 - length) : row + 1]
        assert_allclose(found[row], hp_trend(known, penalty)[-1], rtol=1e-8, atol=1e-8)


@given(st.integers(1, 39))
def test_what_comes_later_does_not_change_the_causal_trend(row):
    x = walk(40)
    before = causal_trend(x, 15, 100.0)[:row]
    x[row:] += 50
    assert_array_equal(causal_trend(x, 15, 100.0)[:row], before)
