import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skad import UnsupervisedRandomForest
from skad._columns import column_support
from skad._forests import _draw_uniform
from skad.datasets import make_planted_anomalies
from skad.inspection import explain
from skad.metrics import roc_auc_score

X = np.random.default_rng(0).normal(size=(150, 4))
PAPER = {"splitter": "best", "similarity": "gap", "aggregation": "median", "core": 0.5}
WAYS = [
    {},
    {"similarity": "gap"},
    {"similarity": "breiman"},
    {"splitter": "best", "aggregation": "median", "similarity": "breiman"},
    {"splitter": "best"},
    PAPER,
]
EACH_WAY = pytest.mark.parametrize("way", WAYS, ids=str)


def fitted(way=None, X=X, n_estimators=30):
    return UnsupervisedRandomForest(n_estimators, random_state=0, **(way or {})).fit(X)


def aggregate(similarity, way):
    mean, median = similarity.mean(axis=1), np.median(similarity, axis=1)
    if way.get("aggregation") == "median":
        return median + 1e-6 * (mean - median)
    return mean


@EACH_WAY
def test_a_score_is_minus_the_distance_to_the_core(way):
    forest = fitted(way)
    similarity = forest.proximity(X, forest._core_rows)
    expected = aggregate(similarity, way) - 1
    np.testing.assert_allclose(forest.score_samples(X), expected, atol=1e-12)


@EACH_WAY
def test_the_core_is_the_most_central_part(way):
    forest = fitted(way)
    n_core = int(np.ceil(way.get("core", 0.75) * 150))
    assert len(forest._core_rows) == n_core
    similarity = forest.proximity(X)
    centrality = aggregate(similarity, way)
    is_core = (X[:, np.newaxis] == forest._core_rows).all(axis=2).any(axis=1)
    assert centrality[is_core].min() >= centrality[~is_core].max() - 1e-12


@pytest.mark.parametrize("splitter", ["random", "best"])
@pytest.mark.parametrize("similarity", ["normalized_gap", "gap", "breiman"])
def test_proximity_follows_its_formula(splitter, similarity):
    forest = fitted({"splitter": splitter, "similarity": similarity})
    leaves = forest._forest.apply(X[:20])
    ratio = 1 if similarity == "gap" or splitter == "best" else 30
    mass = forest._forest.n_real + forest._forest.n_synthetic / ratio
    weight = np.ones(len(mass)) if similarity == "breiman" else 1 / (mass + 1)
    equal = leaves[:, np.newaxis] == leaves
    expected = (equal * weight[leaves][:, np.newaxis]).mean(axis=2)
    if similarity == "normalized_gap":
        own = np.sqrt(np.diag(expected))
        expected = expected / np.outer(own, own)
    np.testing.assert_allclose(forest.proximity(X[:20]), expected)


@pytest.mark.parametrize("splitter", ["random", "best"])
def test_rows_of_gap_sum_to_one_over_real_and_synthetic_rows(splitter):
    forest = fitted({"splitter": splitter})
    proximities = forest.gap_proximity(X)
    leaves = forest._forest.apply(X)
    is_out = np.ones(leaves.shape, dtype=bool)
    for tree, bag in enumerate(forest._forest.in_bag()):
        is_out[bag, tree] = False
    n_real, n_synthetic = forest._forest.n_real, forest._forest.n_synthetic
    mass = n_real + n_synthetic
    counted = is_out & (mass[leaves] > 0)
    share = n_synthetic[leaves] / np.maximum(mass[leaves], 1)
    synthetic = (share * counted).sum(axis=1) / counted.sum(axis=1)
    np.testing.assert_allclose(proximities.sum(axis=1) + synthetic, 1)
    assert (proximities.diagonal() == 0).all()
    assert proximities.min() >= 0 and proximities.max() <= 1


