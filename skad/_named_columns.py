"""Columns that parameters name, of tables whose columns differ in type."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import validate_data

# Sums of squares of larger numbers may overflow.
_LARGEST = 1e100


def validated_table(estimator, X, *, reset):
    """Check the shape of `X`; what is in a column is checked when it is read."""
    if not hasattr(X, "columns"):
        options = {"dtype": None, "ensure_all_finite": False}
        return validate_data(estimator, X, reset=reset, **options)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if len(X) == 0:
        raise ValueError("X has 0 sample(s); expected a minimum of 1.")
    return X


def column_positions(X, columns, parameter):
    """Return where the columns are that a list of names or indices stands for."""
    columns = [] if columns is None else list(columns)
    label = f"{parameter}={columns!r}"
    return [column_position(X, column, label) for column in columns]


def column_position(X, column, label):
    """Return where the column is; `label` begins the message if there is none."""
    names = [str(name) for name in getattr(X, "columns", ())]
    if isinstance(column, str):
        if column not in names:
            raise ValueError(
                f"{label} names {column!r}; the columns of X are "
                f"{names if names else 'without names'}."
            )
        return names.index(column)
    if not isinstance(column, Integral) or not 0 <= column < X.shape[1]:
        raise ValueError(
            f"{label} must hold names or indices of columns, from 0 to "
            f"{X.shape[1] - 1}: X has n_features={X.shape[1]}."
        )
    return int(column)


def column_name(X, j):
    """Return the name of a column, or its index where columns have no names."""
    return str(X.columns[j]) if hasattr(X, "columns") else int(j)


def other_columns(names, used, parameters, kind):
    """Return where the columns are that no parameter names.

    Parameters
    ----------
    names : list
        The names of all columns.

    used : list of int
        Where the columns are that parameters name.

    parameters : str
        What messages call these parameters.

    kind : str
        What the others hold, of which there is at least one.

    Returns
    -------
    others : list of int
        The positions of the others.
    """
    if len(used) > len(set(used)):
        twice = next(j for j in used if used.count(j) > 1)
        raise ValueError(
            f"column {names[twice]!r} is given more than once in {parameters}; "
            "expected different columns."
        )
    others = [j for j in range(len(names)) if j not in used]
    if not others:
        raise ValueError(
            f"X has no column but those of {parameters}, {[names[j] for j in used]}; "
            f"expected at least one {kind}."
        )
    return others


def check_size(numbers, label):
    """Raise if numbers are too large to be squared; `label` begins the message."""
    largest = np.fmax.reduce(numbers, axis=None, initial=0)
    largest = max(largest, -np.fmin.reduce(numbers, axis=None, initial=0))
    if largest > _LARGEST:
        held = "infinity" if np.isinf(largest) else f"numbers up to {largest:g} in size"
        raise ValueError(f"{label} holds {held}; expected at most {_LARGEST:g}.")
