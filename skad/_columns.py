"""Columns of a table: which are categories, what their codes are, where values lie."""

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import validate_data

# Columns with more steps between their bounds are taken for continuous.
_MAX_STEPS = 10_000
_SAMPLE = 4096
_TOLERANCE = 1e-4


class MixedColumns:
    """Columns of numbers and of categories as one matrix of float64.

    Numbers stay as they are. Categories become codes 0, 1, ...; one that was not
    there in `fit` gets the code after the last. Missing entries become NaN.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like or None
        As in scikit-learn: a mask, names or indices.
    """

    def __init__(self, categorical_features):
        self.categorical_features = categorical_features

    def fit_validate(self, estimator, X):
        """Learn the categories of `X`; return `X` as a matrix."""
        self.is_categorical = categorical_mask(X, self.categorical_features)
        matrix = self.validate(estimator, X, reset=True)
        if not self.is_categorical.any():  # X may not have told its shape before
            self.is_categorical = np.zeros(matrix.shape[1], dtype=bool)
        empty = np.flatnonzero(np.isnan(matrix).all(axis=0))
        if empty.size:
            names = getattr(estimator, "feature_names_in_", np.arange(matrix.shape[1]))
            raise ValueError(
                f"X has no value at all in the columns {names[empty].tolist()}; "
                "expected at least one value per column."
            )
        return matrix

    def validate(self, estimator, X, *, reset=False):
        """Return `X`, with the columns that `fit_validate` saw, as a matrix."""
        minimum = 2 if reset else 1
        options = {"dtype": np.float64, "order": "C", "ensure_all_finite": "allow-nan"}
        if not self.is_categorical.any():
            return validate_data(
                estimator, X, reset=reset, ensure_min_samples=minimum, **options
            )
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        chosen = np.flatnonzero(self.is_categorical)
        others = np.flatnonzero(~self.is_categorical)
        if len(X) < minimum:
            raise ValueError(
                f"X has {len(X)} sample(s); expected a minimum of {minimum}."
            )
        matrix = np.empty((len(X), estimator.n_features_in_))
        if others.size:
            numbers = _safe_indexing(X, others, axis=1)
            matrix[:, others] = check_array(numbers, **options)
        matrix[:, chosen] = self._codes(_safe_indexing(X, chosen, axis=1), fit=reset)
        return matrix

    def n_levels(self):
        """Count the codes of each column, the one for the unseen included."""
        levels = np.zeros(self.is_categorical.size, dtype=int)
        if self.is_categorical.any():
            levels[self.is_categorical] = self._n_known + 1
        return levels

    def original(self, feature, value):
        """Return an entry of the matrix as it was in the table."""
        if np.isnan(value) or not self.is_categorical[feature]:
            return float(value)
        place = np.count_nonzero(self.is_categorical[:feature])
        is_known = value < self._n_known[place]
        return self._encoder.categories_[place][int(value)] if is_known else None

    def _codes(self, columns, *, fit):
        if fit:
            self._encoder = OrdinalEncoder(
                handle_unknown="use_encoded_value",
                unknown_value=-1,
                encoded_missing_value=np.nan,
            ).fit(columns)
        codes = self._encoder.transform(columns)
        if fit:  # the encoder counts missing entries among the categories
            present = ~np.isnan(codes)
            self._n_known = codes.max(axis=0, where=present, initial=-1).astype(int) + 1
        return np.where(codes == -1, self._n_known, codes)


def categorical_mask(X, chosen):
    """Return which columns of `X` are categories, as `chosen` says."""
    n_features = X.shape[1] if len(getattr(X, "shape", ())) == 2 else 0
    mask = np.zeros(n_features, dtype=bool)
    if chosen is None or (isinstance(chosen, str) and not hasattr(X, "dtypes")):
        return mask
    if isinstance(chosen, str):
        return np.array([getattr(t, "kind", "O") not in "biufc" for t in X.dtypes])
    chosen = np.asarray(chosen)
    if chosen.ndim != 1 or n_features == 0:
        raise ValueError(
            f"categorical_features={chosen.tolist()!r} needs X to be a table or an "
            "array with columns, and must be a list of them."
        )
    if chosen.dtype.kind == "b":
        if chosen.size != n_features:
            raise ValueError(
                f"categorical_features is a mask of {chosen.size} entries; X has "
                f"{n_features} columns."
            )
        return chosen
    if chosen.dtype.kind in "OU":
        names = [str(name) for name in getattr(X, "columns", ())]
        unknown = [name for name in chosen if str(name) not in names]
        if unknown:
            raise ValueError(
                f"categorical_features names {str(unknown[0])!r}; the columns of X are "
                f"{names if names else 'without names'}."
            )
        chosen = np.array([names.index(str(name)) for name in chosen], dtype=int)
    if chosen.size and (chosen.dtype.kind not in "iu" or _outside(chosen, n_features)):
        raise ValueError(
            f"categorical_features={chosen.tolist()!r} must hold indices of columns, "
            f"integers from 0 to {n_features - 1}."
        )
    mask[chosen.astype(int)] = True
    return mask


