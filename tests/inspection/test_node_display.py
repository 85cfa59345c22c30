import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import same_color
from matplotlib.dates import ConciseDateFormatter
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skad import CAnemon
from skad.datasets import make_radio_network
from skad.inspection import NodeDisplay
from skad.inspection._drawing import ANOMALY, INK, NORMAL

TRAIN, X, _, EVENTS = make_radio_network(
    12, 6, 2, n_crowds=2, n_faults=2, random_state=0
)
COLUMNS = {
    "node": "cell",
    "time": "time",
    "position": ["x", "y"],
    "attributes": ["type"],
}
SMALL = {"n_neighbors": 4, "hidden_size": 8, "max_epochs": 2, "random_state": 0}
DETECTOR = CAnemon(**COLUMNS, **SMALL).fit(TRAIN)
CELL = EVENTS["cell"][EVENTS["kind"] == "drop"].item()
OWN = (X["cell"] == CELL).to_numpy()
TIMES = X["time"].unique()

# Columns without names: cell, hour, load, users; numbers, as far as an array can.
ARRAYS = [
    np.column_stack(
        [
            table["cell"].str.removeprefix("cell ").astype(float),
            (table["time"] - TIMES[0]) / np.timedelta64(1, "h"),
            table[["load", "users"]],
        ]
    )
    for table in (TRAIN, X)
]
ON_ARRAYS = CAnemon(node=0, time=1, **SMALL).fit(ARRAYS[0])


def draw(table=X, node=CELL, estimator=DETECTOR, **options):
    return NodeDisplay.from_estimator(estimator, table, node, **options)


def drawn(line):
    """Return times and values of a line that are to be seen."""
    times, values = line.get_data()
    is_seen = ~np.isnan(values)
    return np.asarray(times)[is_seen], values[is_seen]


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_line_holds_the_readings_of_the_node():
    times, values = drawn(draw().line_)
    np.testing.assert_array_equal(times, TIMES)
    np.testing.assert_array_equal(values, X["load"][OWN])


def test_another_kpi_is_drawn_by_its_name():
    display = draw(kpi="users")
    np.testing.assert_array_equal(drawn(display.line_)[1], X["users"][OWN])
    assert display.ax_.get_ylabel() == "users"
    assert display.ax_.get_title(loc="left") == f"{CELL}: users"


def test_band_is_two_standard_deviations_around_what_was_expected():
    expected, std = (
        part[OWN, 1] for part in DETECTOR.predict_readings(X, return_std=True)
    )
    display = draw(kpi="users")
    np.testing.assert_array_equal(drawn(display.expected_line_)[1], expected)
    vertices = display.band_.get_paths()[0].vertices
    edges = np.unique(vertices[:, 1])
    np.testing.assert_array_equal(
        edges, np.unique([expected - 2 * std, expected + 2 * std])
    )
    assert same_color(display.expected_line_.get_color(), NORMAL)


def test_flagged_rows_are_marked_on_both_lines():
    flagged = DETECTOR.predict(X)[OWN] == -1
    display = draw()
    assert 0 < flagged.sum() < len(flagged)
    for marks, line in zip(
        display.marks_, (display.line_, display.score_line_), strict=True
    ):
        times, values = drawn(marks)
        np.testing.assert_array_equal(times, TIMES[flagged])
        np.testing.assert_array_equal(values, line.get_ydata()[flagged])
        assert same_color(marks.get_color(), ANOMALY)
    assert texts(display.score_ax_) == [
        "threshold",
        f"{flagged.sum()} of 48 rows flagged",
    ]


def test_low_scores_are_low_and_stand_beside_the_threshold():
    display = draw()
    scores = DETECTOR.score_samples(X)[OWN]
    np.testing.assert_array_equal(drawn(display.score_line_)[1], scores)
    assert set(display.threshold_line_.get_ydata()) == {DETECTOR.offset_}
    assert display.score_ax_.get_ylabel() == "score\n(low: strange)"
    assert not display.score_ax_.yaxis_inverted()


def test_neighbours_are_drawn_as_they_are_and_thicker_with_attention():
    weights, names = DETECTOR.attention(X)
    display = draw()
    assert display.neighbors == list(names[OWN][0])
    np.testing.assert_allclose(display.attention, weights[OWN].mean(axis=0))
    for name, line in zip(display.neighbors, display.neighbor_lines_, strict=True):
        load = X["load"][X["cell"] == name]
        np.testing.assert_array_equal(drawn(line)[1], load)
    widths = [line.get_linewidth() for line in display.neighbor_lines_]
    np.testing.assert_array_equal(np.argsort(widths), np.argsort(display.attention))
    assert texts(display.ax_)[-1] == "4 neighbours (thick: much attention)"


def test_only_neighbours_in_the_rows_are_drawn():
    first, *others = draw().neighbors
    display = draw(X[X["cell"] != first])
    assert display.neighbors == others


@pytest.mark.filterwarnings("ignore:.* nodes have no neighbours")
def test_node_without_neighbours_is_drawn_alone():
    alone = draw(X[OWN])
    assert alone.neighbor_lines_ == []
    assert texts(alone.ax_) == ["readings", "expected ± two standard deviations"]


