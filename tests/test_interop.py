"""PyOD's detectors in scikit-learn, scikit-learn's in PyOD."""

import pickle
import sys
from importlib import import_module

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyod.models.base import BaseDetector as PyODBaseDetector
from pyod.models.lscp import LSCP
from pyod.utils.data import evaluate_print
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn_checks import MORE_CHECKS, in_full, missing_checks

from skad.interop import PyODDetector, to_pyod
from skad.metrics import outlier_scorer

# Parameters that keep the suite fast; HBOS with a number of bins compiles.
PYOD_DETECTORS = {
    "copod.COPOD": {},
    "ecod.ECOD": {},
    "hbos.HBOS": {"n_bins": "auto"},
    "iforest.IForest": {"n_estimators": 5},
    "inne.INNE": {"n_estimators": 10},
    "kde.KDE": {},
    "knn.KNN": {},
    "loda.LODA": {"n_random_cuts": 20},
    "lof.LOF": {"n_neighbors": 5},
    "mcd.MCD": {},
    "ocsvm.OCSVM": {},
    "pca.PCA": {},
}
SEEDED = ["iforest.IForest", "inne.INNE", "loda.LODA"]
BATCH = "{} ranks a row among the rows that it is scored with; rowwise=True cures it."
SKLEARN_DETECTORS = {
    "forest": IsolationForest(n_estimators=10, random_state=0),
    "lof": LocalOutlierFactor(novelty=True, contamination=0.2),
    "envelope": EllipticEnvelope(contamination=0.05, random_state=0),
    "svm": OneClassSVM(),
    "pipeline": make_pipeline(StandardScaler(), OneClassSVM(nu=0.1)),
    "density": PCA(n_components=1),
}


def pyod_detector(name, **params):
    """Make a PyOD detector from "module.Class"."""
    module, cls = name.split(".")
    cls = getattr(import_module(f"pyod.models.{module}"), cls)
    return cls(**{**PYOD_DETECTORS.get(name, {}), **params})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(5, 3))
    outliers = 9 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    X = np.r_[rng.normal(size=(95, 3)), outliers]
    y = np.r_[np.ones(95, int), np.full(5, -1)]
    shuffled = rng.permutation(100)
    return X[shuffled], y[shuffled]


def expected_failed_checks(estimator):
    name = type(estimator.detector).__name__
    if name in ("ECOD", "COPOD") and not estimator.rowwise:
        return {"check_methods_subset_invariance": BATCH.format(name)}
    return {}


# The array API check draws columns that are sums of others, which MCD reports.
@pytest.mark.filterwarnings("ignore:The covariance matrix associated:UserWarning")
@pytest.mark.filterwarnings("ignore:Determinant has increased:RuntimeWarning")
@parametrize_with_checks(
    [PyODDetector(pyod_detector(name)) for name in PYOD_DETECTORS],
    expected_failed_checks=expected_failed_checks,
    xfail_strict=True,
)
def test_sklearn(estimator, check):
    in_full(check, estimator)


@pytest.mark.parametrize("name", PYOD_DETECTORS)
def test_no_check_of_sklearn_is_missing(name):
    assert missing_checks(PyODDetector(pyod_detector(name))) == []


@pytest.mark.parametrize("name", PYOD_DETECTORS)
@pytest.mark.parametrize("check", MORE_CHECKS)
def test_sklearn_beyond_check_estimator(name, check):
    estimator = PyODDetector(pyod_detector(name))
    in_full(getattr(estimator_checks, check), "PyODDetector", estimator)


@pytest.mark.parametrize("name", ["copod.COPOD", "ecod.ECOD"])
def test_rowwise_scores_do_not_depend_on_the_batch(name):
    detector = PyODDetector(pyod_detector(name), rowwise=True)
    estimator_checks.check_methods_subset_invariance("PyODDetector", detector)
    estimator_checks.check_methods_sample_order_invariance("PyODDetector", detector)


@pytest.mark.parametrize("name", ["iforest.IForest", "knn.KNN", "pca.PCA"])
def test_rowwise_changes_nothing_for_detectors_that_score_rows_alone(name, data):
    X, _ = data
    detector = PyODDetector(pyod_detector(name), random_state=0).fit(X)
    scores = detector.score_samples(X[:20])
    assert_allclose(detector.set_params(rowwise=True).score_samples(X[:20]), scores)


def test_rowwise_refuses_a_detector_that_has_no_score_for_a_row_alone(data):
    lmdd = pyod_detector("lmdd.LMDD", n_iter=5)
    with pytest.raises(ValueError, match="rowwise=True does not suit LMDD"):
        PyODDetector(lmdd, rowwise=True, random_state=0).fit(data[0])


