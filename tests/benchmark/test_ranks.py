"""Whether mean ranks differ: published values, and groups that hold together."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from sklearn.base import BaseEstimator

from skad.benchmark import compare
from skad.benchmark._ranks import critical_difference, rank_test


@pytest.mark.parametrize(
    ("n_detectors", "q"),
    # Table 5 of Demšar (2006), at the level of .05.
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)],
)
def test_the_critical_difference_is_that_of_the_published_table(n_detectors, q):
    expected = q * np.sqrt(n_detectors * (n_detectors + 1) / (6 * 14))
    found = critical_difference(n_detectors, 14, 0.05)
    assert found == pytest.approx(expected, abs=1e-3)


def test_the_published_example_of_four_classifiers():
    # Section 3.2.4 of Demšar (2006): chi squared 9.28 with 3 degrees of freedom; the
    # mean ranks of 14 data sets.
    scores = np.array(
        [
            [0.763, 0.768, 0.771, 0.798],
            [0.599, 0.591, 0.590, 0.569],
            [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657],
            [0.882, 0.888, 0.886, 0.898],
            [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685],
            [0.583, 0.583, 0.563, 0.625],
            [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000],
            [0.940, 0.962, 0.965, 0.962],
            [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.9751, 0.975],
            [0.957, 0.978, 0.946, 0.970],
        ]
    )
    ranks = pd.DataFrame(scores, columns=list("abcd")).rank(axis=1, ascending=False)
    means = ranks.mean().round(3).tolist()
    assert means == [3.143, 2.0, 2.893, 1.964]
    test = rank_test(ranks[["d", "b", "c", "a"]], 0.05)
    assert test.critical_difference == pytest.approx(1.25, abs=0.01)
    assert test.groups == [["d", "b", "c", "a"]]
    # Printed without the correction for ties, three pairs and one set of all four.
    ties = (3 * (2**3 - 2) + (4**3 - 4)) / (14 * (4**3 - 4))
    assert chi2.isf(test.pvalue, 3) * (1 - ties) == pytest.approx(9.28, abs=0.01)


@given(
    st.lists(st.permutations(range(5)), min_size=2, max_size=8),
    st.floats(0.01, 0.5),
)
def test_groups_are_the_maximal_sets_within_one_critical_difference(rows, alpha):
    ranks = pd.DataFrame(np.array(rows) + 1.0, columns=list("abcde"))
    ranks = ranks[ranks.mean().sort_values().index]
    test, means = rank_test(ranks, alpha), ranks.mean()
    joined = {
        frozenset((left, right))
        for group in test.groups
        for left in group
        for right in group
        if left != right
    }
    close = {
        frozenset((left, right))
        for left in ranks
        for right in ranks
        if left != right and abs(means[left] - means[right]) <= test.critical_difference
    }
    assert joined == close
    assert not any(set(a) < set(b) for a in test.groups for b in test.groups)
    assert 0 <= test.pvalue <= 1


class Column(BaseEstimator):
    """Scores by one column."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return X[:, self.column]


def test_detectors_that_always_differ_are_told_apart_and_equal_ones_are_not():
    rng = np.random.default_rng(0)
    y = np.arange(60) < 20
    data = {}
    for name in range(12):
        noise = rng.normal(size=(60, 3))
        data[f"{name}"] = noise - [9, 0, -9] * y[:, np.newaxis], y
    detectors = {f"{column}": Column(column) for column in range(3)}
    test = compare(detectors, data, seeds=1).rank_test()
    assert test.pvalue < 0.001
    assert test.groups == []
    same = {name: Column(0) for name in "abc"}
    test = compare(same, data, seeds=1).rank_test()
    assert test.pvalue == 1
    assert test.groups == [["a", "b", "c"]]


def test_two_detectors_or_one_data_set_cannot_be_tested():
    X, y = np.arange(60.0).reshape(-1, 1), np.arange(60) < 20
    three = {name: Column() for name in "abc"}
    assert compare(three, {"a": (X, y)}, seeds=1).rank_test() is None
    two = {name: Column() for name in "ab"}
    assert compare(two, {"a": (X, y), "b": (-X, y)}, seeds=1).rank_test() is None
