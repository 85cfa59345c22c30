"""From errors to p-values of one system: what its steps share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skad._system_model import _reduction, _strongest


@pytest.mark.parametrize("n_parameters", [5, 30, 60])
@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_reduced_errors_are_as_large_as_those_to_come(n_parameters, n_folds):
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(2, 600, n_parameters))
    # Sensors of all sizes: the reduction is of each.
    y, to_come = rng.normal(scale=np.geomspace(1, 1e3, 40), size=(2, 600, 40))
    held_out = np.empty(y.shape)
    for rows in np.split(np.arange(600), n_folds):
        others = np.delete(np.arange(600), rows)
        weights = np.linalg.lstsq(X[others], y[others], rcond=None)[0]
        held_out[rows] = y[rows] - X[rows] @ weights
    weights = np.linalg.lstsq(X, y, rcond=None)[0]
    own, to_come = y - X @ weights, to_come - new @ weights
    reduced = held_out * _reduction(held_out, own, 1 - 1 / n_folds)
    ratios = np.mean(to_come**2, axis=0) / np.mean(reduced**2, axis=0)
    assert_allclose(ratios, 1, atol=0.35)
    assert ratios.mean() == pytest.approx(1, abs=0.03)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(2, 20))
def test_errors_are_never_enlarged_and_never_reduced_by_much(held_out, own, n_folds):
    held_out, own = (np.array([[e], [np.nan]]) for e in (held_out, own))
    (reduction,) = _reduction(held_out, own, 1 - 1 / n_folds)
    assert np.sqrt(2 / 3) - 1e-9 <= reduction <= 1
    assert _reduction(np.minimum(held_out, own), own, 1 - 1 / n_folds) == [1]


@given(st.lists(st.floats(-800, 0), min_size=2, max_size=4))
def test_the_least_of_several_pvalues_is_adjusted_for_their_number(log_pvalues):
    found = _strongest([np.array([p]) for p in log_pvalues])[0]
    n, least = len(log_pvalues), min(log_pvalues)
    if least > -20:
        expected = np.log1p(-((-np.expm1(least)) ** n))
    else:
        expected = least + np.log(n)
    assert_allclose(found, expected, rtol=1e-6)
    assert least <= found <= 0
