"""Faults and shocks that are put into measured series."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from skad.datasets import inject_network_events

KINDS = ("drop", "shift", "stuck", "decoupled", "spike")


def series(n_times=600, n_nodes=10, seed=0):
    """Draw series with levels and spreads of their own, and a ring of neighbours."""
    rng = np.random.RandomState(seed)
    spread = rng.uniform(0.5, 5, size=n_nodes)
    X = (
        20
        + 10 * rng.normal(size=n_nodes)
        + spread * rng.normal(size=(n_times, n_nodes))
    )
    neighbors = (np.arange(n_nodes)[:, None] + [1, -1]) % n_nodes
    neighbors[0, 1] = -1
    return X, neighbors


def with_faults(kind, **params):
    X, neighbors = series()
    params = {"shock_fraction": 0, "fault_fraction": 0.03, "random_state": 0, **params}
    changed, is_fault, is_shocked, events = inject_network_events(
        X, neighbors, kinds=(kind,), **params
    )
    assert len(events) > 3
    assert set(events["kind"]) == {kind}
    assert not is_shocked.any()
    return X, changed, is_fault, events


def around(neighbors, node):
    return np.unique([node, *neighbors[node][neighbors[node] >= 0]])


@given(
    st.integers(150, 300),
    st.integers(4, 12),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=5, unique=True),
    st.floats(0, 0.02),
    st.floats(0, 0.02),
    st.integers(1, 6),
    st.integers(0, 1000),
)
@settings(max_examples=60)
def test_labels_agree_with_events_and_with_what_changed(
    n_times, n_nodes, kinds, fault_fraction, shock_fraction, margin, seed
):
    X, neighbors = series(n_times, n_nodes, seed)
    before = X.copy()
    changed, is_fault, is_shocked, events = inject_network_events(
        X,
        neighbors,
        fault_fraction=fault_fraction,
        shock_fraction=shock_fraction,
        duration=(3, 8),
        kinds=tuple(kinds),
        margin=margin,
        random_state=seed,
    )
    assert_array_equal(X, before)
    assert changed.shape == is_fault.shape == is_shocked.shape == X.shape
    assert is_fault.dtype == is_shocked.dtype == bool
    assert_array_equal(changed != X, is_fault | is_shocked)
    assert is_fault.mean() >= fault_fraction
    assert is_shocked.mean() >= shock_fraction
    # How many events of the node, with the margin after them, an hour belongs to.
    taken = np.zeros((n_times + margin, n_nodes), dtype=int)
    fault_time, shock_time = np.zeros((2, *X.shape), dtype=bool)
    for event in events.itertuples():
        is_shock = event.kind == "shock"
        nodes = around(neighbors, event.node) if is_shock else [event.node]
        taken[event.start : event.stop + margin, nodes] += 1
        (shock_time if is_shock else fault_time)[event.start : event.stop, nodes] = True
        assert 3 <= event.stop - event.start <= 8
    assert taken.max(initial=0) <= 1
    assert_array_equal(is_shocked, shock_time)
    assert np.all(is_fault <= fault_time)
    if "spike" not in kinds:
        assert_array_equal(is_fault, fault_time)


def test_kinds_take_turns_and_events_are_in_order():
    X, neighbors = series()
    *_, events = inject_network_events(
        X, neighbors, fault_fraction=0.05, kinds=KINDS, random_state=0
    )
    counts = events["kind"].value_counts()
    assert set(counts.index) == {*KINDS, "shock"}
    assert np.ptp(counts[list(KINDS)]) <= 1
    assert events["start"].is_monotonic_increasing
    assert list(events) == ["kind", "node", "start", "stop", "size"]
    has_size = events["kind"].isin(["shift", "spike", "shock"])
    assert_array_equal(events["size"].notna(), has_size)


def test_no_more_events_are_drawn_than_needed():
    X, neighbors = series()
    _, is_fault, is_shocked, _ = inject_network_events(
        X,
        neighbors,
        fault_fraction=100 / X.size,
        shock_fraction=100 / X.size,
        duration=(10, 10),
        random_state=0,
    )
    assert is_fault.sum() == 100
    assert 100 <= is_shocked.sum() < 100 + 30


def test_drop_leaves_less_than_three_tenths():
    X, changed, _, events = with_faults("drop")
    for event in events.itertuples():
        when = slice(event.start, event.stop)
        left = changed[when, event.node] / X[when, event.node]
        assert_allclose(left, left[0])
        assert 0 <= left[0] < 0.3


def test_shift_is_a_number_of_standard_deviations():
    X, changed, is_fault, events = with_faults("shift", size=(2, 3))
    off = (changed - X) / X.std(axis=0)
    for event in events.itertuples():
        assert_allclose(off[event.start : event.stop, event.node], event.size)
    assert events["size"].abs().between(2, 3).all()
    assert events["size"].min() < 0 < events["size"].max()


@pytest.mark.parametrize("margin", [1, 24])
def test_stuck_repeats_the_reading_before_it(margin):
    X, changed, _, events = with_faults("stuck", margin=margin)
    for event in events.itertuples():
        held = changed[event.start : event.stop, event.node]
        assert_array_equal(held, X[event.start - 1, event.node])
        assert_array_equal(held, changed[event.start - 1, event.node])


def test_decoupled_readings_are_of_another_time_of_the_node():
    X, changed, _, events = with_faults("decoupled")
    for event in events.itertuples():
        length = event.stop - event.start
        shown = changed[event.start : event.stop, event.node]
        stretches = np.lib.stride_tricks.sliding_window_view(X[:, event.node], length)
        first = np.flatnonzero((stretches == shown).all(axis=1))
        assert len(first) == 1
        assert abs(first[0] - event.start) >= length


def test_spikes_are_an_eighth_of_the_readings_and_twice_as_far_off():
    X, changed, is_fault, events = with_faults("spike", fault_fraction=0.004)
    off = (changed - X) / X.std(axis=0)
    for event in events.itertuples():
        when = slice(event.start, event.stop)
        marked = is_fault[when, event.node]
        assert marked.sum() == max(1, len(marked) // 8)
        assert_allclose(off[when, event.node][marked], event.size)
    assert events["size"].abs().between(2, 5).all()


def test_shocks_move_the_neighborhood_by_as_many_standard_deviations():
    X, neighbors = series()
    changed, is_fault, is_shocked, events = inject_network_events(
        X, neighbors, fault_fraction=0, shock_fraction=0.1, random_state=0
    )
    assert not is_fault.any()
    assert set(events["kind"]) == {"shock"}
    assert 0 in events["node"].tolist()  # the node with one neighbour
    off = (changed - X) / X.std(axis=0)
    for event in events.itertuples():
        nodes = around(neighbors, event.node)
        assert_allclose(off[event.start : event.stop][:, nodes], event.size)
    assert events["size"].abs().between(1, 2.5).all()


def test_without_events_nothing_changes():
    X, neighbors = series()
    changed, is_fault, is_shocked, events = inject_network_events(
        pd.DataFrame(X), neighbors, fault_fraction=0, shock_fraction=0
    )
    assert_array_equal(changed, X)
    assert not is_fault.any() and not is_shocked.any()
    assert len(events) == 0
    assert events["start"].dtype == int


def test_events_are_determined_by_the_seed():
    X, neighbors = series()
    first, again, other = (
        inject_network_events(X, neighbors, random_state=seed) for seed in (0, 0, 1)
    )
    for i in range(3):
        assert_array_equal(first[i], again[i])
    assert_frame_equal(first[3], again[3])
    assert not first[3].equals(other[3])


@pytest.mark.parametrize("name", ["fault_fraction", "shock_fraction"])
def test_no_room_raises(name):
    X, neighbors = series()
    message = "no room for one more event .*lower fault_fraction, shock_fraction, "
    with pytest.raises(ValueError, match=message):
        inject_network_events(X, neighbors, **{name: 0.9}, random_state=0)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"fault_fraction": -0.1}, ValueError, "fault_fraction == -0.1, must be >= 0"),
        ({"shock_fraction": 1.5}, ValueError, "shock_fraction == 1.5, must be <= 1"),
        ({"shock_fraction": "a"}, TypeError, "shock_fraction must be an instance"),
        ({"duration": (5, 4)}, ValueError, r"duration is \(5, 4\); expected two int"),
        ({"duration": (0, 4)}, ValueError, r"duration is \(0, 4\); .* at least 1"),
        ({"duration": (1.5, 4)}, ValueError, r"duration is \(1.5, 4\)"),
        ({"duration": 5}, ValueError, "duration is 5; expected two integers"),
        ({"duration": (6, 300)}, ValueError, "X has 600 time steps; .* at least 900"),
        ({"size": (2, 1)}, ValueError, r"size is \(2, 1\); expected two finite"),
        ({"size": (1, np.inf)}, ValueError, r"size is \(1, inf\)"),
        ({"size": (1, 2, 3)}, ValueError, r"size is \(1, 2, 3\)"),
        ({"kinds": ("drop", "gone")}, ValueError, "kinds is .*'gone'.*; expected a"),
        ({"kinds": ()}, ValueError, r"kinds is \(\); expected a tuple of some"),
        ({"kinds": "drop"}, ValueError, "kinds is 'drop'; expected a tuple"),
        ({"margin": 0}, ValueError, "margin == 0, must be >= 1"),
        ({"margin": 1.5}, TypeError, "margin must be an instance of"),
        ({"neighbors": [[1]]}, ValueError, "neighbors has 1 rows; .* the 10 nodes"),
        ({"neighbors": [[10]] * 10}, ValueError, "neighbors has values from 10 to 10"),
        ({"neighbors": [[-2]] * 10}, ValueError, "neighbors has values from -2 to -2"),
        ({"neighbors": [[0.5]] * 10}, TypeError, "neighbors has dtype float64"),
        ({"X": [[np.nan]] * 99}, ValueError, "Input X contains NaN"),
        ({"random_state": "x"}, ValueError, "cannot be used to seed"),
    ],
)
def test_bad_parameter_raises(params, error, message):
    X, neighbors = series()
    with pytest.raises(error, match=message):
        inject_network_events(**{"X": X, "neighbors": neighbors, **params})