def test_adjacency_says_who_the_neighbours_are():
    near = [CELL, *draw().neighbors]
    other, *others = [cell for cell in DETECTOR.nodes_ if cell not in near]
    others += near[1:]
    edges = [[CELL, other], *zip(others, others[1:], strict=False)]
    display = draw(adjacency=edges)
    assert display.neighbors == [other]
    assert texts(display.ax_)[-1] == "1 neighbour"


def test_missing_rows_of_the_node_break_its_line_and_not_those_of_others():
    gap = slice(10, 15)
    is_kept = ~(OWN & X["time"].isin(TIMES[gap]).to_numpy())
    display = draw(X[is_kept])
    for line in (display.line_, display.expected_line_, display.score_line_):
        is_missing = np.isnan(line.get_ydata())
        np.testing.assert_array_equal(np.flatnonzero(is_missing), np.arange(48)[gap])
    assert not np.isnan(display.neighbor_lines_[0].get_ydata()).any()
    assert len(display.band_.get_paths()) == 2


def test_hours_that_nobody_measured_break_all_lines():
    display = draw(X[~X["time"].isin(TIMES[10:15])])
    for line in (display.line_, display.score_line_, *display.neighbor_lines_):
        values = line.get_ydata()
        assert np.flatnonzero(np.isnan(values)).tolist() == [10]
        assert len(values) == 44
    assert len(display.band_.get_paths()) == 2


def test_a_reading_between_two_gaps_is_a_point():
    hidden = X["time"].isin(TIMES[[20, 22]]).to_numpy() & OWN
    line = draw(X[~hidden]).line_
    assert np.flatnonzero(line.get_markevery()).tolist() == [21]
    assert line.get_marker() == "o"
    assert not draw().line_.get_markevery().any()


def test_missing_readings_break_the_line_and_the_score_goes_on():
    table = X.copy()
    table.loc[np.flatnonzero(OWN)[5:8], "load"] = np.nan
    detector = CAnemon(**COLUMNS, **SMALL, missing="mask").fit(TRAIN)
    display = draw(table, estimator=detector)
    is_missing = np.isnan(display.line_.get_ydata())
    assert np.flatnonzero(is_missing).tolist() == [5, 6, 7]
    assert not np.isnan(display.score_line_.get_ydata()).any()


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(random):
    order = list(range(len(X)))
    random.shuffle(order)
    display, shuffled = draw(), draw(X.iloc[order])
    for name in ("times", "readings", "expected", "scores", "neighbor_readings"):
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(display, name))
    plt.close("all")


def test_dates_are_concise_on_both_axes():
    display = draw()
    for ax in (display.ax_, display.score_ax_):
        assert isinstance(ax.xaxis.get_major_formatter(), ConciseDateFormatter)
    assert display.score_ax_.get_xlabel() == "time"
    display.figure_.draw_without_rendering()
    labels = [label.get_text() for label in display.score_ax_.get_xticklabels()]
    assert all(len(label) <= 6 for label in labels)
    assert len(set(labels)) > 2


def test_axes_of_one_figure_share_the_time():
    display = draw()
    display.ax_.set_xlim(TIMES[3], TIMES[9])
    assert display.score_ax_.get_xlim() == display.ax_.get_xlim()