def test_gap_votes_as_scikit_learns_forest_does_out_of_bag():
    forest = fitted({"splitter": "best"})
    votes = forest.gap_proximity(X).sum(axis=1)
    classifier = forest._forest._classifier
    Z = forest._forest._expand(X)
    expected, n_out = np.zeros(150), np.zeros(150)
    for tree, bag in zip(
        classifier.estimators_, classifier.estimators_samples_, strict=True
    ):
        is_out = ~np.isin(np.arange(150), bag)
        expected[is_out] += tree.predict_proba(Z[is_out])[:, 1]
        n_out += is_out
    np.testing.assert_allclose(votes, expected / n_out)


def test_gap_is_the_mean_over_trees_of_one_over_the_rows_in_the_leaf():
    forest = fitted({"max_samples": 60})
    new = np.random.default_rng(1).normal(size=(5, 4))
    leaves, train = forest._forest.apply(new), forest._forest.apply(X)
    mass = forest._forest.n_real + forest._forest.n_synthetic
    expected, n_counted = np.zeros((5, 150)), np.zeros((5, 1))
    for tree, bag in enumerate(forest._forest.in_bag()):
        counted = mass[leaves[:, tree]] > 0
        n_counted[:, 0] += counted
        for j in bag:
            shared = counted & (leaves[:, tree] == train[j, tree])
            expected[shared, j] += 1 / mass[train[j, tree]]
    proximities = forest.gap_proximity(X, new)
    np.testing.assert_allclose(proximities.toarray(), expected / n_counted)


def test_symmetric_gap_is_the_mean_of_both_directions():
    forest = fitted()
    proximities = forest.gap_proximity(X).toarray()
    assert not np.allclose(proximities, proximities.T)
    symmetric = forest.gap_proximity(X, symmetric=True).toarray()
    np.testing.assert_allclose(symmetric, (proximities + proximities.T) / 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[::-1], "expected the same rows in the same order"),
        (lambda X: X[:-1], "X_train has 149 rows; fit saw 150"),
        (lambda X: X + 1, "expected the same rows in the same order"),
    ],
)
def test_gap_refuses_what_are_not_the_training_rows(change, message):
    with pytest.raises(ValueError, match=message):
        fitted().gap_proximity(change(X))


def test_gap_refuses_what_has_no_meaning():
    with pytest.raises(ValueError, match="symmetric=True has no meaning"):
        fitted().gap_proximity(X, X[:3], symmetric=True)
    with pytest.raises(ValueError, match="in the bag of every tree.*n_estimators"):
        fitted(n_estimators=1).gap_proximity(X)


@given(seed=st.integers(0, 1000), splitter=st.sampled_from(["random", "best"]))
@settings(max_examples=20)
def test_proximity_is_a_similarity_in_the_unit_interval(seed, splitter):
    X = np.random.default_rng(seed).normal(size=(40, 3))
    X[1] = X[0]
    forest = fitted({"splitter": splitter}, X, n_estimators=10)
    P = forest.proximity(X)
    assert P.min() >= 0 and P.max() <= 1
    np.testing.assert_allclose(P, P.T)
    np.testing.assert_allclose(np.diag(P), 1)
    np.testing.assert_allclose(P[0, 1], 1)
    assert np.linalg.eigvalsh(P).min() > -1e-9
    order = np.random.default_rng(seed).permutation(40)
    np.testing.assert_array_equal(forest.proximity(X[order]), P[order][:, order])
    graph = forest.kneighbors_graph(X, n_neighbors=1)
    assert graph[0, 1] == graph[1, 0] == 1 - P[0, 1]


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
@settings(max_examples=50)
def test_scores_do_not_depend_on_scale_and_location(seed, scale, shift):
    X = np.random.default_rng(seed).normal(size=(60, 3))
    X[:, 2] = np.rint(X[:, 2])
    moved = X * [scale, 1, scale] + [shift, 0, shift]
    scores = fitted(X=X, n_estimators=10).score_samples(X)
    moved_scores = fitted(X=moved, n_estimators=10).score_samples(moved)
    np.testing.assert_allclose(moved_scores, scores, atol=1e-9)


