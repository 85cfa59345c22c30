"""Rows of many systems, from the columns of a table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator

from skad._fleet import (
    FleetColumns,
    in_order_of_rows,
    labels_of_rows,
    sensor_weights,
    series_rows,
)

TABLE = pd.DataFrame(
    {
        "heat": [1.0, 2.0, 3.0, 4.0, 5.0],
        "pump": ["b", "a", "b", "a", "b"],
        "on": [0, 1, 0, 1, 1],
        "flow": [10.0, 20.0, 30.0, 40.0, 50.0],
    }
)


def read(X=TABLE, system="pump", covariates=("on",), groups=None, allow_nan=False):
    columns = FleetColumns(system, covariates, allow_nan)
    return columns, columns.fit_read(BaseEstimator(), X, groups)


def test_rows_are_sorted_by_system_and_stay_in_the_order_of_time():
    columns, systems = read()
    assert list(systems) == ["b", "a"]
    assert_array_equal(systems["b"].series.values, [[1, 10], [3, 30], [5, 50]])
    assert_array_equal(systems["a"].series.values, [[2, 20], [4, 40]])
    assert_array_equal(systems["b"].covariates, [[0], [0], [1]])
    assert columns.names(columns.sensors) == ["heat", "flow"]


def test_without_a_column_of_systems_all_rows_are_of_one():
    columns, systems = read(TABLE[["heat", "flow"]], system=None, covariates=None)
    assert list(systems) == [None]
    assert_array_equal(systems[None].series.values, TABLE[["heat", "flow"]])
    assert systems[None].covariates.shape == (5, 0)


def test_columns_are_found_by_index_as_by_name():
    array = TABLE.assign(pump=[2, 1, 2, 1, 2]).to_numpy(dtype=float)
    _, systems = read(array, system=1, covariates=[2])
    assert list(systems) == [2.0, 1.0]
    _, named = read()
    assert_array_equal(systems[2.0].series.values, named["b"].series.values)


@given(st.data())
def test_every_row_is_in_one_series_and_comes_back_to_its_place(data):
    n = data.draw(st.integers(2, 30))
    label = st.sampled_from(["x", "y", "z"])
    system = data.draw(st.lists(label, min_size=n, max_size=n))
    run = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    X = pd.DataFrame({"s": system, "v": np.arange(float(n))})
    _, systems = read(X, "s", None, groups=run)
    values = [s.series.values for s in systems.values()]
    assert_array_equal(in_order_of_rows(systems, values)[:, 0], X["v"])
    assert labels_of_rows(systems).tolist() == system
    rows = series_rows(systems)
    for first, last in zip(rows.bounds[:-1], rows.bounds[1:], strict=True):
        place = rows.order[first:last]
        assert np.all(np.diff(place) > 0)
        assert len({(system[i], run[i]) for i in place}) == 1
    assert len(rows.sizes) == len(set(zip(system, run, strict=True)))


def test_weights_are_by_name_and_those_of_a_group_are_divided():
    columns, _ = read()
    assert sensor_weights(None, columns).tolist() == [1, 1]
    assert sensor_weights({"flow": 3}, columns).tolist() == [1, 3]
    assert sensor_weights({("flow", "heat"): 3}, columns).tolist() == [1.5, 1.5]
    assert sensor_weights({3: 0}, columns).tolist() == [1, 0]


def test_names_that_contain_each_other_are_told_apart():
    X = pd.DataFrame(np.eye(12), columns=[str(k) for k in range(12)])
    columns, _ = read(X, None, None)
    assert sensor_weights({"1": 5.0}, columns).tolist() == [1, 5] + [1] * 10


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"temp": 1}, "weights names 'temp'; the sensors are"),
        ({"on": 1}, "weights names 'on'; the sensors are"),
        ({"heat": 1, ("flow", "heat"): 1}, "more than once"),
        ({"heat": -1}, "is -1; expected a finite number from 0 up"),
        ({"heat": "much"}, "is 'much'; expected a finite number"),
        ({(): 1}, "for one column or for a tuple of columns"),
        ({"heat": 0, "flow": 0}, "weights are 0 for all sensors"),
    ],
)
def test_wrong_weights_are_named(weights, message):
    columns, _ = read()
    with pytest.raises(ValueError, match=message):
        sensor_weights(weights, columns)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"system": "unit"}, "system='unit' names 'unit'; the columns of X are"),
        ({"system": 9}, "system=9 must hold names or indices of columns"),
        ({"covariates": ["off"]}, "covariates=.'off'. names 'off'"),
        ({"covariates": ["pump"]}, "'pump' is given more than once"),
        ({"covariates": ["on", "on"]}, "'on' is given more than once"),
        ({"covariates": ["on", "heat", "flow"]}, "at least one sensor"),
        ({"groups": [0, 1]}, "groups has shape"),
        ({"X": TABLE.assign(pump=None)}, "system: column 'pump' has missing labels"),
        ({"X": TABLE.assign(on=np.nan)}, "covariates: column 'on' contains NaN"),
        ({"X": TABLE.assign(heat=np.inf)}, "Input X contains infinity"),
        ({"X": TABLE.assign(heat=-1e101)}, "numbers up to 1e.101 in size; expected"),
        ({"X": TABLE.assign(heat="hot")}, "could not convert string"),
    ],
)
def test_wrong_columns_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        read(**arguments)


def test_a_gap_is_told_from_a_sensor_that_a_system_does_not_have():
    columns, systems = read(TABLE.assign(flow=[np.nan, 20, np.nan, 40, np.nan]))
    has = systems["b"].is_measured
    assert_array_equal(has, [True, False])
    columns.check_gaps(systems["b"], has)
    with pytest.raises(ValueError, match="NaN in 3 rows of system 'b'.*'flow'"):
        columns.check_gaps(systems["b"], np.array([True, True]))
    with pytest.warns(UserWarning, match="'a' had no value in fit.*'flow'"):
        columns.check_gaps(systems["a"], has)
    columns.allow_nan = True
    columns.check_gaps(systems["b"], np.array([True, True]))


def test_rows_of_numbers_that_lie_in_order_are_not_copied():
    X = np.random.default_rng(0).normal(size=(20, 4))
    X[:, 0] = np.repeat([7, 3], 10)
    _, systems = read(X, 0, None)
    for system in systems.values():
        assert np.shares_memory(system.series.values, X)
    assert_array_equal(systems[3.0].series.values, X[10:, 1:])
