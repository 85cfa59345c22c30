"""Records of who did what and when: read from the columns of a table, and merged."""

from dataclasses import dataclass
from datetime import datetime
from numbers import Number

import numpy as np
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import _num_samples, assert_all_finite

from skad._groups import is_missing
from skad._named_columns import (
    column_name,
    column_position,
    column_positions,
    validated_table,
)

# Sums of squares of larger numbers may overflow, and those of smaller ones vanish.
_LARGEST, _SMALLEST = 1e100, 1e-100


@dataclass(frozen=True)
class Records:
    """Rows as numbers.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        Time of each row, in days if it was a date.
    codes : ndarray of shape (n_samples, n_entities), dtype int64
        Who acts: one code per entity column.
    values : ndarray of shape (n_samples, n_values)
        The numbers that are compared with the past.
    """

    time: np.ndarray
    codes: np.ndarray
    values: np.ndarray

    def __len__(self):
        return len(self.time)

    def __getitem__(self, rows):
        return Records(self.time[rows], self.codes[rows], self.values[rows])

    def then(self, other):
        """Return the rows of both, one after the other."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Records(*(np.concatenate(pair) for pair in pairs))


def merged(past, new):
    """Merge `new` rows into those of the past, each row counting once.

    A row of the past that is equal to a new one in everything is the same record.
    Equal rows within `new`, or within the past, are records of their own.

    Parameters
    ----------
    past, new : Records
        Rows known before, and rows to add.

    Returns
    -------
    records : Records
        The rows, sorted by time; rows of one time in an order that depends on
        nothing but themselves.
    row : ndarray of shape (len(records),)
        Number of each row within `new`, negative for rows of the past.
    """
    # Nothing looks at rows that are not earlier.
    past = past[past.time < new.time.max()]
    both = past.then(new)
    row = np.arange(len(both)) - len(past)
    order = np.lexsort((*both.codes.T, *both.values.T, both.time))
    both, row = both[order], row[order]
    is_first = np.r_[True, np.diff(both.time) != 0]
    for columns in (both.codes, both.values):
        is_first[1:] |= (columns[1:] != columns[:-1]).any(axis=1)
    # The sort is stable: among equal rows, those of the past come first.
    run = np.cumsum(is_first) - 1
    place = np.arange(len(both)) - np.flatnonzero(is_first)[run]
    n_new = np.bincount(run, weights=row >= 0)
    keep = (row >= 0) | (place >= n_new[run])
    return both[keep], row[keep]


class RecordColumns:
    """The columns of a table that make up a record.

    Parameters
    ----------
    time : int or str
        The column of the time.
    entities : array-like of int or str, or None
        The columns that name who acts.
    values : array-like of int or str, or None
        The columns of numbers; None stands for all others.
    """

    def __init__(self, time, entities, values):
        self.chosen = time, entities, values

    def fit_read(self, estimator, X):
        """Learn where the columns are and which entities there are; read `X`."""
        X = validated_table(estimator, X, reset=True)
        self._find(X)
        return self._read(X, fit=True)

    def read(self, estimator, X):
        """Read `X`, with the columns that `fit_read` saw."""
        return self._read(validated_table(estimator, X, reset=False), fit=False)

    def _find(self, X):
        time, entities, values = self.chosen
        self.time = column_position(X, time, f"time={time!r}")
        self.entities = column_positions(X, entities, "entities")
        if values is None:
            used = {self.time, *self.entities}
            self.values = [j for j in range(X.shape[1]) if j not in used]
        else:
            self.values = column_positions(X, values, "values")
        used = [self.time, *self.entities, *self.values]
        twice = [j for j in used if used.count(j) > 1]
        if twice:
            raise ValueError(
                f"column {column_name(X, twice[0])!r} is given more than once in time, "
                "entities and values; expected different columns."
            )

    def _read(self, X, *, fit):
        time, is_date = _times(X, self.time)
        if fit:
            self.is_date = is_date
        elif is_date != self.is_date:
            kinds = {True: "dates", False: "numbers"}
            name = column_name(X, self.time)
            raise ValueError(
                f"time: column {name!r} held {kinds[self.is_date]} in fit and holds "
                f"{kinds[is_date]} now."
            )
        values = [_numbers(X, j, "values") for j in self.values]
        return Records(
            time,
            self._codes(X, fit=fit),
            np.column_stack(values) if values else np.empty((len(time), 0)),
        )

    def _codes(self, X, *, fit):
        if fit:
            self._coders = [_Coder() for _ in self.entities]
        codes = np.empty((_num_samples(X), len(self.entities)), dtype=np.int64)
        for place, j in enumerate(self.entities):
            label = f"entities: column {column_name(X, j)!r}"
            codes[:, place] = self._coders[place](_names(X, j, label), label, fit=fit)
        return codes


class _Coder:
    """Names of one column as codes 0, 1, ...; new names get codes after the known."""

    def __call__(self, names, label, *, fit):
        is_number = names.dtype.kind in "biuf"
        if fit:
            self._is_number = is_number
            self._encoder = self._new_encoder(names, label)
        elif is_number != self._is_number:
            kinds = {True: "numbers", False: "other names"}
            raise ValueError(
                f"{label} held {kinds[self._is_number]} in fit and holds "
                f"{kinds[is_number]} now; no name would be known."
            )
        codes = self._encoder.transform(names)[:, 0]
        unknown = codes < 0
        if unknown.any():
            other = self._new_encoder(names[unknown], label)
            n_known = len(self._encoder.categories_[0])
            codes[unknown] = n_known + other.transform(names[unknown])[:, 0]
        return codes

    def _new_encoder(self, names, label):
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.int64
        )
        try:
            encoder.fit(names)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{label} must hold names of one type, none of them missing; {error}"
            ) from error
        return encoder


def _times(X, j):
    """Return the times in the column as numbers, and whether they were dates."""
    column = _safe_indexing(X, j, axis=1)
    if getattr(column.dtype, "kind", "O") == "M":  # also those with a time zone
        array = np.asarray(column, dtype="datetime64[ns]")
    else:
        array = np.asarray(column)
        if array.dtype.kind == "O" and isinstance(array[0], datetime):
            array = array.astype("datetime64[ns]")
    if array.dtype.kind not in "Mm":
        return _numbers(X, j, "time"), False
    if np.isnat(array).any():
        raise ValueError(f"time: column {column_name(X, j)!r} contains missing dates.")
    if array.dtype.kind == "M":
        array = array - np.datetime64(0, "s")
    return array / np.timedelta64(1, "D"), True


def _numbers(X, j, parameter):
    label = f"{parameter}: column {column_name(X, j)!r}"
    array = np.asarray(_safe_indexing(X, j, axis=1))
    is_text = array.dtype.kind in "US"
    if is_text or (array.dtype == object and any(isinstance(x, str) for x in array)):
        raise ValueError(f"{label} holds strings; expected numbers.")
    numbers = check_array(array.reshape(-1, 1), dtype=np.float64, input_name=label)
    if np.abs(numbers).max() > _LARGEST:
        raise ValueError(
            f"{label} holds numbers up to {np.abs(numbers).max():g} in size; expected "
            f"at most {_LARGEST:g}."
        )
    return np.where(np.abs(numbers[:, 0]) < _SMALLEST, 0, numbers[:, 0])


def _names(X, j, label):
    """Return the names in the column, as a column: numbers or objects."""
    array = np.asarray(_safe_indexing(X, j, axis=1))
    if array.dtype == object and isinstance(array[0], Number):
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{label} must hold names of one type; {error}") from error
    if array.dtype.kind == "f":
        assert_all_finite(array, input_name=label)
    elif array.dtype.kind not in "biu":
        array = array.astype(object)
        try:
            names = set(array.tolist())
        except TypeError as error:
            raise TypeError(
                f"{label}: an argument must be a string or a number, or another object "
                f"that can be a name; {error}."
            ) from error
        missing = [name for name in names if is_missing(name)]
        if missing:
            raise ValueError(f"{label} contains missing names ({missing[0]!r}).")
    return array.reshape(-1, 1)
