"""Categories of images, as they are given or found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import adjusted_rand_score

from skad._categories import Clusters, given_categories

rng = np.random.default_rng(0)


def random_state(seed=0):
    return np.random.RandomState(seed)


def blobs(n_clusters, n_rows=60, seed=0):
    """Rows around far corners, and the number of the corner of each."""
    labels = np.arange(n_rows) % n_clusters
    noise = np.random.default_rng(seed).normal(size=(n_rows, n_clusters))
    return 10 * np.eye(n_clusters)[labels] + 0.3 * noise, labels


@pytest.mark.parametrize(
    "y",
    [
        ["screw", "cable", "screw"],
        [3, 0, 3],
        [0, 1, 0],
        [1, 2, 1],
        [-1, 0, 1],
        [2.0, 1.0, 2.0],
        ["-1", "1", "1"],
        np.array(["a", "b", "a"], dtype=object),
        np.array([7, 8, 7], dtype=np.uint8),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_categories_are_taken_as_they_are(y, kind):
    found = given_categories(kind(y), 3)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == list(y)


def test_pandas_categories_are_their_values():
    y = pd.Series(pd.Categorical(["b", "a", "b"], categories=["b", "a", "c"]))
    assert_array_equal(given_categories(y, 3), ["b", "a", "b"])


@pytest.mark.parametrize(
    "y",
    [None, [1, -1, 1], [1, 1, 1], [-1, -1, -1], [1.0, -1.0, 1.0]],
    ids=repr,
)
def test_labels_of_anomalies_are_no_categories(y):
    assert given_categories(y, 3) is None


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.5, 1.5, 2.0], "Unknown label type: continuous"),
        ([1, 2], "inconsistent numbers of samples"),
        ([[1, 2], [2, 1], [1, 1]], "y should be a 1d array"),
        (3, "y should be a 1d array"),
        ([1.0, np.nan, 2.0], "y has missing labels"),
        (np.array(["a", None, "b"], dtype=object), "y has missing labels"),
        (np.array(["a", np.nan, "b"], dtype=object), "y has missing labels"),
        (pd.array([1, None, 2], dtype="Int64"), "y has missing labels"),
        (np.array(["a", 1, "b"], dtype=object), "y mixes labels of the types int, str"),
        (np.array(["a", True, 2], dtype=object), "types bool, int, str"),
        ([True, False, True], "y has labels that are True or False"),
        ([True, True, True], "y has labels that are True or False"),
    ],
    ids=str,
)
def test_what_are_no_categories_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        given_categories(y, 3)


def test_a_column_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        found = given_categories([[1], [2], [1]], 3)
    assert found.tolist() == [1, 2, 1]


@pytest.mark.parametrize("n_clusters", range(2, 9))
@pytest.mark.parametrize("given", [True, False], ids=["given", "auto"])
def test_planted_clusters_are_found(n_clusters, given):
    rows, labels = blobs(n_clusters)
    clusters = Clusters(n_clusters if given else "auto")
    assert clusters.fit(rows, random_state()) is clusters
    assert clusters.n_clusters_ == n_clusters
    found = clusters.predict(rows)
    assert adjusted_rand_score(labels, found) == 1
    assert_array_equal(np.unique(found), np.arange(n_clusters))
    new, new_labels = blobs(n_clusters, seed=1)
    assert adjusted_rand_score(new_labels, clusters.predict(new)) == 1


@pytest.mark.parametrize("n_features", [8, 20])
def test_a_single_blob_is_one_category(n_features):
    rows = rng.normal(size=(150, n_features))
    clusters = Clusters("auto").fit(rows, random_state())
    assert clusters.n_clusters_ == 1
    assert set(clusters.predict(rows)) == {0}


def test_a_wished_number_is_kept_even_where_there_are_no_clusters():
    rows = rng.normal(size=(60, 8))
    assert Clusters(3).fit(rows, random_state()).n_clusters_ == 3
    assert Clusters(1).fit(rows, random_state()).n_clusters_ == 1


@pytest.mark.parametrize("n_clusters", ["auto", 3])
@pytest.mark.parametrize("n_rows", [1, 2, 40])
def test_rows_that_are_all_the_same_are_one_category(n_clusters, n_rows):
    rows = np.full((n_rows, 4), 0.1)
    clusters = Clusters(n_clusters).fit(rows, random_state())
    assert clusters.n_clusters_ == 1
    assert_array_equal(clusters.predict(rows), np.zeros(n_rows))
    assert clusters.predict(rows[:1] + 5).tolist() == [0]


def test_there_are_no_more_clusters_than_distinct_rows():
    rows = np.repeat(3 * np.eye(3), 10, axis=0)
    clusters = Clusters(7).fit(rows, random_state())
    assert clusters.n_clusters_ == 3
    assert len(np.unique(clusters.predict(rows))) == 3
    assert Clusters("auto").fit(rows[:20], random_state()).n_clusters_ in (1, 2)


@settings(max_examples=20)
@given(st.integers(1, 12), st.sampled_from(["auto", 1, 5]), st.integers(0, 99))
def test_any_few_rows_have_categories(n_rows, n_clusters, seed):
    rows = np.random.default_rng(seed).integers(0, 3, size=(n_rows, 2)).astype(float)
    clusters = Clusters(n_clusters).fit(rows, random_state())
    assert 1 <= clusters.n_clusters_ <= min(n_rows, 10)
    assert clusters.predict(rows).max() < clusters.n_clusters_


@pytest.mark.parametrize("level", [0.1, 1e6])
@pytest.mark.parametrize("noise", [2e-16, 1e-13, 1e-10])
def test_rounding_makes_no_clusters(level, noise):
    rows = level * (1 + noise * rng.normal(size=(40, 3)))
    for n_clusters in ("auto", 4):
        clusters = Clusters(n_clusters).fit(rows, random_state())
        assert clusters.n_clusters_ == 1
    # Nor does it hide those that there are.
    planted, labels = blobs(2, n_rows=40)
    clusters = Clusters("auto").fit(np.c_[rows, planted], random_state())
    assert adjusted_rand_score(labels, clusters.predict(np.c_[rows, planted])) == 1


def test_every_column_counts_the_same():
    rows, _ = blobs(4)
    scale, shift = np.array([1e-3, 1.0, 1e4, 50.0]), np.array([0.0, -7.0, 1e4, 3.0])
    plain = Clusters("auto").fit(rows, random_state()).predict(rows)
    scaled = Clusters("auto").fit(scale * rows + shift, random_state())
    assert_array_equal(scaled.predict(scale * rows + shift), plain)


def test_clusters_follow_the_seed():
    rows = rng.normal(size=(200, 3))
    one, other = (Clusters(6).fit(rows, random_state(1)).predict(rows) for _ in "ab")
    assert_array_equal(one, other)
    assert np.any(Clusters(6).fit(rows, random_state(2)).predict(rows) != one)


def test_many_rows_in_the_order_of_their_categories_are_told_apart():
    rows, labels = blobs(4, n_rows=3000)
    order = np.argsort(labels, kind="stable")
    clusters = Clusters("auto").fit(rows[order], random_state())
    assert clusters.n_clusters_ == 4
    assert adjusted_rand_score(labels, clusters.predict(rows)) == 1
