"""What M2AD learns of one system: its forecasts, and what errors are usual for it."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from skad._calibration import CALIBRATIONS
from skad._combination import COMBINATIONS, terms
from skad._densities import DENSITIES
from skad._forecasts import Forecaster
from skad._residuals import Residuals
from skad._series import Series, filled
from skad._series_scores import ChannelScaler

# A stretch of time that is held out has at least so many rows.
_FEWEST_ROWS = 4


@dataclass(frozen=True)
class Recipe:
    """The parameters of `M2AD` that its steps need, for workers to be sent.

    `regressor` is seeded, and `weights` has one for each sensor.
    """

    regressor: object
    n_lags: int | None
    cv: int | None
    residual: str
    smoothing: float
    density: str
    combination: str
    calibration: str
    weights: np.ndarray


class Evidence:
    """From the errors of forecasts to p-values.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_sensors)
        The errors of forecasts of normal rows, NaN where nothing was measured.

    bounds : ndarray of shape (n_series + 1,)
        The first row of each series, and the number of rows.

    recipe : Recipe
        The parameters.
    """

    def __init__(self, errors, bounds, recipe):
        self.combination = COMBINATIONS[recipe.combination]
        self.sensors = np.flatnonzero(~np.isnan(errors).all(axis=0))
        self.weights = recipe.weights[self.sensors]
        self.residuals = Residuals(recipe.residual, recipe.smoothing)
        residuals = self.residuals.fit(errors[:, self.sensors], bounds)
        two_sided = self.residuals.two_sided
        self.density = DENSITIES[recipe.density](residuals, two_sided=two_sided)
        statistics = self.combination(self.density.log_pvalues(residuals), self.weights)
        null_shape = self.combination.null_shape(self.weights)
        self.calibration = CALIBRATIONS[recipe.calibration](statistics, null_shape)

    def start(self):
        """Return the state before the first row of a series."""
        return self.residuals.start()

    def __call__(self, errors, state):
        """Return the log p-values of rows and of their sensors, and the next state."""
        residuals, state = self.residuals(errors[:, self.sensors], state)
        of_sensors = self.density.log_pvalues(residuals)
        statistics = self.combination(of_sensors, self.weights)
        return self.calibration.log_pvalues(statistics), of_sensors, state

    def terms(self, of_sensors, n_sensors):
        """Return what each of all sensors adds to the evidence against its row."""
        found = np.zeros((len(of_sensors), n_sensors))
        found[:, self.sensors] = terms(of_sensors, self.weights)
        return found


class SystemModel:
    """Everything that turns the rows of a system into p-values.

    Parameters
    ----------
    scalers : tuple of two ChannelScaler
        They standardise sensors and covariates.

    forecaster : Forecaster
        Forecasts rows from those before them.

    evidence : Evidence
        Judges the errors of its forecasts.

    is_of_others : bool, default=False
        Whether it is for systems that were not there when it was learnt.
    """

    def __init__(self, scalers, forecaster, evidence, is_of_others=False):
        self.scalers = scalers
        self.forecaster = forecaster
        self.evidence = evidence
        self.is_of_others = is_of_others

    def start(self, values):
        """Return the state before the first of these rows of a series."""
        first = self.scalers[0](values[0])
        return self.forecaster.start(first), self.evidence.start()

    def __call__(self, values, covariates, state):
        """Return the log p-values of rows and of their sensors, and the next state.

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
        of_sensors, of_covariates = self.scalers
        scaled = of_sensors(values)
        expected, forecasts = self.forecaster.forecast(
            _with_means(scaled, self.evidence.sensors),
            of_covariates(covariates),
            forecasts,
        )
        of_rows, of_sensors, evidence = self.evidence(scaled - expected, evidence)
        return of_rows, of_sensors, (forecasts, evidence)

    def measured(self, system):
        """Return which sensors of a system are known; of a new one those it has."""
        known = np.zeros(system.series.values.shape[1], dtype=bool)
        known[self.evidence.sensors] = True
        return known & system.is_measured if self.is_of_others else known

    def judged(self, system):
        """Return the log p-values of the rows of a system, and of their sensors."""
        parts = [self(*part, self.start(part[0]))[:2] for part in system.parts()]
        return tuple(np.concatenate(found) for found in zip(*parts, strict=True))


def fitted_alone(system, recipe):
    """Return the model of a system that learns from its own rows only."""
    scalers, forecaster, errors = _cross_fitted(system, recipe)
    evidence = Evidence(errors, system.series.bounds, recipe)
    return SystemModel(scalers, forecaster, evidence)


def fitted_together(systems, recipe):
    """Return the model of each system, and one for those that are not known.

    All share the forecaster; what errors are usual is of a system, or of all rows.
    """
    together = _joined(systems)
    scalers, forecaster, errors = _cross_fitted(together, recipe)
    edges = np.cumsum([0, *map(len, systems)])
    parts = [
        (errors[a:b], system.series.bounds)
        for system, a, b in zip(systems, edges[:-1], edges[1:], strict=True)
    ]
    models = [
        SystemModel(scalers, forecaster, Evidence(*part, recipe)) for part in parts
    ]
    usual = Evidence(errors, together.series.bounds, recipe)
    return models, SystemModel(scalers, forecaster, usual, is_of_others=True)


def _cross_fitted(system, recipe):
    """Return scalers and forecaster, and errors by forecasters that did not see a row.

    The rows are cut into stretches of time, and each is forecast by a forecaster that
    learnt from the others: errors on what was learnt from are too small to be a measure
    of those to come.
    """
    series, bounds = system.series, system.series.bounds
    scalers = ChannelScaler(series), ChannelScaler(Series(system.covariates, bounds))
    scaled, covariates = scalers[0](series.values), scalers[1](system.covariates)
    # The mean is 0.
    known = filled(scaled, np.isnan(scaled), bounds, np.zeros(scaled.shape[1]))
    known = Series(known, bounds)
    forecaster = _forecaster(recipe, recipe.n_lags).fit(known, covariates)
    n_stretches = min(recipe.cv or 1, len(known) // _FEWEST_ROWS)
    if n_stretches < 2:
        expected = _forecasts(forecaster, known, covariates)
        return scalers, forecaster, scaled - expected
    edges = np.linspace(0, len(known), n_stretches + 1).astype(int)
    expected = np.empty_like(scaled)
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        others = _without(known, covariates, first, last)
        held = _forecaster(recipe, forecaster.n_lags).fit(*others)
        expected[first:last] = _forecasts(held, known, covariates)[first:last]
    return scalers, forecaster, scaled - expected


def _forecaster(recipe, n_lags):
    return Forecaster(clone(recipe.regressor), n_lags)


def _forecasts(forecaster, series, covariates):
    """Return the forecasts of all rows of series."""
    found = np.empty_like(series.values)
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
    return type(systems[0])(None, Series(values, bounds), covariates)


def _with_means(scaled, sensors):
    """Return standardised values with 0, the mean, for all but some sensors."""
    is_other = np.ones(scaled.shape[1], dtype=bool)
    is_other[sensors] = False
    return np.where(is_other, 0, scaled) if is_other.any() else scaled
