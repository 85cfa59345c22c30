"""M2AD: many systems, many sensors, one calibrated score."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

from skad import M2AD
from skad._calibration import CALIBRATIONS
from skad._combination import COMBINATIONS
from skad._densities import DENSITIES
from skad._residuals import RESIDUALS
from skad.datasets import make_sensor_series
from skad.forecasting import LSTMRegressor

SENSORS = ["flow", "heat", "sound"]
NAMES = ["a", "b", "c"]
FAULT = slice(300, 340)


def machine(name, n_rows=600, seed=0):
    """Return the readings of a machine whose sensors follow one wave."""
    rng = np.random.default_rng([*name.encode()])
    level, size = rng.uniform(-50, 50, size=3), rng.uniform(0.1, 20, size=3)
    speed = rng.uniform(0.1, 0.3)
    rng = np.random.default_rng([seed, *name.encode()])
    phase = speed * np.arange(n_rows) + rng.uniform(0, 6)
    noise = rng.normal(scale=0.2, size=(n_rows, 3))
    wave = np.sin(phase[:, np.newaxis] + np.array([0, 1, 2]))
    table = pd.DataFrame(level + size * (wave + noise), columns=SENSORS)
    return table.assign(machine=name)


def fleet(names=NAMES, **params):
    return pd.concat([machine(n, **params) for n in names], ignore_index=True)


def linear(**params):
    params = {"system": "machine", "forecaster": Ridge(), "n_lags": 10, **params}
    return M2AD(**params)


@pytest.fixture(scope="module")
def detector():
    return linear().fit(fleet())


@pytest.fixture
def faulty():
    """New readings in which the heat of machine b is noise for forty rows."""
    X = fleet(seed=1)
    rows = X.index[X["machine"] == "b"][FAULT]
    noise = np.random.default_rng(0).normal(scale=4, size=len(rows))
    X.loc[rows, "heat"] += noise * X.loc[X["machine"] == "b", "heat"].std()
    return X


def test_the_fault_is_found_with_its_system_its_time_and_its_sensor(detector, faulty):
    found = detector.intervals(faulty, alpha=1e-4, release=0.01)
    assert len(found) == 1
    assert found.system[0] == "b"
    assert 0 <= found.start[0] - (600 + FAULT.start) <= 2
    assert 0 <= found.end[0] - (600 + FAULT.stop - 1) <= 60  # the mean forgets
    assert 900 <= found.peak[0] <= found.end[0]
    assert found.sensors[0][0] == "heat"
    assert found.pvalue[0] == np.exp(found.log_pvalue[0]) < 1e-4


def test_intervals_hold_the_rows_that_predict_names(detector, faulty):
    inside = np.zeros(len(faulty), dtype=bool)
    for row in detector.intervals(faulty, release=detector.alpha):
        inside[row.start : row.end + 1] = True
    assert_array_equal(inside, detector.predict(faulty) == -1)
    assert inside.any()


def test_intervals_follow_their_thresholds(detector, faulty):
    (wide,) = detector.intervals(faulty, alpha=1e-4, release=0.05)
    (narrow,) = detector.intervals(faulty, alpha=1e-4, release=1e-3)
    assert wide.start <= narrow.start <= narrow.end < wide.end
    assert len(detector.intervals(faulty, alpha=0.1)) > 1
    assert len(detector.intervals(faulty, alpha=0.1, max_gap=600)) <= 3


def test_the_faulty_system_ranks_first(detector, faulty):
    ranked = detector.rank_systems(faulty)
    assert ranked.system[0] == "b"
    assert ranked.adjusted_pvalue[0] < 0.01 < ranked.adjusted_pvalue[1:].min()
    assert ranked.n_rows.tolist() == [600] * 3


def test_scores_are_log_pvalues_and_the_threshold_is_alpha(detector, faulty):
    scores, pvalues = detector.score_samples(faulty), detector.predict_pvalues(faulty)
    assert_allclose(np.exp(scores), pvalues)
    assert pvalues.max() <= 1
    assert_array_equal(detector.predict(faulty) == -1, pvalues < 0.001)
    assert_array_equal(
        clone(detector).set_params(alpha=0.05).fit(fleet()).predict(faulty) == -1,
        pvalues < 0.05,
    )


def test_contamination_may_set_the_threshold_instead():
    labels = linear(contamination=0.05).fit_predict(fleet())
    assert np.sum(labels == -1) == 90


def test_contributions_are_of_sensors_and_sum_to_the_order_of_scores(detector, faulty):
    contributions = detector.explain(faulty)
    assert contributions.shape == faulty.shape
    assert_array_equal(contributions[:, 3], 0)
    scores = detector.score_samples(faulty)
    in_b = np.arange(610, 1200)  # without the first rows, which are not forecast
    order = np.argsort(contributions[in_b].sum(axis=1))
    assert np.all(np.diff(scores[in_b][order]) <= 0)
    assert contributions[900:940].mean(axis=0).argmax() == 1


@given(st.permutations(NAMES))
@settings(max_examples=5)
def test_the_order_of_systems_does_not_matter(names):
    X, new = fleet(names), fleet(names, seed=1)
    scores = linear().fit(X).score_samples(new)
    expected = linear().fit(fleet()).score_samples(fleet(seed=1))
    for place, name in enumerate(names):
        k = NAMES.index(name)
        part = expected[600 * k : 600 * (k + 1)]
        assert_array_equal(scores[600 * place : 600 * (place + 1)], part)


def test_rows_of_systems_may_alternate(detector, faulty):
    order = np.argsort(np.tile(np.arange(600), 3), kind="stable")
    mixed = faulty.iloc[order]
    assert_array_equal(
        detector.score_samples(mixed), detector.score_samples(faulty)[order]
    )
    expected, found = detector.intervals(faulty), detector.intervals(mixed)
    assert found.system.tolist() == expected.system.tolist()
    assert_array_equal(order[found.start], expected.start)
    assert_array_equal(order[found.end], expected.end)
    assert_array_equal(found.n_rows, expected.n_rows)


@pytest.mark.parametrize("share", [None, "all"])
@pytest.mark.parametrize("forecaster", [Ridge(), LSTMRegressor(max_epochs=2)])
def test_a_system_is_judged_without_the_rows_of_others(share, forecaster):
    detector = linear(share=share, forecaster=forecaster, random_state=0).fit(fleet())
    X = fleet(seed=1)
    only = X[X["machine"] == "b"]
    scores = detector.score_samples(X)
    assert_array_equal(scores[600:1200], detector.score_samples(only))


def test_systems_do_not_learn_from_each_other():
    wild = (1e3 * machine("b")[SENSORS]).assign(machine="b")
    other = pd.concat([machine("a"), wild])
    alone = linear(system=None).fit(machine("a")[SENSORS])
    together = linear().fit(other)
    new = machine("a", seed=1)
    assert_array_equal(together.score_samples(new), alone.score_samples(new[SENSORS]))


@given(
    st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    st.lists(st.floats(-100, 100), min_size=3, max_size=3),
)
@settings(max_examples=10)
def test_units_of_sensors_do_not_matter(powers, origins):
    X, new = machine("a")[SENSORS], machine("a", seed=1)[SENSORS]
    scale = 10 ** np.array(powers)
    moved = linear(system=None).fit(X * scale + origins)
    expected = linear(system=None).fit(X).score_samples(new)
    found = moved.score_samples(new * scale + origins)
    assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_larger_error_has_a_smaller_pvalue(detector):
    X = machine("a", seed=1)
    at = X["heat"].iloc[200] + np.sign(X["heat"].iloc[200] - X["heat"].mean())
    scores = []
    for size in (1, 2, 4, 6):
        X.loc[200, "heat"] = at + size * X["heat"].std()
        scores.append(detector.score_samples(X)[200])
    assert np.all(np.diff(scores) < 0)


@pytest.mark.parametrize("forecaster", [Ridge(), LSTMRegressor(max_epochs=2)])
def test_no_score_depends_on_later_rows(forecaster):
    detector = linear(forecaster=forecaster, random_state=0).fit(fleet())
    X = machine("a", seed=1)
    scores = detector.score_samples(X)
    X.loc[400:, SENSORS] += 1e3
    changed = detector.score_samples(X)
    assert_array_equal(changed[:400], scores[:400])
    assert changed[400] < scores[400]


@pytest.mark.parametrize("residual", ["point", "area"])
@pytest.mark.parametrize("forecaster", [Ridge(), LSTMRegressor(max_epochs=2)])
def test_rows_that_arrive_in_pieces_get_the_scores_of_all(residual, forecaster, faulty):
    detector = linear(
        forecaster=forecaster, residual=residual, missing="mask", random_state=0
    ).fit(fleet())
    order = np.argsort(np.tile(np.arange(600), 3), kind="stable")
    faulty.iloc[620:700, 0] = np.nan
    X = faulty.iloc[order]
    state, parts = None, []
    for piece in np.split(np.arange(1800), [1, 2, 50, 900, 901]):
        scores, state = detector.score_next(X.iloc[piece], state)
        state = pickle.loads(pickle.dumps(state))
        parts.append(scores)
    assert_allclose(np.concatenate(parts), detector.score_samples(X), rtol=1e-9)


def test_a_state_is_not_changed_by_its_use(detector):
    X = machine("a", seed=1)
    _, state = detector.score_next(X[:300])
    kept = copy.deepcopy(state)
    first, _ = detector.score_next(X[300:], state)
    again, _ = detector.score_next(X[300:], kept)
    assert_array_equal(first, again)
    _, other = detector.score_next(machine("b"), state)
    assert list(state) == ["a"]
    assert list(other) == ["a", "b"]


def test_rows_on_both_sides_count_if_they_are_allowed_to(detector, faulty):
    both = linear(causal=False).fit(fleet())
    changed = faulty.copy()
    changed.loc[901:, SENSORS] += 1e3
    before = slice(890, 900)
    assert_array_equal(
        detector.score_samples(changed)[before], detector.score_samples(faulty)[before]
    )
    later, scores = both.score_samples(changed)[before], both.score_samples(faulty)
    assert np.all(later < scores[before])
    found = both.intervals(faulty, alpha=0.01)
    assert found[np.argmin(found.log_pvalue)].sensors[0] == "heat"
    with pytest.raises(ValueError, match="causal is False: a score then depends on"):
        both.score_next(faulty)


def test_levels_of_windows_count_on_both_sides_only():
    X, new = fleet(), fleet(seed=1)
    shifted = new.assign(heat=new["heat"] + 0.7 * np.sin(np.arange(1800) / 1000))
    scores = {
        (causal, weight): linear(causal=causal, level_weight=weight, window_size=50)
        .fit(X)
        .score_samples(shifted)
        for causal in (True, False)
        for weight in (0.0, 24.0)
    }
    assert_array_equal(scores[True, 0.0], scores[True, 24.0])
    assert not np.array_equal(scores[False, 0.0], scores[False, 24.0])


def test_contributions_of_levels_sum_to_the_evidence():
    X = fleet()
    X.loc[700:800, "heat"] += 2 * X["heat"].std()
    parts = [
        linear(causal=False, level_weight=w).fit(fleet()).explain(X)
        for w in (0.0, 10.0)
    ]
    difference = parts[1] - parts[0]
    assert np.all(difference >= 0)
    assert difference[700:800].sum(axis=0).argmax() == 1


def test_several_kinds_of_residuals_see_what_each_sees(faulty):
    one = linear(residual="point").fit(fleet())
    several = linear(residual=("point", "signed")).fit(fleet())
    slow = fleet(seed=1)
    slow.loc[900:950, "heat"] += 0.4 * slow.loc[600:1200, "heat"].std()
    assert several.score_samples(slow)[900:950].min() < (
        one.score_samples(slow)[900:950].min()
    )


def test_a_state_is_one_that_was_returned(detector):
    with pytest.raises(TypeError, match="state is 3; expected what the last call"):
        detector.score_next(fleet(), 3)


def test_groups_are_series_of_a_system(detector):
    X = pd.concat([machine("a", seed=1), machine("a", seed=2)])
    runs = np.repeat([0, 1], 600)
    apart = [detector.score_samples(X[runs == k]) for k in (0, 1)]
    assert_array_equal(detector.score_samples(X, groups=runs), np.concatenate(apart))
    twice = linear().fit(X, groups=runs)
    assert twice.systems_ == ["a"]


def test_an_unseen_system_is_an_error_unless_the_forecaster_is_shared():
    X, new = fleet(), machine("d")
    with pytest.raises(ValueError, match="rows of 'd'.*'a', 'b', 'c'.*share='all'"):
        linear().fit(X).score_samples(new)
    alike = pd.concat([machine("a", seed=s).assign(machine=s) for s in range(4)])
    shared = linear(share="all").fit(alike)
    new = machine("a", seed=9).assign(machine=9)
    quiet = shared.predict_pvalues(new)
    new.loc[300:340, "heat"] += 4 * new["heat"].std()
    assert shared.predict_pvalues(new)[300:340].min() < quiet.min() / 100
    assert np.mean(quiet < 0.01) < 0.05


def test_shared_forecasts_are_judged_by_what_is_usual_for_the_system():
    calm, wild = machine("a"), machine("a")
    rng = np.random.default_rng(0)
    wild[SENSORS] += rng.normal(size=(600, 3)) * wild[SENSORS].std().to_numpy()
    X = pd.concat([calm.assign(machine="calm"), wild.assign(machine="wild")])
    detector = linear(share="all").fit(X)
    noisy = wild.assign(machine="calm")
    assert np.mean(detector.predict(noisy) == -1) > 0.5
    assert np.mean(detector.predict(wild.assign(machine="wild")) == -1) < 0.02


def test_covariates_explain_what_would_be_an_anomaly():
    def series(seed):
        rng = np.random.default_rng(seed)
        on = (rng.random(800).cumsum() % 40 > 20).astype(float)
        return pd.DataFrame({"x": 5 * on + rng.normal(size=800), "on": on})

    X, new = series(0), series(1)
    unexplained = new.copy()
    unexplained.loc[400:440, "x"] += 5 * (1 - 2 * new.loc[400:440, "on"])
    detector = linear(system=None, covariates=["on"]).fit(X)
    assert np.mean(detector.predict(new) == -1) < 0.01
    assert detector.predict_pvalues(unexplained)[400:440].min() < 1e-4
    assert_array_equal(detector.explain(unexplained)[:, 1], 0)


def test_a_system_may_lack_sensors():
    X = fleet()
    X.loc[X["machine"] == "b", "flow"] = np.nan
    detector = linear().fit(X)
    new = fleet(seed=1)
    lacking = new.copy()
    lacking.loc[new["machine"] == "b", "flow"] = np.nan
    scores = detector.score_samples(lacking)
    full = linear().fit(fleet()).score_samples(new)
    assert_array_equal(scores[:600], full[:600])
    assert_array_equal(detector.explain(lacking)[600:1200, 0], 0)
    with pytest.warns(UserWarning, match="'b' had no value in fit.*'flow'"):
        assert_array_equal(detector.score_samples(new), scores)


def test_a_gap_is_an_error_or_has_no_part():
    gap = machine("a", seed=1)
    gap.loc[100:150, "heat"] = np.nan
    with pytest.raises(ValueError, match="NaN in 51 rows of system 'a'.*heat"):
        linear().fit(fleet()).score_samples(gap)
    detector = linear(missing="mask").fit(fleet())
    assert_array_equal(detector.explain(gap)[100:151, 1], 0)
    assert np.mean(detector.predict(gap) == -1) < 0.01
    both = linear(missing="mask", causal=False).fit(fleet())
    assert_array_equal(both.explain(gap)[100:151, 1], 0)
    silent = gap.copy()
    silent.loc[100:150, SENSORS] = np.nan
    assert np.all(detector.predict_pvalues(silent)[100:151] > 0.05)


def test_what_has_no_forecast_is_usual_whatever_happened_in_training():
    X = machine("a")
    X.loc[300:305, "heat"] += 300 * X["heat"].std()
    detector = linear().fit(X)
    first = detector.predict_pvalues(machine("a", seed=1))[:10]
    assert np.all(first > 0.2)


def test_a_weight_of_zero_silences_a_sensor(faulty):
    detector = linear(weights={"heat": 0}).fit(fleet())
    assert_array_equal(detector.explain(faulty)[:, 1], 0)
    assert not any("heat" in sensors for sensors in detector.intervals(faulty).sensors)
    assert detector.score_samples(faulty)[900:945].min() > -30


def test_weights_multiply_what_sensors_say(detector, faulty):
    weights = {"heat": 3.0, ("flow", "sound"): 1.0}
    weighted = linear(weights=weights).fit(fleet()).explain(faulty)[:, :3]
    assert_allclose(weighted, detector.explain(faulty)[:, :3] * [0.5, 3, 0.5])


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize("residual", RESIDUALS)
def test_every_way_finds_the_fault(density, combination, residual, faulty):
    detector = linear(density=density, combination=combination, residual=residual)
    scores = detector.fit(fleet()).score_samples(faulty)
    usual = np.delete(scores, np.r_[900:1000])
    assert scores[905:945].min() < np.quantile(usual, 0.01)
    assert detector.explain(faulty)[900:945].sum(axis=0).argmax() == 1


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_every_calibration_finds_the_fault(calibration, faulty):
    scores = linear(calibration=calibration).fit(fleet()).score_samples(faulty)
    usual = np.delete(scores, np.r_[900:1000])
    assert scores[905:940].max() <= np.quantile(usual, 0.01)


@pytest.mark.parametrize("n_sensors", [1, 6])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_pvalues_are_uniform_on_normal_data(n_sensors, correlation):
    rng = np.random.default_rng(n_sensors)
    shared = rng.normal(size=(20_000, 1))
    X = np.sqrt(correlation) * shared
    X = X + np.sqrt(1 - correlation) * rng.normal(size=(20_000, n_sensors))
    detector = M2AD(forecaster=Ridge(), n_lags=3).fit(X[:10_000])
    # Ten rows of the mean apart, p-values hardly depend on each other.
    pvalues = detector.predict_pvalues(X[10_000:])[::50]
    assert stats.kstest(pvalues, "uniform").pvalue > 0.01


def test_errors_are_of_rows_that_were_not_learnt_from():
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(2, 300, 4))
    overfitted = {"forecaster": Ridge(1e-6), "n_lags": 60, "system": None}
    alarms = [
        np.mean(linear(cv=cv, **overfitted).fit(X).predict_pvalues(new) < 0.05)
        for cv in (3, None)
    ]
    assert alarms[0] < 0.2 < alarms[1]


def test_without_lags_and_mean_a_row_is_judged_by_itself():
    X = np.random.default_rng(0).normal(size=(500, 2))
    detector = M2AD(forecaster=DummyRegressor(), n_lags=0, smoothing=0).fit(X)
    order = np.random.default_rng(1).permutation(500)
    scores = detector.score_samples(X)
    assert_allclose(detector.score_samples(X[order]), scores[order], rtol=1e-12)
    assert detector.score_samples([[6.0, 0.0]]) < scores.min()


def test_the_default_forecaster_has_a_memory():
    X, new, y, events = make_sensor_series(900, 600, 4, n_events=2, random_state=0)
    detector = M2AD(random_state=0).fit(X)
    scores = detector.score_samples(new)
    assert np.median(scores[y == -1]) < np.quantile(scores[y == 1], 0.1)


def test_jobs_change_nothing(faulty):
    one = linear(random_state=0)
    two = clone(one).set_params(n_jobs=2)
    assert_array_equal(
        one.fit(fleet()).score_samples(faulty), two.fit(fleet()).score_samples(faulty)
    )


@pytest.mark.parametrize(
    ("params", "X", "message"),
    [
        ({"residual": ("point", "round")}, fleet(), "residual is .*'round'"),
        ({"residual": ()}, fleet(), "residual is .*; expected one of"),
        ({"residual": ("area", "area")}, fleet(), "a tuple of different ones"),
        ({"weights": {"cold": 1}}, fleet(), "weights names 'cold'"),
        ({"system": "plant"}, fleet(), "system='plant' names 'plant'"),
        ({"covariates": ["x"]}, fleet(), "covariates=.'x'. names 'x'"),
        ({}, fleet().iloc[[0, 1, 600]], "system 'b' has 1 row; expected at least 2"),
        (
            {"weights": {"heat": 0}},
            fleet().assign(flow=np.nan, sound=np.nan),
            "system 'a' has no value but NaN in any sensor whose weight is above 0",
        ),
    ],
)
def test_what_cannot_be_fitted_is_named(params, X, message):
    with pytest.raises(ValueError, match=message):
        linear(**params).fit(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 0.0}, "alpha == 0.0, must be > 0"),
        ({"alpha": 1.5}, "alpha == 1.5, must be < 1"),
        ({"release": 1e-5}, "release == 1e-05, must be >= 0.001"),
        ({"max_gap": -1}, "max_gap == -1, must be >= 0"),
    ],
)
def test_wrong_thresholds_of_intervals_are_named(detector, arguments, message):
    with pytest.raises(ValueError, match=message):
        detector.intervals(fleet(), **arguments)
