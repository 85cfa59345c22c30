"""Tables as people have them: read, and made ready for a detector."""

from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api import types

from skad._cli._errors import CommandError

ENDINGS = (".csv", ".tsv", ".parquet", ".npz")

# Text of which more than this share of the rows is different names rows, and says
# nothing about what they have in common.
MAX_DISTINCT_TEXT = 0.9


def read_table(path):
    """Read a file into a DataFrame; return it with notes for the user."""
    path = Path(path)
    if not path.is_file():
        raise CommandError(f"{path} is not a file.")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise CommandError(f"{path}: unknown ending; known are {', '.join(ENDINGS)}.")
    if path.stat().st_size == 0:
        raise CommandError(f"{path} is empty.")
    reader = {".npz": _read_npz, ".parquet": _read_parquet}.get(ending, _read_text)
    try:
        table, notes = reader(path)
    except (ValueError, UnicodeDecodeError, OSError, EOFError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CommandError(f"{path} cannot be read: {line}") from error
    table.columns = [str(name) for name in table.columns]
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise CommandError(f"{path} has several columns called {repeated[0]!r}.")
    return table.reset_index(drop=True), notes


def _read_text(path):
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    # The separator is the one that the first line has most of.
    separator = max(",;\t|", key=first.count)
    read = {"sep": separator, "encoding": "utf-8-sig"}
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, **read).iloc[0]
    notes = []
    if separator != "," and path.suffix.lower() == ".csv":
        notes.append(f"columns are separated by {separator!r}")
    if pd.to_numeric(header, errors="coerce").notna().all():
        notes.append("the first line holds numbers and is read as a row")
        table = pd.read_csv(path, header=None, low_memory=False, **read)
        return table.add_prefix("column_"), notes
    repeated = header[header.notna() & header.duplicated()]
    if len(repeated):  # pandas would rename them
        raise ValueError(f"several columns are called {repeated.iloc[0]!r}")
    return pd.read_csv(path, low_memory=False, **read), notes


def _read_parquet(path):
    return pd.read_parquet(path), []


def _read_npz(path):
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        if "X" not in names and len(names) != 1:
            raise ValueError(f"expected an array X; found {', '.join(names)}")
        X = archive["X" if "X" in names else names[0]]
    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimensions; expected 2")
    notes = [f"{name} is not used" for name in names if name not in ("X", names[0])]
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    return table, notes


def prepare(table, drop=()):
    """Make columns that a detector takes; return them with notes for the user."""
    missing = [name for name in drop if name not in table.columns]
    if missing:
        raise CommandError(
            f"no column {missing[0]!r} to drop; there are {', '.join(table.columns)}."
        )
    columns, notes = {}, []
    for name in table.columns.difference(list(drop), sort=False):
        column, note = _convert(table[name])
        if note:
            notes.append(f"column {name!r} {note}")
        if column is not None:
            columns[name] = column
    if not columns:
        raise CommandError(f"no column is left to look at: {'; '.join(notes)}.")
    return pd.DataFrame(columns, index=table.index), notes


def _convert(column):
    """A column as numbers or categories, or None; and a note, or None."""
    present = column.dropna()
    if present.empty:
        return None, "is left out: all of its values are missing"
    if types.is_object_dtype(column) and not _is_hashable(present):
        return None, "is left out: it holds neither numbers nor text"
    if len(present) == len(column) and present.nunique() == 1:
        return None, "is left out: it is constant"
    if types.is_bool_dtype(present.infer_objects()):
        return column.astype("Float64").to_numpy(np.float64, na_value=np.nan), None
    times = _as_times(column, present)
    if times is not None:
        return times, "is a time, read as seconds"
    if types.is_complex_dtype(column):
        return None, "is left out: it holds complex numbers"
    if types.is_numeric_dtype(column):
        return _convert_numbers(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories(), None
    return _convert_text(column, present)


def _convert_numbers(column):
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise CommandError(
            f"column {column.name!r} holds {len(infinite)} infinite values, the first "
            f"in row {infinite[0] + 1}; correct them, or leave it out with --drop."
        )
    if types.is_integer_dtype(column) and np.all(np.diff(numbers) == 1):
        return None, "is left out: it counts the rows"
    return numbers, None


def _convert_text(column, present):
    numbers = pd.to_numeric(present, errors="coerce")
    if numbers.notna().all():  # decimals, and numbers kept as text
        numbers = numbers.reindex(column.index).astype(np.float64)
        return _convert_numbers(numbers.rename(column.name))
    text = present.astype(str)
    if text.nunique() > MAX_DISTINCT_TEXT * len(text):
        return None, "is left out: its texts are (nearly) all different"
    note = None
    if numbers.notna().mean() > 0.5:
        other = text[numbers.isna()].iloc[0]
        note = f"is read as categories: not all of it is numbers ({other!r})"
    return text.reindex(column.index).astype("category"), note


def _as_times(column, present):
    """Seconds of a column of dates, times or durations; None of another."""
    if types.is_timedelta64_dtype(column):
        return column.dt.total_seconds()
    if not types.is_datetime64_any_dtype(column):
        if types.is_numeric_dtype(column) or not _look_like_dates(present):
            return None
        # Of one form all of them, or they are not taken for dates.
        column = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
        if column.notna().sum() < len(present):
            return None
    if column.dt.tz is None:
        column = column.dt.tz_localize("UTC")
    return (column - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def _look_like_dates(present):
    """Whether it starts as ISO 8601 says, 2026-01-31; codes of digits do not."""
    return present.astype(str).str.match(r"\d{4}-\d{2}-\d{2}").all()


def _is_hashable(present):
    try:
        present.nunique()
    except TypeError:
        return False
    return True
