"""Data with classes as data with anomalies."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from skad.datasets import one_against_rest

X = np.arange(60.0).reshape(30, 2)
Y = np.repeat([0, 1, 2], 10)


def test_classes_become_labels_and_rows_stay_together():
    kept, y = one_against_rest(X, Y, outliers=1, outlier_rate=None, random_state=0)
    rows = (kept[:, 0] / 2).astype(int)
    assert sorted(rows) == list(range(30))
    assert_array_equal(kept, X[rows])
    assert_array_equal(y == -1, Y[rows] == 1)
    assert set(y.tolist()) == {-1, 1}


def test_several_classes_can_be_anomalous():
    _, y = one_against_rest(X, Y, outliers=[0, 2], outlier_rate=None)
    assert np.sum(y == -1) == 20


@given(st.floats(1e-6, 1 / 3))
def test_outlier_rate_is_met_to_half_a_sample(rate):
    _, y = one_against_rest(X, Y, outliers=1, outlier_rate=rate, random_state=0)
    assert np.sum(y == 1) == 20
    expected = max(1, 20 * rate / (1 - rate))
    assert np.sum(y == -1) == pytest.approx(expected, abs=0.5)


def test_samples_are_shuffled_and_determined_by_the_seed():
    first, again, other = (
        one_against_rest(X, Y, outliers=0, random_state=seed)[0] for seed in (0, 0, 1)
    )
    assert_array_equal(first, again)
    assert np.any(first != other)
    assert np.any(np.diff(first[:, 0]) < 0)


@pytest.mark.parametrize(
    "kind", [np.asarray, sparse.csr_array, pd.DataFrame, np.ndarray.tolist]
)
def test_container_is_kept(kind):
    given_X = kind(X)
    kept, y = one_against_rest(given_X, Y, outliers=0, random_state=0)
    assert kept.shape == (len(y), 2)
    if not isinstance(given_X, list):
        assert type(kept) is type(given_X)


def test_classes_can_be_strings():
    names = np.array(["a", "b", "c"])[Y]
    kept, y = one_against_rest(X, names, outliers="b", random_state=0)
    assert np.all((kept[y == -1, 0] >= 20) & (kept[y == -1, 0] < 40))


@pytest.mark.parametrize("outliers", [3, "1", [], [0, 1, 2], [0, 7]])
def test_unknown_or_all_classes_raise(outliers):
    with pytest.raises(ValueError, match=r"expected some, but not all, of the classes"):
        one_against_rest(X, Y, outliers=outliers)


@pytest.mark.parametrize(
    ("rate", "error", "message"),
    [
        (
            0.4,
            ValueError,
            r"needs 13 anomalies .* there are 10; expected at most 0.333",
        ),
        (0, ValueError, "outlier_rate == 0, must be > 0"),
        (0.6, ValueError, r"outlier_rate == 0.6, must be <= 0.5"),
        ("0.1", TypeError, "outlier_rate must be an instance of"),
    ],
)
def test_impossible_rate_raises(rate, error, message):
    with pytest.raises(error, match=message):
        one_against_rest(X, Y, outliers=0, outlier_rate=rate)


def test_lengths_that_differ_raise():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        one_against_rest(X, Y[:-1], outliers=0)
