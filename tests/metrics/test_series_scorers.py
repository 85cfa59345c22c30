"""Scorers of series: their metrics, and the way that groups take."""

import pickle

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import metrics
from skad.metrics import get_scorer, get_scorer_names, outlier_scorer

NAMES = get_scorer_names("series")
rng = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(6), 50)
Y = np.zeros((6, 50), dtype=int)
for start, series in zip([0, 5, 11, 20, 40, 44], Y, strict=True):
    series[start : start + 6] = 1
Y = Y.ravel()
X = rng.normal(size=(300, 2)) + 2 * Y[:, np.newaxis]


class MovingMean(OutlierMixin, BaseEstimator):
    """Detector whose score is a mean over rows that may not leave their series."""

    def __init__(self, width=3):
        self.width = width

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def decision_function(self, X, *, groups=None):
        distance = -np.linalg.norm(X, axis=1)
        groups = np.zeros(len(X)) if groups is None else np.asarray(groups)
        scores = np.empty(len(X))
        for group in np.unique(groups):
            rows = groups == group
            window = np.ones(self.width)
            total = np.convolve(distance[rows], window, mode="same")
            scores[rows] = total / np.convolve(np.ones(rows.sum()), window, "same")
        return scores


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def metric_of(name):
    return getattr(metrics, f"{name}_score")


@pytest.mark.parametrize("name", NAMES)
def test_scorer_is_the_metric_of_the_decision_function(name):
    scores = MovingMean().decision_function(X)
    expected = metric_of(name)(Y, scores, buffer=10, n_thresholds=20)
    scorer = outlier_scorer(name, buffer=10, n_thresholds=20)
    assert scorer(MovingMean(), X, Y) == expected
    assert pickle.loads(pickle.dumps(scorer))(MovingMean(), X, Y) == expected
    assert get_scorer(name)(MovingMean(), X, Y) == metric_of(name)(Y, scores)


@pytest.mark.parametrize("name", NAMES)
def test_only_groups_are_metadata(name):
    requests = get_scorer(name).get_metadata_routing().score.requests
    assert requests == {"groups": None}


@pytest.mark.parametrize("name", NAMES)
def test_groups_reach_metric_and_detector(routing, name):
    scores = MovingMean().decision_function(X, groups=GROUPS)
    expected = metric_of(name)(Y, scores, groups=GROUPS, buffer=20)
    scorer = outlier_scorer(name, buffer=20).set_score_request(groups=True)
    assert scorer(MovingMean(), X, Y, groups=GROUPS) == expected
    assert scorer(MovingMean(), X, Y) != expected


def test_groups_reach_the_detector_for_a_metric_of_rows(routing):
    scores = MovingMean().decision_function(X, groups=GROUPS)
    scorer = outlier_scorer("average_precision").set_score_request(groups=True)
    expected = metrics.average_precision_score(Y, scores)
    assert scorer(MovingMean(), X, Y, groups=GROUPS) == expected


@pytest.mark.parametrize(
    "detector",
    [IsolationForest(n_estimators=10, random_state=0), KernelDensity()],
    ids=lambda detector: type(detector).__name__,
)
def test_detector_of_rows_is_not_given_groups(routing, detector):
    detector.fit(X)
    scorer = outlier_scorer("vus_pr").set_score_request(groups=True)
    expected = metrics.vus_pr_score(Y, detector.score_samples(X), groups=GROUPS)
    assert scorer(detector, X, Y, groups=GROUPS) == pytest.approx(expected)


def test_detector_may_refuse_groups(routing):
    detector = MovingMean().set_decision_function_request(groups=False)
    scorer = outlier_scorer("vus_pr").set_score_request(groups=True)
    expected = metrics.vus_pr_score(Y, detector.decision_function(X), groups=GROUPS)
    assert scorer(detector, X, Y, groups=GROUPS) == expected


def test_groups_go_through_a_pipeline_that_requests_them(routing):
    detector = MovingMean().set_decision_function_request(groups=True)
    pipeline = make_pipeline(StandardScaler(), detector).fit(X)
    scorer = outlier_scorer("vus_pr").set_score_request(groups=True)
    scores = pipeline.decision_function(X, groups=GROUPS)
    expected = metrics.vus_pr_score(Y, scores, groups=GROUPS)
    assert scorer(pipeline, X, Y, groups=GROUPS) == expected


def test_pipeline_whose_detector_says_nothing_about_groups_raises(routing):
    pipeline = make_pipeline(StandardScaler(), MovingMean()).fit(X)
    scorer = outlier_scorer("vus_pr").set_score_request(groups=True)
    with pytest.raises(UnsetMetadataPassedError, match="set_decision_function_request"):
        scorer(pipeline, X, Y, groups=GROUPS)


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_search_over_whole_series(routing, in_pipeline):
    detector = MovingMean().set_decision_function_request(groups=True)
    parameter = "width"
    if in_pipeline:
        detector = make_pipeline(StandardScaler(), detector)
        parameter = "movingmean__width"
    search = GridSearchCV(
        detector,
        {parameter: [1, 5, 31]},
        scoring=outlier_scorer("vus_pr", buffer=5).set_score_request(groups=True),
        cv=GroupKFold(3),
    ).fit(X, Y, groups=GROUPS)
    assert search.best_params_ == {parameter: 5}
    train, test = next(iter(GroupKFold(3).split(X, Y, GROUPS)))
    best = search.best_estimator_.fit(X[train])
    scores = best.decision_function(X[test], groups=GROUPS[test])
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(
        metrics.vus_pr_score(Y[test], scores, buffer=5, groups=GROUPS[test])
    )


def test_several_scorers_may_differ_in_their_groups(routing):
    detector = MovingMean().set_decision_function_request(groups=True)
    scoring = {
        "with": outlier_scorer("vus_pr").set_score_request(groups=True),
        "roc": outlier_scorer("vus_roc").set_score_request(groups=True),
        "without": outlier_scorer("vus_pr").set_score_request(groups=False),
    }
    found = cross_validate(
        detector, X, Y, scoring=scoring, cv=GroupKFold(3), params={"groups": GROUPS}
    )
    for name, scorer in scoring.items():
        alone = cross_validate(
            detector, X, Y, scoring=scorer, cv=GroupKFold(3), params={"groups": GROUPS}
        )
        assert_array_equal(found[f"test_{name}"], alone["test_score"])
    assert np.any(found["test_with"] != found["test_without"])
