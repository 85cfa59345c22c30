"""From p-values of rows to intervals, and to systems."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import false_discovery_control, norm

from skad._intervals import (
    find_intervals,
    interval_table,
    log_benjamini_hochberg,
    log_simes,
    system_table,
)
from skad._segments import SeriesRows

ALPHA, RELEASE = 0.01, 0.1
# Below the first threshold, between the two, above both, and exactly at them.
P_VALUES = st.sampled_from([0.001, ALPHA, 0.05, RELEASE, 0.5, 1.0])
ROWS = st.lists(st.tuples(P_VALUES, st.sampled_from("abc")), min_size=1, max_size=40)


def unzipped(drawn):
    p, systems = (np.array(values) for values in zip(*drawn, strict=True))
    return p, systems


def intervals_of(p, groups=None, max_gap=0):
    rows = SeriesRows.from_groups(groups, len(p))
    params = {"alpha": ALPHA, "release": RELEASE, "max_gap": max_gap}
    return rows, find_intervals(np.log(p), rows, **params)


def table_of(p, systems, max_gap=0, evidence=None, sensors=("u", "v")):
    rows, intervals = intervals_of(p, systems, max_gap)
    evidence = np.ones((len(p), 2)) if evidence is None else evidence
    return interval_table(intervals, rows, np.log(p), systems, evidence, sensors)


def members(row, systems):
    """Return the positions of the rows of an interval."""
    between = np.arange(row.start, row.end + 1)
    return between[systems[between] == row.system]


@given(ROWS, st.integers(0, 5))
def test_each_row_below_alpha_is_in_one_interval_of_its_own_system(drawn, max_gap):
    p, systems = unzipped(drawn)
    counts = np.zeros(len(p), dtype=int)
    for row in table_of(p, systems, max_gap):
        assert systems[row.start] == systems[row.end] == row.system
        counts[members(row, systems)] += 1
    assert np.all(counts[p < ALPHA] == 1)
    assert np.all(counts <= 1)


@given(ROWS, st.integers(0, 5))
def test_no_interval_is_without_a_row_below_alpha(drawn, max_gap):
    p, systems = unzipped(drawn)
    for row in table_of(p, systems, max_gap):
        inside = members(row, systems)
        assert row.n_rows == len(inside)
        assert row.peak == inside[p[inside].argmin()]
        assert_allclose(row.pvalue, p[inside].min())
        assert row.pvalue < ALPHA


@given(ROWS)
def test_intervals_reach_as_far_as_release_and_no_farther(drawn):
    p, systems = unzipped(drawn)
    for row in table_of(p, systems):
        inside = members(row, systems)
        assert np.all(p[inside] < RELEASE)
        own = np.flatnonzero(systems == row.system)
        before, after = own[own < row.start], own[own > row.end]
        assert not len(before) or p[before[-1]] >= RELEASE
        assert not len(after) or p[after[0]] >= RELEASE


@given(ROWS, st.integers(0, 5))
def test_joined_are_those_with_no_more_rows_between_them(drawn, max_gap):
    p, systems = unzipped(drawn)
    expected = []
    for row in table_of(p, systems):
        own = np.flatnonzero(systems == row.system).tolist()
        last = expected[-1] if expected else None
        near = last and last[0] == row.system
        if near and own.index(row.start) - own.index(last[2]) - 1 <= max_gap:
            expected[-1] = (row.system, last[1], row.end)
        else:
            expected.append((row.system, row.start, row.end))
    found = [(row.system, row.start, row.end) for row in table_of(p, systems, max_gap)]
    assert found == expected


@given(ROWS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_systems_may_come_in_any_order(drawn, max_gap, random):
    p, systems = unzipped(drawn)
    # Any order of rows in which those of one system keep theirs.
    shuffled = random.sample(systems.tolist(), len(systems))
    queues = {name: iter(np.flatnonzero(systems == name)) for name in "abc"}
    order = np.array([next(queues[name]) for name in shuffled])

    def described(table, place):
        spans = (place[table[name]] for name in ("start", "end", "peak"))
        return sorted(zip(table.system, table.n_rows, *spans, strict=True))

    alone = table_of(p, systems, max_gap)
    mixed = table_of(p[order], systems[order], max_gap)
    assert described(mixed, order) == described(alone, np.arange(len(p)))
    ranked = system_table(np.log(p), systems)
    other = system_table(np.log(p[order]), shuffled)
    assert sorted(ranked.tolist()) == sorted(other.tolist())


def test_a_failure_whose_evidence_comes_and_goes_is_one_interval():
    p = np.array([1, 0.05, 0.001, 0.05, 0.001, 0.5, 0.05, 0.5, 0.5, 0.001])
    table = table_of(p, ["s"] * 10)
    assert list(zip(table.start, table.end, strict=True)) == [(1, 4), (9, 9)]
    # Row 6 alone begins no interval, and does not make a gap shorter.
    assert len(table_of(p, ["s"] * 10, max_gap=3)) == 2
    assert table_of(p, ["s"] * 10, max_gap=4).n_rows.tolist() == [9]


def test_runs_of_a_system_are_apart():
    p, runs = np.full(6, 0.001), ["a", "a", "b", "a", "b", "b"]
    rows, intervals = intervals_of(p, runs, max_gap=9)
    params = ["s"] * 6, np.ones((6, 1)), ["x"]
    table = interval_table(intervals, rows, np.log(p), *params)
    assert_array_equal(table.start, [0, 2])
    assert_array_equal(table.end, [3, 5])
    assert table.system.tolist() == ["s", "s"]


def test_sensors_are_ranked_by_their_evidence_inside_the_interval():
    p = np.array([0.5, 0.001, 0.001, 0.5])
    evidence = np.array([[99, 0, 0, 0], [1, 0, 5, 2], [4, 0, 1, 2], [0, 99, 0, 0]])
    table = table_of(p, ["s"] * 4, evidence=evidence, sensors=["a", "b", "c", "d"])
    # b says nothing; a and d 5 and 4, and c 6.
    assert table.sensors.tolist() == [("c", "a", "d")]


def test_evidence_beyond_the_range_of_floats_is_told_apart():
    log_p = np.array([0.0, -2000, -3000, 0])
    rows = SeriesRows.from_groups(None, 4)
    intervals = find_intervals(log_p, rows, alpha=0.1, release=0.1, max_gap=0)
    params = rows, log_p, [0] * 4, np.ones((4, 1)), ["x"]
    (row,) = interval_table(intervals, *params)
    assert (row.peak, row.log_pvalue, row.pvalue) == (2, -3000, 0)
    ranked = system_table(log_p, ["a", "b", "c", "d"])
    assert ranked.system.tolist() == ["c", "b", "a", "d"]


def test_without_abnormal_rows_there_is_no_interval():
    table = table_of(np.full(5, 0.05), ["a", "b", "a", "b", "a"])
    assert len(table) == 0
    assert table.sensors.dtype == object


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_those_of_scipy(p):
    adjusted = np.exp(log_benjamini_hochberg(np.log(p)))
    assert_allclose(adjusted, false_discovery_control(p), rtol=1e-12)


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=30))
def test_simes_is_the_least_adjusted_p_value(p):
    assert_allclose(np.exp(log_simes(np.log(p))), false_discovery_control(p).min())


def p_values(rng, shape, correlation):
    """Return p-values of normal variables, correlated in each row."""
    common, own = rng.standard_normal((shape[0], 1)), rng.standard_normal(shape)
    return norm.sf(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)


@pytest.mark.parametrize("correlation", [0, 0.5, 0.9])
@pytest.mark.parametrize("level", [0.01, 0.1])
def test_simes_of_sound_rows_is_a_p_value(correlation, level):
    n = 4000
    p = p_values(np.random.default_rng(0), (n, 50), correlation)
    share = np.mean([np.exp(log_simes(row)) <= level for row in np.log(p)])
    noise = 3 * np.sqrt(level * (1 - level) / n)
    assert share <= level + noise
    # It is exact where rows do not depend on each other.
    assert correlation or share >= level - noise


@pytest.mark.parametrize("correlation", [0, 0.5])
def test_the_rate_of_false_findings_among_systems_is_controlled(correlation):
    rng = np.random.default_rng(0)
    systems = np.repeat(np.arange(40), 30)
    false, found = [], []
    for _ in range(200):
        p = p_values(rng, (40, 30), correlation)
        p[:8, rng.integers(30)] /= 1e5
        table = system_table(np.log(p).ravel(), systems)
        named = table.system[table.adjusted_pvalue <= 0.2]
        false.append(np.mean(named >= 8) if len(named) else 0)
        found.append(np.sum(named < 8) / 8)
    # The bound is q times the share of systems that are sound.
    assert np.mean(false) <= 0.2 * 32 / 40 + 3 * np.std(false) / np.sqrt(200)
    assert np.mean(false) > 0.05
    assert np.mean(found) > 0.9


def test_systems_are_ranked_by_their_p_values():
    p = np.array([0.5, 0.2, 0.01, 0.3, 0.02, 0.9])
    table = system_table(np.log(p), ["a", "b", "c", "b", "c", "a"])
    assert table.system.tolist() == ["c", "b", "a"]
    assert table.n_rows.tolist() == [2, 2, 2]
    assert_allclose(table.pvalue, [0.02, 0.3, 0.9])
    assert_allclose(table.adjusted_pvalue, [0.06, 0.45, 0.9])
