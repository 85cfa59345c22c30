"""From flagged rows of nodes to events, and hints of what each is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skad._node_events import (
    KINDS,
    NodeRows,
    Readings,
    event_kind,
    event_table,
    node_events,
)

# Rows of nodes that lack some of their steps, in any order.
ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 2), st.integers(-4, 14)),
    max_size=40,
    unique_by=lambda row: row[1:],
)
SEEDS = range(20)
# In usual spreads, a reading of 0 of a node whose level is three spreads.
ZERO, USUAL = -3.0, 0.5


def unzipped(drawn):
    flagged, node, step = np.array(drawn, dtype=int).reshape(-1, 3).T
    return flagged.astype(bool), node, step


def events_of(flagged, node, step, min_duration=1, max_gap=0):
    return [
        event.tolist()
        for event in node_events(
            flagged, node, step, min_duration=min_duration, max_gap=max_gap
        )
    ]


def naive_events(flagged, node, step, min_duration, max_gap):
    """Walk along the steps of each node."""
    events = []
    for code in sorted(set(node.tolist())):
        event, waiting, last = [], [], None
        own = sorted((step[i], i) for i in np.flatnonzero(node == code).tolist())
        for now, i in [*own, (np.inf, None)]:
            if event and now - last > max_gap + 1:
                if last - step[event[0]] + 1 >= min_duration:
                    events.append(event)
                event, waiting = [], []
            if i is not None and flagged[i]:
                event, waiting, last = [*event, *waiting, i], [], now
            elif event:
                waiting.append(i)
    return events


@given(ROWS, st.integers(1, 6), st.integers(0, 4))
def test_events_are_those_of_a_walk_along_each_node(drawn, min_duration, max_gap):
    rows = unzipped(drawn)
    expected = naive_events(*rows, min_duration, max_gap)
    assert events_of(*rows, min_duration, max_gap) == expected


@given(ROWS, st.integers(1, 6), st.integers(0, 4), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(drawn, min_duration, max_gap, random):
    shuffled = random.sample(drawn, len(drawn))

    def named(drawn):
        events = events_of(*unzipped(drawn), min_duration, max_gap)
        return [[drawn[i] for i in event] for event in events]

    assert named(shuffled) == named(drawn)


def test_steps_without_rows_count_as_a_gap():
    flagged, node = np.ones(4, dtype=bool), np.zeros(4, dtype=int)
    step = np.array([0, 1, 4, 5])
    assert events_of(flagged, node, step, 1, 1) == [[0, 1], [2, 3]]
    assert events_of(flagged, node, step, 1, 2) == [[0, 1, 2, 3]]
    # Four rows cover six steps.
    assert events_of(flagged, node, step, 6, 2) == [[0, 1, 2, 3]]
    assert events_of(flagged, node, step, 7, 2) == []


def test_unflagged_rows_belong_to_an_event_only_between_flagged_ones():
    flagged = np.array([0, 1, 0, 1, 0], dtype=bool)
    assert events_of(flagged, np.zeros(5, int), np.arange(5), 3, 1) == [[1, 2, 3]]


@pytest.mark.parametrize("n_rows", [0, 3])
def test_there_may_be_no_events(n_rows):
    zeros = np.zeros(n_rows, dtype=int)
    assert events_of(zeros.astype(bool), zeros, np.arange(n_rows)) == []


def expected_of(n_rows=24):
    """Return a daily cycle as neighbours see it, from -1 to 1."""
    return np.sin(2 * np.pi * np.arange(n_rows) / 24)


def noise(seed, n_rows=24, size=0.2):
    return size * np.random.default_rng(seed).standard_normal(n_rows)


def kind_of(values, expected=None, zero=ZERO, usual=USUAL):
    expected = expected_of(len(values)) if expected is None else expected
    return event_kind(np.array(values, dtype=float), expected, zero, usual)


def test_readings_of_0_are_a_drop_to_zero():
    assert kind_of(np.full(24, ZERO)) == "drop to zero"
    # One that stands still at 0 too.
    assert kind_of([ZERO]) == kind_of([ZERO] * 2) == "drop to zero"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drop_to_zero_may_leave_a_residue_and_take_time(seed):
    values = ZERO + np.abs(noise(seed, size=0.03))
    values[:4] = expected_of()[:4]
    assert kind_of(values) == "drop to zero"
    # Five in 24 are more than a fifth.
    values[4] = expected_of()[4]
    assert kind_of(values) != "drop to zero"


def test_a_low_level_is_no_drop_to_zero():
    distance = expected_of() - ZERO
    # A seventh of what is expected is the most that is left.
    assert kind_of(ZERO + 0.14 * distance) == "drop to zero"
    assert kind_of(ZERO + 0.2 * distance) == "level shift"
    # At night it is a share of what is expected by day.
    noise = np.random.default_rng(0).uniform(0, 0.14 * np.median(distance), 24)
    assert kind_of(ZERO + noise) == "drop to zero"
    assert kind_of(ZERO + noise + 0.2 * distance) == "level shift"


def test_a_low_reading_that_repeats_itself_is_a_flat_line():
    distance = np.median(expected_of() - ZERO)
    assert kind_of(np.full(24, ZERO + 0.02 * distance)) == "flat line"
    assert kind_of(np.full(24, ZERO + 0.009 * distance)) == "drop to zero"


def test_where_little_is_expected_zero_is_no_drop():
    values = np.full(24, -0.9)
    assert kind_of(values, np.zeros(24), zero=-0.9) == "flat line"
    assert kind_of(values, np.full(24, 0.11), zero=-0.9) == "drop to zero"


def test_a_drop_to_zero_is_one_where_the_cycle_comes_close_to_0_as_well():
    expected = 2 + 2 * expected_of()
    assert kind_of(noise(0, size=0.02), expected, zero=0) == "drop to zero"


def test_a_drop_needs_neighbours_that_expect_something():
    assert kind_of(np.full(24, ZERO), np.full(24, np.nan)) == "flat line"


@pytest.mark.parametrize("seed", SEEDS)
def test_readings_that_repeat_themselves_are_a_flat_line(seed):
    values = np.full(24, 0.7) + noise(seed, size=1e-4)
    assert kind_of(values) == "flat line"
    # As far from what is expected as a level shift, and with one change of level.
    values[12:] += 5
    assert kind_of(values) == "flat line"
    assert kind_of(noise(seed) + 0.7) != "flat line"


def test_four_fifths_of_the_changes_of_a_flat_line_are_none():
    values = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0, 2.0]) + 3
    assert kind_of(values) == "flat line"
    values[8] += 0.5
    assert kind_of(values) != "flat line"


def test_a_flat_line_needs_three_readings():
    assert kind_of([0.7] * 3) == "flat line"
    assert kind_of([0.7] * 2) == "spike"


@pytest.mark.parametrize("usual", [None, 0, np.nan])
def test_a_node_of_unknown_changes_has_no_flat_line(usual):
    assert kind_of(np.full(24, 4.0), usual=usual) == "level shift"


@pytest.mark.parametrize("n_spikes", [1, 2, 3])
@pytest.mark.parametrize("sign", [-1, 1])
def test_single_readings_far_off_are_a_spike(n_spikes, sign):
    for seed in SEEDS:
        values = expected_of() + noise(seed)
        values[5 : 5 + 3 * n_spikes : 3] += 4 * sign
        assert kind_of(values) == "spike"


def test_a_spike_is_five_times_as_far_off_as_the_others():
    expected = np.zeros(5)
    near, far = np.array([1, -1, 5, -1, 1.0]), np.array([1, -1, 5.1, -1, 1])
    assert kind_of(near, expected) == "irregular"
    assert kind_of(far, expected) == "spike"
    # It is not one of the others itself.
    assert kind_of([1, -1.0, 6], np.zeros(3)) == "spike"
    assert kind_of([0.5, -1.5, 6], np.zeros(3)) == "spike"


def test_one_or_two_readings_are_a_spike():
    assert kind_of([4.0]) == kind_of([4.0, 5.0]) == "spike"
    assert kind_of([4.0, np.nan, 5.0, np.nan]) == "spike"


@pytest.mark.parametrize("sign", [-1, 1])
def test_readings_off_to_one_side_are_a_level_shift(sign):
    assert kind_of(expected_of() + 2 * sign) == "level shift"
    for seed in SEEDS:
        values = expected_of() + 2 * sign + noise(seed, size=0.4)
        assert kind_of(values) == "level shift"


def test_a_tenth_of_a_level_shift_may_be_off_to_the_other_side():
    values = np.full(20, 2.0)
    values[[0, 19]] = -1
    assert kind_of(values, np.zeros(20), usual=None) == "level shift"
    values[10] = -1
    assert kind_of(values, np.zeros(20), usual=None) == "irregular"


def test_what_varies_more_than_it_is_off_is_no_level_shift():
    values = np.tile([1.0, 1.0, 2.9], 8)
    assert kind_of(values, np.zeros(24)) == "irregular"
    assert kind_of(values + 1, np.zeros(24)) == "level shift"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cycle_out_of_step_is_irregular(seed):
    assert kind_of(-2 * expected_of() + noise(seed)) == "irregular"


@pytest.mark.parametrize("n_rows", [0, 1, 2, 3, 24])
def test_without_readings_an_event_is_irregular(n_rows):
    assert kind_of(np.full(n_rows, np.nan)) == "irregular"


def test_readings_that_nothing_is_expected_for_are_irregular():
    values = expected_of() + 2
    assert kind_of(values, np.full(24, np.nan)) == "irregular"
    assert kind_of(values, np.r_[1, 1, [np.nan] * 22]) == "irregular"


@pytest.mark.parametrize(
    "values",
    [
        np.full(24, ZERO),
        np.full(24, 0.7),
        expected_of() + 9 * (np.arange(24) == 5),
        expected_of() + 2,
        -2 * expected_of(),
    ],
)
def test_missing_readings_do_not_change_the_hint(values):
    missing = values.copy()
    missing[[2, 3, 11, 23]] = np.nan
    assert kind_of(missing) == kind_of(values)


@given(
    st.lists(
        st.tuples(*[st.sampled_from([np.nan, -3, -2.9, 0, 0.001, 1, 9.0])] * 2),
        max_size=12,
    ),
    st.sampled_from([None, np.nan, 0, 0.5]),
)
def test_a_hint_is_one_of_the_kinds_and_units_do_not_matter(drawn, usual):
    values, expected = np.array(drawn, dtype=float).reshape(-1, 2).T
    kind = event_kind(values, expected, ZERO, usual)
    assert kind in KINDS
    # Below and above are alike.
    assert event_kind(-values, -expected, -ZERO, usual) == kind


def network(n_steps=30):
    """Return the rows of three nodes, step by step, with an event of two of them.

    Of node 0, KPI 1 is at 0 from step 10 to 15, and KPI 0 is somewhat off; of node 2,
    KPI 0 has another level from step 3 to 6.
    """
    step, node = (part.ravel() for part in np.indices((n_steps, 3)))
    values = np.zeros((len(node), 3))
    dropped = (node == 0) & (step >= 10) & (step < 16)
    shifted = (node == 2) & (step >= 3) & (step < 7)
    values[dropped, 1], values[dropped, 0] = -2.0, -1 - step[dropped] / 100
    # A reading of 0 is another number for each node and KPI.
    zero = np.array([[-5.0, -2, -5], [-5, -5, -5], [-4, -5, -5]])
    values[shifted, 0] = 2 + step[shifted] / 10
    contribution = np.abs(values)
    readings = Readings(values, np.zeros_like(values), zero, np.full((3, 3), 0.5))
    score = -contribution.sum(axis=1)
    time = np.datetime64("2024-01-01T00") + step.astype("timedelta64[h]")
    rows = NodeRows(node, step, time, score, contribution, np.full(len(node), 4))
    return rows, readings


def table_of(rows, readings, min_duration=3, max_gap=0):
    params = {"min_duration": min_duration, "max_gap": max_gap}
    events = node_events(rows.score < -1, rows.node, rows.step, **params)
    names = {"labels": ["u", "v", "w"], "kpis": ("load", "users", "drops")}
    return events, event_table(events, rows, readings, **names)


def test_the_table_says_where_and_when_an_event_is():
    rows, readings = network()
    events, table = table_of(rows, readings)
    assert table.node.tolist() == ["u", "w"]
    assert table.n_steps.tolist() == [6, 4]
    assert_array_equal(table.first, [3 * 10, 3 * 3 + 2])
    assert_array_equal(table["last"], [3 * 15, 3 * 6 + 2])
    assert table.start.tolist() == rows.time[table.first].tolist()
    assert table.end.tolist() == rows.time[table["last"]].tolist()
    assert isinstance(table.start[0], np.datetime64)
    for event, record in zip(events, table, strict=True):
        assert record.peak in event
        assert record.score == rows.score[record.peak] == rows.score[event].min()


def test_kpis_are_ranked_by_what_they_add_up_to():
    _, table = table_of(*network())
    assert table.kpis.tolist() == [("users", "load"), ("load",)]


def test_the_hint_is_from_the_kpi_that_says_most_and_its_node():
    rows, readings = network()
    events, table = table_of(rows, readings)
    assert table.kind.tolist() == ["drop to zero", "level shift"]
    # With more said by the other KPI of node 0, the hint is from that.
    rows.contribution[:, 0] *= 3
    _, table = table_of(rows, readings)
    assert table.kpis.tolist() == [("load", "users"), ("load",)]
    assert table.kind.tolist() == ["level shift", "level shift"]
    # Where changes are usually large, the slow ones of node 2 are none.
    readings.usual[2, 0] = 20
    _, table = table_of(rows, readings)
    assert table.kind.tolist() == ["level shift", "flat line"]
    # What is 0 of node 2 is not 0 of node 0.
    readings.values[events[1], 0] = readings.zero[2, 0]
    _, table = table_of(rows, readings)
    assert table.kind.tolist() == ["level shift", "drop to zero"]


def test_an_event_that_no_kpi_speaks_for_has_no_kpis_and_is_irregular():
    rows, readings = network()
    rows.contribution[:] = 0
    _, table = table_of(rows, readings)
    assert table.kpis.tolist() == [(), ()]
    assert table.kind.tolist() == ["irregular", "irregular"]


def test_steps_that_have_no_rows_are_steps_of_an_event():
    rows, readings = network()
    rows.step[rows.step > 12] += 2
    _, table = table_of(rows, readings, max_gap=2)
    assert table.n_steps.tolist() == [8, 4]


@pytest.mark.parametrize(
    ("counts", "median"),
    [([6, 6, 6, 6], 6), ([0, 0, 0, 5], 0), ([0, 0, 1, 1], 0), ([2, 2, 5, 9], 3)],
)
def test_the_number_of_neighbours_is_a_median_rounded_down(counts, median):
    rows, readings = network()
    rows.n_neighbors[(rows.node == 2) & (rows.step >= 3) & (rows.step < 7)] = counts
    _, table = table_of(rows, readings)
    assert table.n_neighbors.tolist() == [4, median]


def test_without_events_the_table_has_all_fields():
    _, full = table_of(*network())
    events, table = table_of(*network(), min_duration=99)
    assert events == [] and len(table) == 0
    assert isinstance(table, np.recarray)
    assert table.dtype == full.dtype
    names = "node start end n_steps first last peak score kind kpis n_neighbors"
    assert table.dtype.names == tuple(names.split())
    assert table.kpis.dtype == table.start.dtype == object
