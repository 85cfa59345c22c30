"""The report's figures: what is drawn is what was measured."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skad.benchmark._plots import dot_plot, time_plot
from skad.benchmark._rank_plot import place_bars, place_names, rank_plot
from skad.benchmark._ranks import RankTest
from skad.benchmark._score_plots import (
    course_plot,
    event_spans,
    position_plot,
    tick_path,
)

MEAN_RANKS = st.lists(st.floats(1, 12), min_size=2, max_size=12).map(
    lambda values: pd.Series(
        sorted(values), index=[f"d{i}" for i in range(len(values))], dtype=float
    )
)


def texts(svg):
    """Of each text its place, x and y, in points; y grows downwards."""
    found = re.findall(
        r'<text style="[^"]*" (?:x="([\d.-]+)" y="([\d.-]+)"|transform="[^"]*")[^>]*>'
        r"([^<]+)</text>",
        svg,
    )
    return {text: (float(x), float(y)) for x, y, text in found if x}


def comparable(ranks):
    return RankTest(0.01, 1.0, [list(ranks.index[:2])])


@given(MEAN_RANKS)
def test_no_line_to_a_name_crosses_another(ranks):
    names = place_names(ranks)
    assert [(name.name, name.rank) for name in names] == list(ranks.items())
    for a, b in itertools.combinations(names, 2):
        if a.side != b.side:
            assert (a.side, b.side) == ("left", "right")
            continue
        assert a.row != b.row
        # The line goes down from the axis, then outwards: the inner one has to pass
        # below the outer one.
        assert (a.row < b.row) == (a.side == "left")


@given(MEAN_RANKS)
def test_names_fill_the_rows_of_both_sides(ranks):
    names = place_names(ranks)
    left = [name.row for name in names if name.side == "left"]
    right = [name.row for name in names if name.side == "right"]
    assert sorted(left) == list(range((len(ranks) + 1) // 2))
    assert sorted(right) == list(range(len(ranks) // 2))


@settings(max_examples=30)
@given(MEAN_RANKS, st.floats(0.05, 6))
def test_bars_span_their_groups_and_never_touch(ranks, critical):
    groups = [
        list(ranks.index[(ranks >= low) & (ranks <= low + critical)]) for low in ranks
    ]
    bars = place_bars(ranks, groups)
    for group, (low, high, _) in zip(groups, bars, strict=True):
        assert (low, high) == (ranks[group].min(), ranks[group].max())
    for (_, high, level), (low, _, other) in itertools.combinations(bars, 2):
        assert level != other or high < low


def test_the_diagram_has_names_at_both_sides_and_ranks_to_scale():
    ranks = pd.Series({"best": 1.0, "second": 2.0, "third": 3.5, "worst": 3.5})
    found = texts(rank_plot(ranks, comparable(ranks), "p"))
    step = found["2"][0] - found["1"][0]
    assert found["4"][0] - found["3"][0] == pytest.approx(step, abs=0.1)
    left, right = found["best 1.00"], found["3.50 worst"]
    assert left[0] < found["1"][0] < found["4"][0] < right[0]
    assert left[1] == pytest.approx(right[1], abs=0.1)
    assert found["second 2.00"][1] > left[1]
    assert found["3.50 third"][1] > right[1]


def test_the_bars_of_the_diagram_are_to_scale():
    ranks = pd.Series({"a": 1.0, "b": 2.0, "c": 4.0, "d": 5.0}) * 0.75
    svg = rank_plot(ranks, RankTest(0.01, 1.5, [["a", "b"], ["c", "d"]]), "p")
    unit = texts(svg)["2"][0] - texts(svg)["1"][0]
    horizontal = [
        float(end) - float(start)
        for start, y, end, z in re.findall(
            r'd="M ([\d.]+) ([\d.]+) L ([\d.]+) ([\d.]+)"', svg
        )
        if y == z
    ]
    lengths = np.array(horizontal) / unit
    margins = 2 * 3 / 150
    expected = [3, 1.5, 0.75 + margins, 0.75 + margins]
    np.testing.assert_allclose(lengths, expected, atol=0.01)


def test_names_are_escaped_in_the_diagram():
    ranks = pd.Series({"a<b": 1.0, "c&d": 2.0, "e": 3.0})
    svg = rank_plot(ranks, comparable(ranks), "p")
    assert "a&lt;b 1.00" in svg
    assert "a<b" not in svg


@given(st.lists(st.floats(0, 1), max_size=20))
def test_ticks_stand_at_the_positions(positions):
    x, y = tick_path(positions, 1, 2)
    np.testing.assert_array_equal(x[::3], positions)
    np.testing.assert_array_equal(x[1::3], positions)
    assert set(y[::3]) <= {1} and set(y[1::3]) <= {2}
    assert np.isnan(y[2::3]).all()


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 7))
def test_shaded_rows_are_those_of_bins_with_an_event(event, rows_of_a_bin):
    n_rows = len(event) * rows_of_a_bin
    course = {"rank": [0.5] * len(event), "event": event, "n_rows": n_rows}
    shaded = np.zeros(n_rows, dtype=bool)
    for start, length in event_spans(course):
        assert length > 0
        assert not shaded[start : start + length].any()
        shaded[start : start + length] = True
    np.testing.assert_array_equal(shaded, np.repeat(event, rows_of_a_bin))


def test_a_tick_for_each_anomaly_in_the_row_of_its_detector():
    runs = {
        "good": {"status": "ok", "positions": [0.0, 0.5, 1.0]},
        "bad": {"status": "ok", "positions": [1.0]},
        "broken": {"status": "failed"},
    }
    svg = position_plot(runs, "p", "scores of <x>")
    places = texts(svg)
    ticks = [
        tuple(map(float, found))
        for found in re.findall(r"M ([\d.]+) ([\d.]+) L \1 ([\d.]+)(?= |\")", svg)
    ]
    assert len(ticks) == 4
    x = [x for x, *_ in ticks]
    assert x[1] == pytest.approx((x[0] + x[2]) / 2, abs=0.1)
    assert x[3] == x[2]
    assert x[0] == pytest.approx(places["failed"][0], abs=0.1)
    for (_, low, high), name in zip(ticks, ["good"] * 3 + ["bad"], strict=True):
        assert min(low, high) < places[name][1] < max(low, high)
    assert places["good"][1] < places["bad"][1] < places["broken"][1]
    assert 'aria-label="scores of &lt;x&gt;"' in svg


def test_the_strangest_row_is_at_the_top_of_its_panel():
    course = {"rank": [1, 0, 1, 1], "event": [False, True, False, False], "n_rows": 4}
    runs = {
        "peak": {"status": "ok", "course": course},
        "broken": {"status": "failed"},
    }
    svg = course_plot(runs, "p", "scores")
    line = re.search(r'd="(M [^"]+)"[^>]*stroke: var\(--first\)', svg)[1]
    points = re.findall(r"([\d.]+) ([\d.]+)", line)
    x, y = np.array(points, dtype=float).T
    assert y[1] < y[0] == y[2] == y[3]
    mark = re.search(r'href="#([^"]+)"[^>]*fill: var\(--event\)', svg)[1]
    shade = re.search(f'<path id="{mark}" d="([^"]+)"', svg)[1]
    shaded = np.array(re.findall(r"([\d.]+) -?[\d.]+", shade), dtype=float)
    assert (shaded.min(), shaded.max()) == pytest.approx((x[1], x[2]), abs=0.15)
    assert "failed" in texts(svg)


def test_only_auroc_has_a_line_at_chance():
    scores = pd.DataFrame({"a": [0.4, 0.7], "b": [0.6, np.nan]}, index=["x", "y"])
    auroc, vus = (dot_plot(scores, name, "p") for name in ("auroc", "vus_pr"))
    assert auroc.count("stroke-dasharray") == 1
    assert "stroke-dasharray" not in vus
    assert "VUS-PR" in texts(vus)


def test_the_plot_against_time_keeps_the_colours_of_the_summary():
    table = pd.DataFrame(
        {"vus_pr": [0.9, 0.8], "fit_seconds": [1.0, 2.0], "score_seconds": 0.1},
        index=["first", "second"],
    )
    svg = time_plot(table, ["second"], "vus_pr", "p")
    assert "var(--second)" in svg
    assert "var(--first)" not in svg
    assert "second" in texts(svg)


def test_times_that_are_close_have_marks_between_powers_of_ten():
    seconds = pd.Series({"a": 0.013, "b": 0.06})
    table = pd.DataFrame({"auroc": 0.8, "fit_seconds": seconds, "score_seconds": 0})
    close = texts(time_plot(table, ["a", "b"], "auroc", "p"))
    assert {"0.01", "0.02", "0.05", "0.1"} <= set(close)


def test_paths_are_short_and_placeholder_colours_gone():
    svg = dot_plot(pd.DataFrame({"a": [1 / 3]}, index=["x"]), "auroc", "p")
    assert not re.search(r'd="[^"]*\.\d\d', svg)
    assert "#010101" not in svg
    ids = re.findall(r' id="([^"]+)"', svg)
    assert ids
    assert all(name.startswith("p-") and f"#{name}" in svg for name in ids)
