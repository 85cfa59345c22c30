"""Distributions of residuals."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skad._densities import DENSITIES, _best_mixture, _bins, _Mixture, _start
from skad._kernels._mixture import fit_mixture

SIDES = pytest.mark.parametrize("two_sided", [False, True])
NAMES = pytest.mark.parametrize("name", DENSITIES)
NOISES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_t(5, size=size),
    "mixed": lambda rng, size: rng.normal(size=size) * rng.choice([1, 1, 1, 4], size),
}


def residuals(n_rows=3000, n_sensors=2, seed=0, noise="normal", two_sided=False):
    values = NOISES[noise](np.random.default_rng(seed), (n_rows, n_sensors))
    return values if two_sided else np.abs(values)


def two_groups(n_values=2000):
    rng = np.random.default_rng(0)
    return np.sort(np.r_[rng.normal(size=n_values), rng.normal(6, 0.5, n_values // 2)])


def as_values(values):
    """Return bins of a value each."""
    return values, np.zeros(len(values)), np.full(len(values), 1 / len(values))


def step(values, mixture):
    """One step of expectation and maximisation, as textbooks have it."""
    weights, means, spreads = mixture
    parts = weights * stats.norm.pdf(values[:, np.newaxis], means, spreads)
    likelihood = np.log(parts.sum(axis=1)).mean()
    parts /= parts.sum(axis=1, keepdims=True)
    means = parts.T @ values / parts.sum(axis=0)
    squares = (values[:, np.newaxis] - means) ** 2
    spreads = np.sqrt((parts * squares).sum(axis=0) / parts.sum(axis=0))
    return np.stack([parts.mean(axis=0), means, spreads]), likelihood


def test_the_kernel_does_the_steps_of_textbooks():
    values = two_groups(200)
    found = np.array([[0.5, 0.3, 0.2], [-1.0, 2.0, 5.0], [1.0, 2.0, 1.0]])
    expected = found
    for _ in range(7):
        expected, likelihood = step(values, expected)
    assert_allclose(fit_mixture(*as_values(values), found, 1e-3, 7, 0.0), likelihood)
    assert_allclose(found, expected)


@given(arrays(float, st.integers(2, 30), elements=st.floats(-3, 3)), st.integers(1, 4))
def test_no_step_lowers_the_likelihood(values, n_components):
    bins = as_values(np.sort(values))
    mixture = _start(bins, min(n_components, len(values)), 0.05)
    likelihoods = [fit_mixture(*bins, mixture, 0.05, 1, 0.0) for _ in range(10)]
    assert np.all(np.diff(likelihoods) > -1e-9)
    assert_allclose(mixture[0].sum(), 1)
    assert np.all(mixture[2] >= 0.05)


@given(arrays(float, st.integers(1, 2000), elements=st.floats(-100, 100)))
def test_bins_keep_share_mean_and_variance(values):
    means, variances, shares = _bins(np.sort(values))
    mean = np.sum(shares * means)
    assert_allclose(shares.sum(), 1)
    assert_allclose(mean, values.mean(), atol=1e-9)
    spread = np.sum(shares * (variances + (means - mean) ** 2))
    assert_allclose(spread, values.var(), atol=1e-7)
    assert len(means) <= 303


def test_bins_are_small_in_the_tails():
    values = np.sort(residuals(20_000, 1)[:, 0])
    means, _, _ = _bins(values)
    assert_array_equal(means[[0, 1, -2, -1]], values[[0, 1, -2, -1]])


def test_bins_fit_as_well_as_values():
    values = residuals(20_000, 1, noise="heavy", two_sided=True)[:, 0]
    values = np.sort(values / values.std())
    bins = _bins(values)
    mixture = _start(bins, 3, 0.05)
    binned = mixture.copy()
    fit_mixture(*bins, binned, 0.05, 500, 1e-8)
    fit_mixture(*as_values(values), mixture, 0.05, 500, 1e-8)
    assert_allclose(step(values, binned)[1], step(values, mixture)[1], atol=2e-4)


def test_there_are_as_many_components_as_needed():
    normal = np.sort(residuals(5000, 1, two_sided=True)[:, 0])
    assert _best_mixture(normal, 0.05).shape == (3, 1)
    weights, means, spreads = _best_mixture(two_groups(), 0.05)
    assert_allclose(weights, [2 / 3, 1 / 3], atol=0.01)
    assert_allclose(means, [0, 6], atol=0.1)
    assert_allclose(spreads, [1, 0.5], atol=0.1)


def test_few_rows_have_one_component():
    assert _best_mixture(np.array([-1.0, 0.0, 1.0]), 0.05).shape == (3, 1)
    assert _best_mixture(np.repeat([-1.0, 1.0], 15), 0.05).shape == (3, 2)


def test_tails_are_those_of_the_components():
    values = two_groups()
    mixture = _Mixture(values)
    weights, means, spreads = mixture._mixture
    grid = np.linspace(-5, 9, 50)
    standard = (grid - values.mean()) / values.std()
    z = (standard[:, np.newaxis] - means) / spreads
    assert_allclose(mixture.log_upper(grid), np.log(stats.norm.sf(z) @ weights))
    assert_allclose(mixture.log_lower(grid), np.log(stats.norm.cdf(z) @ weights))


def test_smallest_pvalues_do_not_underflow():
    values = residuals(5000, 1, two_sided=True)[:, 0]
    log_p = _Mixture(values).log_upper(values.mean() + values.std() * np.array([155.0]))
    assert_allclose(log_p, stats.norm.logsf(155), rtol=1e-6)
    assert log_p < -5000 * np.log(10)


# One normal distribution is what the residuals are not.
@pytest.mark.parametrize("name", ["gmm", "empirical"])
@SIDES
@pytest.mark.parametrize("noise", NOISES)
def test_pvalues_of_new_rows_are_uniform(name, two_sided, noise):
    train = residuals(8000, 3, 0, noise, two_sided)
    test = residuals(40_000, 3, 1, noise, two_sided)
    p = np.exp(DENSITIES[name](train, two_sided=two_sided).log_pvalues(test))
    assert np.all((p > 0) & (p <= 1))
    for alpha, tolerance in [(0.5, 0.03), (0.1, 0.1), (0.01, 0.25), (0.001, 0.6)]:
        assert np.mean(p < alpha) == pytest.approx(alpha, rel=tolerance)


@NAMES
@SIDES
@given(arrays(float, st.integers(1, 40), elements=st.floats(-20, 20)))
# Slopes between values that differ by rounding overflow.
@example(np.array([5e-324, *[-5e-324] * 11]))
def test_pvalues_fall_on_either_side_of_the_most_usual_value(name, two_sided, values):
    train = (values if two_sided else np.abs(values))[:, np.newaxis]
    grid = np.linspace(-60 if two_sided else 0, 60, 301)
    law = DENSITIES[name](train, two_sided=two_sided)
    log_p = law.log_pvalues(grid[:, np.newaxis])[:, 0]
    assert np.all(np.isfinite(log_p)) and np.all(log_p <= 0)
    top = log_p.argmax()
    assert np.all(np.diff(log_p[top:]) <= 1e-12)
    assert np.all(np.diff(log_p[: top + 1]) >= -1e-12)
    assert two_sided or top == 0


@NAMES
@SIDES
def test_beyond_the_training_rows_a_larger_residual_is_always_stranger(name, two_sided):
    law = DENSITIES[name](residuals(two_sided=two_sided), two_sided=two_sided)
    far = np.geomspace(5, 1e6, 100)[:, np.newaxis] * [1, -1 if two_sided else 1]
    assert np.all(np.diff(law.log_pvalues(far), axis=0) < 0)


@NAMES
@SIDES
@pytest.mark.parametrize(("unit", "origin"), [(1e5, -3e5), (7.0, 0.0), (1.0, 99.0)])
def test_the_unit_of_a_sensor_is_irrelevant(name, two_sided, unit, origin):
    # Residuals far above the floor, which is in standard deviations of a sensor.
    train = 9 * residuals(300, two_sided=two_sided)
    test = 20 * residuals(50, seed=1, two_sided=two_sided)
    origin = origin if two_sided else 0.0
    here = DENSITIES[name](train, two_sided=two_sided).log_pvalues(test)
    other = DENSITIES[name](origin + unit * train, two_sided=two_sided)
    assert_allclose(other.log_pvalues(origin + unit * test), here, rtol=1e-6, atol=1e-9)


@NAMES
@SIDES
def test_sensors_have_nothing_to_do_with_each_other(name, two_sided):
    train = residuals(500, 3, two_sided=two_sided)
    alone = DENSITIES[name](train[:, 1:2], two_sided=two_sided).log_pvalues(
        train[:, 1:2]
    )
    together = DENSITIES[name](train, two_sided=two_sided).log_pvalues(train)
    assert_array_equal(together[:, 1:2], alone)


@NAMES
@SIDES
def test_what_was_not_observed_has_no_pvalue_and_teaches_nothing(name, two_sided):
    train = residuals(500, 3, two_sided=two_sided)
    train[:, 1] = np.nan
    train[::3, 2] = np.nan
    law = DENSITIES[name](train, two_sided=two_sided)
    log_p = law.log_pvalues(train)
    seen = ~np.isnan(train[:, 2])
    assert_array_equal(np.isnan(log_p), np.isnan(train))
    assert np.all(np.isnan(law.log_pvalues(np.ones((4, 3)))[:, 1]))
    compact = DENSITIES[name](train[seen, 2:], two_sided=two_sided)
    assert_array_equal(compact.log_pvalues(train[seen, 2:])[:, 0], log_p[seen, 2])


@NAMES
@SIDES
@pytest.mark.parametrize("n_rows", [1, 2, 3, 10, 500])
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_constant_residuals_are_usual_and_larger_ones_are_not(
    name, two_sided, n_rows, level
):
    law = DENSITIES[name](np.full((n_rows, 1), level), two_sided=two_sided)
    usual, rounding, far = law.log_pvalues(level + np.array([[0], [1e-6], [5]]))[:, 0]
    assert usual > np.log(0.3)
    assert_allclose(rounding, usual, atol=1.0 if name == "empirical" else 1e-3)
    assert far < np.log(0.6) if n_rows == 1 else far < usual - np.log(2)


@SIDES
def test_many_equal_residuals_leave_room_for_the_others(two_sided):
    values = residuals(2000, 1, two_sided=two_sided)
    values[::2] = 0
    log_p = DENSITIES["gmm"](values, two_sided=two_sided).log_pvalues(values)
    assert np.mean(log_p < np.log(0.01)) < 0.02


def test_one_normal_distribution_has_the_moments_of_the_residuals():
    train = np.random.default_rng(0).normal([3.0, -1.0], [2.0, 0.5], size=(500, 2))
    z = (train[:50] - train.mean(axis=0)) / train.std(axis=0)
    found = {
        two_sided: DENSITIES["normal"](train, two_sided=two_sided)
        for two_sided in (False, True)
    }
    one_sided = found[False].log_pvalues(train[:50])
    assert_allclose(one_sided, stats.norm.logsf(z))
    two_sided = found[True].log_pvalues(train[:50])
    assert_allclose(two_sided, np.log(2) + stats.norm.logsf(np.abs(z)))