def _outside(indices, n_features):
    return indices.min() < 0 or indices.max() >= n_features


@dataclass(frozen=True)
class Support:
    """The box in which synthetic rows are uniform.

    Parameters
    ----------
    low, high : ndarray of shape (n_features,)
        Bounds; half a step outside the values for a grid. Equal for a constant
        column.
    step : ndarray of shape (n_features,)
        The step of a grid, 0 for a continuous column.
    n_levels : ndarray of shape (n_features,)
        Number of codes of a category, 0 for numbers.
    """

    low: np.ndarray
    high: np.ndarray
    step: np.ndarray
    n_levels: np.ndarray

    def overshoot(self, X):
        """Return how far entries are outside the box, in its widths, with a sign.

        It is 0 for categories and for missing entries. The width of a constant
        column is unknown; its value stands for it, or 1 where that is 0.
        """
        size = np.where(self.high == 0, 1.0, np.abs(self.high))
        width = np.where(self.high > self.low, self.high - self.low, size)
        overshoot = (X - np.clip(X, self.low, self.high)) / width
        overshoot[:, self.n_levels > 0] = 0
        return np.nan_to_num(overshoot, copy=False)


def column_support(X, n_levels):
    """Find the bounds of each column and the step of those that lie on a grid.

    A column lies on a grid when all its values are whole multiples of one step
    apart, as integers and their affine images are. Uniform rows then take the
    values of the grid only, since any other value would give them away.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data; NaN marks missing entries.
    n_levels : ndarray of shape (n_features,)
        Number of codes of a category, 0 for numbers.

    Returns
    -------
    support : Support
        Bounds and steps of numbers; those of categories are 0.

    Raises
    ------
    ValueError
        If the range of a column is too wide for float64.
    """
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    with np.errstate(over="ignore"):
        too_wide = np.flatnonzero(~np.isfinite(3 * (high - low)))
    if too_wide.size:
        raise ValueError(
            f"X has the range {low[too_wide[0]]:g} to {high[too_wide[0]]:g} in column "
            f"{too_wide[0]}, which is too wide for float64; rescale the column."
        )
    numbers = n_levels == 0
    low, high = np.where(numbers, low, 0), np.where(numbers, high, 0)
    step = np.zeros(X.shape[1])
    for j in np.flatnonzero(numbers):
        step[j] = _grid_step(X[:, j], low[j], high[j])
    return Support(low - step / 2, high + step / 2, step, n_levels)


def _grid_step(column, low, high):
    if low == high:
        return 0.0
    sample = column[:: max(1, column.size // _SAMPLE)]
    values = np.unique(np.append(sample[~np.isnan(sample)], [low, high]))
    if 2 * values.size > sample.size + 2:
        return 0.0
    step = _common_divisor(np.diff(values), (high - low) / _MAX_STEPS)
    n_steps = np.rint((high - low) / step)
    if n_steps > _MAX_STEPS:
        return 0.0
    step = (high - low) / n_steps
    if not _on_grid(values, low, step):
        return 0.0
    return step if _on_grid(column, low, step) else 0.0


def _common_divisor(lengths, tolerance):
    """Find what all lengths are multiples of, but for a tolerance."""
    divisor = lengths[0]
    for length in lengths:
        while length > tolerance:
            divisor, length = length, divisor % length
            if divisor - length < tolerance:
                length = 0
    return divisor


def _on_grid(values, low, step):
    position = (values - low) / step
    offset = np.abs(position - np.rint(position))
    return not np.any(offset > _TOLERANCE)