@EACH_WAY
def test_attributions_sum_to_the_distance(way):
    forest = fitted(way)
    attributions = explain(forest, X)
    assert (attributions >= 0).all()
    np.testing.assert_allclose(
        attributions.sum(axis=1), -forest.score_samples(X), atol=1e-12
    )


@pytest.mark.parametrize("splitter", ["random", "best"])
@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_a_removed_feature_gets_no_attribution(splitter, seed):
    X = np.random.default_rng(seed).normal(size=(80, 3))
    X[:, 1] = 7
    attributions = fitted({"splitter": splitter}, X, 10).explain(X)
    assert (attributions[:, 1] == 0).all() and (attributions[:, [0, 2]] > 0).any()


@pytest.mark.parametrize("splitter", ["random", "best"])
def test_planted_anomalies_are_found_and_explained(splitter):
    X, y, mask = make_planted_anomalies(kind="extreme", random_state=0)
    forest = fitted({"splitter": splitter}, X, 100)
    assert roc_auc_score(y, forest.score_samples(X)) > 0.9
    anomalies = y == -1
    n_planted = mask[anomalies][0].sum()
    top = np.argsort(-forest.explain(X[anomalies]), axis=1)[:, :n_planted]
    assert np.take_along_axis(mask[anomalies], top, axis=1).mean() > 0.8


@pytest.mark.parametrize("n_samples", [110, 1000])
def test_a_tight_cluster_of_anomalies_does_not_hide_itself(n_samples):
    rng = np.random.default_rng(0)
    n_strange = n_samples // 12
    cluster = rng.normal(size=(n_strange, 4)) * 0.7 + [4, -4, 4, -4]
    X = np.vstack([rng.normal(size=(n_samples, 4)), cluster])
    y = np.repeat([1, -1], [n_samples, n_strange])
    assert roc_auc_score(y, fitted(X=X, n_estimators=300).score_samples(X)) > 0.9


def test_few_rows_tie_on_a_table_of_few_values():
    X = np.column_stack([np.arange(300) % 7, np.arange(300) % 2])
    scores = fitted(X=X, n_estimators=100).score_samples(X)
    assert np.mean(scores == -1) < 0.05


@pytest.mark.parametrize("splitter", ["random", "best"])
def test_missing_entries_are_scored(splitter):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    X[(np.isnan(X)).all(axis=1), 0] = 0
    forest = fitted({"splitter": splitter}, X, 50)
    far, near = forest.score_samples([[9, np.nan, 9], [0, 0, 0]])
    assert far < near


def test_a_gap_is_strange_where_missing_entries_are_informative():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) / 4 + np.repeat([[0.0], [9.0]], 150, axis=0)
    X[0, 0] = np.nan
    ranks = []
    for informative in (False, True):
        scores = fitted({"informative_missing": informative}, X, 100).score_samples(X)
        ranks.append(np.count_nonzero(scores < scores[0]))
    assert ranks[1] < ranks[0] / 2


@pytest.mark.parametrize("informative", [False, True])
def test_uniform_rows_have_the_gaps_of_real_ones_unless_gaps_are_informative(
    informative,
):
    holes = X.copy()
    holes[:75, 1] = np.nan
    support = column_support(holes, np.zeros(4, dtype=int))
    rng = np.random.RandomState(0)  # noqa: NPY002
    rows = _draw_uniform(holes, support, 4000, informative, rng)
    share = np.isnan(rows).mean(axis=0)
    np.testing.assert_allclose(share, [0, 0 if informative else 0.5, 0, 0], atol=0.03)


def test_a_gap_where_training_had_none_is_strange_if_informative():
    way = {"informative_missing": True}
    forest = fitted(way, X, 100)
    gap, usual = forest.score_samples([[np.nan, 0, 0, 0], [0, 0, 0, 0]])
    assert gap < usual


