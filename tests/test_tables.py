"""Columns as people have them, made ready for a detector."""

import decimal

import numpy as np
import pytest

from skad._cli._errors import CommandError

pd = pytest.importorskip("pandas")

from skad._cli._table import prepare, read_table  # noqa: E402

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
    assert notes == ["column 'a' is a time, read as seconds"]


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
    ],
)
def test_what_is_text_becomes_categories(values):
    column, _ = prepared(values)
    assert isinstance(column.dtype, pd.CategoricalDtype)
    assert column.isna().sum() == pd.Series(values).isna().sum()
    assert len(column.cat.categories) == column.nunique()


def test_numbers_with_a_stray_text_are_pointed_out():
    _, notes = prepared([str(i % 9) for i in range(N - 1)] + ["n/k"])
    assert notes == [
        "column 'a' is read as categories: not all of it is numbers ('n/k')"
    ]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * N, "all of its values are missing"),
        ([1.5] * N, "it is constant"),
        (np.arange(5, 5 + N), "it counts the rows"),
        ([f"id {i}" for i in range(N)], "its texts are (nearly) all different"),
        ([[i] for i in range(N)], "it holds neither numbers nor text"),
        (np.arange(N) * 1j, "it holds complex numbers"),
    ],
)
def test_what_says_nothing_is_left_out(values, reason):
    column, notes = prepared(values)
    assert column is None
    assert notes == [f"column 'a' is left out: {reason}"]


def test_an_infinite_value_is_refused_with_its_row():
    with pytest.raises(CommandError, match="column 'a' holds 1 infinite .* row 3;"):
        prepared([1.0, 2.0, np.inf] + [0.0] * (N - 3))


def test_the_separator_is_found(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a;b\n" + "1;x\n" * 3)
    table, notes = read_table(path)
    assert list(table.columns) == ["a", "b"]
    assert notes == ["columns are separated by ';'"]


def test_a_first_line_of_numbers_is_a_row(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("1,2\n3,4\n")
    table, notes = read_table(path)
    assert table.to_dict("list") == {"column_0": [1, 3], "column_1": [2, 4]}
    assert notes == ["the first line holds numbers and is read as a row"]


def test_an_index_of_a_parquet_file_does_not_matter(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": ["x", "y"] * 10, 5: 1.0}, index=[3] * 20).rename(
        columns=str
    ).to_parquet(path)
    table, _ = read_table(path)
    X, _ = prepare(table, drop=["5"])
    assert X["a"].tolist() == ["x", "y"] * 10
