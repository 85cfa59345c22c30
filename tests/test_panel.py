"""Readings of nodes over time, from tables of any kind."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator

from skad._panel import PanelColumns

CHOSEN = {"node": "cell", "time": "hour", "position": ["x"], "attributes": ["kind"]}
NEVER, NOT_KNOWN = pd.NaT, pd.NA


def table(n_hours=4, cells="abc", **columns):
    """Return rows hour by hour; a dict holds a value for each cell."""
    n_rows = n_hours * len(cells)
    rows = pd.DataFrame(
        {
            "cell": list(cells) * n_hours,
            "hour": np.repeat(np.arange(n_hours), len(cells)),
            "x": list(range(len(cells))) * n_hours,
            "kind": ["4G", "5G", "4G"] * n_hours,
            "load": np.sqrt(np.arange(n_rows)),
            "drops": np.cos(np.arange(n_rows)),
        }
    )
    for name, column in columns.items():
        by_cell = isinstance(column, dict)
        rows[name] = [column[c] for c in rows["cell"]] if by_cell else column
    return rows


def but(column, row, value):
    """Return a column of `table` with another value in a row."""
    column = table()[column].astype(object)
    column[row] = value
    return column


def read(X, fitted=None, allow_nan=False, metric="auto", **chosen):
    """Return the panel in `X`, with the columns of another table if that is given."""
    columns = PanelColumns(*(CHOSEN | chosen).values(), metric, allow_nan)
    estimator = BaseEstimator()
    panel = columns.fit_read(estimator, X if fitted is None else fitted)
    return panel if fitted is None else columns.read(estimator, X)


def arranged(panel):
    return panel.arranged(np.full(panel.n_nodes, -1))


def assert_same_grid(panel, other):
    assert_array_equal(panel.values, other.values)
    assert_array_equal(panel.positions, other.positions)
    assert_array_equal(panel.attributes, other.attributes)


def test_a_table_becomes_a_grid():
    X = table()
    panel = read(X)
    assert len(panel) == 12 and panel.n_nodes == 3
    assert panel.labels == ["a", "b", "c"]
    expected = X[["load", "drops"]].to_numpy().reshape(4, 3, 2)
    assert_array_equal(panel.values, expected)
    assert_array_equal(panel.positions, [[0], [1], [2]])
    assert_array_equal(panel.attributes, [[1, 0], [0, 1], [1, 0]])
    assert panel.adjacency is None


def test_columns_are_found_by_index_as_by_name():
    X = table(hour=pd.Timestamp("2024") + pd.to_timedelta(table()["hour"], unit="h"))
    indices = {"node": 0, "time": 1, "position": [2], "attributes": [3]}
    for same in (X, X.to_numpy(), X.to_numpy().tolist(), X.set_axis([7] * 12)):
        panel = read(same, **indices)
        assert panel.labels == ["a", "b", "c"]
        assert_same_grid(panel, read(X))
    numbers = table(cell=table()["x"] + 0.5, kind=table()["x"])
    panel = read(numbers.to_numpy(dtype=float), **indices)
    assert panel.labels == [0.5, 1.5, 2.5]
    assert_array_equal(panel.values, read(X).values)


def test_times_of_a_list_are_as_the_caller_wrote_them():
    columns = PanelColumns(0, 1, None, None, "auto", False)
    X = table(hour=table()["hour"].map("2024-01-01 0{}:00".format))
    X = X[["cell", "hour", "load"]]
    columns.fit_read(BaseEstimator(), X)
    for same in (X, X.to_numpy(), X.to_numpy().tolist()):
        assert columns.times(same).tolist() == X["hour"].tolist()


def test_without_columns_of_nodes_every_row_is_one():
    X = table()[["x", "kind", "load", "drops"]]
    panel = read(X, node=None, time=None)
    assert panel.labels is None
    assert panel.values.shape == (1, 12, 2)
    assert_array_equal(panel.of_rows(panel.values), X[["load", "drops"]])
    assert_array_equal(panel.positions[:, 0], X["x"])
    assert_array_equal(panel.attributes[:, 0], X["kind"] == "4G")


cells = st.tuples(st.sampled_from("abcd"), st.integers(0, 6))


@given(st.lists(cells, unique=True), st.randoms(use_true_random=False))
def test_rows_in_any_order_under_any_name_give_the_same_grid(rows, random):
    # The last two tell what a step is, whatever is missing before.
    X = pd.DataFrame([*rows, ("e", 7), ("e", 8)], columns=["cell", "hour"])
    x = X["cell"].map({"a": 0.1, "b": 7.7, "c": 1.3, "d": 0.9, "e": 3.1})
    X = X.assign(x=x, height=x**2, load=np.sin(np.arange(len(X))))
    panel = read(X, attributes=["height"])
    assert_array_equal(panel.of_rows(panel.values)[:, 0], X["load"])
    assert np.count_nonzero(~np.isnan(panel.values)) == len(X)
    assert [panel.labels[i] for i in panel.node] == X["cell"].tolist()
    assert_array_equal(panel.step, X["hour"] - X["hour"].min())
    order = random.sample(range(len(X)), len(X))
    other = X.iloc[order].assign(cell=X["cell"].replace({"a": "q", "d": "b", "b": "d"}))
    other = arranged(read(other, attributes=["height"]))
    assert_same_grid(other, arranged(panel))
    assert_array_equal(other.of_rows(other.values)[:, 0], X["load"].iloc[order])


def test_nodes_without_positions_are_arranged_by_what_they_show():
    X = table()
    other = X.sample(frac=1, random_state=0)
    panel, other = (arranged(read(t, position=None)) for t in (X, other))
    assert_array_equal(panel.values, other.values)
    assert panel.labels == other.labels
    assert_array_equal(panel.attributes, other.attributes)


def test_nodes_of_fit_come_first_when_arranged():
    panel = read(table()).arranged(np.array([1, -1, 0]))
    assert panel.labels == ["c", "a", "b"]
    assert_array_equal(panel.positions[:, 0], [2, 0, 1])
    assert_array_equal(panel.attributes[:, 0], [1, 1, 0])
    X = table()[["load", "drops"]]
    assert_array_equal(panel.of_rows(panel.values), X)


# Where summer begins in that night, the clock goes from 2 to 3.
instants = pd.Timestamp("2024-03-31") + pd.to_timedelta(np.arange(4) * 30, unit="min")
in_berlin = instants.tz_localize("UTC").tz_convert("Europe/Berlin")


@pytest.mark.parametrize(
    "times",
    [
        [0, 1, 2, 3],
        [0.1, 0.2, 0.1 + 0.2, 0.4],
        [-3e9, -1e9, 1e9, 3e9],
        ["7", "8", "9", "10"],
        pd.array([5, 10, 15, 20], dtype="Int64"),
        instants,
        instants.astype("M8[s]"),
        instants.to_pydatetime(),
        instants.strftime("%Y-%m-%d %H:%M"),
        instants.strftime("%Y-%m-%dT%H:%M:%S"),
        in_berlin,
        in_berlin.astype(object),
        in_berlin.map(pd.Timestamp.isoformat),
        instants.strftime("%Y-%m-%dT%H:%M:%SZ"),
        instants.to_period("30min"),
        instants - instants[0],
    ],
)
def test_times_of_any_kind_are_steps(times):
    hour = pd.Series(times)[np.repeat(np.arange(4), 3)].reset_index(drop=True)
    X = table(hour=hour).iloc[[0, 1, 2, 4, 11]]
    panel = read(X.iloc[::-1])
    assert_array_equal(panel.step, [3, 1, 0, 0, 0])
    is_there = ~np.isnan(panel.values[:, :, 0])
    # In the order in which they appear, the nodes are c, b and a.
    assert_array_equal(is_there, [[1, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]])


def test_the_step_is_that_of_fit():
    X = table(200)
    assert read(X.iloc[[70]], fitted=X).values.shape == (1, 1, 2)
    assert_array_equal(read(X.iloc[[0, 6, 9]], fitted=X).step, [0, 2, 3])
    assert_array_equal(read(X.iloc[[0, -1]], fitted=X).step, [0, 199])


@pytest.mark.parametrize(
    ("kinds", "encoded"),
    [
        (["4G", "5G", "4G"], [[1, 0], [0, 1], [1, 0]]),
        (["4G", None, "5G"], [[1, 0], [0, 0], [0, 1]]),
        ([3, "x", 3], [[1, 0], [0, 1], [1, 0]]),
        ([True, False, False], [[2**0.5], [-(0.5**0.5)], [-(0.5**0.5)]]),
        ([1, 3, np.nan], [[-1], [1], [0]]),
        ([1, 3, None], [[-1], [1], [0]]),
        ([7, 7, 7], [[0], [0], [0]]),
        (["1.5", "3.5", "2.5"], [[-(1.5**0.5)], [1.5**0.5], [0]]),
        (pd.array(["4G", NOT_KNOWN, "5G"], "string"), [[1, 0], [0, 0], [0, 1]]),
        (pd.array([1, 3, NOT_KNOWN], "Int64"), [[-1], [1], [0]]),
        (pd.Categorical(["4G", None, "5G"]), [[1, 0], [0, 0], [0, 1]]),
        (pd.to_datetime(["2020", "2022", NEVER], format="%Y"), [[-1], [1], [0]]),
    ],
)
def test_attributes_become_numbers(kinds, encoded):
    kind = pd.Series(kinds)[list(range(3)) * 4].reset_index(drop=True)
    assert_allclose(read(table(kind=kind)).attributes, encoded, atol=1e-12)


@pytest.mark.parametrize("fitted", [["700", "1800", "x"], [700, 1800, "x"]])
def test_categories_are_known_again_and_others_count_as_none(fitted):
    a, b, c = fitted
    X = table(kind={"a": a, "b": b, "c": c})
    first = read(X).attributes
    again = read(table(kind={"a": b, "b": a, "c": a}), fitted=X).attributes
    assert_array_equal(again, first[[1, 0, 0]])
    others = read(table(kind={"a": "6G", "b": c, "c": None}), fitted=X).attributes
    assert_array_equal(others, [[0, 0, 0], first[2], [0, 0, 0]])


def test_numbers_of_nodes_are_standardised_as_in_fit():
    X = table(kind={"a": 1, "b": 3, "c": np.nan})
    other = table(kind={"a": 5, "b": None, "c": "2"})
    assert_array_equal(read(other, fitted=X).attributes, [[3], [0], [0]])


@pytest.mark.parametrize("names", [("lat", "lon"), ("Latitude", "LONGITUDE")])
@pytest.mark.parametrize("metric", ["auto", "haversine"])
def test_on_the_globe_the_latitude_is_in_front(names, metric):
    latitude, longitude = names
    X = table().drop(columns="x")
    X[latitude], X[longitude] = table()["x"], 10 + table()["x"]
    for position in ([latitude, longitude], [longitude, latitude]):
        columns = PanelColumns("cell", "hour", position, ["kind"], metric, False)
        panel = columns.fit_read(BaseEstimator(), X)
        assert columns.metric == "haversine"
        assert_array_equal(panel.positions, [[0, 10], [1, 11], [2, 12]])
    columns = PanelColumns("cell", "hour", position, ["kind"], "euclidean", False)
    panel = columns.fit_read(BaseEstimator(), X)
    assert columns.metric == "euclidean"
    assert_array_equal(panel.positions, [[10, 0], [11, 1], [12, 2]])


def test_other_positions_are_on_a_plane():
    columns = PanelColumns("cell", "hour", ["x"], ["kind"], "auto", False)
    columns.fit_read(BaseEstimator(), table())
    assert columns.metric == "euclidean"


def test_gaps_are_allowed_where_they_are_asked_for():
    X = table(load=but("load", 4, np.nan).astype(float))
    panel = read(X, allow_nan=True)
    assert np.isnan(panel.values[1, 1, 0])
    nullable = X.convert_dtypes()
    assert_array_equal(read(nullable, allow_nan=True).values, panel.values)
    assert np.isnan(read(table(load=np.nan), fitted=X, allow_nan=True).values).any()
    somewhere = read(table(x={"a": 1, "b": np.nan, "c": np.nan}))
    assert_array_equal(somewhere.positions, [[1], [np.nan], [np.nan]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"node": "site"}, "node='site' names 'site'; the columns of X are"),
        ({"time": "day"}, "time='day' names 'day'; the columns of X are"),
        ({"position": ["y"]}, "position=.'y'. names 'y'"),
        ({"attributes": ["y"]}, "attributes=.'y'. names 'y'"),
        ({"node": 9}, "node=9 must hold names or indices of columns"),
        ({"position": [-1]}, "position=.-1. must hold names or indices"),
        ({"time": None}, "node is given and time is None; expected both"),
        ({"node": None}, "time is given and node is None; expected both"),
        ({"position": ["load"], "attributes": ["load"]}, "'load' is given more than"),
        ({"time": "cell"}, "'cell' is given more than once in node, time"),
        ({"position": ["x", "x"]}, "'x' is given more than once"),
        ({"attributes": ["kind", "load", "drops"]}, "expected at least one KPI"),
        ({"metric": "haversine"}, "position to name two columns.* it names .'x'."),
        ({"metric": "haversine", "position": None}, "it names ..\\."),
    ],
)
def test_wrong_parameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        read(table(), **arguments)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"cell": but("cell", 4, np.nan)}, "node: column 'cell' has missing labels"),
        ({"cell": but("cell", 4, "a")}, r"rows of one node.* rows \[3, 4\] of 'a'"),
        ({"hour": but("hour", 4, np.nan)}, "time: column 'hour' has no time in 1 rows"),
        ({"hour": NEVER}, "time: column 'hour' has no time in 12 rows"),
        ({"hour": but("hour", 4, None)}, "time: column 'hour' has no time in 1 rows"),
        ({"hour": but("hour", 4, "noon")}, "time: column 'hour' holds 'noon'"),
        ({"hour": "31.12.2024"}, "'31.12.2024'; expected numbers, or dates"),
        ({"hour": pd.to_timedelta([None] * 12)}, "time: .* has no time in 12 rows"),
        ({"hour": np.datetime64("2300-01-01", "s")}, "'hour' holds 2300.* from 1678"),
        ({"hour": {"a": 0, "b": 1e-300, "c": 1e10}}, "time: .* no multiple of 1e-300"),
        ({"hour": but("hour", 4, 1.4)}, "time: .* no multiple of 0.39.* such as 1"),
        ({"hour": but("hour", 11, 1e6)}, "time: .* 5 different times, on a grid of"),
        ({"hour": 7}, "time: column 'hour' has the one time 7.0; expected at least"),
        ({"kind": but("kind", 4, "6G")}, "node 'b' has more than one value.*'kind'"),
        ({"kind": but("kind", 4, None)}, "'5G' and None; expected one position"),
        ({"x": but("x", 4, 7)}, "column 'x', 1.0 and 7.0; expected one position"),
        ({"kind": np.inf}, "attributes: column 'kind' holds infinity"),
        (
            {"kind": {"a": 1, "b": 2, "c": -1e101}},
            "attributes.* up to 1e.101 in",
        ),
        ({"kind": np.nan}, "attributes.*'kind' has no value in any row"),
        ({"kind": NOT_KNOWN}, "attributes.*'kind' has no value in any row"),
        ({"x": "here"}, "position: could not convert 'here' in column 'x'"),
        ({"x": np.inf}, "Input position contains infinity"),
        ({"x": 1e101}, "Input position holds numbers up to 1e.101 in size; expected"),
        ({"load": "much"}, "could not convert 'much' in column 'load' to a number"),
        ({"load": np.nan}, "Input X contains NaN"),
        ({"load": -np.inf}, "Input X contains infinity"),
        ({"load": -1e101}, "Input X holds numbers up to 1e.101 in size; expected"),
    ],
)
def test_wrong_columns_are_named(columns, message):
    with pytest.raises(ValueError, match=message):
        read(table(**columns))


def test_a_kpi_that_was_never_seen_is_an_error_in_fit():
    with pytest.raises(ValueError, match="Column 'drops' of X has no value"):
        read(table(drops=np.nan), allow_nan=True)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"hour": pd.Timestamp("2024")}, "holds dates; in fit these were numbers"),
        ({"hour": but("hour", 0, -0.5).astype(float)}, "multiple of 1.0 apart"),
        ({"kind": "4G"}, "attributes: column 'kind' holds '4G'; in fit"),
    ],
)
def test_other_kinds_of_columns_than_in_fit_are_named(columns, message):
    fitted = table(kind=7)
    with pytest.raises(ValueError, match=message):
        read(table(**{"kind": 7} | columns), fitted=fitted)
