"""A search over one detector of each kind of data, beside a plain loop.

The first candidate of every search cannot win: one tree, no training, no history. The
loop knows nothing of searches, pipelines, scorers and routing; it must find the same.
"""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_genclip import CLIP, stripes

from skad import (
    GANVAE,
    M2AD,
    BayesianVAE,
    CAnemon,
    DConAD,
    GenCLIP,
    MDDNet,
    MiddleFramePredictor,
    UnsupervisedRandomForest,
)
from skad.datasets import (
    make_brain_phantom,
    make_moving_digits,
    make_planted_anomalies,
    make_radio_network,
    make_sensor_series,
    make_surfaces,
    make_transactions,
)
from skad.metrics import get_scorer, outlier_scorer, vus_pr_score
from skad.model_selection import TimeOrderedSplit
from skad.preprocessing import HistoryFeatures

UNTRAINED = 1e-12  # a learning rate
SHUFFLED = StratifiedKFold(2, shuffle=True, random_state=0)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def auc(y, scores):
    """Return the area under the curve, of scikit-learn: high is normal, 1 as well."""
    return roc_auc_score(np.asarray(y) == 1, scores)


def check_search(search, folds, judge):
    """Assert that a fitted search found what a plain loop over candidates finds.

    Parameters
    ----------
    search : GridSearchCV
        The fitted search.

    folds : list of pairs of ndarrays
        The rows to train and to test on.

    judge : callable
        Takes the parameters of a candidate and the rows of a fold, trains and scores.
    """
    candidates = search.cv_results_["params"]
    expected = [np.mean([judge(c, *fold) for fold in folds]) for c in candidates]
    assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-7)
    assert search.best_params_ is candidates[np.argmax(expected)]
    assert search.best_index_ != 0


def test_tables():
    X, y, _ = make_planted_anomalies(300, 6, random_state=0)
    forest = UnsupervisedRandomForest(random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), forest),
        {"unsupervisedrandomforest__n_estimators": [1, 30]},
        scoring=get_scorer("roc_auc"),
        cv=SHUFFLED,
    ).fit(X, y)

    def judge(params, train, test):
        (n_estimators,) = params.values()
        mean, std = X[train].mean(axis=0), X[train].std(axis=0)
        detector = clone(forest).set_params(n_estimators=n_estimators)
        detector.fit((X[train] - mean) / std)
        return auc(y[test], detector.score_samples((X[test] - mean) / std))

    check_search(search, list(SHUFFLED.split(X, y)), judge)
    scaled = StandardScaler().fit_transform(X)
    expected = clone(forest).set_params(n_estimators=30).fit(scaled)
    assert_array_equal(search.predict(X), expected.predict(scaled))
    assert_array_equal(search.decision_function(X), expected.decision_function(scaled))


def test_payments():
    X, y, _ = make_transactions(20, 10, 24, n_incidents=5, random_state=0)
    history = HistoryFeatures(time="time", entities=["customer", "terminal"])
    small = {"hidden_sizes": (16, 8), "max_epochs": 4, "batch_size": 64}
    detector = GANVAE(random_state=0, **small)
    folds = list(TimeSeriesSplit(2).split(X))
    search = GridSearchCV(
        make_pipeline(history, detector),
        [
            {"historyfeatures__features": [["elapsed"]], "ganvae__lr": [0.01]},
            {"historyfeatures__features": [None], "ganvae__lr": [UNTRAINED, 0.01]},
        ],
        scoring=get_scorer("roc_auc"),
        cv=TimeSeriesSplit(2),
    ).fit(X, y)

    def judge(params, train, test):
        lr, features = params["ganvae__lr"], params["historyfeatures__features"]
        past = clone(history).set_params(features=features).fit(X.iloc[train])
        fitted = clone(detector).set_params(lr=lr)
        fitted.fit(past.transform(X.iloc[train]))
        return auc(y[test], fitted.score_samples(past.transform(X.iloc[test])))

    check_search(search, folds, judge)
    assert search.best_params_["historyfeatures__features"] is None
    assert search.feature_names_in_.tolist() == X.columns.tolist()


