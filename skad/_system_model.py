"""What M2AD learns of one system: its forecasts, and what errors are usual for it."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from skad._calibration import CALIBRATIONS
from skad._combination import COMBINATIONS, terms
from skad._densities import DENSITIES
from skad._fleet import System
from skad._forecasts import Forecaster
from skad._residuals import Residuals
from skad._series import Series, filled
from skad._series_scores import ChannelScaler, Levels

# The log of a p-value below which its multiples are its sum with others.
_SMALL = -30.0
# What is held out has at least so many rows.
_FEWEST_ROWS = 4
# Rows that are held out together where distributions are learnt: more than the mean of
# errors remembers.
_BLOCK_ROWS = 100


@dataclass(frozen=True)
class Recipe:
    """The parameters of `M2AD` that its steps need, for workers to be sent.

    `regressor` is seeded, and `weights` has one for each sensor.
    """

    regressor: object
    n_lags: int | None
    cv: int | None
    residual: tuple
    smoothing: float
    causal: bool
    level_weight: float
    window_size: int
    density: str
    combination: str
    calibration: str
    weights: np.ndarray


class SensorPValues:
    """From the errors of forecasts to p-values of sensors.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_sensors)
        The errors of forecasts of normal rows, NaN where there are none.

    bounds : ndarray of shape (n_series + 1,)
        The first row of each series, and the number of rows.

    recipe : Recipe
        The parameters.
    """

    def __init__(self, errors, bounds, recipe):
        self._steps = []
        for kind in recipe.residual:
            residuals = Residuals(
                kind, recipe.smoothing, causal=recipe.causal, density=recipe.density
            )
            values = residuals.fit(errors, bounds)
            density = DENSITIES[recipe.density](values, two_sided=residuals.two_sided)
            self._steps.append((residuals, density))

    def start(self):
        """Return the state before the first row of a series."""
        return [residuals.start() for residuals, _ in self._steps]

    def __call__(self, errors, state):
        """Return the log p-values of rows of a series, and the next state."""
        found, after = [], []
        for (residuals, density), before in zip(self._steps, state, strict=True):
            values, last = residuals(errors, before)
            found.append(density.log_pvalues(values))
            after.append(last)
        return _strongest(found), after

    def of_series(self, errors, bounds):
        """Return the log p-values of the rows of whole series."""
        pairs = zip(bounds[:-1], bounds[1:], strict=True)
        return np.concatenate([self(errors[a:b], self.start())[0] for a, b in pairs])


class Evidence:
    """From the errors of forecasts to p-values of rows.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_sensors)
        The errors of forecasts of normal rows, NaN where there are none.

    levels : ndarray of shape (n_rows, n_sensors)
        What the level of windows says against these rows.

    bounds : ndarray of shape (n_series + 1,)
        The first row of each series, and the number of rows.

    recipe : Recipe
        The parameters.
    """

    def __init__(self, errors, levels, bounds, recipe):
        self.combination = COMBINATIONS[recipe.combination]
        self.sensors = np.flatnonzero(~np.isnan(errors).all(axis=0))
        self.weights = recipe.weights[self.sensors]
        self._level_weights = recipe.level_weight * self.weights
        errors, levels = self._of_sensors(errors, levels)
        self._pvalues = SensorPValues(errors, bounds, recipe)
        of_sensors = self._cross_judged(errors, bounds, recipe)
        self._usual = _medians(of_sensors)
        statistics = self._statistics(of_sensors, levels)
        null_shape = self.combination.null_shape(self.weights)
        self.calibration = CALIBRATIONS[recipe.calibration](statistics, null_shape)

    def start(self):
        """Return the state before the first row of a series."""
        return self._pvalues.start()

    def __call__(self, errors, levels, state):
        """Return the log p-values of rows, the terms of sensors, and the next state."""
        errors, levels = self._of_sensors(errors, levels)
        of_sensors, state = self._pvalues(errors, state)
        of_rows = self.calibration.log_pvalues(self._statistics(of_sensors, levels))
        found = terms(of_sensors, self.weights) + self._level_terms(levels)
        return of_rows, found, state

    def _cross_judged(self, errors, bounds, recipe):
        """Return p-values by distributions that were learnt without the row.

        A large error widens the distribution that it is itself a part of. Blocks of
        rows take turns, so that all distributions know all of the time.
        """
        n_rows = len(errors)
        n_folds = _n_folds(n_rows, recipe.cv)
        if n_folds < 2:
            return self._pvalues.of_series(errors, bounds)
        block = min(_BLOCK_ROWS, n_rows // n_folds)
        fold = np.arange(n_rows) // block % n_folds
        found = np.empty(errors.shape)
        for k in range(n_folds):
            others = np.where(fold[:, np.newaxis] == k, np.nan, errors)
            pvalues = SensorPValues(others, bounds, recipe)
            found[fold == k] = pvalues.of_series(errors, bounds)[fold == k]
        return found

    def _of_sensors(self, errors, levels):
        """Return both of the sensors that there are; what is missing has no level."""
        errors, levels = errors[:, self.sensors], levels[:, self.sensors]
        return errors, np.where(np.isnan(errors), 0, levels)

    def _statistics(self, of_sensors, levels):
        # A sensor without a p-value says what it usually says. Not what it says on
        # average: a few rows with a p-value of nothing would make it say much.
        known = np.where(np.isnan(of_sensors), self._usual, of_sensors)
        combined = self.combination(known, self.weights)
        return combined + self._level_terms(levels).sum(axis=1)

    def _level_terms(self, levels):
        return self._level_weights * levels


class Forecasts:
    """What turns readings into errors of forecasts, and into levels of windows."""

    def fit(self, system, recipe):
        """Learn from training rows, and return their errors and levels.

        Parameters
        ----------
        system : System
            The training rows.

        recipe : Recipe
            The parameters.

        Returns
        -------
        errors : ndarray of shape (n_rows, n_sensors)
            The errors of forecasts that were made without knowing a row, NaN where
            there are none.

        levels : ndarray of shape (n_rows, n_sensors)
            How unusual the windows are that hold a row.
        """
        bounds = system.series.bounds
        # Sums depend on where the rows lie, which is not the same in another process.
        values = np.ascontiguousarray(system.series.values)
        covariates = np.ascontiguousarray(system.covariates)
        self._of_sensors = ChannelScaler(Series(values, bounds))
        self._of_covariates = ChannelScaler(Series(covariates, bounds))
        scaled, covariates = self._of_sensors(values), self._of_covariates(covariates)
        known = _without_gaps(scaled, bounds)
        self._forecaster = _fitted(recipe, recipe.n_lags, known, covariates)
        errors = self._errors(scaled, known, covariates, recipe)
        self._levels = None
        if recipe.level_weight and not recipe.causal:
            self._levels = Levels(known, recipe.window_size)
        return errors, self._excess(scaled, bounds)

    def start(self, values):
        """Return the state before the first of these rows of a series."""
        return self._forecaster.start(self._of_sensors(values[0]))

    def __call__(self, values, covariates, state, sensors):
        """Return the errors and the levels of the next rows, and the next state.

        Of all sensors but `sensors` the mean is forecast from.
        """
        scaled = self._of_sensors(values)
        expected, state = self._forecaster.forecast(
            _with_means(scaled, sensors), self._of_covariates(covariates), state
        )
        bounds = np.array([0, len(values)])
        return scaled - expected, self._excess(scaled, bounds), state

    def _errors(self, scaled, known, covariates, recipe):
        """Return errors as large as those to come.

        The rows are cut into stretches of time, and each is forecast by a forecaster
        that learnt from the others: errors on what was learnt from are too small to be
        a measure of those to come. Errors of forecasters that learnt from fewer rows
        are too large, and are reduced.
        """
        own = scaled - _forecasts(self._forecaster, known, covariates)
        n_stretches = _n_folds(len(known), recipe.cv)
        if n_stretches < 2:
            return own
        edges = np.linspace(0, len(known), n_stretches + 1).astype(int)
        errors = np.empty(known.values.shape)
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            others = _without(known, covariates, first, last)
            held = _fitted(recipe, self._forecaster.n_lags, *others)
            expected = _forecasts(held, known, covariates)[first:last]
            errors[first:last] = scaled[first:last] - expected
        return errors * _reduction(errors, own, 1 - 1 / n_stretches)

    def _excess(self, scaled, bounds):
        if self._levels is None or not len(scaled):
            return np.zeros(scaled.shape)
        return self._levels.excess(_without_gaps(scaled, bounds), causal=False)


class SystemModel:
    """Everything that turns the rows of a system into p-values.

    Parameters
    ----------
    forecasts : Forecasts
        Turns them into errors.

    evidence : Evidence
        Judges the errors.

    is_of_others : bool, default=False
        Whether it is for systems that were not there when it was learnt.
    """

    def __init__(self, forecasts, evidence, is_of_others=False):
        self.forecasts = forecasts
        self.evidence = evidence
        self.is_of_others = is_of_others

    def start(self, values):
        """Return the state before the first of these rows of a series."""
        return self.forecasts.start(values), self.evidence.start()

    def __call__(self, values, covariates, state):
        """Return the log p-values of rows, the terms of sensors, and the next state.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_sensors)
            The next rows of a series, NaN where nothing was measured.

        covariates : ndarray of shape (n_rows, n_covariates)
            What else is known of them.

        state : tuple
            What `start` or the call for the rows before returned.
        """
        forecasts, evidence = state
        *errors, forecasts = self.forecasts(
            values, covariates, forecasts, self.evidence.sensors
        )
        of_rows, found, evidence = self.evidence(*errors, evidence)
        return of_rows, found, (forecasts, evidence)

    def measured(self, system):
        """Return which sensors of a system are known; of a new one those it has."""
        known = np.zeros(system.series.values.shape[1], dtype=bool)
        known[self.evidence.sensors] = True
        return known & system.is_measured if self.is_of_others else known

    def judged(self, system):
        """Return the log p-values of the rows of a system, and the terms of sensors."""
        parts = [self(*part, self.start(part[0]))[:2] for part in system.parts()]
        scores, found = (np.concatenate(each) for each in zip(*parts, strict=True))
        of_sensors = np.zeros(system.series.values.shape)
        of_sensors[:, self.evidence.sensors] = found
        return scores, of_sensors


def fitted_alone(system, recipe):
    """Return the model of a system that learns from its own rows only."""
    forecasts = Forecasts()
    found = forecasts.fit(system, recipe)
    evidence = Evidence(*found, system.series.bounds, recipe)
    return SystemModel(forecasts, evidence)


def fitted_together(systems, recipe):
    """Return the model of each system, and one for those that are not known.

    All share the forecaster; what errors are usual is of a system, or of all rows.
    """
    together, forecasts = _joined(systems), Forecasts()
    errors, levels = forecasts.fit(together, recipe)
    models, first = [], 0
    for system in systems:
        rows = slice(first, first + len(system))
        evidence = Evidence(errors[rows], levels[rows], system.series.bounds, recipe)
        models.append(SystemModel(forecasts, evidence))
        first = rows.stop
    usual = Evidence(errors, levels, together.series.bounds, recipe)
    return models, SystemModel(forecasts, usual, is_of_others=True)


def _reduction(held_out, own, share):
    """Return by what to multiply errors of forecasters that learnt from fewer rows.

    Least squares with p parameters and n rows, many more, have errors whose mean square
    is, in units of what nobody can forecast, 1 - p / n on their own rows and 1 + p / n
    on others; with a share of the rows, 1 + p / (share n). The first and the last say
    what p / n is, and so what that in the middle is.
    """
    both = ~np.isnan(held_out) & ~np.isnan(own)
    held_out, own = (np.sum(each**2, axis=0, where=both) for each in (held_out, own))
    unknown = held_out + own / share
    worse = np.maximum(held_out - own, 0)
    ratio = np.divide(worse, unknown, out=np.zeros(len(own)), where=unknown > 0)
    return np.sqrt((1 + ratio) / (1 + ratio / share))


def _n_folds(n_rows, cv):
    """Return how many parts of the rows are held out in turn; 0 or 1 for none."""
    return min(cv or 1, n_rows // _FEWEST_ROWS)


def _medians(log_pvalues):
    """Return the medians of sensors, 0 for those that have no value."""
    is_empty = np.isnan(log_pvalues).all(axis=0)
    return np.nanmedian(np.where(is_empty, 0, log_pvalues), axis=0)


def _fitted(recipe, n_lags, series, covariates):
    return Forecaster(clone(recipe.regressor), n_lags).fit(series, covariates)


def _forecasts(forecaster, series, covariates):
    """Return the forecasts of all rows of series."""
    found = np.empty(series.values.shape)
    for rows in series.slices():
        values, known = series.values[rows], covariates[rows]
        state = forecaster.start(values[0])
        found[rows], _ = forecaster.forecast(values, known, state)
    return found


def _without(series, covariates, first, last):
    """Return series without the rows from `first` to before `last`, cut there."""
    kept = np.r_[:first, last : len(series)]
    bounds = np.unique(np.r_[series.bounds, first, last])
    lengths = np.diff(bounds)[(bounds[:-1] < first) | (bounds[:-1] >= last)]
    bounds = np.r_[0, np.cumsum(lengths)]
    return Series(series.values[kept], bounds), covariates[kept]


def _joined(systems):
    """Return the rows of all systems as those of one, whose series they are."""
    values = np.concatenate([system.series.values for system in systems])
    covariates = np.concatenate([system.covariates for system in systems])
    lengths = np.concatenate([system.series.lengths for system in systems])
    bounds = np.r_[0, np.cumsum(lengths)]
    return System(None, Series(values, bounds), covariates)


def _without_gaps(scaled, bounds):
    # Where a sensor has no value at all, its mean, which is 0.
    means = np.zeros(scaled.shape[1])
    return Series(filled(scaled, np.isnan(scaled), bounds, means), bounds)


def _with_means(scaled, sensors):
    """Return standardised values with 0, the mean, for all but some sensors."""
    is_other = np.ones(scaled.shape[1], dtype=bool)
    is_other[sensors] = False
    return np.where(is_other, 0, scaled) if is_other.any() else scaled


def _strongest(log_pvalues):
    """Return the p-value of the smallest of several, by Šidák's formula."""
    n = len(log_pvalues)
    least = np.minimum.reduce(log_pvalues)
    if n == 1:
        return least
    # Where p is small, 1 - (1 - p)^n is n p.
    exact = _log_rest(n * _log_rest(np.maximum(least, _SMALL)))
    return np.where(least < _SMALL, least + np.log(n), exact)


def _log_rest(log_p):
    """Return log(1 - p), as exact for p next to 1 as for p next to 0."""
    is_large = log_p > -np.log(2)
    with np.errstate(divide="ignore"):
        return np.where(is_large, np.log(-np.expm1(log_p)), np.log1p(-np.exp(log_p)))
