import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skad import UnsupervisedRandomForest
from skad.datasets import make_planted_anomalies
from skad.inspection import explain
from skad.metrics import roc_auc_score


@pytest.mark.parametrize("similarity", ["normalized_gap", "breiman"])
def test_attributions_sum_to_the_distance(similarity):
    X = np.random.default_rng(0).normal(size=(150, 4))
    forest = UnsupervisedRandomForest(50, similarity=similarity, random_state=0).fit(X)
    attributions = explain(forest, X)
    assert (attributions >= 0).all()
    np.testing.assert_allclose(attributions.sum(axis=1), -forest.score_samples(X))


def test_planted_anomalies_are_found_and_explained():
    X, y, mask = make_planted_anomalies(kind="extreme", random_state=0)
    forest = UnsupervisedRandomForest(100, random_state=0).fit(X)
    assert roc_auc_score(y, forest.score_samples(X)) > 0.9
    anomalies = y == -1
    top = np.argsort(-forest.explain(X[anomalies]), axis=1)[
        :, : mask[anomalies][0].sum()
    ]
    assert np.take_along_axis(mask[anomalies], top, axis=1).mean() > 0.8


def test_constant_column_gets_no_attribution():
    X = np.random.default_rng(0).normal(size=(100, 3))
    X[:, 1] = 7
    forest = UnsupervisedRandomForest(20, random_state=0).fit(X)
    assert (forest.explain(X)[:, 1] == 0).all()


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_scores_do_not_depend_on_scale_and_location(seed, scale, shift):
    X = np.random.default_rng(seed).normal(size=(60, 3))
    forest = UnsupervisedRandomForest(10, random_state=0)
    scores = forest.fit(X).score_samples(X)
    moved = X * [scale, 1, 1] + [shift, 0, 0]
    np.testing.assert_allclose(
        forest.fit(moved).score_samples(moved), scores, atol=1e-6
    )


@given(seed=st.integers(0, 1000))
def test_proximity_is_a_similarity_in_the_unit_interval(seed):
    X = np.random.default_rng(seed).normal(size=(40, 3))
    X[1] = X[0]
    P = UnsupervisedRandomForest(10, random_state=0).fit(X).proximity(X)
    assert P.min() >= 0 and P.max() <= 1
    np.testing.assert_allclose(P, P.T)
    np.testing.assert_allclose(np.diag(P), 1)
    np.testing.assert_allclose(P[0, 1], 1)


def test_missing_entries_are_scored_and_empty_columns_refused():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    forest = UnsupervisedRandomForest(50, random_state=0).fit(X)
    assert forest.score_samples([[9, np.nan, 9]]) < forest.score_samples([[0, 0, 0]])
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"Columns \[2\]"):
        forest.fit(X)


def test_rare_and_unseen_categories_are_strange():
    pd = pytest.importorskip("pandas")
    colours = ["red", "blue"] * 100
    table = pd.DataFrame({"size": np.arange(200) % 7, "colour": colours})
    forest = UnsupervisedRandomForest(100, random_state=0).fit(table)
    rows = pd.DataFrame({"size": [3, 3], "colour": ["red", "green"]})
    usual, unseen = forest.score_samples(rows)
    assert unseen < usual
    assert forest.explain(rows)[1].argmax() == 1
