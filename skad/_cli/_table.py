"""Columns as people have them, made ready for a detector."""

import re

import numpy as np
import pandas as pd
from pandas.api import types

from skad._cli._errors import CommandError

# Text of which more than this share of the rows is different names rows, and says
# nothing about what they have in common.
MAX_DISTINCT_TEXT = 0.9

# Beyond it, whole numbers are rounded when they become floats.
MAX_EXACT = 2**53

# How dates and times are written besides ISO 8601. A column that can be read in two
# ways is not read as a date at all.
TIME_FORMATS = [
    f"{date}{time}"
    for date in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d")
    for time in ("", " %H:%M", " %H:%M:%S")
] + ["%H:%M", "%H:%M:%S"]

# Thousands and decimals: 1,234.5 and 1.234,5. Where a column fits both, the first.
DECIMALS = {
    ",": r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?",
    ".": r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?",
}


def prepare(table, drop=()):
    """Make columns that a detector takes; return them with notes for the user."""
    missing = [name for name in drop if name not in table.columns]
    if missing:
        raise CommandError(
            f"no column {missing[0]!r} to drop; there are {', '.join(table.columns)}."
        )
    columns, noted = {}, {}
    for name in table.columns.difference(list(drop), sort=False):
        column, note = _convert(table[name])
        if note:
            noted.setdefault(note, []).append(name)
        if column is not None:
            columns[name] = column
    notes = [f"{note}: {_listed(names)}" for note, names in noted.items()]
    if not columns:
        raise CommandError("; ".join(["no column is left to look at", *notes]) + ".")
    return pd.DataFrame(columns, index=table.index), notes


def _listed(names, n_shown=5):
    more = f" and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return ", ".join(map(repr, names[:n_shown])) + more


def _convert(column):
    """A column as numbers or categories, or None; and a note, or None."""
    present = column.dropna()
    if present.empty:
        return None, "left out, all values missing"
    is_object = types.is_object_dtype(column)
    if types.is_complex_dtype(column) or (is_object and not _is_hashable(present)):
        return None, "left out, neither numbers nor text"
    if len(present) == len(column) and present.nunique() == 1:
        return None, "left out, constant"
    if types.is_bool_dtype(present.infer_objects()):
        return column.astype("Float64").to_numpy(np.float64, na_value=np.nan), None
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories(), None
    if types.is_numeric_dtype(column):
        return _check_numbers(column)
    times = _as_times(column, present)
    if times is not None:
        return times, "read as times, in seconds"
    return _convert_text(column, present.astype(str).str.strip())


def _check_numbers(column, note=None):
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise CommandError(
            f"column {column.name!r} holds {len(infinite)} infinite values, the first "
            f"in row {infinite[0] + 1}; correct them, or leave it out with --drop."
        )
    if types.is_integer_dtype(column):
        if np.all(np.diff(numbers) == 1):
            return None, "left out, it counts the rows"
        if column.nunique() == len(column) or np.nanmax(np.abs(numbers)) > MAX_EXACT:
            note = "whole numbers, hardly a value twice; if they name rows, --drop them"
    return numbers, note


def _convert_text(column, text):
    words = text.str.lower()
    if words.isin(["true", "false"]).all():
        return (words == "true").astype(float).reindex(column.index), None
    numbers, note = _as_numbers(text)
    if numbers is not None:
        if len(numbers) == len(column) and numbers.nunique() == 1:
            return None, "left out, one and the same number"
        return _check_numbers(numbers.reindex(column.index).rename(column.name), note)
    if text.nunique() > MAX_DISTINCT_TEXT * len(text):
        return None, f"left out, texts that are hardly ever the same ({text.iloc[0]!r})"
    return text.reindex(column.index).astype("category"), note


def _as_numbers(text):
    """Text as numbers, or None; and a note, or None."""
    if text.str.fullmatch(r"0\d+").any():
        return None, "read as categories, for leading zeros"
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.notna().all():
        return numbers, None
    for thousands, pattern in DECIMALS.items():
        if text.str.fullmatch(pattern).all():
            decimal = "." if thousands == "," else ","
            plain = text.str.replace(thousands, "").str.replace(decimal, ".")
            note = f"read as numbers, {thousands!r} for thousands, {decimal!r} decimal"
            return pd.to_numeric(plain), note
    if numbers.notna().mean() > 0.5:
        other = text[numbers.isna()].iloc[0]
        return None, f"read as categories, because of {other!r} among numbers"
    return None, None


def _as_times(column, present):
    """Seconds of a column of dates, times or durations; None of another."""
    if types.is_timedelta64_dtype(column):
        return column.dt.total_seconds()
    if not types.is_datetime64_any_dtype(column):
        times = _parse_times(present.astype(str).str.strip())
        if times is None:
            return None
        column = times.reindex(column.index)
    if column.dt.tz is None:
        column = column.dt.tz_localize("UTC")
    return (column - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def _parse_times(text):
    """Times that are all of one form, in which they mean one thing; None of others."""
    if text.str.match(r"\d{4}-\d{2}-\d{2}").all():  # codes of digits are no dates
        times = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
        return times if times.notna().all() else None
    if not re.match(r"\d{1,4}[./]\d{1,2}[./]\d|\d{1,2}:\d\d", text.iloc[0]):
        return None
    readings = [
        pd.to_datetime(text, format=form, errors="coerce") for form in TIME_FORMATS
    ]
    readings = [times for times in readings if times.notna().all()]
    return readings[0] if len(readings) == 1 else None


def _is_hashable(present):
    try:
        present.nunique()
    except TypeError:
        return False
    return True
