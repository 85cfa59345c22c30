"""The forest's kernels against a few lines of Python."""

import numpy as np
import pytest

from skad._columns import column_support
from skad._forests import RandomSplitForest
from skad._kernels._leaves import (
    apply,
    leaf_sums,
    partings,
    shared_leaves,
    subtree_totals,
)
from skad._kernels._trees import grow_tree

CASES = ["plain", "missing", "informative", "categories", "constant", "integers"]


def make_forest(case, n_estimators=8, n_samples=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 4))
    levels = np.zeros(4, dtype=int)
    if case in ("missing", "informative"):
        X[rng.random(X.shape) < 0.2] = np.nan
    if case == "categories":
        levels[2] = 6
        X[:, 2] = rng.integers(0, 5, n_samples)
        X[::7, 2] = np.nan
    if case == "constant":
        X[:, 1] = 3
    if case == "integers":
        X = np.rint(3 * X)
    forest = RandomSplitForest(
        X,
        column_support(X, levels),
        n_estimators=n_estimators,
        max_samples=100,
        synthetic_ratio=3.0,
        informative=case == "informative",
        rng=np.random.RandomState(0),  # noqa: NPY002
        n_jobs=None,
    )
    return X, forest


def reference_leaf(x, tree, arrays):
    nodes, roots, missing_left, positions, first = arrays
    node = roots[tree]
    while nodes[node]["left"] != node:
        feature = nodes[node]["feature"]
        value = x[feature]
        if np.isnan(value):
            left = missing_left[node]
        else:
            if first[feature] >= 0:
                value = positions[tree, first[feature] + int(value)]
            left = value <= nodes[node]["threshold"]
        node = nodes[node]["left"] + (not left)
    return node


@pytest.mark.parametrize("case", CASES)
def test_rows_reach_the_leaves_that_comparisons_lead_to(case):
    X, forest = make_forest(case)
    expected = [
        [reference_leaf(x, tree, forest._arrays) for tree in range(8)] for x in X
    ]
    np.testing.assert_array_equal(apply(X, forest._arrays), expected)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 300, 9000])
def test_leaf_sums_add_up_the_leaves_of_any_number_of_rows(n_rows):
    X, forest = make_forest("missing")
    X = np.resize(X, (n_rows, 4))
    tables = np.random.default_rng(1).random((len(forest.n_real), 2))
    expected = tables[apply(X, forest._arrays)].sum(axis=1).reshape(n_rows, 2)
    np.testing.assert_allclose(leaf_sums(X, forest._arrays, tables), expected)


def test_a_row_gets_the_same_sum_in_any_company():
    X, forest = make_forest("missing")
    tables = np.random.default_rng(1).random((len(forest.n_real), 1))
    whole = leaf_sums(np.tile(X, (20, 1)), forest._arrays, tables)
    single = np.vstack([leaf_sums(x[np.newaxis], forest._arrays, tables) for x in X])
    np.testing.assert_array_equal(whole, np.tile(single, (20, 1)))


@pytest.mark.parametrize("case", CASES)
def test_every_in_bag_row_and_every_uniform_row_is_in_one_leaf(case):
    X, forest = make_forest(case)
    leaves = apply(X, forest._arrays)
    counts = np.zeros(len(forest.n_real), dtype=int)
    for tree, bag in enumerate(forest.in_bag()):
        np.add.at(counts, leaves[bag, tree], 1)
    parent = forest.structure[0]
    is_leaf = ~np.isin(np.arange(len(parent)), parent[parent != np.arange(len(parent))])
    np.testing.assert_array_equal(counts[is_leaf], forest.n_real[is_leaf])
    assert forest.n_synthetic[is_leaf].sum() == 8 * 300


def test_a_leaf_has_few_real_rows_or_no_uniform_ones():
    _, forest = make_forest("plain")
    parent = forest.structure[0]
    inner = np.isin(np.arange(len(parent)), parent[parent != np.arange(len(parent))])
    tree = np.repeat(np.arange(8), np.diff([*forest._arrays[1], len(parent)]))
    few_rows = np.resize([5, 5, 32], 8)[tree]
    ends = (forest.n_real <= few_rows) | (forest.n_synthetic == 0)
    np.testing.assert_array_equal(ends, ~inner)


