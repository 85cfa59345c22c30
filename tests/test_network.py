"""What is known of a network, against loops that say the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from skad._graph import correlated_nodes, nearest_nodes, pair_statistics
from skad._network import Network, ReferenceRows
from skad._node_readings import Changes, UsualReadings, moving_mean
from skad._panel import Panel


def panel_of(values, labels=None, **others):
    """Return a panel of values of shape (n_steps, n_nodes, n_kpis)."""
    values = np.asarray(values, dtype=float)
    n_steps, n_nodes, _ = values.shape
    step, node = np.divmod(np.arange(n_steps * n_nodes), n_nodes)
    labels = list("abcdefghijkl"[:n_nodes]) if labels is None else list(labels)
    others = {"positions": None, "attributes": np.zeros((n_nodes, 0))} | others
    return Panel(values, step, node, labels, **others)


def rows_of(readings, positions=None):
    """Return a panel of nodes that are seen once."""
    readings = np.asarray(readings, dtype=float)
    rows = np.arange(len(readings))
    steps, attributes = np.zeros_like(rows), np.zeros((len(rows), 0))
    return Panel(readings[np.newaxis], steps, rows, None, positions, attributes)


def noise(n_steps=60, n_nodes=5, n_kpis=2, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_steps, n_nodes, n_kpis))
    values[rng.random(values.shape) < missing] = np.nan
    return values


def network(panel, n_neighbors=2, change_window=3, causal=False):
    options = {"metric": "euclidean", "change_window": change_window}
    return Network(panel, n_neighbors=n_neighbors, causal=causal, **options)


LINE = np.array([[0.0], [1.0], [3.0], [7.0], [15.0]])


def usual(values):
    """Return the median, and the deviation without a hundredth at either end."""
    values = np.sort(values[~np.isnan(values)])
    n_cut = int(np.ceil(0.01 * len(values)))
    clipped = np.clip(values, values[n_cut], values[-1 - n_cut])
    return np.median(values), np.std(clipped)


def test_the_usual_is_a_median_and_a_spread_without_tails():
    values = 3 + 2 * noise(400, missing=0.2)
    level, spread = UsualReadings(panel_of(values)).of_nodes(None, np.arange(5))
    for node in range(5):
        for kpi in range(2):
            expected = usual(values[:, node, kpi])
            assert_allclose((level[node, kpi], spread[node, kpi]), expected)
    readings = UsualReadings(panel_of(values))
    assert_allclose((readings.level[1], readings.spread[1]), usual(values[:, :, 1]))


@pytest.mark.parametrize("n_steps", [20, 21, 50, 96, 101, 102, 500])
def test_one_reading_does_not_decide_what_is_usual(n_steps):
    values = noise(n_steps)
    far = values.copy()
    far[3, :, 0], far[5, :, 0] = 1e6, -1e6
    known = np.arange(5)
    level, spread = UsualReadings(panel_of(values)).of_nodes(None, known)
    other_level, other_spread = UsualReadings(panel_of(far)).of_nodes(None, known)
    assert np.abs(level - other_level).max() < 0.5
    assert np.all(other_spread < 2 * spread)
    assert np.all(other_spread > spread / 2)


def test_nodes_with_few_readings_are_as_all_are():
    values = noise() + 10 * np.arange(5)[:, np.newaxis]
    values[19:, 2, 0] = np.nan
    values[:, 3, 0] = np.nan
    readings = UsualReadings(panel_of(values))
    level, spread = readings.of_nodes(None, np.arange(5))
    assert_array_equal(level[[2, 3], 0], readings.level[0])
    assert_array_equal(spread[[2, 3], 0], readings.spread[0])
    assert_allclose(level[2, 1], np.median(values[:, 2, 1]))
    assert_allclose(readings.level[1], np.median(values[:, :, 1]))
    seen_once = readings.of_nodes(rows_of(noise(1)[0]))
    assert_array_equal(seen_once[0], np.tile(readings.level, (5, 1)))
    assert_array_equal(seen_once[1], np.tile(readings.spread, (5, 1)))


def test_what_stands_still_is_measured_by_what_moves():
    values = noise()
    values[:, 1, 0] = 0.1
    values[:, 2, 0] = np.where(np.arange(60) == 7, 5.0, 0.0)
    values[:, :, 1] = 0.1
    readings = UsualReadings(panel_of(values))
    level, spread = readings.of_nodes(None, np.arange(5))
    assert_array_equal(level[[1, 2], 0], [0.1, 0])
    assert_array_equal(spread[[1, 2], 0], readings.spread[0])
    assert_array_equal(spread[:, 1], 1)
    at = readings.standardised(panel_of(values), np.arange(5))
    assert_array_equal(at[:, :, 1], 0)


@given(st.integers(-30, 30))
def test_units_of_kpis_do_not_matter(power):
    values, scale = noise(), 2.0**power * np.array([1.0, 2.0**power])
    known = np.arange(5)
    panel, other = panel_of(values), panel_of(scale * values)
    expected = UsualReadings(panel).standardised(panel, known)
    found = UsualReadings(other).standardised(other, known)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_nodes_of_fit_keep_what_was_usual_and_others_have_their_own():
    readings = UsualReadings(panel_of(noise()))
    later = 100 + 5 * noise(seed=1)
    later[:, 4, 1] = np.nan
    known = np.array([3, -1, 0, -1, -1])
    level, spread = readings.of_nodes(panel_of(later), known)
    fitted = readings.of_nodes(None, np.array([3, 0]))
    assert_array_equal(level[[0, 2]], fitted[0])
    assert_array_equal(spread[[0, 2]], fitted[1])
    own = UsualReadings(panel_of(later)).of_nodes(None, np.arange(5))
    assert_array_equal(level[[1, 3]], own[0][[1, 3]])
    assert_array_equal(spread[[1, 3]], own[1][[1, 3]])
    assert level[4, 1] == readings.level[1]
    at = readings.standardised(panel_of(later), known)
    assert_array_equal(at[:, [0, 2]], 10)
    assert_array_equal(np.isnan(at), np.isnan(later))


@given(
    arrays(float, (12, 2), elements=st.floats(-10, 10) | st.just(np.nan)),
    st.integers(1, 15),
    st.booleans(),
)
def test_moving_means_are_those_of_what_is_there(values, n_steps, causal):
    before = n_steps - 1 if causal else n_steps // 2
    found = moving_mean(values, n_steps, causal)
    for step in range(12):
        held = values[max(0, step - before) : step - before + n_steps]
        for column in range(2):
            here = held[:, column][~np.isnan(held[:, column])]
            enough = 2 * len(here) >= min(n_steps, 12) and len(here)
            expected = here.mean() if enough else np.nan
            assert_allclose(found[step, column], expected, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_changes_are_logarithms_of_moving_means(causal):
    readings = noise(30, missing=0.2)
    changes = Changes(readings, 4, causal)
    steps = np.abs(np.diff(readings, axis=0))
    assert_allclose(changes.size, np.nanmean(steps, axis=(0, 1)))
    steps = np.concatenate([np.full((1, 5, 2), np.nan), steps])
    expected = np.full(steps.shape, np.nan)
    for cell in np.ndindex(steps.shape):
        first = cell[0] - (3 if causal else 2)
        held = steps[max(first, 0) : first + 4, cell[1], cell[2]]
        held = held[~np.isnan(held)]
        if len(held) >= 2:
            expected[cell] = np.log(held.mean() + 0.02)
    expected -= np.nanmean(expected, axis=(0, 1))
    expected /= np.sqrt(np.nanmean(expected**2, axis=(0, 1)))
    expected[np.isnan(readings)] = np.nan
    channels = changes.channels(readings)
    assert_array_equal(channels[:, :, :2], readings)
    assert_allclose(channels[:, :, 2:], expected, atol=1e-9)


def test_changes_to_come_are_not_known_to_causal_ones():
    readings = noise(30)
    changes = Changes(readings, 4, True)
    part = changes.channels(readings[:17])
    assert_array_equal(part, changes.channels(readings)[:17])
    assert Changes(readings, 0, True).channels(readings) is readings


def test_a_node_that_is_stuck_changes_less():
    readings = noise()
    readings[20:40, 1] = 0.3
    changes = Changes(readings, 5, False).channels(readings)[1:, :, 2:]
    assert changes[23:35, 1].max() < changes[:, [0, 2, 3, 4]].min()


@pytest.mark.parametrize("kind", ["position", "correlation", "adjacency"])
def test_pairs_are_close_and_alike(kind):
    values = noise(missing=0.1)
    values[:, 1] += 3 * values[:, 0]
    others = {"position": {"positions": LINE}, "correlation": {}}
    edges = [("a", "b", 5.0), ("b", "c", 1.0), ("d", "e", 0.5)]
    panel = panel_of(values, **others.get(kind, {"adjacency": edges}))
    net = network(panel)
    scene = net.scene(panel)
    assert_array_equal(scene.index, net.index)
    assert_array_equal(scene.known, np.arange(5))
    assert scene.pairs.shape == (5, 2, net.n_pair_features)
    assert scene.channels.shape == (60, 5, net.n_channels)
    there = scene.index >= 0
    close = scene.pairs[:, :, 0]
    assert np.all((close > 0) & (close <= 1) | ~there)
    assert np.all(close[:, 0] >= close[:, 1])
    assert_array_equal(scene.pairs[~there], 0)
    for part, features in ((slice(2), slice(1, 3)), (slice(2, 4), slice(3, 5))):
        means = mean_of_kpis(scene.channels[:, :, part])
        expected = pair_statistics(means, scene.index)
        assert_allclose(scene.pairs[:, :, features], expected, atol=1e-9)


def mean_of_kpis(channels):
    """Return the mean over KPIs, NaN where none is there."""
    gone = np.isnan(channels).all(axis=2)
    means = np.nanmean(np.where(gone[:, :, np.newaxis], 0, channels), axis=2)
    return np.where(gone, np.nan, means)


def test_neighbors_are_by_place_by_edges_or_by_what_is_alike():
    values = noise()
    values[:, 4] += 2 * values[:, 0]
    near = nearest_nodes(LINE, 2, "euclidean")[0]
    assert_array_equal(network(panel_of(values, positions=LINE)).index, near)
    net = network(panel_of(values))
    means = net.usual.standardised(panel_of(values), np.arange(5)).mean(axis=2)
    assert_array_equal(net.index, correlated_nodes(means, 2)[0])
    assert net.index[4, 0] == 0
    edges = panel_of(values, positions=LINE, adjacency=[("a", "e"), ("a", "c")])
    assert_array_equal(network(edges).index[[0, 1, 4]], [[2, 4], [-1, -1], [0, -1]])


def test_nodes_of_fit_keep_their_neighbors():
    values = noise()
    panel = panel_of(values, positions=LINE)
    net = network(panel)
    whole = net.scene(panel)
    moved = panel_of(noise(7, seed=1), positions=LINE[::-1])
    assert_array_equal(net.scene(moved).index, whole.index)
    assert_array_equal(net.scene(moved).pairs, whole.pairs)
    # The neighbours of a, b, c, d, e are bc, ac, ba, cb, dc; c is not there.
    part = net.scene(panel_of(values[:, [3, 1, 0, 4]], "dbae"))
    assert_array_equal(part.index, [[-1, 1], [2, -1], [1, -1], [0, -1]])
    assert_array_equal(part.known, [3, 1, 0, 4])
    there = part.index >= 0
    assert_array_equal(part.pairs[there], whole.pairs[[3, 1, 0, 4]][there])
    names = net.neighbor_labels(panel_of(values[:, [3, 1, 0, 4]], "dbae"), part)
    assert names.tolist() == [[None, "b"], ["a", None], ["b", None], ["d", None]]


def test_other_nodes_find_theirs_and_none_of_fit_takes_them():
    values = noise(n_nodes=7)
    places = np.vstack([LINE, [[1.1], [30.0]]])
    net = network(panel_of(values[:, :5], positions=LINE))
    whole = net.scene(panel_of(values[:, :5], positions=LINE))
    scene = net.scene(panel_of(values, positions=places))
    assert_array_equal(scene.known, [0, 1, 2, 3, 4, -1, -1])
    assert_array_equal(scene.index[:5], whole.index)
    assert_array_equal(scene.pairs[:5], whole.pairs)
    assert_array_equal(scene.index[5:], [[1, 0], [4, 3]])
    order = [6, 2, 0, 5, 4, 1, 3]
    mixed = panel_of(values[:, order], "gcafebd", positions=places[order])
    mixed = net.scene(mixed)
    assert_array_equal(mixed.known, [-1, 2, 0, -1, 4, 1, 3])
    assert_array_equal(np.array(order)[mixed.index], scene.index[order])
    assert_array_equal(mixed.pairs, scene.pairs[order])
    unit = np.median(nearest_nodes(LINE, 2, "euclidean")[1])
    assert_allclose(scene.pairs[5, :, 0], unit / (unit + np.array([0.1, 1.1])))


def test_nodes_whose_place_is_not_known_are_alone():
    places = np.vstack([[[np.nan]], LINE[1:]])
    for names in ("abcde", "vwxyz"):
        panel = panel_of(noise(), names, positions=places)
        scene = network(panel_of(noise(), positions=places)).scene(panel)
        assert_array_equal(scene.index[0], [-1, -1])
        assert np.all(scene.index[1:] > 0)
        assert_array_equal(scene.pairs[0], 0)


def test_of_other_nodes_the_edges_of_fit_say_nothing():
    values = noise(n_nodes=6)
    net = network(panel_of(values[:, :5], adjacency=[("a", "b"), ("b", "c")]))
    scene = net.scene(panel_of(values))
    assert_array_equal(scene.index[5], [-1, -1])
    assert_array_equal(scene.index[:2], [[1, -1], [0, 2]])


@pytest.mark.parametrize("fitted", [{"positions": LINE}, {}])
def test_edges_at_scoring_count_instead_and_heavier_ones_are_closer(fitted):
    values = noise()
    # With or without places, a, b and c are neighbours in fit.
    values[:, 1:3] += 5 * values[:, :1]
    net = network(panel_of(values, **fitted))
    edges = [("a", "e", 100.0), ("a", "d", 3.0), ("b", "e", 0.1), ("c", "f", 1.0)]
    scene = net.scene(panel_of(values, adjacency=edges, **fitted))
    assert_array_equal(scene.index[:4], [[4, 3], [4, -1], [-1, -1], [0, -1]])
    close = scene.pairs[:, :, 0]
    assert np.all((close >= 0) & (close <= 1))
    assert close[0, 0] > close[0, 1] > close[1, 0] > 0


@given(st.integers(0, 200), st.booleans(), st.integers(1, 6))
def test_a_row_of_fit_is_not_its_own_neighbor(seed, has_places, n_neighbors):
    rng = np.random.default_rng(seed)
    readings = rng.normal(size=(12, 2))
    readings[rng.random(readings.shape) < 0.2] = np.nan
    # Many are at the same place, some show the same, and some show nothing.
    readings[[0, 3, 4]] = 0.5
    places = rng.integers(0, 3, (12, 1)).astype(float) if has_places else None
    panel = rows_of(readings, places)
    net = ReferenceRows(panel, n_neighbors=n_neighbors, metric="euclidean")
    scene = net.scene(panel)
    names = net.neighbor_labels(panel, scene)
    shown = net.usual.standardised(panel)[0]
    where = np.nan_to_num(shown) if places is None else places
    for row in range(12):
        gaps = np.sqrt(((where - where[row]) ** 2).sum(axis=1))
        same = (shown == shown[row]) | (np.isnan(shown) & np.isnan(shown[row]))
        itself = np.flatnonzero(same.all(axis=1) & (gaps == 0))[0]
        others = [i for i in np.argsort(gaps, kind="stable") if i != itself]
        assert names[row].tolist() == others[:n_neighbors]
    assert np.all((scene.pairs > 0) & (scene.pairs <= 1))
    assert_array_equal(scene.index, names.astype(int) + 12)
    assert_array_equal(scene.channels[0], np.tile(shown, (2, 1)))
    assert_array_equal(scene.known, -1)


def test_readings_that_are_left_out_are_told_to_nobody():
    panel, is_odd = rows_of(noise(1)[0]), np.zeros((1, 5, 2), dtype=bool)
    net = ReferenceRows(panel, n_neighbors=2, metric="euclidean")
    before = net.scene(panel)
    is_odd[0, 3, 1] = True
    net.leave_out(is_odd)
    after = net.scene(panel)
    expected = before.channels.copy()
    expected[0, 5 + 3, 1] = np.nan
    assert_array_equal(after.channels, expected)
    assert_array_equal(after.index, before.index)
    assert_array_equal(after.pairs, before.pairs)


def test_new_rows_have_rows_of_fit_as_neighbors():
    net = ReferenceRows(rows_of(LINE), n_neighbors=2, metric="euclidean")
    new = rows_of([[2.9], [100.0], [1.0]])
    scene = net.scene(new)
    assert net.neighbor_labels(new, scene).tolist() == [[2, 1], [4, 3], [0, 2]]
    alone = net.scene(rows_of([[1.0]]))
    assert_array_equal(alone.pairs[0], scene.pairs[2])
    # A row that shows the same elsewhere is a neighbour like any other.
    net = ReferenceRows(rows_of(LINE, LINE), n_neighbors=2, metric="euclidean")
    elsewhere = rows_of([[1.0]], np.array([[2.9]]))
    names = net.neighbor_labels(elsewhere, net.scene(elsewhere))
    assert names.tolist() == [[2, 1]]
    fitted = replace(rows_of(LINE), attributes=np.arange(5.0)[:, np.newaxis])
    net = ReferenceRows(fitted, n_neighbors=2, metric="euclidean")
    scene = net.scene(replace(new, attributes=np.full((3, 1), 7.0)))
    assert_array_equal(scene.attributes.ravel(), [7, 7, 7, 0, 1, 2, 3, 4])