@pytest.mark.parametrize("name", PYOD_DETECTORS)
def test_outliers_score_low_and_are_labelled_minus_one(name, data):
    X, y = data
    detector = PyODDetector(pyod_detector(name), contamination=0.05, random_state=0)
    assert roc_auc_score(y, detector.fit(X).score_samples(X)) > 0.9
    assert roc_auc_score(y == -1, detector.detector_.decision_function(X)) > 0.9
    assert np.sum(detector.predict(X)[y == -1] == -1) >= 3


@pytest.mark.parametrize("name", PYOD_DETECTORS)
def test_scores_are_those_of_pyod_with_the_sign_turned(name, data):
    X, _ = data
    params = {"random_state": 0} if name in [*SEEDED, "mcd.MCD"] else {}
    pyod = pyod_detector(name, **params).fit(X)
    scores = PyODDetector(pyod_detector(name, **params)).fit(X).score_samples(X[:9])
    assert_allclose(scores, -pyod.decision_function(X[:9]))


@pytest.mark.parametrize("name", SEEDED)
def test_random_state_reaches_the_detector(name, data):
    X, _ = data

    def scores(seed, detector_seed=None):
        detector = pyod_detector(name, random_state=detector_seed)
        return PyODDetector(detector, random_state=seed).fit(X).score_samples(X)

    assert_array_equal(scores(0), scores(0))
    assert_array_equal(scores(0, 1), scores(0, 2))
    assert_array_equal(scores(None, 1), scores(None, 1))
    assert np.any(scores(0) != scores(1))


def test_fit_leaves_the_given_detector_and_global_random_state_alone(data):
    X, _ = data
    knn = pyod_detector("knn.KNN")
    before, state = dict(vars(knn)), np.random.get_state()[1].copy()  # noqa: NPY002
    PyODDetector(knn, contamination=0.2, random_state=0).fit(X)
    assert vars(knn) == before
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_scoring_does_not_change_the_fitted_detector(data):
    X, _ = data
    detector = PyODDetector(pyod_detector("ecod.ECOD")).fit(X)
    before = pickle.dumps(detector)
    detector.score_samples(X[:3])
    assert pickle.dumps(detector) == before


def test_contamination_reaches_the_detector_and_a_lost_one_warns(data):
    X, _ = data
    detector = PyODDetector(pyod_detector("knn.KNN"), contamination=0.2).fit(X)
    assert detector.detector_.labels_.sum() == 20
    assert np.sum(detector.predict(X) == -1) == 20
    given = pyod_detector("knn.KNN", contamination=0.3)
    with pytest.warns(UserWarning, match="contamination=0.3 of KNN is replaced"):
        PyODDetector(given).fit(X)


@pytest.mark.parametrize("detector", [IsolationForest(), OneClassSVM()])
def test_detector_that_is_not_of_pyod_raises(detector, data):
    with pytest.raises(TypeError, match="expected a PyOD detector"):
        PyODDetector(detector).fit(data[0])


def test_detector_that_learns_from_labels_raises(data):
    class Supervised(PyODBaseDetector):
        def __init__(self, contamination=0.1):
            super().__init__(contamination=contamination)

        def fit(self, X, y):
            raise NotImplementedError

        def decision_function(self, X):
            raise NotImplementedError

    with pytest.raises(TypeError, match="learns from labels"):
        PyODDetector(Supervised()).fit(data[0])


def test_grid_search_over_the_parameters_of_the_detector(data):
    X, y = data
    search = GridSearchCV(
        make_pipeline(StandardScaler(), PyODDetector(pyod_detector("knn.KNN"))),
        {"pyoddetector__detector__n_neighbors": [2, 5]},
        scoring=outlier_scorer("roc_auc"),
        cv=StratifiedKFold(shuffle=True, random_state=0),
    ).fit(X, y)
    assert search.best_score_ == 1
    assert search.best_estimator_[-1].detector_.n_neighbors in (2, 5)


@pytest.mark.parametrize("estimator", SKLEARN_DETECTORS.values(), ids=SKLEARN_DETECTORS)
def test_to_pyod_keeps_pyods_conventions(estimator, data):
    X, y = data
    detector = to_pyod(estimator, contamination=0.05).fit(X)
    assert isinstance(detector, PyODBaseDetector)
    assert roc_auc_score(y == -1, detector.decision_function(X)) > 0.99
    assert_array_equal(detector.decision_scores_, detector.decision_function(X))
    assert_array_equal(detector.labels_, detector.predict(X))
    assert detector.labels_.sum() == 5
    assert detector.labels_ @ (y == -1) >= 4
    probability = detector.predict_proba(X)
    assert probability.shape == (100, 2)
    assert roc_auc_score(y == -1, probability[:, 1]) > 0.99
    assert set(detector.predict_confidence(X[:5]) <= 1) == {True}