def test_brain_images():
    X, y, _ = make_brain_phantom(40, 20, size=32, random_state=0)
    small = {"channels": (8, 16), "latent_dim": 8, "n_passes": 2}
    detector = BayesianVAE(max_epochs=8, batch_size=8, random_state=0, **small)
    folds = [(np.arange(20), np.arange(20, 60))]
    search = GridSearchCV(
        detector,
        {"image_size": [4, 16]},
        scoring=get_scorer("roc_auc"),
        cv=folds,
        refit=False,
    ).fit(X, y)

    def judge(params, train, test):
        fitted = clone(detector).set_params(**params).fit(X[train])
        return auc(y[test], fitted.score_samples(X[test]))

    check_search(search, folds, judge)


def alternating(first, second):
    """Return the rows of two series in turns, as they arrive from two systems."""
    return np.stack([first, second], axis=1).reshape(-1, *first.shape[1:])


def test_series(routing):
    parts = [
        make_sensor_series(300, 300, 4, n_events=4, event_length=20, random_state=seed)
        for seed in (0, 1)
    ]
    X = alternating(*(np.concatenate(part[:2]) for part in parts))
    y = alternating(*(np.r_[np.ones(300), part[2]] for part in parts))
    groups = np.array(["a", "b"] * 600)
    detector = DConAD(d_model=8, max_epochs=2, random_state=0)
    detector.set_fit_request(groups=True).set_decision_function_request(groups=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), detector),
        {"dconad__window_size": [2, 5]},
        scoring=outlier_scorer("vus_pr", buffer=10).set_score_request(groups=True),
        cv=TimeOrderedSplit(2),
    ).fit(X, y, groups=groups)
    folds = list(TimeOrderedSplit(2).split(X, groups=groups))

    def judge(params, train, test, groups=groups):
        scaler = StandardScaler().fit(X[train])
        fitted = clone(detector).set_params(window_size=params["dconad__window_size"])
        fitted.fit(scaler.transform(X[train]), groups=groups[train])
        scores = fitted.score_samples(scaler.transform(X[test]), groups=groups[test])
        return vus_pr_score(y[test], scores, groups=groups[test], buffer=10)

    check_search(search, folds, judge)
    mixed = judge(search.best_params_, *folds[-1], groups=np.zeros(len(X)))
    assert mixed < search.cv_results_["split1_test_score"][search.best_index_]
    decision = search.best_estimator_.decision_function(X, groups=groups)
    assert auc(y, decision) > auc(y, search.decision_function(X))


def test_fleets():
    rng = np.random.default_rng(0)
    time = np.arange(300)[:, np.newaxis]
    waves = [np.sin(speed * time + np.arange(2)) for speed in (0.15, 0.25)]
    readings = np.concatenate(waves) + 0.2 * rng.normal(size=(600, 2))
    y = np.ones(600)
    for start in (120, 170, 230, 450, 520, 570):
        y[start : start + 15] = -1
        readings[start : start + 15, 1] = rng.normal(size=15)
    X = pd.DataFrame(readings, columns=["flow", "heat"])
    X["machine"] = np.repeat(["a", "b"], 300)
    detector = M2AD(
        system="machine",
        n_lags=5,
        smoothing=3,
        forecaster=Ridge(),
        contamination=0.1,
    )
    search = GridSearchCV(
        detector,
        {"forecaster": [DummyRegressor(), Ridge()]},
        scoring=get_scorer("roc_auc"),
        cv=TimeOrderedSplit(2),
    ).fit(X, y, groups=X["machine"])

    def judge(params, train, test):
        fitted = clone(detector).set_params(**params).fit(X.iloc[train])
        return auc(y[test], fitted.score_samples(X.iloc[test]))

    check_search(search, list(TimeOrderedSplit(2).split(X, None, X["machine"])), judge)
    expected = clone(detector).fit(X)
    assert_array_equal(search.decision_function(X), expected.decision_function(X))
    assert_array_equal(search.predict(X), expected.predict(X))


def test_networks():
    past, now, faults, _ = make_radio_network(
        16, 6, 3, n_crowds=2, n_faults=14, random_state=0
    )
    X = pd.concat([past, now], ignore_index=True)
    y = np.r_[np.ones(len(past)), faults]
    columns = {"node": "cell", "time": "time", "position": ["x", "y"]}
    small = {"hidden_size": 16, "attention_size": 8, "batch_size": 128}
    detector = CAnemon(
        **columns,
        **small,
        attributes=["type"],
        n_neighbors=5,
        max_epochs=2,
        lr=0.01,
        random_state=0,
    )
    folds = [(np.arange(len(past)), np.arange(len(past), len(X)))]
    search = GridSearchCV(
        detector,
        [{"change_window": [0], "smoothing": [1]}, {"smoothing": [7]}],
        scoring=get_scorer("roc_auc"),
        cv=folds,
        refit=False,
    ).fit(X, y)

    def judge(params, train, test):
        fitted = clone(detector).set_params(**params).fit(X.iloc[train])
        return auc(y[test], fitted.score_samples(X.iloc[test]))

    check_search(search, folds, judge)


