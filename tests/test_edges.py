"""Neighbours by edges, in every form that an adjacency may have."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skad._edges import adjacent_nodes


# On a coarse grid many nodes share a place and many distances are equal.
def check_row(index, value, candidates):
    """Compare a row with the first of the sorted ``(key, index, value)``."""
    expected = sorted(candidates)[: len(index)]
    n_padding = len(index) - len(expected)
    assert index.tolist() == [i for _, i, _ in expected] + [-1] * n_padding
    assert_allclose(value, [v for *_, v in expected] + [0] * n_padding, rtol=1e-9)


LABELS = list("abcdef")
# Names that are no labels are among the ends of edges.
edges = st.tuples(
    st.sampled_from("abcdexy"), st.sampled_from("abcdexy"), st.sampled_from([0, 0.5, 1])
)
edge_lists = st.lists(edges, min_size=1, max_size=20)


def matrix_of(edge_list, names):
    matrix = np.zeros((len(names), len(names)))
    for first, second, weight in edge_list:
        place = names.index(first), names.index(second)
        matrix[place] = max(matrix[place], weight)
    return matrix


def same_neighbours(adjacency, expected):
    found = adjacent_nodes(adjacency, LABELS, expected[0].shape[1])
    assert_array_equal(found[0], expected[0])
    assert_array_equal(found[1], expected[1])


@given(edge_lists, st.integers(1, 7))
def test_adjacent_nodes_are_those_of_brute_force(edge_list, n_neighbors):
    edge_list = [*edge_list, ("f", "f", 1)]
    index, weight = adjacent_nodes(edge_list, LABELS, n_neighbors)
    assert index.dtype == np.intp and weight.dtype == np.float64
    names = [*LABELS, "x", "y"]
    matrix = matrix_of(edge_list, names)
    matrix = np.maximum(matrix, matrix.T)
    for i in range(len(LABELS)):
        others = [j for j in range(len(LABELS)) if j != i and matrix[i, j] > 0]
        check_row(
            index[i], weight[i], [(-matrix[i, j], j, matrix[i, j]) for j in others]
        )


@given(edge_lists, st.permutations("abcdefxy"), st.permutations("abcdefxy"))
def test_all_forms_of_a_graph_give_the_same_neighbours(edge_list, names, columns):
    edge_list = [*edge_list, ("a", "b", 0.25)]
    expected = adjacent_nodes(edge_list, LABELS, 3)
    same_neighbours(pd.DataFrame(edge_list), expected)
    same_neighbours(np.array(edge_list, dtype=object), expected)
    same_neighbours(np.array(edge_list, dtype=str), expected)
    same_neighbours([(b, a, w) for a, b, w in edge_list[::-1]], expected)
    matrix = matrix_of(edge_list, names)
    same_neighbours((matrix, names), expected)
    same_neighbours([matrix, np.array(names)], expected)
    same_neighbours((sparse.coo_matrix(matrix), names), expected)
    same_neighbours((sparse.csr_array(matrix), tuple(names)), expected)
    table = pd.DataFrame(matrix, index=names, columns=names)
    same_neighbours(table, expected)
    same_neighbours(table[columns], expected)
    same_neighbours((table, pd.Index(names)), expected)


@given(edge_lists, st.permutations(LABELS))
def test_order_of_labels_matters_to_ties_alone(edge_list, order):
    rng = np.random.default_rng(0)
    edge_list = [(a, b, rng.random()) for a, b, _ in edge_list] + [("a", "b", 9)]
    index, weight = adjacent_nodes(edge_list, LABELS, 3)
    renamed = adjacent_nodes(edge_list, order, 3)
    order = np.array([LABELS.index(label) for label in order])
    assert_array_equal(np.append(order, -1)[renamed[0]], index[order])
    assert_array_equal(renamed[1], weight[order])


def test_edges_without_weights_weigh_one_and_follow_the_labels():
    index, weight = adjacent_nodes([("c", "a"), ("b", "c"), ("c", "c")], LABELS, 2)
    assert index[:3].tolist() == [[2, -1], [2, -1], [0, 1]]
    assert weight[:3].tolist() == [[1, 0], [1, 0], [1, 1]]
    assert (index[3:] == -1).all() and not weight[3:].any()


def test_numbers_name_nodes_whatever_their_type():
    for edge_list in (
        [(1, 2, 0.5)],
        np.array([[1, 2, 0.5]]),
        pd.DataFrame([[1.0, 2.0]]),
    ):
        assert adjacent_nodes(edge_list, [2, 1], 1)[0].tolist() == [[1], [0]]
    # A list keeps the types of its names, an array of strings does not.
    edge_list = [("a", 1, 0.5)]
    assert adjacent_nodes(edge_list, ["a", 1], 1)[0].tolist() == [[1], [0]]
    assert adjacent_nodes(np.array(edge_list), ["a", "1"], 1)[0].tolist() == [[1], [0]]


def test_a_table_of_as_many_edges_as_columns_is_one_of_edges():
    two = pd.DataFrame([["a", "b"], ["b", "c"]])
    assert adjacent_nodes(two, LABELS, 1)[0][:3].tolist() == [[1], [0], [1]]
    three = pd.DataFrame([["a", "b", 1], ["b", "c", 2], ["c", "d", 3]])
    assert adjacent_nodes(three, LABELS, 1)[0][:4].tolist() == [[1], [2], [3], [2]]
    pair = [("a", "b"), ("b", "c")]
    assert adjacent_nodes(pair, LABELS, 1)[0][:3].tolist() == [[1], [0], [1]]


def test_a_small_matrix_with_names_is_no_table_of_edges():
    table = pd.DataFrame([[0, 2], [0, 0]], index=["a", "b"], columns=["a", "b"])
    index, weight = adjacent_nodes(table, LABELS, 1)
    assert index[:2].tolist() == [[1], [0]] and weight[:2].tolist() == [[2], [2]]


def test_entries_of_a_sparse_matrix_add_up_and_stay_as_they_are():
    matrix = sparse.coo_array(([1, 2, 4], ([0, 0, 1], [1, 1, 2])), shape=(3, 3))
    _, weight = adjacent_nodes((matrix, list("abc")), LABELS, 1)
    assert weight[:3].tolist() == [[3], [4], [4]] and matrix.nnz == 3


SQUARE = np.ones((3, 3))


@pytest.mark.parametrize(
    "adjacency, message",
    [
        (["a", "b", "c"], r"adjacency has shape \(3,\); expected \(n_edges, 2\)"),
        (np.ones((4, 4)), r"adjacency has shape \(4, 4\); .* \(matrix, names\)"),
        (sparse.eye_array(3), r"adjacency has shape \(3, 3\); .* \(matrix, names\)"),
        (
            pd.DataFrame(np.ones((2, 4))),
            r"adjacency has shape \(2, 4\); .* square Data",
        ),
        (
            (np.ones((3, 2)), list("abc")),
            r"matrix of adjacency has shape \(3, 2\); exp",
        ),
        ((SQUARE, list("ab")), "has 2 names for a matrix of 3 rows; expected one for"),
        ((SQUARE, list("aba")), r"more than once, \['a'\]; expected unique ones"),
        (pd.DataFrame(SQUARE, list("aab"), list("aab")), r"more than once, \['a'\]"),
        ((-SQUARE, list("abc")), r"adjacency has a weight of -1.0; expected finite"),
        ((sparse.csr_array(-SQUARE), list("abc")), "adjacency has a weight of -1.0"),
        (
            [("a", "b", np.nan)],
            "adjacency has a weight of nan; expected finite numbers",
        ),
        ([("a", "b", 1), ("b", "c", np.inf)], "adjacency has a weight of inf"),
        (pd.DataFrame([["a", "b", pd.NA]]), "adjacency has weights that are not numb"),
        ([("a", "b", "far")], r"weights that are not numbers \(.*'far'\); expected"),
        (
            [("v", "w"), ("x", "y")],
            r"names none of the nodes: it has \['v', 'w', 'x', ...\]; .* are "
            r"\['a', 'b', 'c', ...\]",
        ),
        (np.empty((0, 2)), r"names none of the nodes: it has \[\]"),
    ],
)
def test_adjacency_that_is_none(adjacency, message):
    with pytest.raises(ValueError, match=message):
        adjacent_nodes(adjacency, LABELS, 2)
