"""What holds for each of the criteria without labels."""

import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from sklearn import config_context
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad.interop import PyODDetector
from skad.model_selection import consensus, excess_mass, neg_mass_volume, stability

few = partial(consensus, detectors=[IsolationForest(n_estimators=3)])
few.__name__ = "consensus"
CRITERIA = [excess_mass, neg_mass_volume, stability, few]
by_criterion = pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.__name__)

rng = np.random.default_rng(0)
NARROW = np.vstack([rng.normal(size=(95, 2)), rng.uniform(-6, 6, size=(5, 2))])
WIDE = rng.normal(size=(100, 8))
both = pytest.mark.parametrize("X", [NARROW, WIDE], ids=["narrow", "wide"])


@by_criterion
@both
def test_the_sign_of_pyod_is_turned(criterion, X):
    pyod = KNN().fit(X)
    ours = PyODDetector(KNN()).fit(X)
    assert criterion(pyod, X) == pytest.approx(criterion(ours, X))
    pipeline = make_pipeline(StandardScaler(), KNN()).fit(X)
    wrapped = make_pipeline(StandardScaler(), PyODDetector(KNN())).fit(X)
    assert criterion(pipeline, X) == pytest.approx(criterion(wrapped, X))


@by_criterion
@both
def test_the_same_draws_for_every_call_and_others_for_another_seed(criterion, X):
    # Clones are seeded, also those whose own seed is None.
    detector = IForest(n_estimators=5).fit(X)
    state = np.random.mtrand._rand.get_state()[1].copy()
    first = criterion(detector, X)
    assert criterion(detector, X) == first
    assert criterion(detector, X, random_state=1) != first
    assert_array_equal(np.random.mtrand._rand.get_state()[1], state)


@by_criterion
@both
def test_the_detector_stays_as_it_is(criterion, X):
    detector = IsolationForest(n_estimators=5, random_state=0).fit(X)
    before = detector.decision_function(X)
    criterion(detector, X)
    assert detector.random_state == 0
    assert_array_equal(detector.decision_function(X), before)


class Senseless(OutlierMixin, BaseEstimator):
    """Scores that hang on the last digits of a row, and on the seed."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y=None):
        self.phase_ = self.random_state
        return self

    def decision_function(self, X):
        return np.sin(1e7 * X[:, 0] + self.phase_)


@by_criterion
@pytest.mark.parametrize("routing", [False, True])
def test_it_is_the_scoring_of_a_search(criterion, routing):
    good = IsolationForest(n_estimators=20, random_state=0)
    pipeline = make_pipeline(StandardScaler(), Senseless())
    rows = np.arange(100)
    with config_context(enable_metadata_routing=routing):
        for cv in (KFold(2, shuffle=True, random_state=0), [(rows, rows)]):
            search = GridSearchCV(
                pipeline,
                {"senseless": [Senseless(), good]},
                scoring=criterion,
                cv=cv,
                error_score="raise",
            ).fit(NARROW)
            assert search.best_index_ == 1


def test_several_serve_one_search_whose_pick_is_a_mean_of_ranks():
    def best_mean_rank(results):
        return np.argmin(sum(results[f"rank_test_{name}"] for name in criteria))

    criteria = {c.__name__: c for c in CRITERIA}
    search = GridSearchCV(
        IsolationForest(random_state=0),
        {"n_estimators": [1, 20]},
        scoring=criteria,
        cv=[(np.arange(100), np.arange(100))],
        refit=best_mean_rank,
        error_score="raise",
    ).fit(NARROW, np.zeros(100))
    assert search.best_params_ == {"n_estimators": 20}


@by_criterion
def test_it_can_be_pickled_with_its_parameters(criterion):
    detector = IsolationForest(n_estimators=5, random_state=0).fit(NARROW)
    again = pickle.loads(pickle.dumps(partial(criterion, random_state=3)))
    assert again(detector, NARROW) == criterion(detector, NARROW, random_state=3)


@pytest.mark.parametrize("criterion", [stability, few])
def test_rows_with_gaps_need_detectors_that_take_them(criterion):
    gaps = np.where(WIDE > 2, np.nan, WIDE)
    detector = IsolationForest(n_estimators=20, random_state=0).fit(gaps)
    assert 0 < criterion(detector, gaps) < 1
    with pytest.raises(ValueError, match="contains NaN"):
        consensus(detector, gaps)


@by_criterion
def test_a_detector_of_pyod_is_searched_as_it_is(criterion):
    search = GridSearchCV(
        KNN(), {"n_neighbors": [2, 9]}, scoring=criterion, error_score="raise"
    ).fit(NARROW)
    assert np.isfinite(search.best_score_)


@by_criterion
def test_labels_do_not_count(criterion):
    detector = IsolationForest(n_estimators=5, random_state=0).fit(NARROW)
    y = np.repeat([1, -1], 50)
    assert criterion(detector, NARROW, y) == criterion(detector, NARROW)


class Broken(OutlierMixin, BaseEstimator):
    """Gives scores that no rows can be ranked by."""

    def __init__(self, scores):
        self.scores = scores

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return np.resize(self.scores, (len(X), *np.shape(self.scores)[1:]))


@by_criterion
def test_what_cannot_rank_is_refused(criterion):
    with pytest.raises(ValueError, match="Broken gives NaN to 50 of 100 rows"):
        criterion(Broken([1.0, np.nan]), NARROW)
    with pytest.raises(ValueError, match=r"Broken gives scores of shape \(100, 2\)"):
        criterion(Broken(np.zeros((1, 2))), NARROW)
    with pytest.raises(TypeError, match="LogisticRegression is a classifier"):
        criterion(LogisticRegression(), NARROW)
    with pytest.raises(TypeError, match="KMeans has neither"):
        criterion(KMeans(2).fit(NARROW), NARROW)
    with pytest.raises(TypeError, match="random_state"):
        criterion(IsolationForest().fit(NARROW), NARROW, random_state=None)
