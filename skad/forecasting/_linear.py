"""The linear part of forecasts: least squares on the last rows."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import solve

from skad._kernels._lstm import project

# Rows that overlap, laid out one beside the other at once: no more values than these.
_BLOCK_VALUES = 2**20


class LinearPart:
    """Predict targets linearly from a row and those before it, by least squares.

    Parameters
    ----------
    series : list of tuple of two ndarrays
        The inputs of each series, of shape (n_rows, n_inputs) and standardised, and its
        targets, of shape (n_rows, n_outputs).

    n_lags : int
        Number of rows, the row itself among them. If 0, predictions are means.

    alpha : float
        Penalty on the squared coefficients.
    """

    def __init__(self, series, n_lags, alpha):
        self.n_lags = n_lags
        sums = 0
        for inputs, targets in series:
            known = np.concatenate([self.before(inputs[0]), inputs])
            sums = sums + _products(self._lagged(known), targets)
        weights, bias = _ridge(sums, targets.shape[1], alpha)
        self._weights = weights.astype(np.float32), bias.astype(np.float32)

    def before(self, row):
        """Return what was before a first row: the same for ever."""
        return np.repeat(row[np.newaxis], max(self.n_lags - 1, 0), axis=0)

    def __call__(self, inputs, before):
        """Predict the targets of rows, and return what is before the next ones.

        Parameters
        ----------
        inputs : ndarray of shape (n_rows, n_inputs), dtype float32
            The next rows of a series.

        before : ndarray of shape (n_lags - 1, n_inputs), dtype float32
            The rows before them.

        Returns
        -------
        predictions : ndarray of shape (n_rows, n_outputs), dtype float32
            The predictions.

        before : ndarray of shape (n_lags - 1, n_inputs), dtype float32
            The last rows.
        """
        known = np.concatenate([before, inputs])
        return project(self._lagged(known), *self._weights), known[len(inputs) :]

    def _lagged(self, known):
        """Return the rows that each prediction is made from, side by side."""
        if not self.n_lags:
            return known[:, :0]
        width = known.shape[1]
        return sliding_window_view(known.reshape(-1), self.n_lags * width)[::width]


def _products(inputs, targets):
    """Return the products of the columns, of ones and of targets, with each other."""
    n_columns = 1 + inputs.shape[1] + targets.shape[1]
    size = max(1, _BLOCK_VALUES // n_columns)
    sums = np.zeros((n_columns, n_columns))
    for start in range(0, len(inputs), size):
        rows = slice(start, start + size)
        ones = np.ones((len(inputs[rows]), 1))
        block = np.concatenate([ones, inputs[rows], targets[rows]], axis=1)
        sums += block.T @ block
    return sums


def _ridge(sums, n_outputs, alpha):
    """Return coefficients and intercepts that solve penalised least squares."""
    n_rows, means = sums[0, 0], sums[0] / sums[0, 0]
    centred = sums - n_rows * np.outer(means, means)
    inputs, targets = slice(1, len(sums) - n_outputs), slice(-n_outputs, None)
    gram = centred[inputs, inputs]
    gram.flat[:: len(gram) + 1] += alpha
    weights = solve(gram, centred[inputs, targets], assume_a="pos")
    return weights, means[targets] - means[inputs] @ weights
