"""Rows in files of text or Parquet, with a column that tells the anomalies."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from skad.benchmark._arrays import NEEDED_COLUMNS
from skad.datasets._table_files import read_table
from skad.metrics import outlier_mask

# Columns that name something, and those of times; all others are numbers.
_NAMES = {
    "fleets": ("system",),
    "networks": ("cell",),
    "payments": ("customer", "terminal"),
}
_TIMES = {"payments": ("time",), "networks": ("time",)}

_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass
class Columns:
    """The column of labels, and those to drop from each file that has them."""

    label: str
    drop: list
    dropped: set = field(default_factory=set)

    def read(self, path):
        """Read a file, without what is to be dropped."""
        table, _ = read_table(path)
        if table.empty:
            raise ValueError(f"{path}: has no rows.")
        found = [name for name in self.drop if name in table]
        self.dropped.update(found)
        table = table.drop(columns=found)
        if _is_numbered(table):
            raise ValueError(
                f"{path}: column 'column_0' has no name and numbers the rows; drop it, "
                "or give it another name."
            )
        return table

    def read_labelled(self, path):
        """Read a file; return its rows, and which of them are anomalies."""
        table = self.read(path)
        if self.label not in table:
            raise ValueError(
                f"{path}: has no column label={self.label!r}, which tells the "
                f"anomalies; it has {list(table.columns)}."
            )
        column = table.pop(self.label)
        labels = _as_numbers(column)
        what = f"{path}: column label={self.label!r}"
        if (other := labels.isna() & column.notna()).any():
            raise ValueError(
                f"{what} has {column[other].iloc[0]!r} among its values; expected 0 "
                "and 1, true and false, or 1 and -1."
            )
        try:
            return table, outlier_mask(labels.to_numpy())
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error

    def check_dropped(self):
        """Refuse a name that no file had a column of."""
        for name in self.drop:
            if name not in self.dropped:
                raise ValueError(f"drop: no file has a column {name!r}.")


def read_rows(path, columns):
    """Read the rows of one file, to be split at random."""
    table, y = columns.read_labelled(path)
    return {"X": _typed(table, "tables", path), "y": y}


def read_parts(train, test, kind, columns):
    """Read rows to fit on and rows to score, of which the labels are known."""
    X_train = columns.read(train).drop(columns=columns.label, errors="ignore")
    X_test, y_test = columns.read_labelled(test)
    if missing := [name for name in X_train.columns if name not in X_test]:
        raise ValueError(f"{test}: has no column {missing[0]!r}, which {train} has.")
    if more := [name for name in X_test.columns if name not in X_train]:
        raise ValueError(
            f"{test}: has a column {more[0]!r}, which {train} has not; drop it, or "
            "pass it as label if it tells the anomalies."
        )
    both = pd.concat([X_train, X_test[X_train.columns]], ignore_index=True)
    both = _typed(both, kind, f"{train} and {test}")
    n_train = len(X_train)
    return {"X_train": both[:n_train], "X_test": both[n_train:], "y_test": y_test}


def _is_numbered(table):
    """Whether the first column is a number for each row, such as pandas writes."""
    names = [name for name in table.columns if not name.startswith("column_")]
    if not names or table.columns[0] != "column_0":
        return False
    numbers = _as_numbers(table["column_0"])
    return bool((numbers % 1 == 0).all() and numbers.is_unique)


def _typed(table, kind, source):
    """Names and times in columns of these names, and all else as numbers."""
    names, times = _NAMES.get(kind, ()), _TIMES.get(kind, ())
    needed = (*NEEDED_COLUMNS.get(kind, ()), *names)
    if missing := [name for name in needed if name not in table]:
        raise ValueError(
            f"{source}: no column {missing[0]!r}, which {kind} need; there are "
            f"{list(table.columns)}."
        )
    for name in (*names, *times):
        if table[name].isna().any():
            raise ValueError(f"{source}: column {name!r} has missing values.")
    others = table.columns.difference([*names, *times], sort=False)
    numbers = _numbers(table, others, source)
    if kind not in NEEDED_COLUMNS and numbers.shape[1] == 0:
        raise ValueError(f"{source}: no column of numbers.")
    if kind == "fleets":
        systems = pd.factorize(_as_names(table["system"]))[0]
        return np.column_stack([systems, numbers])
    if kind not in NEEDED_COLUMNS:
        return numbers.to_numpy()
    columns = {name: _as_names(table[name]) for name in names}
    columns |= {name: _as_times(table[name], source) for name in times}
    return pd.DataFrame({**columns, **numbers})[table.columns]


def _numbers(table, names, source):
    """The columns of these names as floats; missing values are NaN."""
    columns = {}
    for name in names:
        column, numbers = table[name], _as_numbers(table[name])
        if (other := numbers.isna() & column.notna()).any():
            raise ValueError(
                f"{source}: column {name!r} has {column[other].iloc[0]!r} among its "
                "values; expected numbers. Columns that tell nothing can be dropped."
            )
        if np.isinf(numbers).any():
            raise ValueError(f"{source}: column {name!r} has infinite values.")
        columns[name] = numbers
    return pd.DataFrame(columns, index=table.index)


def _as_numbers(column):
    """Floats; NaN where a value is missing or no number."""
    if column.dtype.kind in "mM":
        # pandas would count the units of dates, and of those that are missing too.
        column = column.astype(object)
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().any() and not pd.api.types.is_numeric_dtype(column):
        numbers = numbers.fillna(column.astype(str).str.lower().map(_TRUTH))
    return numbers.astype(np.float64)


def _as_names(column):
    """Numbers where all are, so that 1 is 1.0, and text otherwise."""
    numbers = _as_numbers(column)
    # Above it, several whole numbers are one float.
    return numbers if (numbers.abs() < 2**53).all() else column.astype(str)


def _as_times(column, source):
    """Times as numbers, in any unit, or as dates."""
    numbers = _as_numbers(column)
    if numbers.notna().all():
        return numbers
    times = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        raise ValueError(
            f"{source}: column {column.name!r} has {column[times.isna()].iloc[0]!r} "
            "among its values; expected numbers, or times such as 2024-03-09 17:30."
        )
    return times.dt.tz_localize(None)
