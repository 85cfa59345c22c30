"""Data in two parts: checked, handed on as they are, measured by what they allow."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyod.models.knn import KNN
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad.benchmark import FixedSplit, compare
from skad.benchmark._metadata import fit, normality
from skad.benchmark._problem import make_problem
from skad.metrics import per_region_overlap_score, vus_pr_score


class Recorder(BaseEstimator):
    """Scores by the first column, and keeps what it was called with."""

    seen = {}

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None, *, groups=None):
        Recorder.seen["fit"] = (np.shape(X), y, groups)
        self.fitted_ = True  # a pipeline asks for it
        return self

    def score_samples(self, X, *, groups=None):
        Recorder.seen["score"] = (np.shape(X), groups)
        return np.asarray(X)[:, 0].astype(float)

    def decision_function(self, X, *, groups=None):
        return self.score_samples(X, groups=groups)


class Maps(Recorder):
    """Images whose maps are the images."""

    def score_samples(self, X):
        return -X.mean(axis=(1, 2))

    def anomaly_map(self, X):
        return X


X = np.random.default_rng(0).normal(size=(60, 2))
Y = np.where(np.arange(60) % 10 < 4, -1, 1)
GROUPS = np.repeat([0, 1], 30)


def test_both_parts_and_their_groups_reach_the_detector():
    labels = np.arange(20) % 3
    data = FixedSplit(
        X[:20],
        X,
        Y,
        fit_params={"y": labels, "groups": GROUPS[10:30]},
        score_params={"groups": GROUPS},
    )
    (record,) = compare({"a": Recorder()}, {"two": data}, seeds=1).records
    assert record["status"] == "ok"
    assert (record["n_train"], record["n_test"]) == (20, 60)
    shape, y, groups = Recorder.seen["fit"]
    assert shape == (20, 2)
    assert y.tolist() == labels.tolist()
    assert groups.tolist() == GROUPS[10:30].tolist()
    assert Recorder.seen["score"][0] == (60, 2)
    assert Recorder.seen["score"][1].tolist() == GROUPS.tolist()


def test_detectors_get_only_what_they_take():
    params = {"y": Y, "groups": GROUPS, "masks": GROUPS}
    fit(Recorder(), X, params)
    assert Recorder.seen["fit"][1:] == (pytest.approx(Y), pytest.approx(GROUPS))
    # A warning of labels would be an error here.
    for detector in (KNN(), search(KNN(), scoring=unlabelled)):
        scores = normality(fit(detector, X, params), X, {"groups": GROUPS})
        assert len(scores) == 60


def test_a_pipeline_hands_on_what_its_steps_request():
    plain = make_pipeline(StandardScaler(), Recorder())
    fit(plain, X, {"groups": GROUPS, "y": Y})
    assert Recorder.seen["fit"][2] is None
    assert Recorder.seen["fit"][1].tolist() == Y.tolist()
    data = FixedSplit(
        X, X, Y, fit_params={"groups": GROUPS}, score_params={"groups": GROUPS}
    )
    with config_context(enable_metadata_routing=True):
        asks = Recorder().set_fit_request(groups=True)
        asks.set_decision_function_request(groups=True)
    piped = make_pipeline(StandardScaler(), asks)
    for detector in (piped, search(asks, unlabelled), search(piped, unlabelled)):
        Recorder.seen.clear()
        assert compare({"a": detector}, {"a": data}, seeds=1).failures().empty
        assert Recorder.seen["fit"][2].tolist() == GROUPS.tolist()
        assert Recorder.seen["score"][1].tolist() == GROUPS.tolist()


def search(detector, scoring):
    rows = np.arange(60)
    return GridSearchCV(detector, {}, scoring=scoring, cv=[(rows, rows)])


def unlabelled(estimator, X, y=None):
    return 0.0


def test_rows_in_the_order_of_time_are_ranked_by_events():
    data = FixedSplit(X, X, Y, score_params={"groups": GROUPS}, buffer=3)
    comparison = compare({"a": Recorder()}, {"s": data}, seeds=1)
    expected = vus_pr_score(Y, X[:, 0], buffer=3, groups=GROUPS)
    assert comparison.measure == "vus_pr"
    assert comparison.measures() == ["vus_pr", "auroc", "average_precision"]
    assert comparison.table().loc["a", "vus_pr"] == pytest.approx(expected)
    assert comparison.scores().loc["s", "a"] == pytest.approx(expected)
    assert comparison.records[0]["course"]["n_rows"] == 60
    mixed = compare({"a": Recorder()}, {"s": data, "t": (X, Y)}, seeds=1)
    assert mixed.measure == "auroc"
    assert np.isnan(mixed.scores("vus_pr").loc["t", "a"])


def test_maps_are_measured_where_there_are_masks():
    rng = np.random.default_rng(0)
    images, masks = rng.random((8, 6, 6)), np.zeros((8, 6, 6), dtype=bool)
    masks[:4, 2:4, 2:4] = True
    images += masks
    y = np.repeat([-1, 1], 4)
    data = FixedSplit(images[4:], images, y, masks=masks)
    flat = make_pipeline(Flat(), IsolationForest(n_estimators=3))
    detectors = {"maps": Maps(), "none": flat}
    comparison = compare(detectors, {"i": data}, seeds=1)
    expected = per_region_overlap_score(masks, images)
    assert comparison.scores("aupro").loc["i", "maps"] == pytest.approx(expected)
    assert np.isnan(comparison.scores("aupro").loc["i", "none"])
    assert comparison.failures().empty


class Flat(BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.reshape(len(X), -1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": np.ones(60)}, "0 of 60 rows to score are anomalous"),
        ({"y_test": Y[1:]}, "y_test has 59 entries; expected 60"),
        ({"X_train": X[:, :1]}, r"X_train has shape \(60, 1\), X_test \(60, 2\)"),
        ({"X_train": X[0]}, "X_train has 1 dimensions; expected at least 2"),
        ({"X_test": csr_array(X)}, "X_test is sparse"),
        ({"fit_params": {"groups": GROUPS[1:]}}, "groups has 59 entries; expected 60"),
        ({"score_params": {"groups": [1]}}, "one for each row of X_test"),
        ({"score_params": [GROUPS]}, "score_params has type list; expected a dict"),
        (
            {"score_params": {"group": GROUPS}},
            r"no detector takes \['group'\] of",
        ),
        (
            {"masks": np.zeros((2, 3, 3))},
            r"masks has shape \(2, 3, 3\); expected \(60,",
        ),
        ({"masks": np.zeros((60, 1, 3))}, r"masks of shape \(60, 1, 3\) for images"),
        ({"masks": np.zeros((60, 1, 2))}, "masks must hold 1 where .* and both"),
        ({"masks": np.full((60, 1, 2), np.nan)}, "masks must hold 1 where"),
        ({"buffer": -1}, "buffer == -1, must be >= 0"),
        ({"buffer": 2.5}, "buffer must be an instance of int"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, message):
    parts = {"X_train": X, "X_test": X, "y_test": Y, **change}
    with pytest.raises(ValueError, match=f"data set 'two': .*{message}"):
        compare({"a": Recorder()}, {"two": FixedSplit(**parts)})


@pytest.mark.parametrize("shape", [(60, 4), (60, 2, 2)])
def test_a_detector_that_writes_into_its_data_changes_nobody_elses(shape):
    class Writes(Recorder):
        def fit(self, X, y=None):
            X[:] = 0
            return self

        def score_samples(self, X):
            scores = X.reshape(len(X), -1)[:, 0].copy()
            X[:] = 0
            return scores

    class Reads(Writes):
        def fit(self, X, y=None):
            assert X.any()
            return self

    X = np.random.default_rng(0).normal(size=shape)
    before = X.copy()
    data = {"a": FixedSplit(X, X, Y)}
    comparison = compare({"writes": Writes(), "reads": Reads()}, data, seeds=2)
    assert comparison.failures().empty
    assert comparison.to_frame()["auroc"].nunique() == 1
    assert (X == before).all()


@given(st.integers(40, 90), st.integers(4, 30), st.integers(0, 3))
def test_some_rows_of_a_large_data_set_keep_the_share_of_anomalies(
    n, n_anomalies, extra
):
    X, y = np.arange(n + extra)[:, np.newaxis], np.arange(n + extra) < n_anomalies
    if int(n_anomalies * n / (n + extra)) < 4:
        n_anomalies = 5
        y = np.arange(n + extra) < n_anomalies
    parts = make_problem("a", (X, y), n).split(0, n)
    used = np.concatenate([parts.X_train, parts.X_test]).ravel()
    assert len(used) == len(set(used)) == n
    assert abs((used < n_anomalies).sum() - n * n_anomalies / (n + extra)) <= 0.5


def test_a_fingerprint_is_of_values_and_not_of_memory():
    def fingerprint(X, **more):
        return make_problem("a", FixedSplit(X, X, Y, **more), 10).fingerprint

    frame = pd.DataFrame({"a": X[:, 0], "b": [f"{i}" for i in range(60)]})
    again = pickle.loads(pickle.dumps(frame))
    assert fingerprint(frame) == fingerprint(again)
    assert fingerprint(X) == fingerprint(np.asfortranarray(X))
    lists = {"score_params": {"groups": GROUPS.tolist()}}
    assert fingerprint(X, **lists) == fingerprint(X, score_params={"groups": GROUPS})
    changed = frame.assign(b=frame["b"].astype("category"))
    assert len({fingerprint(frame), fingerprint(changed), fingerprint(X)}) == 3
