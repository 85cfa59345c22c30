"""Scorers in scikit-learn's model selection."""

import pickle

import numpy as np
import pytest
import sklearn
from pyod.models.iforest import IForest
from sklearn import metrics as sklearn_metrics
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import check_scoring
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skad.interop import PyODDetector, to_pyod
from skad.metrics import get_scorer, get_scorer_names, outlier_scorer, roc_auc_score

NAMES = ["average_precision", "precision_at_n", "roc_auc"]
SHUFFLED = StratifiedKFold(shuffle=True, random_state=0)
ENCODINGS = {
    "minus_one": ((1, -1), None),
    "zero_one": ((0, 1), None),
    "bool": ((False, True), None),
    "words": (("ok", "fraud"), "fraud"),
}
rng = np.random.default_rng(0)
X = np.r_[rng.normal(size=(95, 2)), rng.uniform(-6, 6, size=(15, 2))]
IS_OUTLIER = np.arange(110) >= 95
Y = np.where(IS_OUTLIER, -1, 1)


class CountingDetector(OutlierMixin, BaseEstimator):
    """Detector that counts how often it is asked."""

    n_calls = 0

    def fit(self, X, y=None):
        return self

    def decision_function(self, X):
        type(self).n_calls += 1
        return -np.linalg.norm(X, axis=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("labels", "outlier_label"), ENCODINGS.values(), ids=ENCODINGS)
def test_encodings_of_labels_get_the_same_scores(name, labels, outlier_label):
    y = np.array(labels)[IS_OUTLIER.astype(int)]
    scorer = outlier_scorer(name, outlier_label=outlier_label)
    args = {"scoring": scorer, "cv": SHUFFLED}
    scores = cross_val_score(CountingDetector(), X, y, **args)
    expected = cross_val_score(
        CountingDetector(), X, Y, **{**args, "scoring": get_scorer(name)}
    )
    assert np.all(scores == expected)
    assert scores.mean() > 0.5


def test_sklearns_own_scorer_is_wrong_for_zero_one_labels():
    detector = OneClassSVM(gamma=0.1).fit(X)
    own = get_scorer("roc_auc")(detector, X, IS_OUTLIER)
    sklearns = sklearn_metrics.get_scorer("roc_auc")(detector, X, IS_OUTLIER)
    assert own > 0.8
    assert sklearns == pytest.approx(1 - own)


@pytest.mark.parametrize(
    "estimator",
    [
        IsolationForest(n_estimators=10, random_state=0),
        LocalOutlierFactor(novelty=True),
        OneClassSVM(),
        KernelDensity(),
        make_pipeline(StandardScaler(), OneClassSVM()),
        make_pipeline(StandardScaler(), KernelDensity()),
        PyODDetector(IForest(n_estimators=10), random_state=0),
        IForest(n_estimators=10, random_state=0),
        make_pipeline(StandardScaler(), IForest(n_estimators=10, random_state=0)),
        to_pyod(OneClassSVM()),
    ],
)
def test_outliers_are_positive_for_every_kind_of_detector(estimator):
    estimator = clone(estimator).fit(X)
    assert get_scorer("roc_auc")(estimator, X, IS_OUTLIER) > 0.8
    assert get_scorer("roc_auc")(FrozenEstimator(estimator), X, IS_OUTLIER) > 0.8


@pytest.mark.filterwarnings("ignore:y should not be presented:UserWarning")
def test_search_that_ends_in_a_pyod_detector_keeps_the_sign():
    search = GridSearchCV(
        IForest(n_estimators=10, random_state=0),
        {"max_samples": [50, 80]},
        scoring=get_scorer("roc_auc"),
        cv=SHUFFLED,
    ).fit(X, Y)
    assert search.best_score_ > 0.8
    assert get_scorer("roc_auc")(search, X, Y) > 0.8


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LogisticRegression(), "LogisticRegression is a classifier; expected an outl"),
        (make_pipeline(LogisticRegression()), "is a classifier"),
        (LinearRegression(), "is a regressor"),
        (KMeans(2, n_init=1), "KMeans has neither"),
        (LocalOutlierFactor(), "LocalOutlierFactor has neither"),
    ],
)
def test_what_is_no_detector_raises(estimator, message):
    with pytest.raises(TypeError, match=message):
        get_scorer("roc_auc")(estimator.fit(X, Y), X, Y)


