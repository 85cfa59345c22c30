"""Rows of several series side by side, and the runs in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skad._segments import SeriesRows

rows_of_groups = st.lists(
    st.tuples(st.booleans(), st.sampled_from("abc")), min_size=1, max_size=30
)


@given(rows_of_groups)
def test_runs_are_those_of_each_series(drawn):
    mask, groups = (np.array(values) for values in zip(*drawn, strict=True))
    rows = SeriesRows.from_groups(groups, len(mask))
    segments = rows.segments(mask[rows.order])
    expected = []
    for group in dict.fromkeys(groups.tolist()):
        member = np.flatnonzero(groups == group)
        for i, row in enumerate(member):
            if mask[row] and (i == 0 or not mask[member[i - 1]]):
                expected.append([])
            if mask[row]:
                expected[-1].append(row)
    found = [
        rows.order[start:stop].tolist()
        for start, stop in zip(segments.start, segments.stop, strict=True)
    ]
    assert found == expected
    lengths = segments.last - segments.first
    assert lengths.tolist() == [np.sum(groups == groups[run[0]]) for run in expected]


@given(rows_of_groups, st.data())
def test_sums_minima_and_overlaps_of_runs(drawn, data):
    mask, groups = (np.array(values) for values in zip(*drawn, strict=True))
    n = len(mask)
    other = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    rows = SeriesRows.from_groups(groups, n)
    segments, others = rows.segments(mask), rows.segments(other)
    values = np.arange(n)[::-1] % 7
    runs = [range(*pair) for pair in zip(segments.start, segments.stop, strict=True)]
    assert segments.sums(values).tolist() == [sum(values[list(r)]) for r in runs]
    assert segments.minima(values).tolist() == [min(values[list(r)]) for r in runs]
    meets = [
        sum(
            bool(set(run) & set(range(*pair)))
            for pair in zip(others.start, others.stop, strict=True)
        )
        for run in runs
    ]
    assert segments.n_overlapping(others).tolist() == meets


def test_without_groups_all_rows_are_one_series():
    rows = SeriesRows.from_groups(None, 4)
    assert_array_equal(rows.order, np.arange(4))
    assert rows.sizes.tolist() == [4]


@pytest.mark.parametrize("groups", [None, [1, 1, 2]])
def test_there_may_be_no_runs(groups):
    segments = SeriesRows.from_groups(groups, 3).segments(np.zeros(3, dtype=bool))
    assert len(segments) == len(segments.minima(np.ones(3))) == 0


def test_runs_join_across_small_gaps_inside_their_series():
    mask = np.array([1, 0, 1, 0, 0, 1, 1, 0], dtype=bool)
    segments = SeriesRows.from_groups([1] * 6 + [2] * 2, 8).segments(mask)
    spans = [list(segments.joined(n).pairs()) for n in range(3)]
    apart = [(0, 1), (2, 3), (5, 6), (6, 7)]
    assert spans == [apart, [(0, 3), (5, 6), (6, 7)], [(0, 6), (6, 7)]]
    assert segments.joined(2).last.tolist() == [6, 8]


def test_some_runs_are_runs():
    segments = SeriesRows.from_groups(None, 5).segments(np.array([1, 0, 1, 0, 1]) > 0)
    assert list(segments[segments.start > 0].pairs()) == [(2, 3), (4, 5)]