@pytest.mark.parametrize("case", ["plain", "integers", "categories"])
def test_uniform_rows_are_counted_as_if_they_had_been_drawn(case):
    _, forest = make_forest(case, n_estimators=400)
    support = column_support(*_columns_of(case))
    rng = np.random.default_rng(5)
    drawn = rng.uniform(support.low, support.high, size=(3000, 4))
    for j in np.flatnonzero(support.step > 0):
        cells = np.floor((drawn[:, j] - support.low[j]) / support.step[j])
        drawn[:, j] = support.low[j] + support.step[j] * (cells + 0.5)
    if case == "categories":
        drawn[:, 2] = rng.integers(0, 6, 3000)
        drawn[rng.random(3000) < 43 / 300, 2] = np.nan
    leaves = apply(drawn, forest._arrays).ravel()
    frequencies = np.bincount(leaves, minlength=len(forest.n_real)) / 3000
    is_leaf = frequencies > 0.02
    assert is_leaf.sum() > 300
    ratio = forest.n_synthetic[is_leaf].sum() / (300 * frequencies[is_leaf].sum())
    assert abs(ratio - 1) < 0.02
    spread = forest.n_synthetic[is_leaf] - 300 * frequencies[is_leaf]
    variance = 300 * frequencies[is_leaf] * (1 - frequencies[is_leaf])
    # Both counts are binomial; the drawn one is ten times as large a sample.
    assert 0.9 < np.mean(spread**2 / (1.1 * variance)) < 1.1


def _columns_of(case):
    X, forest = make_forest(case, n_estimators=1)
    return X, np.array([0, 0, 6, 0]) if case == "categories" else np.zeros(4, int)


def test_growing_on_a_single_value_gives_a_single_leaf():
    Z = np.full((20, 2), 3.0)
    rng = np.random.default_rng(0)
    box = np.full(2, 3.0), np.full(2, 3.0), np.zeros(2)
    nodes, _, n_real, n_synthetic = grow_tree(Z, *box, 5, 60, False, False, rng)
    assert len(nodes) == 1 and n_real[0] == 20 and n_synthetic[0] == 60


def test_totals_of_a_node_are_those_of_the_leaves_below():
    X, forest = make_forest("plain", n_estimators=3)
    parent = forest.structure[0]
    values = np.bincount(apply(X, forest._arrays).ravel(), minlength=len(parent))
    totals = subtree_totals(parent, values.astype(float))
    expected = values.astype(float)
    for leaf in np.flatnonzero(values):
        node = leaf
        while parent[node] != node:
            node = parent[node]
            expected[node] += values[leaf]
    np.testing.assert_array_equal(totals, expected)


def test_rows_part_at_the_feature_of_their_last_common_node():
    X, forest = make_forest("plain", n_estimators=5)
    parent, _, feature = forest.structure
    leaves = apply(X[:30], forest._arrays)
    core = apply(X[30:60], forest._arrays)
    rng = np.random.default_rng(0)
    own, theirs = rng.random(leaves.shape), rng.random(core.shape)

    def path(node):
        nodes = [node]
        while parent[node] != node:
            node = parent[node]
            nodes.append(node)
        return nodes[::-1]

    expected = np.zeros((30, 4))
    for i, j, tree in np.ndindex(30, 30, 5):
        ours, other = path(leaves[i, tree]), path(core[j, tree])
        for a, b in zip(ours, other, strict=False):
            if a != b:
                expected[i, feature[a]] += 0.5 * (own[i, tree] + theirs[j, tree])
                break
    totals = [
        subtree_totals(parent, np.bincount(core.ravel(), w, len(parent)))
        for w in (np.ones(core.size), theirs.ravel())
    ]
    credits = partings(leaves, own, forest.structure, *totals, 4)
    np.testing.assert_allclose(credits, expected)


@pytest.mark.parametrize("sizes", [(0, 3), (1, 1), (7, 5)])
def test_shared_leaves_add_the_weights_of_equal_leaves(sizes):
    rng = np.random.default_rng(0)
    left, right = (rng.integers(0, 3, size=(n, 6), dtype=np.int32) for n in sizes)
    weights = rng.random(left.shape)
    equal = left[:, np.newaxis] == right
    expected = (equal * weights[:, np.newaxis]).sum(axis=2)
    np.testing.assert_allclose(shared_leaves(left, right, weights), expected)