def test_times_of_a_zone_are_drawn_in_utc_and_say_so():
    table = X.assign(time=X["time"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    display = draw(table)
    np.testing.assert_array_equal(display.times, TIMES)
    assert display.score_ax_.get_xlabel() == "time (UTC)"


def test_columns_without_names_get_ones_that_can_stand_alone():
    node = float(CELL.removeprefix("cell "))
    display = draw(ARRAYS[1], node, ON_ARRAYS, kpi=3)
    assert display.ax_.get_title(loc="left") == f"node {node}: column 3"
    assert display.ax_.get_ylabel() == "column 3"
    assert display.score_ax_.get_xlabel() == "time"
    np.testing.assert_array_equal(drawn(display.line_)[1], X["users"][OWN])
    np.testing.assert_array_equal(drawn(display.line_)[0], np.arange(48))
    formatter = display.ax_.xaxis.get_major_formatter()
    assert not isinstance(formatter, ConciseDateFormatter)


def test_rows_may_be_lists():
    node = float(CELL.removeprefix("cell "))
    display = draw(ARRAYS[1].tolist(), node, ON_ARRAYS)
    np.testing.assert_array_equal(drawn(display.line_)[1], X["load"][OWN])


def test_through_a_pipeline_columns_are_those_that_the_detector_sees():
    rename = FunctionTransformer(lambda X: X.rename(columns={"sector": "cell"}))
    pipeline = make_pipeline(rename, CAnemon(**COLUMNS, **SMALL))
    pipeline.fit(TRAIN.rename(columns={"cell": "sector"}))
    display = draw(X.rename(columns={"cell": "sector"}), estimator=pipeline)
    plain = draw()
    np.testing.assert_array_equal(display.line_.get_ydata(), plain.line_.get_ydata())
    np.testing.assert_array_equal(display.scores, plain.scores)


@pytest.mark.parametrize("figsize", [(9, 5), (5, 5)])
def test_title_and_legends_hide_neither_data_nor_each_other(figsize):
    figure, axes = plt.subplots(2, figsize=figsize, layout="constrained")
    display = draw(axes=axes)
    figure.draw_without_rendering()
    upper, lower = display.ax_, display.score_ax_
    legends = [ax.get_legend().get_window_extent() for ax in (upper, lower)]
    places = [
        upper._left_title.get_window_extent(),
        legends[0],
        upper.get_window_extent(),
        upper.xaxis.get_tightbbox(),
        legends[1],
        lower.get_window_extent(),
    ]
    for above, below in zip(places, places[1:], strict=False):
        # Text may reach below its line by a little.
        assert above.y0 >= below.y1 - 2
    assert max(legend.x1 for legend in legends) <= figure.bbox.x1
    assert places[0].y1 <= figure.bbox.y1


def test_plain_arrays_are_enough():
    display = NodeDisplay(
        node="a", kpi="load", times=np.arange(4), readings=[1, 2, 2, 1], scores=4 * [0]
    ).plot()
    assert display.expected_line_ is None and display.band_ is None
    assert display.threshold_line_ is None
    assert display.neighbor_lines_ == display.marks_ == []
    assert texts(display.ax_) == ["readings"]
    assert display.score_ax_.get_legend() is None


def test_expected_readings_without_spread_have_no_band():
    display = NodeDisplay(
        node="a",
        kpi="load",
        times=np.arange(3),
        readings=[1.0, 2, 2],
        scores=np.zeros(3),
        expected=[1.0, 1, 1],
        neighbor_readings=[[2.0, 2, 2], [3.0, 3, 3]],
    ).plot()
    assert display.band_ is None
    assert texts(display.ax_) == ["readings", "expected", "2 neighbours"]


def test_a_single_time_is_drawn():
    display = draw(X[X["time"] == TIMES[0]])
    assert display.line_.get_markevery().tolist() == [True]
    display.figure_.draw_without_rendering()


def test_given_axes_are_drawn_on():
    figure, axes = plt.subplots(2, 2)
    display = draw(axes=axes[:, 1])
    assert display.ax_ is axes[0, 1] and display.score_ax_ is axes[1, 1]
    assert display.figure_ is figure
    assert not axes[0, 0].has_data() and not axes[1, 0].has_data()
    assert plt.get_fignums() == [figure.number]


def test_display_is_drawn_again_on_other_axes():
    display = draw()
    before = display.ax_
    assert display.plot() is display
    assert display.ax_ is not before
    assert display.ax_.get_title(loc="left") == before.get_title(loc="left") != ""


def test_style_of_the_line_can_be_changed_and_that_of_figures_stays():
    style = mpl.rcParams.copy()
    display = draw(alpha=0.25, label="load of the cell")
    assert display.line_.get_alpha() == 0.25
    assert same_color(display.line_.get_color(), INK)
    assert texts(display.ax_)[0] == "load of the cell"
    assert mpl.rcParams == style


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"node": "cell 99"}, "node='cell 99' is none of the 12 nodes in X, such as"),
        ({"kpi": "noise"}, r"kpi='noise' is none of .* \['load', 'users'\]"),
        ({"kpi": 0}, "kpi=0 is none of the KPIs"),
        ({"axes": []}, "axes holds 0 matplotlib Axes; expected two"),
        ({"axes": [None, None, None]}, "axes holds 3 matplotlib Axes; expected two"),
        ({"table": X.drop(columns="cell")}, "node='cell' names 'cell'"),
        ({"table": X[["cell", "load"]]}, "time='time' names 'time'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw(**options)


def test_detector_of_rows_without_nodes_is_refused():
    rows = TRAIN[["load", "users"]][:60]
    detector = CAnemon(**SMALL).fit(rows)
    with pytest.raises(ValueError, match="estimator has node=None"):
        draw(rows, 0, detector)


def test_detector_without_neighbours_is_refused():
    pipeline = make_pipeline(FunctionTransformer(), IsolationForest())
    with pytest.raises(TypeError, match="predict_readings; IsolationForest has none"):
        draw(estimator=pipeline)


def test_detector_is_to_be_fitted():
    with pytest.raises(NotFittedError, match="CAnemon"):
        draw(estimator=CAnemon(**COLUMNS))


def test_without_matplotlib_it_is_asked_for_before_anything_else(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = r"NodeDisplay\.from_estimator requires matplotlib"
    with pytest.raises(ImportError, match=message):
        NodeDisplay.from_estimator(None, None, None)


def test_nodes_that_fit_did_not_see_are_drawn():
    table = pd.concat([X, X[OWN].assign(cell="new")])
    display = draw(table, "new")
    assert CELL in display.neighbors
    np.testing.assert_array_equal(drawn(display.line_)[1], X["load"][OWN])
