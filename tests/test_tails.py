import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skad._tails import column_scale

rng = np.random.default_rng(0)
NORMAL = rng.normal(size=5000)
COLUMNS = arrays(np.float64, st.integers(2, 60), elements=st.floats(-1e9, 1e9))


def test_a_column_without_heavy_tails_is_only_shifted_and_scaled():
    scale = column_scale(3 * NORMAL + 7)
    assert np.isinf(scale.lengths).all()
    assert_allclose(scale(3 * NORMAL + 7), NORMAL, atol=0.05)


@pytest.mark.parametrize(
    ("heavy", "sides"),
    [
        (np.exp(2 * NORMAL), [False, True]),
        (-np.exp(2 * NORMAL), [True, False]),
        (rng.standard_cauchy(5000), [True, True]),
        (rng.normal(size=5000), [False, False]),
        (rng.random(5000), [False, False]),
    ],
    ids=["right", "left", "both", "normal", "uniform"],
)
def test_heavy_tails_are_found(heavy, sides):
    assert np.isfinite(column_scale(heavy).lengths).tolist() == sides


def test_heavy_tails_become_exponential():
    heavy = rng.pareto(1.5, size=100_000)
    excess = column_scale(heavy)(heavy)
    beyond = excess[excess > np.quantile(excess, 0.9)]
    beyond -= beyond.min()
    # The standard deviation of an exponential distribution is its mean.
    assert_allclose(beyond.std(), beyond.mean(), rtol=0.15)


@given(COLUMNS)
def test_the_order_stays_and_values_are_finite(column):
    scaled = column_scale(column)(np.sort(column))
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled) >= 0).all()


@given(COLUMNS, st.sampled_from([0.5, 4.0, 1024.0]))
def test_units_do_not_matter(column, factor):
    expected = column_scale(column)(column)
    assert_allclose(column_scale(factor * column)(factor * column), expected)


def test_nothing_is_ever_level_far_out():
    far = 10.0 ** np.arange(3, 300, 10)
    for column in (NORMAL, np.exp(2 * NORMAL)):
        assert (np.diff(column_scale(column)(far)) > 0).all()


def test_the_largest_hundredth_has_no_say():
    wild = NORMAL.copy()
    wild[np.argsort(NORMAL)[-40:]] = 1e12
    usual = np.abs(NORMAL) < 2
    assert_allclose(
        column_scale(wild)(wild)[usual], column_scale(NORMAL)(NORMAL)[usual]
    )


def test_grids_and_constants():
    counts = rng.integers(0, 5, size=1000).astype(float)
    scale = column_scale(counts)
    scaled = np.unique(scale(counts))
    assert_allclose(np.diff(scaled), scale.step)
    steps = (scaled - scale.origin) / scale.step
    assert_allclose(steps, np.rint(steps), atol=1e-9)
    constant = column_scale(np.full(10, 5.0))
    assert_array_equal(constant(np.array([5.0, 10.0])), [0, 1])
    assert column_scale(np.zeros(10))(np.array([2.0])) == 2


@given(st.floats(0.1, 10), st.floats(-10, 10))
def test_rounding_gives_a_grid_no_heavy_tail(factor, shift):
    # The points at which the tail is measured are 1, 2 and 3 steps.
    counts = np.repeat(np.arange(5.0), [700, 200, 70, 25, 5])
    scale = column_scale(factor * counts + shift)
    assert np.isinf(scale.lengths).all()
    assert scale.step > 0