def test_to_pyod_labels_as_the_estimator_with_its_contamination(data):
    X, _ = data
    estimator = clone(SKLEARN_DETECTORS["envelope"]).fit(X)
    detector = to_pyod(estimator).fit(X)
    assert detector.contamination == estimator.contamination
    assert_array_equal(detector.predict(X) == 1, estimator.predict(X) == -1)
    assert_allclose(detector.threshold_, -estimator.offset_)


@pytest.mark.parametrize("name", ["forest", "svm", "density"])
def test_to_pyod_takes_pyods_default_where_there_is_no_contamination(name):
    assert to_pyod(SKLEARN_DETECTORS[name]).contamination == 0.1


@pytest.mark.parametrize("name", ["forest", "pipeline"])
def test_to_pyod_survives_clone_pickle_and_set_params(name, data):
    X, _ = data
    detector = to_pyod(SKLEARN_DETECTORS[name], contamination=0.2)
    detector = clone(detector)
    assert detector.get_params(deep=False).keys() == {"contamination", "estimator"}
    scores = detector.fit(X).decision_function(X)
    loaded = pickle.loads(pickle.dumps(detector))
    assert_array_equal(loaded.decision_function(X), scores)


def test_to_pyod_reaches_the_parameters_of_the_estimator(data):
    detector = to_pyod(SKLEARN_DETECTORS["forest"])
    detector = clone(detector).set_params(estimator__n_estimators=3).fit(data[0])
    assert len(detector.estimator_.estimators_) == 3


def test_to_pyod_leaves_the_estimator_alone(data):
    estimator = OneClassSVM()
    to_pyod(estimator).fit(data[0])
    assert not hasattr(estimator, "offset_")


def test_to_pyod_serves_in_an_ensemble_of_pyod(data, capsys):
    X, y = data
    members = [to_pyod(OneClassSVM()), to_pyod(EllipticEnvelope(random_state=0))]
    ensemble = LSCP([*members, pyod_detector("knn.KNN")], n_bins=3, random_state=0)
    scores = ensemble.fit(X).decision_function(X)
    evaluate_print("LSCP", y == -1, scores)
    assert capsys.readouterr().out.startswith("LSCP ROC:1.0")


def test_to_pyod_falls_back_to_decision_function(data):
    class OnlyDecision(OutlierMixin, BaseEstimator):
        def fit(self, X):
            return self

        def decision_function(self, X):
            return -np.abs(X).sum(axis=1)

    X, _ = data
    assert_allclose(to_pyod(OnlyDecision()).fit(X).decision_scores_, np.abs(X).sum(1))


@pytest.mark.parametrize("name", PYOD_DETECTORS)
def test_round_trip_from_pyod_keeps_scores_and_threshold(name, data):
    X, _ = data
    params = {"random_state": 0} if name in [*SEEDED, "mcd.MCD"] else {}
    original = pyod_detector(name, **params)
    there = PyODDetector(original)
    back = to_pyod(there).fit(X)
    assert_allclose(back.decision_function(X), original.fit(X).decision_function(X))
    assert_array_equal(back.predict(X) == 1, there.fit(X).predict(X) == -1)


@pytest.mark.parametrize("name", ["lof", "envelope", "pipeline"])
def test_round_trip_from_sklearn_keeps_scores(name, data):
    X, _ = data
    estimator = clone(SKLEARN_DETECTORS[name])
    contamination = 0.1
    back = PyODDetector(
        to_pyod(estimator, contamination=contamination), contamination=contamination
    ).fit(X)
    assert_allclose(back.score_samples(X), estimator.fit(X).score_samples(X))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (IsolationForest, "expected an instance"),
        (LocalOutlierFactor(), "novelty=True"),
        (LogisticRegression(), "is a classifier; expected an outlier detector"),
        (make_pipeline(LogisticRegression()), "is a classifier"),
        (pyod_detector("knn.KNN"), "is a PyOD detector already"),
        (StandardScaler(), "neither score_samples nor decision_function"),
    ],
)
def test_to_pyod_refuses_what_is_no_detector_of_sklearn(estimator, message):
    with pytest.raises(TypeError, match=message):
        to_pyod(estimator)


@pytest.mark.parametrize(
    ("contamination", "error"),
    [(0, ValueError), (0.6, ValueError), ("auto", TypeError)],
)
def test_to_pyod_refuses_an_impossible_contamination(contamination, error):
    with pytest.raises(error, match="contamination"):
        to_pyod(IsolationForest(), contamination=contamination)


def test_to_pyod_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skad._pyod", None)
    with pytest.raises(ImportError, match=r'pip install "skad\[pyod\]"'):
        to_pyod(IsolationForest())
