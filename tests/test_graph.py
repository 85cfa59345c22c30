"""Neighbours of nodes against what brute force finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skad import _graph
from skad._graph import (
    correlated_nodes,
    nearest_nodes,
    nearest_references,
    pair_statistics,
)

# On a coarse grid many nodes share a place and many distances are equal.
coordinate = st.sampled_from([0.0, 1.0, 2.0, 2.5, -60.0, np.nan])
places = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=14)
metrics = st.sampled_from(["euclidean", "haversine"])
widths = st.integers(1, 16)


def distance_between(a, b, metric):
    if metric == "euclidean":
        return np.sqrt(np.sum((a - b) ** 2))
    (lat1, lon1), (lat2, lon2) = np.radians(a), np.radians(b)
    half = np.sin((lat1 - lat2) / 2) ** 2
    half += np.cos(lat1) * np.cos(lat2) * np.sin((lon1 - lon2) / 2) ** 2
    return 2 * 6371.0088 * np.arcsin(np.sqrt(half))


def check_row(index, value, candidates):
    """Compare a row with the first of the sorted ``(key, index, value)``."""
    expected = sorted(candidates)[: len(index)]
    n_padding = len(index) - len(expected)
    assert index.tolist() == [i for _, i, _ in expected] + [-1] * n_padding
    assert_allclose(value, [v for *_, v in expected] + [0] * n_padding, rtol=1e-9)


def near(position, others, metric, skip):
    """Return what `check_row` wants of other places; rounding does not tell them."""
    found = []
    for j, other in enumerate(others):
        if j != skip and not np.isnan([*position, *other]).any():
            distance = distance_between(position, other, metric)
            found.append((round(distance, 6), j, distance))
    return found


@given(places, widths, metrics)
def test_nearest_nodes_are_those_of_brute_force(positions, n_neighbors, metric):
    positions = np.array(positions)
    index, distance = nearest_nodes(positions, n_neighbors, metric)
    assert index.dtype == np.intp and distance.dtype == np.float64
    assert index.shape == distance.shape == (len(positions), n_neighbors)
    for i, position in enumerate(positions):
        check_row(index[i], distance[i], near(position, positions, metric, i))


@given(places, places, widths, metrics)
def test_nearest_references_are_those_of_brute_force(rows, references, k, metric):
    rows, references = np.array(rows), np.array(references)
    index, distance = nearest_references(rows, references, k, metric)
    assert index.shape == distance.shape == (len(rows), k)
    for i, row in enumerate(rows):
        check_row(index[i], distance[i], near(row, references, metric, -1))


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_the_first_of_many_equally_near_nodes_are_chosen(metric):
    positions = np.repeat([[10.0, 20.0], [11.0, 20.0]], 100, axis=0)
    index, distance = nearest_nodes(positions, 3, metric)
    assert_array_equal(
        index[[0, 1, 2, 3, 99]], [[1, 2, 3], [0, 2, 3], [0, 1, 3]] + 2 * [[0, 1, 2]]
    )
    assert_array_equal(index[100:104] - 100, index[:4])
    assert not distance.any()
    index, distance = nearest_references([[12.0, 20.0]], positions, 102, metric)
    assert_array_equal(index, [[*range(100, 200), 0, 1]])


def test_a_grid_leaves_no_choice_to_the_tree():
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), -1).reshape(-1, 2)
    index, _ = nearest_nodes(grid, 10, "euclidean")
    for i in range(0, 400, 7):
        distance = np.hypot(*(grid - grid[i]).T)
        order = np.argsort(distance, kind="stable")
        assert_array_equal(index[i], order[order != i][:10])


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_renamed_nodes_have_the_same_neighbours(metric):
    rng = np.random.default_rng(0)
    positions = rng.uniform(-60, 60, size=(300, 2))
    positions[::11, 1] = np.nan
    order = rng.permutation(300)
    index, distance = nearest_nodes(positions, 6, metric)
    renamed = nearest_nodes(positions[order], 6, metric)
    assert_array_equal(np.append(order, -1)[renamed[0]], index[order])
    assert_array_equal(renamed[1], distance[order])


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_rows_find_the_same_references_in_any_company(metric):
    rng = np.random.default_rng(1)
    rows, references = rng.uniform(-9, 9, (50, 2)), rng.uniform(-9, 9, (200, 2))
    index, distance = nearest_references(rows, references, 5, metric)
    for i in range(50):
        alone = nearest_references(rows[i : i + 1], references, 5, metric)
        assert_array_equal(alone[0], index[i : i + 1])
        assert_array_equal(alone[1], distance[i : i + 1])


def test_kilometres_are_those_of_a_sphere():
    # A degree of a great circle; across the date line; from pole to pole.
    positions = [[0, 0], [1, 0]], [[0, 179.5], [0, -179.5]], [[90, 0], [-90, 77]]
    found = [nearest_nodes(pair, 1, "haversine")[1][0, 0] for pair in positions]
    assert_allclose(found, 6371.0088 * np.radians([1, 1, 180]))


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_without_positions_there_are_no_neighbours(metric):
    nowhere, somewhere = np.full((3, 2), np.nan), np.zeros((2, 2))
    for index, distance in (
        nearest_nodes(nowhere, 2, metric),
        nearest_references(somewhere, nowhere, 2, metric),
        nearest_references(nowhere, somewhere, 2, metric),
        nearest_nodes(somewhere[:1], 2, metric),
    ):
        assert (index == -1).all() and (distance == 0).all()
        assert index.shape[1] == distance.shape[1] == 2


@pytest.mark.parametrize(
    "positions, metric, message",
    [
        ([0.0, 1.0], "euclidean", r"positions has shape \(2,\); expected \(n, n_dims"),
        ([[0.0] * 3], "haversine", r"positions has shape \(1, 3\); expected \(n, 2\)"),
        ([[np.inf]], "euclidean", "positions has infinite values"),
        ([[-95.0, 3.0]], "haversine", "positions has a latitude of 95 degrees"),
    ],
)
def test_positions_that_are_none(positions, metric, message):
    with pytest.raises(ValueError, match=message):
        nearest_nodes(positions, 1, metric)
    with pytest.raises(ValueError, match=message.replace("positions", "references")):
        nearest_references(np.zeros((1, 2)), positions, 1, metric)


def common(x, y):
    both = ~np.isnan(x) & ~np.isnan(y)
    return x[both], y[both]


def pair_by_numpy(x, y, min_overlap):
    x, y = (part.astype(np.float64) for part in common(x, y))
    if len(x) < max(min_overlap, 1):
        return 0, 0
    constant = np.ptp(x) == 0 or np.ptp(y) == 0
    return 0 if constant else np.corrcoef(x, y)[0, 1], np.mean(np.abs(x - y))


level = st.sampled_from([0.1, 0.3, 0.4, 1.7, -2.2, np.nan])


@st.composite
def series_of_nodes(draw):
    n_times, n_nodes = draw(st.integers(1, 9)), draw(st.integers(1, 7))
    row = st.lists(level, min_size=n_nodes, max_size=n_nodes)
    return np.array(draw(st.lists(row, min_size=n_times, max_size=n_times)))


def check_correlated(values, n_neighbors, min_overlap):
    index, correlation = correlated_nodes(values, n_neighbors, min_overlap)
    assert index.dtype == np.intp and correlation.dtype == np.float64
    n_nodes = values.shape[1]
    assert index.shape == correlation.shape == (n_nodes, n_neighbors)
    for i in range(n_nodes):
        found = []
        for j in range(n_nodes):
            r = round(pair_by_numpy(values[:, i], values[:, j], min_overlap)[0], 10)
            if j != i and r > 0:
                found.append((-r, j, r))
        check_row(index[i], correlation[i], found)


@given(series_of_nodes(), st.integers(1, 8), st.integers(2, 4))
def test_correlated_nodes_are_those_of_corrcoef(values, n_neighbors, min_overlap):
    check_correlated(values, n_neighbors, min_overlap)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_correlated_nodes_of_longer_series_with_gaps(offset):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 12)) + rng.normal(size=(60, 1)) + offset
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 3] = np.nan
    values[:, 4] = 0.1
    values[9:, 5] = np.nan
    check_correlated(values - offset, 4, 10)
    index, _ = correlated_nodes(values, 4)
    assert (index[3:6] == -1).all() and not np.isin(index, [3, 4, 5]).any()
    assert_array_equal(index, correlated_nodes(values - offset, 4)[0])


def test_copies_of_a_series_come_in_order_whatever_the_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    values = np.tile(rng.normal(size=(50, 11)), 7)
    values[rng.random(50) < 0.2] = np.nan
    index, correlation = correlated_nodes(values, 5)
    assert index[:2].tolist() == [list(range(i + 11, i + 66, 11)) for i in range(2)]
    assert (correlation == 1).all()
    for block in (1, 3, 64):
        monkeypatch.setattr(_graph, "_BLOCK", block)
        found = correlated_nodes(values, 5)
        assert_array_equal(found[0], index)
        assert_array_equal(found[1], correlation)


def test_renamed_series_have_the_same_correlations():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(40, 30))
    values[rng.random(values.shape) < 0.2] = np.nan
    order = rng.permutation(30)
    index, correlation = correlated_nodes(values, 4)
    renamed = correlated_nodes(values[:, order], 4)
    assert_array_equal(np.append(order, -1)[renamed[0]], index[order])
    assert_array_equal(renamed[1], correlation[order])


def test_opposite_or_short_series_have_no_neighbours():
    time = np.arange(12.0)
    values = np.column_stack([time, -time])
    index, correlation = correlated_nodes(values, 2)
    assert (index == -1).all() and not correlation.any()
    values = np.column_stack([time, time])
    assert correlated_nodes(values, 1)[0].tolist() == [[1], [0]]
    assert (correlated_nodes(values[:9], 1)[0] == -1).all()


def test_a_series_that_varies_at_other_times_alone_is_constant():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(40, 60))
    values[:20, 0] = np.nan
    values[20:, 1:] = rng.normal(size=59)
    index, _ = correlated_nodes(values, 59)
    assert (index[0] == -1).all() and not np.any(index == 0)


def check_statistics(values, index, min_overlap):
    found = pair_statistics(values, index, min_overlap)
    expected = np.zeros((*index.shape, 2))
    for i, k in np.argwhere(index >= 0):
        pair = values[:, i], values[:, index[i, k]]
        expected[i, k] = pair_by_numpy(*pair, min_overlap)
    assert found.dtype == np.float64
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(series_of_nodes(), st.integers(0, 3), st.integers(1, 4), st.data())
def test_statistics_are_those_of_numpy(values, width, min_overlap, data):
    n_nodes = values.shape[1]
    row = st.lists(st.integers(-1, n_nodes - 1), min_size=width, max_size=width)
    rows = data.draw(st.lists(row, min_size=n_nodes, max_size=n_nodes))
    index = np.array(rows, dtype=np.intp).reshape(n_nodes, width)
    check_statistics(values, index, min_overlap)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_statistics_of_series_far_from_zero(dtype, order, offset):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(500, 6)) + rng.normal(size=(500, 1)) + offset
    values[rng.random(values.shape) < 0.2] = np.nan
    values = np.asarray(values, dtype=dtype, order=order)
    values.flags.writeable = False
    index = np.array([[(i + k) % 6 for k in range(4)] for i in range(6)])
    check_statistics(values, np.asfortranarray(index), 10)


def test_statistics_of_bounds_and_of_nothing():
    rng = np.random.default_rng(4)
    x = rng.normal(size=30)
    index = np.array([[1, 2], [0, -1], [0, 2]])
    values = np.column_stack([x, 1e-3 * x + 5, -1e3 * x])
    statistics = pair_statistics(values, index)
    assert_allclose(statistics[..., 0], [[1, -1], [1, 0], [-1, 1]], atol=1e-12)
    multiples = np.column_stack([x, *np.outer(rng.normal(size=99), x)])
    statistics = pair_statistics(multiples, np.array([range(100)] * 100))
    assert np.abs(statistics[..., 0]).max() == 1
    assert not pair_statistics(values[:9], index).any()
    assert not pair_statistics(np.full((30, 3), np.nan), index, 0).any()
    # A constant: its mean is not one of its values as floating point adds them up.
    assert pair_statistics(np.full((30, 3), 0.1), index).tolist() == [[[0, 0]] * 2] * 3
    assert pair_statistics(np.empty((5, 0)), np.empty((0, 2), int)).shape == (0, 2, 2)


def test_integers_have_statistics_too():
    values = np.arange(24).reshape(12, 2)
    assert_allclose(pair_statistics(values, np.array([[1], [0]])), [[[1, 1]]] * 2)
