"""From statistics to p-values that mean what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import gammaincc, gammaln, logsumexp

from skad._calibration import (
    CALIBRATIONS,
    RanksWithTail,
    _log_far_tail,
    log_gamma_tail,
)

NULL = (4.0, 2.0)
SMOOTH = ["pareto", "gamma", "chi2"]
LEARNT = ["pareto", "gamma", "empirical"]


def gamma_statistics(n_rows=2000, seed=0, shape=4.0):
    return np.random.default_rng(seed).gamma(shape, 2.0, size=n_rows)


def moving(values, n_rows):
    return np.convolve(values, np.full(n_rows, 1 / n_rows), mode="valid")


def test_gamma_has_the_moments_of_the_training_rows():
    train, test = gamma_statistics(), gamma_statistics(300, seed=1)
    shape, scale = train.mean() ** 2 / train.var(), train.var() / train.mean()
    expected = stats.gamma.logsf(test, shape, scale=scale)
    assert_allclose(CALIBRATIONS["gamma"](train, NULL).log_pvalues(test), expected)


def test_chi_square_never_looks_at_the_training_rows():
    test = gamma_statistics(300, seed=1)
    calibration = CALIBRATIONS["chi2"](99 * gamma_statistics(), (5.0, 2.0))
    assert_allclose(calibration.log_pvalues(test), stats.chi2.logsf(test, 10))


def test_empirical_counts_the_training_rows_that_are_no_smaller():
    train = np.rint(gamma_statistics(50))
    test = np.r_[train, 0.5 + train, -1, 99]
    counts = [sum(s >= value for s in train) for value in test]
    expected = np.log((np.array(counts) + 1) / 51)
    calibration = CALIBRATIONS["empirical"](train, NULL)
    assert_allclose(calibration.log_pvalues(test), expected)


def test_pareto_is_empirical_below_its_tail():
    train = gamma_statistics()
    body = np.sort(train)[:1960]
    pareto = CALIBRATIONS["pareto"](train, NULL).log_pvalues(body)
    # Ranks are interpolated between 500 of them.
    shares = (2000 - np.arange(1960)) / 2001
    assert_allclose(np.exp(pareto), shares, atol=3 / 2001)


def test_pareto_is_continuous_where_its_tail_begins():
    train = gamma_statistics()
    start = np.sort(train)[-41]
    calibration = CALIBRATIONS["pareto"](train, NULL)
    before, at, after = calibration.log_pvalues(start + np.array([-1e-9, 0, 1e-9]))
    assert_allclose([before, after], at, rtol=1e-6)
    assert_allclose(at, np.log(41 / 2001))


def test_a_tail_without_shape_is_predicted_by_its_mean_and_size():
    # Neighbours correlate negatively, and the tail is lighter than exponential.
    values = np.linspace(0, 1, 2000)
    train = np.stack([values[:1000], values[1000:]], axis=1).ravel()
    start, excess = values[-41], values[-40:] - values[-41]
    far = np.array([0.01, 0.1, 3.0])
    expected = np.log(41 / 2001) - 40 * np.log1p(far / (40 * excess.mean()))
    assert_allclose(RanksWithTail(train, 1e-9).log_pvalues(start + far), expected)


@pytest.mark.parametrize("n_rows", [10, 40, 400])
@pytest.mark.parametrize("alpha", [0.1, 0.01, 0.001])
def test_pareto_pvalues_are_uniform_for_independent_rows(n_rows, alpha):
    rng = np.random.default_rng(n_rows)
    rates = []
    limit = np.r_[np.linspace(0, 40, 2000), np.geomspace(41, 1e6, 500)]
    for _ in range(500):
        train = rng.exponential(2, size=n_rows)
        log_p = CALIBRATIONS["pareto"](train, (1.0, 2.0)).log_pvalues(limit)
        first = limit[np.searchsorted(-log_p, -np.log(alpha))]
        rates.append(np.exp(-first / 2))
    assert 0.4 * alpha < np.mean(rates) < 1.15 * alpha


@pytest.mark.parametrize("name", LEARNT)
def test_pvalues_are_uniform_for_the_training_rows(name):
    train = gamma_statistics(5000)
    p = np.exp(CALIBRATIONS[name](train, NULL).log_pvalues(train))
    assert stats.kstest(p, "uniform").statistic < 0.02


def test_dependent_rows_make_a_tail_longer():
    independent = gamma_statistics(4000)
    dependent = moving(gamma_statistics(4020), 21)
    # The same values in another order: only what is known about the tail differs.
    mixed = np.random.default_rng(0).permutation(dependent)
    far = dependent.mean() + 12 * dependent.std()
    in_order, as_mixed = (
        CALIBRATIONS["pareto"](train, NULL).log_pvalues(np.array([far]))[0]
        for train in (dependent, mixed)
    )
    assert in_order > as_mixed + 1
    assert np.isfinite(CALIBRATIONS["pareto"](independent, NULL).log_pvalues(far))


def test_a_heavy_tail_is_seen():
    rng = np.random.default_rng(0)
    train = rng.pareto(2, size=5000)
    log_p = CALIBRATIONS["pareto"](train, NULL).log_pvalues(np.array([99.0]))
    assert_allclose(log_p, -2 * np.log(100), atol=1)


@pytest.mark.parametrize("name", SMOOTH)
@given(arrays(float, st.integers(1, 30), elements=st.floats(0.1, 200)))
def test_pvalues_fall_strictly_and_stay_finite(name, train):
    grid = np.r_[np.linspace(0, 300, 400), np.geomspace(301, 1e7, 50)]
    log_p = CALIBRATIONS[name](train, NULL).log_pvalues(grid)
    assert np.all(np.isfinite(log_p))
    assert np.all(log_p <= 0)
    assert np.all(np.diff(log_p) <= 0)
    # Somewhere between rows, differences may be less than the last digit of 1.
    assert np.all(np.diff(log_p[grid > train.max()]) < 0)


@given(arrays(float, st.integers(1, 30), elements=st.floats(0, 200)))
def test_empirical_pvalues_never_rise(train):
    log_p = CALIBRATIONS["empirical"](train, NULL).log_pvalues(np.linspace(0, 300, 500))
    assert np.all(np.diff(log_p) <= 0)
    assert log_p[-1] == np.log(1 / (len(train) + 1))


@pytest.mark.parametrize("name", LEARNT)
@given(st.floats(0.01, 100), st.integers(2, 300))
def test_pvalues_do_not_depend_on_the_unit_of_the_statistic(name, unit, n_rows):
    train, test = gamma_statistics(n_rows), gamma_statistics(40, seed=1)
    here = CALIBRATIONS[name](train, NULL).log_pvalues(1.0001 * test)
    there = CALIBRATIONS[name](unit * train, (4.0, 2.0 * unit)).log_pvalues(
        1.0001 * unit * test
    )
    assert_allclose(there, here, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", CALIBRATIONS)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 10, 500])
@pytest.mark.parametrize("level", [0.0, 8.0])
def test_constant_statistics_are_usual_and_larger_ones_are_not(name, n_rows, level):
    calibration = CALIBRATIONS[name](np.full(n_rows, level), NULL)
    log_p = calibration.log_pvalues(np.array([level, level + 1, level + 50, 1e6]))
    assert np.all(np.isfinite(log_p))
    assert log_p[0] > np.log(0.4)
    assert log_p[3] <= np.log(0.5)


@pytest.mark.parametrize("shape", [0.3, 1.0, 2.5, 38.0, 4000.0])
def test_the_gamma_tail_is_that_of_scipy(shape):
    x = shape * np.linspace(0, 2, 200)
    expected = stats.gamma.logsf(x, shape)
    seen = np.isfinite(expected)
    log_tail = log_gamma_tail(shape, x)
    assert_allclose(log_tail[seen], expected[seen], rtol=1e-9, atol=1e-13)
    assert np.all(np.isfinite(log_tail))


@pytest.mark.parametrize("shape", [1, 2, 38])
def test_the_gamma_tail_does_not_underflow(shape):
    x = np.array([800.0, 11_600.0, 1e6])
    j = np.arange(shape)[:, np.newaxis]
    expected = logsumexp(j * np.log(x) - gammaln(j + 1), axis=0) - x
    assert expected[1] < -4900 * np.log(10)
    assert_allclose(log_gamma_tail(float(shape), x), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [0.02, 0.7, 38.5, 700.0, 20_000.0])
def test_the_far_gamma_tail_joins_the_near_one(shape):
    x = stats.gamma.isf(1e-240, shape) * np.ones(1)
    near = np.log(gammaincc(shape, x))
    assert_allclose(_log_far_tail(shape, x), near, rtol=1e-9)


def test_a_smaller_gamma_statistic_than_any_is_still_told_apart():
    log_p = log_gamma_tail(38.0, np.array([0.1, 0.2, 1.0]))
    assert_array_equal(np.diff(log_p) < 0, [True, True])
