"""Forecasts of series: each row from rows before it, by any regressor."""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import get_tags

# How many numbers a forecast is made from if the user does not say, and the fewest
# and most rows that these are of.
_MANY_INPUTS = 400
_FEWEST_LAGS, _MOST_LAGS = 3, 100
# Training rows for each of these numbers.
_ROWS_EACH = 4
# Inputs of a regressor that are laid out at once: there are `n_lags` copies of a row.
_BLOCK_VALUES = 2**20


class State(NamedTuple):
    """What forecasts of the next rows of a series need of the rows before.

    Parameters
    ----------
    lags : ndarray of shape (n_lags, n_sensors)
        The last rows.

    memory : object
        What the regressor remembers; None at the beginning, or if it does not.

    n_left : int
        The number of rows to come before there is a forecast.
    """

    lags: np.ndarray
    memory: object
    n_left: int

    def completed(self, row):
        """Return the state with gaps in the last row filled from another one."""
        missing = np.isnan(self.lags[-1:])
        if not missing.any():
            return self
        last = np.where(missing, row, self.lags[-1:])
        return self._replace(lags=np.concatenate([self.lags[:-1], last]))


class Forecaster:
    """Forecast rows of series from the rows before them, by any regressor.

    The inputs for row t are the sensors at t - 1, ..., t - `n_lags` and the covariates
    at t; without any of these it is a zero. A regressor with ``predict_next`` remembers
    the inputs before. Before its first row a series was for ever as it is there.

    Parameters
    ----------
    regressor : estimator
        The regressor, which `fit` fits; one for single targets is copied for each.

    n_lags : int or None
        The number of lags. If None, 1 for a regressor that remembers, otherwise what
        `number_of_lags` returns.
    """

    def __init__(self, regressor, n_lags):
        self.regressor = regressor
        self.n_lags = n_lags

    def fit(self, series, covariates):
        """Fit the regressor.

        Parameters
        ----------
        series : Series
            The sensors, standardised.

        covariates : ndarray of shape (n_rows, n_covariates)
            What is known of each of its rows and not to be forecast.

        Returns
        -------
        self : Forecaster
            With a fitted regressor and a number of lags.
        """
        values, context = series.values, {}
        if self._remembers:
            places = np.arange(len(series.lengths))
            context = {"groups": np.repeat(places, series.lengths)}
        if self.n_lags is None:
            self.n_lags = 1 if self._remembers else number_of_lags(*values.shape)
        inputs = []
        for rows in series.slices():
            before = np.repeat(values[rows.start : rows.start + 1], self.n_lags, axis=0)
            known = np.concatenate([before, values[rows]])
            inputs.append(self._inputs(known, covariates[rows]))
        self._fit_regressor(np.concatenate(inputs), values, context)
        n_known = self.n_lags
        if self._remembers:
            n_known = max(n_known, getattr(self.regressor, "n_lags_", 0))
        # Some rows must be left to learn from what errors are usual.
        self._n_first = min(n_known, int(series.lengths.max()) // 2)
        return self

    def start(self, row):
        """Return the state in which a row has been there for ever.

        Parameters
        ----------
        row : ndarray of shape (n_sensors,)
            The first row of a series; 0, the mean, counts for what it misses.

        Returns
        -------
        state : State
            The state.
        """
        row = np.nan_to_num(row)[np.newaxis]
        return State(np.repeat(row, self.n_lags, axis=0), None, self._n_first)

    def forecast(self, values, covariates, state):
        """Forecast the next rows of a series, each from those before it.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_sensors)
            The rows themselves. What is NaN has been as it was forecast.

        covariates : ndarray of shape (n_rows, n_covariates)
            What is known of them.

        state : State
            The state after the rows before.

        Returns
        -------
        forecasts : ndarray of shape (n_rows, n_sensors)
            The forecasts. NaN where a series has too few rows yet: what was before
            them is a guess.

        state : State
            The state after these rows.
        """
        n_left = state.n_left
        forecasts, first = np.empty(values.shape), 0
        gaps = np.flatnonzero(np.isnan(values).any(axis=1))
        for last in np.unique([*gaps, len(values) - 1]):
            rows = slice(first, last + 1)
            found, state = self._forecast(values[rows], covariates[rows], state)
            forecasts[rows], first = found, last + 1
            state = state.completed(found[-1:])
        forecasts[:n_left] = np.nan
        return forecasts, state._replace(n_left=max(n_left - len(values), 0))

    def _forecast(self, values, covariates, state):
        """Forecast rows of which only the last may have gaps; these it leaves."""
        known = np.concatenate([state.lags, values])
        forecasts, memory = np.empty(values.shape), state.memory
        size = max(1, _BLOCK_VALUES // max(1, self.n_lags * values.shape[1]))
        for start in range(0, len(values), size):
            rows = slice(start, min(start + size, len(values)))
            before = known[start : rows.stop + self.n_lags]
            inputs = self._inputs(before, covariates[rows])
            found, memory = self._predict(inputs, memory)
            forecasts[rows] = found.reshape(len(inputs), -1)
        return forecasts, state._replace(lags=known[len(values) :], memory=memory)

    @property
    def _remembers(self):
        return hasattr(self.regressor, "predict_next")

    def _inputs(self, known, covariates):
        """Return the inputs for the last rows, as many as there are covariates."""
        n_rows = len(covariates)
        if self.n_lags == 0 and covariates.shape[1] == 0:
            return np.zeros((n_rows, 1))
        if self.n_lags == 0:
            return covariates
        lags = sliding_window_view(known[:-1], self.n_lags, axis=0)[:, :, ::-1]
        lags = np.swapaxes(lags, 1, 2).reshape(n_rows, -1)
        return np.concatenate([lags, covariates], axis=1)

    def _fit_regressor(self, inputs, targets, context):
        if targets.shape[1] == 1:
            targets = targets[:, 0]
        elif not get_tags(self.regressor).target_tags.multi_output:
            self.regressor = MultiOutputRegressor(self.regressor)
        self.regressor.fit(inputs, targets, **context)

    def _predict(self, inputs, memory):
        if self._remembers:
            return self.regressor.predict_next(inputs, memory)
        return self.regressor.predict(inputs), None


def number_of_lags(n_rows, n_sensors):
    """Return how many lags are used if nobody says it.

    So many that all sensors give 400 numbers, or a quarter of the number of rows if
    that is less, but 3 to 100.

    Parameters
    ----------
    n_rows : int
        The number of rows for training.

    n_sensors : int
        The number of sensors.

    Returns
    -------
    n_lags : int
        The number of lags.
    """
    n_inputs = min(_MANY_INPUTS, n_rows // _ROWS_EACH)
    return min(max(n_inputs // n_sensors, _FEWEST_LAGS), _MOST_LAGS)
