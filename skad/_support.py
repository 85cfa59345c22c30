"""The box in which synthetic rows are uniform: bounds and grids of the columns."""

import numpy as np

# Columns with more steps between their bounds are taken for continuous.
_MAX_STEPS = 10_000
_SAMPLE = 4096
_TOLERANCE = 1e-4


def column_support(X):
    """Find the bounds of each column and the step of those that lie on a grid.

    A column lies on a grid when all its values are whole multiples of one step
    apart, as integers and their affine images are. Uniform rows then take the
    values of the grid only, since any other value would give them away.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data; NaN marks missing entries.

    Returns
    -------
    low, high : ndarray of shape (n_features,)
        Bounds; half a step outside the values for a grid.
    step : ndarray of shape (n_features,)
        The grid's step, 0 for a continuous column.
    """
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    step = np.array([_grid_step(X[:, j], low[j], high[j]) for j in range(X.shape[1])])
    return low - step / 2, high + step / 2, step


def _grid_step(column, low, high):
    if low == high:
        return 0.0
    sample = column[:: max(1, column.size // _SAMPLE)]
    values = np.unique(np.append(sample[~np.isnan(sample)], [low, high]))
    if 2 * values.size > sample.size + 2:
        return 0.0
    step = (high - low) / np.rint((high - low) / np.diff(values).min())
    if high - low > _MAX_STEPS * step or not _on_grid(values, low, step):
        return 0.0
    return step if _on_grid(column, low, step) else 0.0


def _on_grid(values, low, step):
    position = (values - low) / step
    offset = np.abs(position - np.rint(position))
    return not np.any(offset > _TOLERANCE)
