"""What scikit-learn ships, as anomaly detection problems."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import scale

from skad.datasets import list_datasets, load_dataset
from skad.metrics import roc_auc_score


@pytest.mark.parametrize("name", list_datasets())
def test_every_dataset_is_ready_for_a_detector(name):
    X, y = load_dataset(name)
    assert X.dtype == np.float64
    assert X.shape[0] == y.shape[0] > 90
    assert np.isfinite(X).all()
    assert np.mean(y == -1) == pytest.approx(0.1, abs=0.01)
    detector = LocalOutlierFactor(30, novelty=True).fit(scale(X))
    assert roc_auc_score(y, detector.score_samples(scale(X))) > 0.75


def test_normal_samples_are_those_of_the_stated_class():
    data = load_dataset("breast_cancer", return_X_y=False)
    radius = data.data[:, list(data.feature_names).index("mean radius")]
    assert np.sum(data.target == 1) == 357
    assert radius[data.target == -1].mean() > radius[data.target == 1].max() * 0.9


@pytest.mark.parametrize("name", list_datasets())
def test_bunch_holds_the_same_and_says_what_it_is(name):
    X, y = load_dataset(name, random_state=3)
    data = load_dataset(name, random_state=3, return_X_y=False)
    assert_array_equal(data.data, X)
    assert_array_equal(data.target, y)
    assert len(data.feature_names) == X.shape[1]
    assert data.DESCR.endswith(".")


def test_seed_and_rate_choose_the_anomalies():
    X, _ = load_dataset("wine")
    assert_array_equal(X, load_dataset("wine", random_state=0)[0])
    other, y = load_dataset("wine", random_state=1, outlier_rate=0.02)
    assert other.shape != X.shape
    assert np.sum(y == -1) == 2
    assert np.sum(load_dataset("wine", outlier_rate=None)[1] == -1) == 59


@pytest.mark.parametrize("name", ["digits", "Wine", None])
def test_unknown_name_raises(name):
    with pytest.raises(ValueError, match=r"is no data set; expected one of \['breast"):
        load_dataset(name)