def test_grid_search_picks_the_better_candidate():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), OneClassSVM()),
        {"oneclasssvm__gamma": [1e-1, 1e6]},
        scoring=outlier_scorer("roc_auc"),
        cv=SHUFFLED,
    )
    search = clone(search).fit(X, IS_OUTLIER)
    assert search.best_params_ == {"oneclasssvm__gamma": 0.1}


def test_several_metrics_share_one_call_of_the_detector():
    CountingDetector.n_calls = 0
    scoring = {name: get_scorer(name) for name in NAMES} | {"sklearns": "roc_auc"}
    result = cross_validate(CountingDetector(), X, Y, scoring=scoring, cv=SHUFFLED)
    assert CountingDetector.n_calls == 5
    np.testing.assert_allclose(result["test_roc_auc"], result["test_sklearns"])
    assert np.all(result["test_average_precision"] <= 1)


def test_fold_without_outliers_scores_nan_with_a_warning():
    with pytest.warns(UndefinedMetricWarning, match="y_true has a single class"):
        scores = cross_val_score(
            CountingDetector(), X, Y, scoring=get_scorer("roc_auc"), cv=KFold(5)
        )
    assert np.isnan(scores).tolist() == [True] * 4 + [False]


@pytest.mark.parametrize("name", ["average_precision", "roc_auc"])
def test_sample_weight_is_passed_on(name):
    detector, weight = CountingDetector(), np.linspace(0, 1, len(X))
    scorer = outlier_scorer(name)
    expected = scorer._score_func(
        Y, detector.decision_function(X), sample_weight=weight
    )
    assert scorer(detector, X, Y, sample_weight=weight) == expected
    assert scorer(detector, X, Y) != expected


def test_sample_weight_is_routed_to_the_metrics_that_take_it():
    weight = np.linspace(0, 1, len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        scoring = {
            "auc": outlier_scorer("roc_auc").set_score_request(sample_weight=True),
            "precision": outlier_scorer("precision_at_n"),
        }
        params = {"sample_weight": weight}
        result = cross_validate(
            CountingDetector(), X, Y, scoring=scoring, cv=SHUFFLED, params=params
        )
    test = next(iter(SHUFFLED.split(X, Y)))[1]
    scores = CountingDetector().decision_function(X[test])
    expected = roc_auc_score(Y[test], scores, sample_weight=weight[test])
    assert result["test_auc"][0] == expected


@pytest.mark.parametrize("name", ["average_precision", "roc_auc"])
def test_only_sample_weight_is_metadata(name):
    requests = get_scorer(name).get_metadata_routing().score.requests
    assert requests.keys() == {"sample_weight"}


def test_n_reaches_precision_at_n():
    detector = CountingDetector()
    assert outlier_scorer("precision_at_n", n=1)(detector, X, Y) == 1
    assert outlier_scorer("precision_at_n", n=110)(detector, X, Y) == 15 / 110


def test_scorer_can_be_pickled_and_cloned():
    scorer = outlier_scorer("roc_auc", outlier_label=-1)
    expected = scorer(CountingDetector(), X, Y)
    for copy in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
        assert copy(CountingDetector(), X, Y) == expected
        assert repr(copy) == "outlier_scorer('roc_auc', outlier_label=-1)"


def test_repr_is_the_call_that_makes_the_scorer():
    assert repr(get_scorer("roc_auc")) == "outlier_scorer('roc_auc')"
    scorer = outlier_scorer("precision_at_n", outlier_label="x", n=3)
    assert repr(scorer) == "outlier_scorer('precision_at_n', outlier_label='x', n=3)"


def test_scorers_by_name():
    assert get_scorer_names() == NAMES
    for name in [*NAMES, *get_scorer_names("series")]:
        assert check_scoring(OneClassSVM(), scoring=get_scorer(name)) is not None
    scorer = get_scorer("roc_auc")
    assert get_scorer(scorer) is scorer
    assert get_scorer("roc_auc") is not scorer


@pytest.mark.parametrize("make", [get_scorer, outlier_scorer])
@pytest.mark.parametrize("name", ["f1", "roc-auc", None, 3])
def test_unknown_metric_raises(make, name):
    with pytest.raises(
        ValueError, match="is not the name of a metric; expected one of"
    ):
        make(name)


def test_unknown_parameter_of_a_metric_raises():
    with pytest.raises(TypeError, match=r"'roc_auc' has no parameter \['n'\]; it has"):
        outlier_scorer("roc_auc", n=3)


def test_unknown_kind_of_scorers_raises():
    with pytest.raises(ValueError, match="kind='image' is unknown; expected one of"):
        get_scorer_names("image")