@EACH_WAY
def test_a_row_outside_the_box_is_the_stranger_the_farther(way):
    forest = fitted(way)
    edge, span = X.max(axis=0), np.ptp(X, axis=0)
    rows = np.zeros((3, 4))
    rows[:, 1] = edge[1] + span[1] * np.arange(3)
    scores = forest.score_samples(rows) + 1
    np.testing.assert_allclose(scores, scores[0] * np.exp([0, -1, -2]))
    attributions = forest.explain(rows)
    np.testing.assert_allclose(attributions.sum(axis=1), 1 - scores)
    rest = attributions[:, [0, 2, 3]]
    np.testing.assert_allclose(rest, rest[[0, 0, 0]])
    P = forest.proximity(rows)
    np.testing.assert_allclose(P[0], P[0, 0] * np.exp([0, -1, -2]))
    np.testing.assert_allclose(P[1], P[0, 0] * np.exp([-1, 0, -1]))


def test_another_value_in_a_constant_column_is_strange():
    table = np.column_stack([X, np.zeros(150), np.full(150, 5.0)])
    forest = fitted(X=table)
    usual, flag, level = forest.score_samples(
        [[0] * 4 + [0, 5], [0] * 4 + [1, 5], [0] * 4 + [0, 10]]
    )
    np.testing.assert_allclose([flag + 1, level + 1], np.exp(-1) * (usual + 1))


def test_rows_without_any_value_are_pointed_out():
    holes = X.copy()
    holes[3] = np.nan
    with pytest.warns(UserWarning, match="1 of 150 rows of X have no value at all"):
        forest = fitted(X=holes)
    with pytest.warns(UserWarning, match="1 of 1 rows"):
        forest.predict([[np.nan] * 4])


@pytest.mark.parametrize("splitter", ["random", "best"])
def test_rare_and_unseen_categories_are_strange(splitter):
    colours = ["red", "blue"] * 99 + ["grey", "red"]
    table = pd.DataFrame({"size": np.arange(200) % 7, "colour": colours})
    forest = fitted({"splitter": splitter}, table, 100)
    rows = pd.DataFrame({"size": [3, 3, 3], "colour": ["red", "grey", "green"]})
    usual, rare, unseen = forest.score_samples(rows)
    assert unseen < usual and rare < usual
    assert forest.explain(rows)[1:].argmax(axis=1).tolist() == [1, 1]


@pytest.mark.parametrize("splitter", ["random", "best"])
def test_integers_are_not_told_from_uniform_rows_by_being_integers(splitter):
    X = np.random.default_rng(0).integers(0, 4, size=(400, 2)).astype(float)
    forest = fitted({"splitter": splitter}, X, 50)
    real = forest.gap_proximity(X).sum(axis=1).mean()
    ratio = {"random": 30, "best": 1}[splitter]
    assert abs(real - 1 / (1 + ratio)) < 0.05


def test_more_samples_than_rows_is_a_warning():
    with pytest.warns(UserWarning, match="max_samples=500 exceeds the 150 rows"):
        forest = fitted({"max_samples": 500})
    assert forest.max_samples_ == 150


@pytest.mark.parametrize(
    ("way", "expected"),
    [({}, 150), ({"splitter": "best"}, 150), ({"max_samples": 20}, 20)],
)
def test_max_samples_is_how_many_rows_grow_a_tree(way, expected):
    forest = fitted(way)
    assert forest.max_samples_ == expected
    sizes = [len(bag) for bag in forest._forest.in_bag()]
    # With best splits the bag is drawn from real and uniform rows together.
    assert abs(np.mean(sizes) - expected) < 6


@pytest.mark.parametrize("splitter", ["random", "best"])
def test_more_uniform_rows_make_real_ones_rarer(splitter):
    shares = []
    for ratio in (0.5, 4.0):
        forest = fitted({"splitter": splitter, "synthetic_ratio": ratio})._forest
        parent = forest.structure[0]
        is_leaf = ~np.isin(np.arange(len(parent)), parent[parent != range(len(parent))])
        real, synthetic = (
            forest.n_real[is_leaf].sum(),
            forest.n_synthetic[is_leaf].sum(),
        )
        shares.append(synthetic / real)
    np.testing.assert_allclose(shares, [0.5, 4.0], rtol=0.1)


