"""Rows are read from text and Parquet files, whole or in two parts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skad import CAnemon
from skad.benchmark import compare, default_detectors, load_folder
from skad.datasets import make_radio_network, make_transactions
from skad.preprocessing import HistoryFeatures

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
ROWS = pd.DataFrame({"heat": [20.5, 21.0, 99.0], "speed": [3, 4, 5]})


def write(folder, table, name="mine.csv", **params):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, **params)


def parts(folder, train, test, **params):
    write(folder, train, "mine/train.csv", **params)
    write(folder, test, "mine/test.csv", **params)


@given(
    X=st.integers(1, 4).flatmap(
        lambda width: arrays(float, (5, width), elements=NUMBERS | st.just(np.nan))
    ),
    y=arrays(bool, 5).filter(lambda y: not y.all()),
    separator=st.sampled_from([",", ";", "\t"]),
)
def test_a_table_comes_back_as_it_was_written(tmp_path_factory, X, y, separator):
    folder = tmp_path_factory.mktemp("tables")
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    write(folder, table.assign(label=y), sep=separator)
    write(folder, table.assign(label=y), "other.parquet")
    for X_read, y_read in load_folder(folder).values():
        np.testing.assert_array_equal(X_read, X)
        np.testing.assert_array_equal(y_read, np.where(y, -1, 1))


@pytest.mark.parametrize(
    "labels", [[0, 0, 1], [1, 1, -1], ["False", "False", "true"], [0.0, 0.0, 1.0]]
)
def test_labels_come_in_any_convention(tmp_path, labels):
    write(tmp_path, ROWS.assign(broken=labels, number=[1, 2, 3]))
    X, y = load_folder(tmp_path, label="broken", drop=["number"])["mine"]
    np.testing.assert_array_equal(X, ROWS)
    assert y.tolist() == [1, 1, -1]


def test_both_parts_have_the_columns_in_the_order_of_the_first(tmp_path):
    test = ROWS[["speed", "heat"]].assign(label=[0, 0, 1])
    parts(tmp_path, ROWS.assign(label=0), test)
    found = load_folder(tmp_path)["mine"]
    np.testing.assert_array_equal(found.X_train, ROWS)
    np.testing.assert_array_equal(found.X_test, ROWS)
    assert found.y_test.tolist() == [False, False, True]
    assert found.buffer is None


def test_a_column_of_a_single_kind_of_truth_stays_one_of_numbers(tmp_path):
    table = pd.DataFrame({"on": [True, True, False], "label": [0, 0, 1]})
    for name in ("a.csv", "b.parquet"):
        write(tmp_path, table, name)
    for X, _ in load_folder(tmp_path).values():
        assert X.ravel().tolist() == [1.0, 1.0, 0.0]


def test_series_are_arrays_with_a_buffer(tmp_path):
    wave = pd.DataFrame({"level": np.sin(2 * np.pi * np.arange(600) / 50)})
    parts(tmp_path, wave, wave.assign(label=np.arange(600) < 9), sep=";")
    found = load_folder(tmp_path, kind="series")["mine"]
    assert found.buffer == 50
    np.testing.assert_array_equal(found.X_train, wave)


def test_the_system_of_a_fleet_comes_first_as_a_number(tmp_path):
    past = ROWS.assign(system=["b", "b", "a"])
    now = ROWS.assign(system=["a", "b", "c"], label=[0, 0, 1])
    parts(tmp_path, past, now)
    found = load_folder(tmp_path, kind="fleets")["mine"]
    assert found.X_train[:, 0].tolist() == [0, 0, 1]
    assert found.X_test[:, 0].tolist() == [1, 0, 2]
    np.testing.assert_array_equal(found.X_test[:, 1:], ROWS)
    assert found.score_params["groups"].tolist() == [1, 0, 2]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_payments_keep_their_names_and_dates(tmp_path, ending):
    X, y, _ = make_transactions(30, 10, 20, random_state=0)
    X["customer"] = "C" + X["customer"].astype(str)
    write(tmp_path, X[:100], f"mine/train{ending}")
    write(tmp_path, X[100:].assign(label=y[100:]), f"mine/test{ending}")
    found = load_folder(tmp_path, kind="payments")["mine"]
    history = HistoryFeatures("time", entities=["customer", "terminal"])
    history.fit(X[:100])
    for read, given_ in ((found.X_train, X[:100]), (found.X_test, X[100:])):
        np.testing.assert_allclose(
            history.transform(read[X.columns]), history.transform(given_)
        )
    np.testing.assert_array_equal(found.y_test, y[100:] == -1)


def test_networks_are_compared_on_as_they_are_read(tmp_path):
    past, now, y, _ = make_radio_network(6, 3, 2, n_faults=4, random_state=0)
    past, now = past.drop(columns="type"), now.drop(columns="type")
    parts(tmp_path, past, now.assign(label=y))
    found = load_folder(tmp_path, kind="networks")
    detector = CAnemon(
        node="cell",
        time="time",
        position=["x", "y"],
        n_neighbors=3,
        max_epochs=1,
        random_state=0,
    )
    detectors = default_detectors(["PCA"], kind="networks") | {"CAnemon": detector}
    assert compare(detectors, found, seeds=1).failures().empty
    scores = [
        detector.fit(train).score_samples(test)
        for train, test in ((past, now), (found["mine"].X_train, found["mine"].X_test))
    ]
    np.testing.assert_allclose(*scores, rtol=1e-4)


def test_the_rows_of_systems_may_take_turns(tmp_path):
    n_rows = 600
    wave = pd.DataFrame({"level": np.sin(2 * np.pi * np.arange(n_rows) / 50)})
    fleet = pd.concat([wave.assign(system=name) for name in "abc"])
    fleet = fleet.assign(label=np.tile(np.arange(n_rows) < 9, 3))
    turns = fleet.sort_index(kind="stable")
    for name, table in (("blocks", fleet), ("turns", turns)):
        write(tmp_path, table, f"{name}/train.csv")
        write(tmp_path, table, f"{name}/test.csv")
    found = load_folder(tmp_path, kind="fleets")
    assert [split.buffer for split in found.values()] == [50, 50]


def test_a_fleet_is_the_same_as_an_array(tmp_path):
    past = ROWS.assign(system=[0, 0, 1])
    parts(tmp_path, past, past.assign(label=[0, 0, 1]))
    X = past[["system", "heat", "speed"]].to_numpy(float)
    np.savez(tmp_path / "array.npz", X_train=X, X_test=X, y_test=[0, 0, 1])
    array, table = load_folder(tmp_path, kind="fleets").values()
    np.testing.assert_array_equal(array.X_test, table.X_test)
    for split in (array, table):
        assert split.score_params["groups"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("first", [1, "007", 2**60, 1.0])
def test_names_are_the_same_in_both_parts(tmp_path, first):
    rows = ROWS.assign(customer=[first, 2, 3], terminal=1, time=[1, 2, 3])
    write(tmp_path, rows, "mine/train.csv")
    write(
        tmp_path,
        rows.astype({"terminal": float}).assign(
            customer=rows["customer"].astype(str), label=[0, 0, 1]
        ),
        "mine/test.parquet",
    )
    found = load_folder(tmp_path, kind="payments")["mine"]
    for name in ("customer", "terminal"):
        assert found.X_train[name].tolist() == found.X_test[name].tolist()
    assert found.X_train["customer"].nunique() == 3


def test_large_names_are_not_rounded(tmp_path):
    rows = ROWS.assign(customer=[2**60, 2**60 + 1, 3], terminal=1, time=[1, 2, 3])
    parts(tmp_path, rows, rows.assign(label=[0, 0, 1]))
    found = load_folder(tmp_path, kind="payments")["mine"]
    assert found.X_train["customer"].nunique() == 3


def test_payments_may_have_nothing_but_names_and_times(tmp_path):
    rows = pd.DataFrame({"customer": [1, 2], "terminal": [1, 1], "time": [1, 2]})
    parts(tmp_path, rows, rows.assign(label=[0, 1]))
    found = load_folder(tmp_path, kind="payments")["mine"]
    pd.testing.assert_frame_equal(found.X_train, rows.astype(float))


def test_a_column_is_dropped_where_it_is(tmp_path):
    write(tmp_path, LABELLED.assign(day="Monday"), "a.csv")
    write(tmp_path, LABELLED, "b.csv")
    write(tmp_path, ROWS, "c/train.csv")
    write(tmp_path, LABELLED.assign(day="Monday"), "c/test.csv")
    found = load_folder(tmp_path, drop=["day"])
    assert [X.shape for X, _ in (found["a"], found["b"])] == [(3, 2), (3, 2)]
    assert found["c"].X_test.shape == (3, 2)


def test_the_index_that_pandas_writes_is_no_feature(tmp_path):
    LABELLED.sample(frac=1, random_state=0).to_csv(tmp_path / "mine.csv")
    with pytest.raises(ValueError, match="'column_0' has no name and numbers the rows"):
        load_folder(tmp_path)
    X, _ = load_folder(tmp_path, drop=["column_0"])["mine"]
    assert X.shape == (3, 2)


def test_a_table_without_names_has_no_index(tmp_path):
    rows = "1,5.5,0\n2,6.5,1\n"
    (tmp_path / "mine.csv").write_text(rows)
    X, y = load_folder(tmp_path, label="column_2")["mine"]
    assert X.tolist() == [[1, 5.5], [2, 6.5]]
    assert y.tolist() == [1, -1]


@pytest.mark.parametrize("when", [pd.Timestamp("2024"), pd.Timedelta("1h")])
def test_dates_of_a_parquet_file_are_no_numbers(tmp_path, when):
    write(tmp_path, LABELLED.assign(at=[when, None, when]), "mine.parquet")
    with pytest.raises(ValueError, match="column 'at' has Time.* among its values"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    "times",
    [
        ["2024-01-01T12:00Z", "2024-01-01T14:00+01:00", "2024-01-01T14:00Z"],
        pd.date_range("2024-01-01T12:00", periods=3, freq="h"),
        pd.date_range("2024-01-01T13:00", periods=3, freq="h", tz="Europe/Berlin"),
    ],
)
def test_times_are_of_one_zone(tmp_path, times):
    rows = ROWS.assign(customer=1, terminal=1, time=times)
    write(tmp_path, rows, "mine/train.parquet")
    write(tmp_path, rows.assign(label=[0, 0, 1]), "mine/test.csv")
    found = load_folder(tmp_path, kind="payments")["mine"]
    for X in (found.X_train, found.X_test):
        assert X["time"].dt.tz is None
        assert X["time"].dt.hour.tolist() == [12, 13, 14]


def test_endings_are_read_in_any_case_and_only_one_of_a_part(tmp_path):
    write(tmp_path, ROWS, "mine/train.CSV")
    write(tmp_path, LABELLED, "mine/test.Csv")
    assert load_folder(tmp_path)["mine"].X_train.shape == (3, 2)
    (tmp_path / "mine" / "train").mkdir()
    assert load_folder(tmp_path)["mine"].X_train.shape == (3, 2)
    write(tmp_path, ROWS, "mine/train.parquet")
    with pytest.raises(ValueError, match=r"train\.CSV and .*train\.parquet have one"):
        load_folder(tmp_path)


LABELLED = ROWS.assign(label=[0, 0, 1])


@pytest.mark.parametrize(
    ("kind", "train", "test", "message"),
    [
        ("tables", None, ROWS, r"no column label='label', .*\['heat', 'speed'\]"),
        (
            "tables",
            None,
            LABELLED.assign(label=[0, 1, 2]),
            "column label='label': y ha",
        ),
        ("tables", None, LABELLED.assign(label=[0, 1, None]), "missing labels"),
        (
            "tables",
            None,
            LABELLED.assign(label=["a", "b", "b"]),
            "label='label' has 'a'",
        ),
        ("tables", None, LABELLED[["label"]], "no column of numbers"),
        ("tables", None, LABELLED[:0], "has no rows"),
        ("series", ROWS[[]].assign(label=0), LABELLED[["label"]], "no column of numb"),
        ("series", ROWS.assign(speed=np.inf), LABELLED, "'speed' has infinite values"),
        ("tables", None, LABELLED.assign(speed=["1", "x", "2"]), "'speed' has 'x'"),
        ("tables", None, LABELLED.assign(speed=np.inf), "'speed' has infinite values"),
        ("series", None, LABELLED, "series come in two parts; expected a folder 'mine"),
        ("series", ROWS[:0], LABELLED, "train.csv: has no rows"),
        ("series", ROWS, LABELLED[["heat", "label"]], "no column 'speed', which"),
        ("series", ROWS, LABELLED.assign(more=1), "'more', which .* has not; drop it"),
        ("series", ROWS.assign(at=["2024-01-01"] * 3), None, "has no test.csv"),
        ("fleets", ROWS, LABELLED, "no column 'system', which fleets need"),
        (
            "fleets",
            ROWS.assign(system=["a", None, "b"]),
            LABELLED.assign(system="a"),
            "column 'system' has missing values",
        ),
        (
            "payments",
            ROWS.assign(customer=1, terminal=1, time="noon"),
            LABELLED.assign(customer=1, terminal=1, time="noon"),
            "column 'time' has 'noon' among its values; expected numbers, or times",
        ),
        (
            "payments",
            ROWS.assign(customer=1, terminal=1, time=[1, 2, None]),
            LABELLED.assign(customer=1, terminal=1, time=3),
            "column 'time' has missing values",
        ),
    ],
)
def test_a_bad_table_is_named_and_says_what_is_wanted(
    tmp_path, kind, train, test, message
):
    if train is None:
        write(tmp_path, test)
    else:
        write(tmp_path, train, "mine/train.csv")
    if train is not None and test is not None:
        write(tmp_path, test, "mine/test.csv")
    with pytest.raises(ValueError, match=message) as caught:
        load_folder(tmp_path, kind=kind)
    assert "mine" in str(caught.value)


def test_a_column_to_drop_must_be_there(tmp_path):
    write(tmp_path, LABELLED)
    with pytest.raises(ValueError, match="drop: no file has a column 'day'"):
        load_folder(tmp_path, drop=["day"])
