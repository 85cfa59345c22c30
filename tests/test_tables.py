"""Columns as people have them, made ready for a detector."""

import decimal

import numpy as np
import pandas as pd
import pytest

from skad._cli._errors import CommandError
from skad._cli._table import prepare
from skad.datasets._table_files import read_table

N = 20


def prepared(values):
    """The column that comes of these values, and the notes on it."""
    table, notes = prepare(pd.DataFrame({"a": values, "other": np.arange(N) % 3.0}))
    return table.get("a"), notes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False] * 10, [1.0, 0.0] * 10),
        ([True, None] * 9 + [False, False], [1.0, np.nan] * 9 + [0.0, 0.0]),
        (pd.array([True, None] * 9 + [False] * 2), [1.0, np.nan] * 9 + [0, 0]),
        (pd.array([1, None] * 9 + [2, 2]), [1.0, np.nan] * 9 + [2.0, 2.0]),
        (["1.5", "2"] * 10, [1.5, 2.0] * 10),
        ([" 1 ", "-2e3"] * 10, [1.0, -2000.0] * 10),
        (["True", "false"] * 10, [1.0, 0.0] * 10),
        ([decimal.Decimal("0.5"), None] * 9 + [decimal.Decimal(2)] * 2, None),
        (pd.to_timedelta(np.arange(N) ** 2, unit="s"), np.arange(N) ** 2.0),
    ],
)
def test_what_is_a_number_becomes_a_float(values, expected):
    column, _ = prepared(values)
    assert column.dtype == np.float64
    if expected is not None:
        np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("1970-01-01", periods=N, freq="h"),
        pd.date_range("1970-01-01", periods=N, freq="h", tz="UTC"),
        pd.date_range("1970-01-01", periods=N, freq="h", tz="UTC").tz_convert(
            "Asia/Tokyo"
        ),
        pd.date_range("1970-01-01", periods=N, freq="h").astype(str),
        pd.date_range("1970-01-01", periods=N, freq="h").strftime("%Y-%m-%dT%H:%M:%SZ"),
    ],
)
def test_times_become_seconds(values):
    column, notes = prepared(values)
    np.testing.assert_array_equal(column, 3600.0 * np.arange(N))
    assert notes == ["read as times, in seconds: 'a'"]


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["31.12.1969", "01.02.1970"], -86400.0),
        (["01.01.1970 00:01", "31.01.1970 10:00"], 60.0),
        (["01/13/1970", "02/01/1970"], 12 * 86400.0),
        (["13/01/1970", "01/02/1970"], 12 * 86400.0),
        (["1970/01/02", "1970/01/13"], 86400.0),
    ],
)
def test_dates_are_read_where_only_one_reading_fits(values, first):
    column, notes = prepared(values * 10)
    assert column[0] == first
    assert notes == ["read as times, in seconds: 'a'"]


def test_times_of_the_day_keep_their_distances():
    column, _ = prepared(["09:30", "10:00", None, "23:59"] * 5)
    np.testing.assert_array_equal(column[:4] - column[0], [0, 1800, np.nan, 52140])


def test_dates_that_can_be_read_in_two_ways_are_no_dates():
    column, _ = prepared(["01/02/2026", "03/04/2026"] * 10)
    assert isinstance(column.dtype, pd.CategoricalDtype)


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        (["1,5", "-2,25"], [1.5, -2.25], "'.' for thousands, ',' decimal"),
        (["1.234,5", "7"], [1234.5, 7], "'.' for thousands, ',' decimal"),
        (["1,234.5", "7"], [1234.5, 7], "',' for thousands, '.' decimal"),
        (["1,234", "987"], [1234, 987], "',' for thousands, '.' decimal"),
    ],
)
def test_numbers_with_separators_are_read_and_it_is_said_how(values, expected, note):
    column, notes = prepared(values * 10)
    np.testing.assert_array_equal(column, expected * 10)
    assert notes == [f"read as numbers, {note}: 'a'"]


def test_a_missing_time_stays_missing():
    column, _ = prepared(["2026-01-01", None, "2026-01-03", "2026-01-04"] * 5)
    assert column.isna().sum() == 5


@pytest.mark.parametrize(
    "values",
    [
        ["x", "y"] * 10,
        ["x", None, "y", "z"] * 5,
        pd.Categorical(["x", "y"] * 10, categories=["x", "y", "unused"]),
        ["x", 1, "y", 2.5] * 5,
        ["20260101", "x"] * 10,
        ["1,2,3", "2,1"] * 10,
    ],
)
def test_what_is_text_becomes_categories(values):
    column, _ = prepared(values)
    assert isinstance(column.dtype, pd.CategoricalDtype)
    assert column.isna().sum() == pd.Series(values).isna().sum()
    assert len(column.cat.categories) == column.nunique()


def test_numbers_with_a_stray_text_are_pointed_out():
    _, notes = prepared([str(i % 9) for i in range(N - 1)] + ["n/k"])
    assert notes == ["read as categories, because of 'n/k' among numbers: 'a'"]


def test_codes_with_leading_zeros_keep_them():
    column, notes = prepared(["01067", "80331", None, "01067"] * 5)
    assert list(column.cat.categories) == ["01067", "80331"]
    assert notes == ["read as categories, for leading zeros: 'a'"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * N, "all values missing"),
        ([1.5] * N, "constant"),
        (["1.5"] * N, "constant"),
        (["1.0", "1"] * 10, "one and the same number"),
        (np.arange(5, 5 + N), "it counts the rows"),
        ([str(i) for i in range(1, N + 1)], "it counts the rows"),
        (
            [f"id {i}" for i in range(N)],
            "texts that are hardly ever the same ('id 0')",
        ),
        ([[i] for i in range(N)], "neither numbers nor text"),
        (np.arange(N) * 1j, "neither numbers nor text"),
    ],
)
def test_what_says_nothing_is_left_out(values, reason):
    column, notes = prepared(values)
    assert column is None
    assert notes == [f"left out, {reason}: 'a'"]


@pytest.mark.parametrize(
    "values", [np.arange(N) ** 2, (2**60 + np.arange(N) ** 2).astype(str), [2**60] * 9]
)
def test_numbers_that_may_name_rows_are_pointed_out(values):
    values = [*values, *[3] * (N - len(values))]
    column, notes = prepared(values)
    assert column.dtype == np.float64
    assert notes == [
        "whole numbers, hardly a value twice; if they name rows, --drop them: 'a'"
    ]


def test_columns_with_the_same_note_share_a_line():
    table = pd.DataFrame({f"c{i}": [i] * N for i in range(7)} | {"a": np.arange(N) % 3})
    _, notes = prepare(table)
    assert notes == ["left out, constant: 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more"]


def test_an_infinite_value_is_refused_with_its_row():
    with pytest.raises(CommandError, match="column 'a' holds 1 infinite .* row 3;"):
        prepared([1.0, 2.0, np.inf] + [0.0] * (N - 3))


def test_an_index_of_a_parquet_file_does_not_matter(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": ["x", "y"] * 10, 5: 1.0}, index=[3] * 20).rename(
        columns=str
    ).to_parquet(path)
    table, _ = read_table(path)
    X, _ = prepare(table, drop=["5"])
    assert X["a"].tolist() == ["x", "y"] * 10
