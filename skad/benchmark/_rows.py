"""Rows in files of text or Parquet, with a column that tells the anomalies."""

import numpy as np
import pandas as pd

from skad.benchmark._arrays import NEEDED_COLUMNS
from skad.datasets._table_files import read_table
from skad.metrics import outlier_mask

ENDINGS = (".csv", ".tsv", ".parquet")

# Columns that name something, and those of times; all others are numbers.
_NAMES = {"fleets": ("system",), "payments": ("customer", "terminal")}
_NAMES["networks"] = ("cell",)
_TIMES = {"payments": ("time",), "networks": ("time",)}

_TRUTH = {"true": 1.0, "false": 0.0}


def read_rows(path, label, drop):
    """Read the rows of one file, to be split at random."""
    table, y = _with_labels(path, label, drop)
    return {"X": _numbers(table, table.columns, path).to_numpy(), "y": y}


def read_parts(train, test, kind, label, drop):
    """Read rows to fit on and rows to score, of which the labels are known."""
    X_train = _read(train, drop).drop(columns=label, errors="ignore")
    X_test, y_test = _with_labels(test, label, drop)
    if missing := [name for name in X_train.columns if name not in X_test]:
        raise ValueError(f"{test}: has no column {missing[0]!r}, which {train} has.")
    if more := [name for name in X_test.columns if name not in X_train]:
        raise ValueError(
            f"{test}: has a column {more[0]!r}, which {train} has not; drop it, or "
            "pass it as label if it tells the anomalies."
        )
    both = pd.concat([X_train, X_test[X_train.columns]], ignore_index=True)
    source = f"{train} and {test}"
    needed = (*NEEDED_COLUMNS.get(kind, ()), *_NAMES.get(kind, ()))
    if missing := [name for name in needed if name not in both]:
        raise ValueError(
            f"{source}: have no column {missing[0]!r}, which {kind} need; they have "
            f"{list(both.columns)}."
        )
    both = _typed(both, kind, source)
    if kind == "fleets":
        both.insert(0, "system", pd.factorize(both.pop("system"))[0])
    if kind not in NEEDED_COLUMNS:
        both = both.to_numpy(np.float64)
    n_train = len(X_train)
    arrays = {"X_train": both[:n_train], "X_test": both[n_train:], "y_test": y_test}
    if kind == "fleets":
        arrays["groups_test"] = both[n_train:, 0].astype(int)
    return arrays


def _with_labels(path, label, drop):
    table = _read(path, drop)
    if label not in table:
        raise ValueError(
            f"{path}: has no column label={label!r}, which tells the anomalies; it has "
            f"{list(table.columns)}."
        )
    try:
        return table, outlier_mask(_as_numbers(table.pop(label)).to_numpy())
    except ValueError as error:
        raise ValueError(f"{path}: column label={label!r}: {error}") from error


def _read(path, drop):
    table, _ = read_table(path)
    if unknown := [name for name in drop if name not in table]:
        raise ValueError(
            f"{path}: has no column {unknown[0]!r} to drop; it has "
            f"{list(table.columns)}."
        )
    return table.drop(columns=list(drop))


def _typed(table, kind, source):
    """Names as they are, times as such, and all else as numbers."""
    names, times = _NAMES.get(kind, ()), _TIMES.get(kind, ())
    numbers = table.columns.difference([*names, *times], sort=False)
    table = table.assign(**{name: _times(table[name], source) for name in times})
    for name in names:
        if table[name].isna().any():
            raise ValueError(f"{source}: column {name!r} has missing values.")
        table[name] = table[name].astype(str)
    table[numbers] = _numbers(table, numbers, source)
    return table


def _numbers(table, names, source):
    """The columns of these names as floats; missing values are NaN."""
    if not len(names):
        raise ValueError(f"{source}: has no column of numbers.")
    columns = {}
    for name in names:
        column, numbers = table[name], _as_numbers(table[name])
        if (other := numbers.isna() & column.notna()).any():
            raise ValueError(
                f"{source}: column {name!r} has {column[other].iloc[0]!r} among its "
                "values; expected numbers. Columns that tell nothing can be dropped."
            )
        columns[name] = numbers
    return pd.DataFrame(columns)


def _as_numbers(column):
    """Floats; NaN where a value is missing or no number."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().any() and not pd.api.types.is_numeric_dtype(column):
        numbers = numbers.fillna(column.astype(str).str.lower().map(_TRUTH))
    return numbers.astype(np.float64)


def _times(column, source):
    """Times as numbers, in any unit, or as dates."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        return numbers
    try:
        return pd.to_datetime(column, format="ISO8601", utc=True).dt.tz_localize(None)
    except ValueError as error:
        raise ValueError(
            f"{source}: column {column.name!r} holds {column.iloc[0]!r}; expected "
            "numbers, or times such as 2024-03-09 17:30."
        ) from error
