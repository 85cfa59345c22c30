"""Residuals: what errors of forecasts are lately."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad._densities import DENSITIES
from skad._residuals import RESIDUALS, Residuals

KINDS = pytest.mark.parametrize("kind", RESIDUALS)
BOUNDS = np.array([0, 40, 100])
ERRORS = np.random.default_rng(0).normal(0.5, 1.0, size=(100, 3))


def fitted(kind, smoothing=4.0, errors=ERRORS):
    residuals = Residuals(kind, smoothing)
    residuals.fit(errors, BOUNDS)
    return residuals


def in_one_go(residuals, errors):
    return residuals(errors, residuals.start())[0]


@pytest.mark.parametrize("kind", ["point", "signed"])
def test_the_mean_is_exponentially_weighted_from_the_usual_error_on(kind):
    sizes = np.abs(ERRORS) if kind == "point" else ERRORS
    last, expected = sizes.mean(axis=0), []
    for row in sizes[:40]:
        last = 0.8 * last + 0.2 * row
        expected.append(last)
    residuals = Residuals(kind, 4.0)
    assert_allclose(residuals.fit(ERRORS, BOUNDS)[:40], expected)


def test_without_smoothing_a_residual_is_the_error():
    assert_allclose(in_one_go(fitted("signed", 0.0), ERRORS), ERRORS)
    assert_allclose(in_one_go(fitted("point", 0.0), ERRORS), np.abs(ERRORS))


def test_an_area_is_the_trapezoid_over_ten_rows():
    areas = in_one_go(fitted("area", 0.0), ERRORS)
    expected = [np.trapezoid(ERRORS[t - 9 : t + 1], axis=0) for t in range(9, 100)]
    assert_allclose(areas[9:], expected)


@KINDS
def test_a_series_of_usual_errors_begins_as_it_goes_on(kind):
    usual = np.full((30, 3), 0.7)
    residuals = Residuals(kind, 10.0)
    residuals.fit(usual, np.array([0, 30]))
    found = in_one_go(residuals, usual)
    assert_allclose(found, np.broadcast_to(found[-1], found.shape))


@KINDS
def test_each_series_of_the_training_data_begins_anew(kind):
    residuals = Residuals(kind, 4.0)
    together = residuals.fit(ERRORS, BOUNDS)
    assert_allclose(together[40:], in_one_go(residuals, ERRORS[40:]))


@given(
    st.sampled_from(RESIDUALS),
    st.lists(st.integers(0, 60), max_size=6),
    st.floats(0, 30),
    st.booleans(),
)
def test_rows_in_pieces_get_the_residuals_of_the_whole(kind, cuts, smoothing, gaps):
    errors = ERRORS[:60].copy()
    if gaps:
        errors[10:30, 1] = np.nan
    residuals = fitted(kind, smoothing)
    state, parts = residuals.start(), []
    for part in np.split(errors, sorted(cuts)):
        found, state = residuals(part, state)
        parts.append(found)
    assert_allclose(np.concatenate(parts), in_one_go(residuals, errors), atol=1e-12)


@KINDS
def test_a_gap_counts_as_usual_and_has_no_residual(kind):
    residuals = fitted(kind)
    errors = ERRORS[:30].copy()
    errors[10:, 1] = np.nan
    found, (_, last) = residuals(errors, residuals.start())
    assert_array_equal(np.isnan(found), np.isnan(errors))
    before = found[9, 1]
    assert abs(last[1] - residuals.usual[1]) < 0.1 * abs(before - residuals.usual[1])
    others = [0, 2]
    complete = in_one_go(residuals, ERRORS[:30])
    assert_allclose(found[:, others], complete[:, others])


@KINDS
def test_only_residuals_without_a_sign_are_one_sided(kind):
    has_sign = kind in ("signed", "area")
    assert fitted(kind).two_sided is has_sign
    smallest = in_one_go(fitted(kind), ERRORS).min()
    assert (smallest < 0) == has_sign


@pytest.mark.parametrize("density", DENSITIES)
def test_evidence_is_minus_the_log_of_the_pvalue_of_a_size(density):
    residuals = Residuals("evidence", 0.0, density=density)
    found = residuals.fit(ERRORS, BOUNDS)
    law = DENSITIES[density](np.abs(ERRORS), two_sided=False)
    assert_allclose(found, -law.log_pvalues(np.abs(ERRORS)))


@KINDS
def test_means_of_both_sides_are_the_same_backwards(kind):
    if kind == "area":  # it looks back itself
        return
    residuals = Residuals(kind, 10.0, causal=False)
    errors = np.random.default_rng(1).normal(size=(500, 2))
    found = residuals.fit(errors, np.array([0, 500]))
    backwards = in_one_go(residuals, errors[::-1])[::-1]
    assert_allclose(found[100:400], backwards[100:400], rtol=1e-6)


def test_means_of_both_sides_have_the_width_of_the_others():
    impulse = np.zeros((401, 1))
    impulse[200] = 1.0
    widths = {}
    for causal in (True, False):
        residuals = Residuals("signed", 10.0, causal=causal)
        residuals.fit(np.zeros((401, 1)), np.array([0, 401]))
        weights = in_one_go(residuals, impulse)[:, 0]
        distance = np.abs(np.arange(401) - 200)
        widths[causal] = weights @ distance / weights.sum()
    assert 0.4 < widths[False] / widths[True] < 1.0
