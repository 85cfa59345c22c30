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
    X = X.astype({"customer": str, "terminal": str})
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
        ("tables", None, LABELLED[["label"]], "has no column of numbers"),
        ("tables", None, LABELLED.assign(speed=["1", "x", "2"]), "'speed' has 'x'"),
        ("tables", None, LABELLED.assign(speed=np.inf), "3 infinite values"),
        ("series", None, LABELLED, "series come in two parts; expected a folder 'mine"),
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
            "column 'time' holds 'noon'; expected numbers, or times such as",
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
    with pytest.raises(ValueError, match=r"mine\.csv: has no column 'day' to drop"):
        load_folder(tmp_path, drop=["day"])
