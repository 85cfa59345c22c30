"""Columns that parameters name, of tables whose columns differ in type."""

from numbers import Integral

from sklearn.utils.validation import validate_data


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
