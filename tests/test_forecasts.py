"""Forecasts: rows before a row, covariates of the row, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge

from skad import _forecasts
from skad._forecasts import Forecaster, number_of_lags
from skad._series import Series
from skad.forecasting import LSTMRegressor

N_ROWS, N_SENSORS, N_COVARIATES = 120, 3, 2
rng = np.random.default_rng(0)
VALUES = rng.normal(size=(N_ROWS, N_SENSORS)).cumsum(axis=0) / 5
COVARIATES = rng.normal(size=(N_ROWS, N_COVARIATES))
NONE = np.empty((N_ROWS, 0))
SERIES = Series(VALUES, np.array([0, 70, N_ROWS]))


class Sum(RegressorMixin, BaseEstimator):
    """Remembers the sum of all inputs of a series, and notes what it was fitted to."""

    def fit(self, X, y, groups):
        self.groups_ = groups
        self.inputs_ = X
        return self

    def predict_next(self, X, state=None):
        sums = np.cumsum(X, axis=0) + (0 if state is None else state)
        return sums[:, :N_SENSORS], sums[-1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def lstm():
    return LSTMRegressor(
        hidden_size=4, n_layers=2, window_size=20, max_epochs=2, random_state=0
    )


FITTED = {
    name: Forecaster(regressor, n_lags).fit(SERIES, COVARIATES)
    for name, regressor, n_lags in [
        ("ridge", Ridge(), 4),
        ("covariates only", Ridge(), 0),
        ("forest", RandomForestRegressor(3, max_depth=4, random_state=0), 2),
        ("boosting", HistGradientBoostingRegressor(max_iter=3), 2),
        ("sum", Sum(), None),
        ("lstm", lstm(), None),
        ("lstm with lags", lstm(), 3),
    ]
}
all_forecasters = pytest.mark.parametrize("forecaster", FITTED.values(), ids=FITTED)


def forecasts_of(forecaster, values=VALUES, covariates=COVARIATES):
    return forecaster.forecast(values, covariates, forecaster.start(values[0]))[0]


def inputs_by_hand(values, covariates, n_lags):
    """Row by row, as the docstrings say it."""
    rows = []
    for t in range(len(values)):
        lags = [values[max(t - lag, 0)] for lag in range(1, n_lags + 1)]
        rows.append(np.concatenate([*lags, covariates[t]]))
    return np.array(rows)


@pytest.mark.parametrize("n_lags", [0, 1, 5, 80])
def test_ridge_equals_the_normal_equations_of_a_plain_loop(n_lags):
    forecaster = Forecaster(Ridge(alpha=2, fit_intercept=False), n_lags)
    forecaster.fit(SERIES, COVARIATES)
    inputs = np.vstack(
        [
            inputs_by_hand(VALUES[rows], COVARIATES[rows], n_lags)
            for rows in SERIES.slices()
        ]
    )
    gram = inputs.T @ inputs + 2 * np.eye(inputs.shape[1])
    coefficients = np.linalg.solve(gram, inputs.T @ VALUES)
    expected = inputs_by_hand(VALUES, COVARIATES, n_lags) @ coefficients
    expected[: min(n_lags, 35)] = np.nan  # half of the longest series
    assert_allclose(forecasts_of(forecaster), expected, rtol=1e-8, atol=1e-10)


@all_forecasters
@given(cuts=st.sets(st.integers(1, N_ROWS - 1), max_size=20), seed=st.integers(0, 9))
def test_any_pieces_give_what_the_whole_gives(forecaster, cuts, seed):
    values = np.random.default_rng(seed).normal(size=VALUES.shape)
    state, found = forecaster.start(values[0]), []
    bounds = [0, *sorted(cuts), N_ROWS]
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        rows = slice(start, stop)
        part, state = forecaster.forecast(values[rows], COVARIATES[rows], state)
        found.append(part)
    expected = forecasts_of(forecaster, values)
    assert_allclose(np.concatenate(found), expected, rtol=1e-9, atol=1e-12)


@all_forecasters
def test_a_state_may_be_used_twice(forecaster):
    _, state = forecaster.forecast(
        VALUES[:50], COVARIATES[:50], forecaster.start(VALUES[0])
    )
    once, twice = (
        forecaster.forecast(VALUES[50:], COVARIATES[50:], state)[0] for _ in range(2)
    )
    assert_array_equal(once, twice)


@all_forecasters
@pytest.mark.parametrize("row", [1, 60, N_ROWS - 1])
def test_no_forecast_depends_on_its_row_or_later_ones(forecaster, row):
    values, covariates = VALUES.copy(), COVARIATES.copy()
    values[row:] += 9
    covariates[row + 1 :] += 9
    changed = forecasts_of(forecaster, values, covariates)
    assert_array_equal(changed[: row + 1], forecasts_of(forecaster)[: row + 1])


@all_forecasters
def test_blocks_change_nothing(forecaster, monkeypatch):
    expected = forecasts_of(forecaster)
    monkeypatch.setattr(_forecasts, "_BLOCK_VALUES", 50)
    assert_allclose(forecasts_of(forecaster), expected, rtol=1e-9, atol=1e-12)


def test_series_are_separate_in_training():
    found = Forecaster(Sum(), 2).fit(SERIES, COVARIATES).regressor
    assert_array_equal(found.groups_, np.repeat([0, 1], [70, 50]))
    for rows in SERIES.slices():
        alone = inputs_by_hand(VALUES[rows], COVARIATES[rows], 2)
        assert_array_equal(found.inputs_[rows], alone)


@pytest.mark.parametrize("regressor", [Ridge(), lstm()])
def test_no_input_at_all_forecasts_a_level(regressor):
    forecaster = Forecaster(regressor, 0).fit(SERIES, NONE)
    assert regressor.n_features_in_ == 1
    first, other = forecasts_of(forecaster, VALUES, NONE), VALUES[::-1]
    assert_array_equal(forecasts_of(forecaster, other, NONE), first)
    if isinstance(regressor, Ridge):
        assert_allclose(first, np.broadcast_to(VALUES.mean(axis=0), VALUES.shape))


@pytest.mark.parametrize(
    "regressor", [HistGradientBoostingRegressor(max_iter=3), DummyRegressor()]
)
def test_one_sensor_is_one_target(regressor):
    series = Series(VALUES[:, :1], np.array([0, N_ROWS]))
    forecaster = Forecaster(regressor, 2).fit(series, NONE)
    assert forecaster.regressor is regressor
    assert forecasts_of(forecaster, VALUES[:, :1], NONE).shape == (N_ROWS, 1)


def test_a_regressor_for_single_targets_is_fitted_for_each():
    forecasts = forecasts_of(FITTED["boosting"])
    for k in range(N_SENSORS):
        alone = HistGradientBoostingRegressor(max_iter=3)
        inputs = np.vstack(
            [
                inputs_by_hand(VALUES[rows], COVARIATES[rows], 2)
                for rows in SERIES.slices()
            ]
        )
        alone.fit(inputs, VALUES[:, k])
        expected = alone.predict(inputs_by_hand(VALUES, COVARIATES, 2))
        assert_allclose(forecasts[2:, k], expected[2:])


@all_forecasters
def test_a_series_has_no_forecast_before_all_lags_are_there(forecaster):
    n_first = max(forecaster.n_lags, getattr(forecaster.regressor, "n_lags_", 0))
    missing = np.isnan(forecasts_of(forecaster))
    assert missing[:n_first].all()
    assert not missing[n_first:].any()


@all_forecasters
def test_what_is_missing_has_been_as_it_was_forecast(forecaster):
    gap = VALUES.copy()
    gap[60:64, 1] = np.nan
    found = forecasts_of(forecaster, gap)
    filled = np.where(np.isnan(gap), found, gap)
    assert_allclose(forecasts_of(forecaster, filled), found, rtol=1e-6)


@pytest.mark.parametrize(
    ("n_rows", "n_sensors", "expected"),
    [(24_000, 38, 10), (24_000, 1, 100), (24_000, 500, 3), (200, 2, 25), (4, 1, 3)],
)
def test_lags_by_default(n_rows, n_sensors, expected):
    assert number_of_lags(n_rows, n_sensors) == expected


def test_lags_are_chosen_when_nobody_does():
    assert Forecaster(Ridge(), None).fit(SERIES, NONE).n_lags == 10
    assert FITTED["sum"].n_lags == 1