def test_neighbours_are_the_most_similar_rows():
    forest = fitted()
    graph = forest.kneighbors_graph(X, n_neighbors=3)
    distance = 1 - forest.proximity(X)
    np.fill_diagonal(distance, 9)
    expected = np.sort(distance, axis=1)[:, :3]
    np.testing.assert_array_equal(graph.data.reshape(150, 3), expected)
    np.testing.assert_array_equal(
        distance[np.repeat(np.arange(150), 3), graph.indices], graph.data
    )
    assert (graph.diagonal() == 0).all() and graph.nnz == 450


def test_neighbours_among_other_rows_may_be_the_row_itself():
    forest = fitted()
    graph = forest.kneighbors_graph(X[:9], X, n_neighbors=1, mode="connectivity")
    assert graph.shape == (9, 150)
    np.testing.assert_array_equal(graph.indices, np.arange(9))
    np.testing.assert_array_equal(graph.data, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_neighbors": 0}, "'n_neighbors' parameter of kneighbors_graph"),
        ({"n_neighbors": 150}, "n_neighbors=150 must not exceed the 149 other rows"),
        ({"mode": "far"}, "'mode' parameter of kneighbors_graph"),
    ],
)
def test_neighbours_that_cannot_be_had_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted().kneighbors_graph(X, **arguments)


@EACH_WAY
def test_a_counterfactual_ends_as_a_normal_row(way):
    forest = fitted(way, n_estimators=100)
    x = np.array([0.0, 3.0, 0.0, 3.0])
    path = forest.counterfactual(x)
    assert forest.predict([x]) == -1 and path
    for step in path:
        assert step.old == x[step.feature] != step.new
        x[step.feature] = step.new
        np.testing.assert_allclose(step.score, forest.score_samples([x])[0])
    assert forest.predict([x]) == 1
    assert {step.feature for step in path} & {1, 3}
    assert forest.counterfactual(x) == []


def test_a_counterfactual_speaks_of_columns_and_categories():
    weight = np.random.default_rng(0).normal(size=200)
    table = pd.DataFrame({"weight": weight, "colour": ["red", "blue"] * 100})
    forest = fitted({}, table, 100)
    strange = pd.DataFrame({"weight": [0.1], "colour": ["green"]})
    (step,) = forest.counterfactual(strange)
    assert step[:2] == ("colour", None) and step.new in ("red", "blue")
    assert forest.counterfactual(strange.iloc[0]) == [step]
    (step,) = forest.counterfactual(pd.DataFrame({"weight": 9.0, "colour": ["red"]}))
    assert step[:2] == ("weight", 9.0)


@pytest.mark.parametrize(
    ("x", "threshold", "message"),
    [
        (X[:2], None, r"x has shape \(2, 4\); expected one row"),
        (X[0, :3], None, "has 3 features"),
        (X[0], 0.5, "threshold=0.5 is above the score of every row of the core"),
    ],
)
def test_a_counterfactual_of_something_else_is_refused(x, threshold, message):
    with pytest.raises(ValueError, match=message):
        fitted().counterfactual(x, threshold=threshold)


@EACH_WAY
@pytest.mark.filterwarnings("error")
def test_constant_and_duplicated_data_have_scores(way):
    with warnings.catch_warnings():
        scores = fitted(way, np.ones((20, 2)), 5).score_samples(np.ones((3, 2)))
    np.testing.assert_array_equal(scores, scores[0])


def test_nothing_of_the_size_of_rows_times_trees_is_kept():
    sizes = []
    for n_samples in (5_000, 20_000):
        forest = fitted(X=np.random.default_rng(0).normal(size=(n_samples, 2)))
        arrays = [*vars(forest._forest).values(), forest._core_rows]
        arrays += [*forest._core_totals, forest._core_tables, *forest._forest._arrays]
        sizes.append(sum(a.nbytes for a in arrays if isinstance(a, np.ndarray)))
    assert sizes[1] < 1.2 * sizes[0]