def auc_of_defects(kinds, scores, *, defects):
    """Return how well scores find defects; the kinds of the images do not matter."""
    return auc(defects, scores)


def auc_by_names(detector, X, names):
    """Return the same where defects are one more kind, which no training fold has."""
    return auc(names != "defect", detector.decision_function(X))


def test_images_of_many_kinds(routing):
    X, defects, _, kinds = make_surfaces(60, 20, size=32, random_state=0)
    kinds = np.array(["metal", "cloth", "tiles"])[kinds]
    small = {"channels": (4, 8), "backbone_epochs": 2, "memory_size": 4}
    detector = MDDNet(max_epochs=3, random_state=0, **small)
    # To `fit`, y says what an image shows: the scorer gets labels of its own. There is
    # no refit on all images: it would take those with a defect for normal ones.
    scorer = make_scorer(auc_of_defects, response_method="decision_function")
    folds = [(np.arange(40), np.arange(40, 80))]
    search = GridSearchCV(
        detector,
        {"lr": [UNTRAINED, 0.004]},
        scoring=scorer.set_score_request(defects=True),
        cv=folds,
        refit=False,
    ).fit(X, kinds, defects=defects)

    def judge(params, train, test):
        fitted = clone(detector).set_params(**params).fit(X[train], kinds[train])
        assert fitted.classes_.tolist() == ["cloth", "metal", "tiles"]
        return auc(defects[test], fitted.score_samples(X[test]))

    check_search(search, folds, judge)
    named = clone(search).set_params(scoring=auc_by_names)
    named.fit(X, np.where(defects == 1, kinds, "defect"))
    assert_array_equal(
        named.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


def test_images_and_words(routing):
    X, y, masks, names = stripes(60, seed=1)
    detector = GenCLIP(CLIP, max_epochs=2, batch_size=4, lr=0.01, random_state=0)
    detector.set_fit_request(masks=True, class_names=True)
    folds = [(np.arange(30), np.arange(30, 60))]
    search = GridSearchCV(
        detector,
        {"lr": [UNTRAINED, 0.01]},
        scoring=get_scorer("roc_auc"),
        cv=folds,
        refit=False,
    ).fit(X, y, masks=masks, class_names=names)

    def judge(params, train, test, masks=masks):
        fitted = clone(detector).set_params(**params)
        fitted.fit(X[train], y[train], masks=masks[train], class_names=names[train])
        return auc(y[test], fitted.score_samples(X[test]))

    check_search(search, folds, judge)
    moved = judge(search.best_params_, *folds[0], masks=np.roll(masks, 9, axis=1))
    assert moved != search.cv_results_["split0_test_score"][search.best_index_]


def test_videos(routing):
    X, y, groups, _ = make_moving_digits(
        6, 30, size=16, n_digits=1, anomaly_share=0.5, random_state=0
    )
    detector = MiddleFramePredictor(
        residual=False,
        channels=(4, 8),
        n_heads=2,
        n_context=1,
        n_target=3,
        stride=2,
        patch_size=4,
        max_clips=32,
        max_epochs=3,
        batch_size=8,
        lr=0.01,
        random_state=0,
    )
    detector.set_fit_request(groups=True).set_decision_function_request(groups=True)
    scorer = get_scorer("roc_auc").set_score_request(groups=True)
    folds = [(np.flatnonzero(groups < 3), np.flatnonzero(groups >= 3))]
    search = GridSearchCV(
        detector, {"lr": [UNTRAINED, 0.01]}, scoring=scorer, cv=folds, refit=False
    ).fit(X, y, groups=groups)

    def judge(params, train, test, groups=groups):
        fitted = clone(detector).set_params(**params)
        fitted.fit(X[train], groups=groups[train])
        scores = fitted.score_samples(X[test], groups=groups[test])
        return auc(y[test], scores)

    check_search(search, folds, judge)
    joined = judge(search.best_params_, *folds[0], groups=np.zeros(len(X)))
    assert joined != search.best_score_
