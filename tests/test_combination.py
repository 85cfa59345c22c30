"""From p-values of sensors to one statistic of a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skad._combination import COMBINATIONS, terms

WEIGHTS = np.array([1.0, 0.5, 2.0, 3.0])
TINY = -5000 * np.log(10)

log_pvalue = st.floats(-20_000, -0.02)


def pvalues(n_rows=500, n_sensors=4, seed=0):
    # The combined tests leave p-values near 1 alone, which would outweigh others.
    return np.random.default_rng(seed).uniform(0, 0.98, size=(n_rows, n_sensors))


def of_one_row(name, *log_pvalues, weights=None):
    weights = np.ones(len(log_pvalues)) if weights is None else np.asarray(weights)
    return COMBINATIONS[name](np.array([log_pvalues]), weights)[0]


def test_fisher_is_the_weighted_sum():
    p = pvalues()
    statistic = COMBINATIONS["fisher"](np.log(p), WEIGHTS)
    assert_allclose(statistic, -2 * np.sum(WEIGHTS * np.log(p), axis=1))
    equal = COMBINATIONS["fisher"](np.log(p), np.ones(4))
    assert_allclose(equal, stats.combine_pvalues(p, "fisher", axis=1).statistic)


def test_stouffer_is_that_of_scipy():
    p = pvalues()
    combined = stats.combine_pvalues(p, "stouffer", weights=WEIGHTS, axis=1).pvalue
    statistic = COMBINATIONS["stouffer"](np.log(p), WEIGHTS)
    assert_allclose(statistic, -2 * np.log(combined), rtol=1e-9)


def test_simes_is_the_least_adjusted_pvalue():
    p = pvalues()
    adjusted = stats.false_discovery_control(p, axis=1).min(axis=1)
    statistic = COMBINATIONS["simes"](np.log(p), np.full(4, 7.0))
    assert_allclose(statistic, -2 * np.log(adjusted), atol=1e-12)


def test_weighted_simes_takes_the_share_of_the_weights_up_to_a_sensor():
    p = np.array([0.2, 0.01, 0.03])
    shares = {1: 2 / 6, 2: 5 / 6, 0: 1.0}
    least = min(p[sensor] / share for sensor, share in shares.items())
    statistic = of_one_row("simes", *np.log(p), weights=[1, 2, 3])
    assert_allclose(statistic, -2 * np.log(least))


def test_cauchy_is_the_mean_cotangent():
    p = pvalues()
    p[::2] **= 12
    mean = np.sum(WEIGHTS / WEIGHTS.sum() / np.tan(np.pi * p), axis=1)
    statistic = COMBINATIONS["cauchy"](np.log(p), WEIGHTS)
    assert_allclose(statistic, -2 * np.log(stats.cauchy.sf(mean)), rtol=1e-9)


@pytest.mark.parametrize("name", COMBINATIONS)
@given(log_pvalue)
def test_one_sensor_keeps_its_pvalue(name, log_p):
    assert_allclose(of_one_row(name, log_p), -2 * log_p, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", COMBINATIONS)
@given(st.lists(log_pvalue, min_size=2, max_size=6), st.floats(0.001, 1000))
def test_more_evidence_is_never_less_abnormal(name, log_pvalues, more):
    before = of_one_row(name, *log_pvalues)
    after = of_one_row(name, log_pvalues[0] - more, *log_pvalues[1:])
    assert after >= before - 1e-9 * before


@pytest.mark.parametrize("name", COMBINATIONS)
@given(arrays(float, (3, 5), elements=st.floats(-20_000, 0)), st.permutations(range(5)))
def test_the_order_of_sensors_is_irrelevant(name, log_pvalues, order):
    weights = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    straight = COMBINATIONS[name](log_pvalues, weights)
    mixed = COMBINATIONS[name](log_pvalues[:, order], weights[order])
    assert np.all(np.isfinite(straight)) and np.all(straight >= 0)
    assert_allclose(mixed, straight, rtol=1e-9, atol=1e-9)


def test_smallest_pvalues_combine_without_underflow():
    usual = np.log(0.5)
    n = 4
    assert_allclose(of_one_row("simes", TINY, usual), -2 * (TINY + np.log(2)))
    assert_allclose(of_one_row("cauchy", TINY, usual), -2 * (TINY + np.log(2)))
    assert_allclose(of_one_row("fisher", TINY, usual), -2 * (TINY + usual))
    # The normal tail: log p is about -z**2 / 2, and z grows by the root of n.
    assert_allclose(of_one_row("stouffer", *[TINY] * n), -2 * n * TINY, rtol=0.01)
    assert_allclose(of_one_row("cauchy", *[TINY] * n), -2 * TINY)


def test_cauchy_has_no_seam_where_formulas_change():
    edges = np.log([1e-9 / np.pi, 1e-290])
    log_p = np.sort(np.r_[edges + 1e-6, edges - 1e-6, edges])[::-1]
    both = np.c_[log_p, np.full(len(log_p), np.log(0.3))]
    statistic = COMBINATIONS["cauchy"](both, np.ones(2))
    assert_allclose(statistic, -2 * (log_p + np.log(2)), rtol=1e-8)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_certainly_usual_sensors_do_not_hide_the_others(name):
    statistic = of_one_row(name, -2000.0, 0.0, 0.0)
    assert statistic > 1000


@pytest.mark.parametrize("name", COMBINATIONS)
def test_sensors_without_weight_have_no_say(name):
    log_p = np.log(pvalues())
    log_p[::2, 2] = TINY
    weights = np.array([1.0, 2.0, 0.0, 3.0])
    others = np.array([0, 1, 3])
    assert_allclose(
        COMBINATIONS[name](log_p, weights),
        COMBINATIONS[name](log_p[:, others], weights[others]),
    )


@pytest.mark.parametrize("name", ["stouffer", "simes", "cauchy"])
def test_only_the_ratio_of_weights_counts(name):
    log_p = np.log(pvalues())
    assert_allclose(
        COMBINATIONS[name](log_p, WEIGHTS), COMBINATIONS[name](log_p, 10 * WEIGHTS)
    )


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize("weights", [np.ones(4), np.array([1.0, 0.8, 1.2, 1.0])])
def test_the_null_shape_is_that_of_independent_sensors(name, weights):
    p = np.random.default_rng(0).uniform(size=(40_000, 4))
    statistic = COMBINATIONS[name](np.log(p), weights)
    shape, scale = COMBINATIONS[name].null_shape(weights)
    for alpha in (0.1, 0.01):
        share = np.mean(stats.gamma.sf(statistic, shape, scale=scale) < alpha)
        assert share == pytest.approx(alpha, rel=0.15)


def test_the_null_shape_of_fisher_has_the_right_moments():
    assert_allclose(COMBINATIONS["fisher"].null_shape(np.ones(5)), (5, 2))
    shape, scale = COMBINATIONS["fisher"].null_shape(WEIGHTS)
    assert_allclose(shape * scale, 2 * WEIGHTS.sum())
    assert_allclose(shape * scale**2, 4 * np.sum(WEIGHTS**2))


@pytest.mark.parametrize("name", ["simes", "cauchy"])
def test_dependent_sensors_raise_no_more_alarms_than_nominal(name):
    rng = np.random.default_rng(0)
    z = np.sqrt(0.8) * rng.normal(size=(40_000, 1))
    z = z + np.sqrt(0.2) * rng.normal(size=(40_000, 10))
    statistic = COMBINATIONS[name](stats.norm.logsf(z), np.ones(10))
    assert np.mean(statistic > -2 * np.log(0.01)) < 0.012


def test_terms_add_up_to_fisher_where_everything_was_observed():
    log_p = np.log(pvalues())
    assert_allclose(
        terms(log_p, WEIGHTS).sum(axis=1), COMBINATIONS["fisher"](log_p, WEIGHTS)
    )


def test_sensors_that_were_not_observed_are_no_reason():
    parts = terms(np.array([[np.nan, -3.0]]), np.array([2.0, 2.0]))
    assert_array_equal(parts, [[0, 12]])
