"""Data in two parts: checked, handed on as they are, measured by what they allow."""

import numpy as np
import pytest
from pyod.models.knn import KNN
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad.benchmark import FixedSplit, compare
from skad.benchmark._metadata import call_with
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
    call_with(Recorder(), "fit", X, params)
    assert Recorder.seen["fit"][1:] == (pytest.approx(Y), pytest.approx(GROUPS))
    # A warning of labels would be an error here.
    detector = call_with(KNN(), "fit", X, params)
    assert len(call_with(detector, "decision_function", X, params)) == 60


def test_a_pipeline_hands_on_what_its_steps_request():
    plain = make_pipeline(StandardScaler(), Recorder())
    call_with(plain, "fit", X, {"groups": GROUPS, "y": Y})
    assert Recorder.seen["fit"][2] is None
    assert Recorder.seen["fit"][1].tolist() == Y.tolist()
    data = FixedSplit(
        X, X, Y, fit_params={"groups": GROUPS}, score_params={"groups": GROUPS}
    )
    with config_context(enable_metadata_routing=True):
        asks = Recorder().set_fit_request(groups=True)
        asks.set_decision_function_request(groups=True)
    asks = make_pipeline(StandardScaler(), asks)
    assert compare({"a": asks}, {"a": data}, seeds=1).failures().empty
    assert Recorder.seen["fit"][2].tolist() == GROUPS.tolist()
    assert Recorder.seen["score"][1].tolist() == GROUPS.tolist()


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
        ({"y_test": Y[1:]}, "inconsistent numbers of samples"),
        ({"X_train": X[:, :1]}, r"X_train has shape \(60, 1\), X_test \(60, 2\)"),
        ({"X_train": X[0]}, "X has 1 dimensions; expected at least 2"),
        ({"fit_params": {"groups": GROUPS[1:]}}, "inconsistent numbers of samples"),
        ({"score_params": {"groups": GROUPS[1:]}}, "inconsistent numbers of samples"),
        (
            {"masks": np.zeros((2, 3, 3))},
            r"masks has shape \(2, 3, 3\); expected \(60,",
        ),
        ({"buffer": -1}, "buffer=-1 must be None or at least 0"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, message):
    parts = {"X_train": X, "X_test": X, "y_test": Y, **change}
    with pytest.raises(ValueError, match=f"data set 'two': .*{message}"):
        compare({"a": Recorder()}, {"two": FixedSplit(**parts)})
