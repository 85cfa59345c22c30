"""excess_mass and neg_mass_volume: small sets that hold most rows are better."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest

from skad.model_selection import excess_mass, neg_mass_volume
from skad.model_selection._level_sets import area_of_excess, mean_volume

CRITERIA = [excess_mass, neg_mass_volume]
# Few values, so that many scores are equal.
SCORES = st.lists(st.integers(-4, 4), min_size=3, max_size=30).map(np.array)


class Scorer(OutlierMixin, BaseEstimator):
    """A detector whose scores are a function of the rows."""

    def __init__(self, score):
        self.score = score

    def fit(self, X, y=None):
        return self

    def decision_function(self, X):
        return self.score(np.asarray(X))


def by_thresholds(scores, noise):
    """Return the shares of rows and of noise at or above each threshold, one by one."""
    thresholds = sorted(set(scores.tolist()), reverse=True)
    mass = [np.mean(scores >= threshold) for threshold in thresholds]
    volume = [np.mean(noise >= threshold) for threshold in thresholds]
    return np.array(mass), np.array(volume)


@given(SCORES, SCORES, st.sampled_from([0.0, 0.5, 0.9]))
def test_excess_mass_is_the_area_under_the_highest_lines(scores, noise, min_mass):
    mass, volume = by_thresholds(scores, noise)
    least = np.maximum(volume, 1 / len(noise))
    end = np.max((mass - min_mass) / least)
    t = np.linspace(0, end, 20_001)
    curve = np.max(mass[:, np.newaxis] - t * least[:, np.newaxis], axis=0)
    assert curve[-1] == pytest.approx(min_mass)
    found = area_of_excess(mass, volume, min_mass, len(noise))
    assert found == pytest.approx(np.trapezoid(curve, t), rel=1e-5)


@given(SCORES, SCORES, st.sampled_from([0.0, 0.5, 0.9]))
def test_mass_volume_is_the_mean_of_the_smallest_volumes(scores, noise, min_mass):
    mass, volume = by_thresholds(scores, noise)
    shares = min_mass + (1 - min_mass) * (np.arange(20_000) + 0.5) / 20_000
    smallest = [volume[mass >= share - 1e-12].min() for share in shares[::20]]
    assert mean_volume(mass, volume, min_mass) == pytest.approx(
        np.mean(smallest), abs=3e-3
    )


rng = np.random.default_rng(0)
MIXED = np.vstack([rng.normal(size=(190, 2)), rng.uniform(-6, 6, size=(10, 2))])
WIDE = np.hstack([MIXED, rng.normal(size=(200, 5))])


def near(X):
    """Return the negative square of the distance to the origin."""
    return -np.sum(X**2, axis=1)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("X", [MIXED, WIDE], ids=["few columns", "many columns"])
def test_the_density_is_better_than_a_direction_and_than_its_opposite(criterion, X):
    good, fair, bad = (
        criterion(Scorer(score), X)
        for score in (near, lambda X: X[:, 0], lambda X: -near(X))
    )
    assert good > fair > bad


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("X", [MIXED, WIDE], ids=["few columns", "many columns"])
def test_only_the_order_of_scores_counts(criterion, X):
    expected = criterion(Scorer(near), X)
    for transform in (np.exp, np.arctan, lambda s: 3 * s + 5):
        assert criterion(Scorer(lambda X, t=transform: t(near(X))), X) == expected


@pytest.mark.parametrize("criterion", CRITERIA)
@given(st.floats(0.01, 1000), st.floats(-100, 100))
def test_units_of_columns_do_not_count(criterion, scale, shift):
    moved = MIXED * [scale, 1] + [shift, 0]
    found = criterion(Scorer(lambda X: near((X - [shift, 0]) / [scale, 1])), moved)
    assert found == pytest.approx(criterion(Scorer(near), MIXED), rel=0.05)


def test_equal_scores_are_worth_as_little_as_can_be():
    same = Scorer(lambda X: np.zeros(len(X)))
    assert neg_mass_volume(same, MIXED) == -1
    # The line 1 - t, from 0 to .5.
    assert excess_mass(same, MIXED) == pytest.approx(0.5 - 0.5**2 / 2)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_infinite_scores_are_the_first_and_the_last(criterion):
    def cut(X):
        return np.where(near(X) < -6, -np.inf, near(X))

    assert np.isfinite(criterion(Scorer(cut), MIXED))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_sets_that_hold_less_than_min_mass_do_not_count(criterion):
    def flat(X):
        return np.minimum(near(X), -1)  # about a third of the rows are equal

    assert criterion(Scorer(flat), MIXED) == criterion(Scorer(near), MIXED)
    wider = partial(criterion, min_mass=0.1)
    assert wider(Scorer(flat), MIXED) < wider(Scorer(near), MIXED)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_of_many_columns_clones_see_subsets_and_halves(criterion):
    class Watched(Scorer):
        """Remembers what it was given."""

        def fit(self, X, y=None):
            fitted.append(X)
            return self

        def decision_function(self, X):
            scored.append(X)
            return near(X)

    fitted, scored = [], []
    criterion(Watched(None), WIDE, max_features=3, n_subsets=4, n_uniform=50)
    assert [X.shape for X in fitted] == [(100, 3)] * 4
    assert [X.shape for X in scored] == [(100, 3), (50, 3)] * 4
    rows = {tuple(row) for row in fitted[0]}
    assert rows.isdisjoint({tuple(row) for row in scored[0]})
    seen = [frozenset(np.flatnonzero(np.isin(WIDE, X).any(axis=0))) for X in fitted]
    assert {len(columns) for columns in seen} == {3} and len(set(seen)) > 1
    fitted.clear(), scored.clear()
    criterion(Watched(None), WIDE, max_features=None, n_uniform=50)
    assert fitted == [] and [X.shape for X in scored] == [(200, 7), (50, 7)]


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("max_features", [3, None])
def test_data_frames_stay_data_frames_and_lists_will_do(criterion, max_features):
    frame = pd.DataFrame(WIDE, columns=list("abcdefg"))
    detector = IsolationForest(n_estimators=3, random_state=0)
    expected, *found = (
        criterion(detector.fit(X), X, max_features=max_features, n_subsets=2)
        for X in (WIDE, frame, WIDE.tolist())
    )
    assert_allclose(found, expected)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"min_mass": 1.0}, ValueError),
        ({"min_mass": -0.1}, ValueError),
        ({"n_uniform": 0}, ValueError),
        ({"n_subsets": 0}, ValueError),
        ({"max_features": 0}, ValueError),
        ({"max_features": 2.0}, TypeError),
        ({"random_state": None}, TypeError),
    ],
)
def test_wrong_parameters_are_named(criterion, parameters, error):
    with pytest.raises(error, match=next(iter(parameters))):
        criterion(Scorer(near), WIDE, **parameters)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_rows_without_a_box_are_refused(criterion):
    with pytest.raises(ValueError, match="X contains NaN"):
        criterion(Scorer(near), np.where(MIXED > 5, np.nan, MIXED))
    with pytest.raises(ValueError, match="dim 3"):
        criterion(Scorer(near), np.zeros((9, 2, 2)))
    with pytest.raises(ValueError, match="X has 1 rows; expected at least 2"):
        criterion(Scorer(near), WIDE[:1])
