"""What is known of nodes beside their readings: numbers and categories."""

import numpy as np
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skad._groups import is_missing
from skad._named_columns import check_size


class Attribute:
    """A column of numbers, or of categories, as columns of numbers for a net.

    Numbers are standardised, and each category that is there in `fit` has a column.
    What is missing, or unknown, is 0 in all of them.

    Parameters
    ----------
    column : ndarray of shape (n_rows,)
        The column in `fit`, which tells of what kind it is.

    name : str or int
        What messages call it.
    """

    def __init__(self, column, name):
        self.name = name
        self._label = f"attributes: column {name!r}"
        self._is_category = plain(column).dtype.kind == "O"

    def read(self, column):
        """Return a column as floats or as objects; None and NaN stand for nothing."""
        if self._is_category:
            return _objects(column)
        numbers = plain(column)
        if numbers.dtype.kind == "O":
            raise ValueError(
                f"{self._label} holds {column[0]!r}; in fit it held numbers."
            )
        check_size(numbers, self._label)
        return numbers

    def fit(self, values):
        """Learn the scale, or the categories, of what `read` has returned."""
        known = values[~missing(values)]
        if not len(known):
            raise ValueError(f"{self._label} has no value in any row of fit.")
        if self._is_category:
            encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            self._encoder = encoder.fit(known.astype(str)[:, np.newaxis])
        else:
            # In order: rounding shall not depend on the order of rows.
            self._encoder = StandardScaler().fit(np.sort(known)[:, np.newaxis])

    def encode(self, values):
        """Return the columns for what `read` has returned."""
        if not self._is_category:
            return np.nan_to_num(self._encoder.transform(values[:, np.newaxis]))
        encoded = self._encoder.transform(values.astype(str)[:, np.newaxis])
        return np.where(missing(values)[:, np.newaxis], 0, encoded)


def plain(column):
    """Return a column as floats if it holds numbers, and as objects if not."""
    if column.dtype.kind in "mM":
        return np.where(np.isnat(column), np.nan, column.astype(np.float64))
    objects = _objects(column) if column.dtype.kind == "O" else column
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError):
        return _objects(column)


def missing(column):
    """Tell where a column of floats or objects has nothing."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    return np.array([is_missing(value) for value in column])


def is_number(value):
    """Tell whether a value is, or says, a number."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _objects(column):
    """Return a column as objects, None where something is missing."""
    column = column.astype(object)
    column[missing(column)] = None
    return column
