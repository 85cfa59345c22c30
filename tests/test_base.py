"""BaseDetector by itself: what every detector gets without doing anything."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import IsolationForest
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn_checks import in_full, missing_checks

from skad._base import BaseDetector

X = np.random.default_rng(0).normal(size=(200, 3))


class Distance(BaseDetector):
    """The least that a detector can be: minus the distance to the mean."""

    n_scored = 0

    def __init__(self, contamination=0.1):
        self.contamination = contamination

    def _fit(self, X):
        self.mean_ = X.mean(axis=0)

    def _score_samples(self, X):
        type(self).n_scored += len(X)
        return -np.linalg.norm(X - self.mean_, axis=1)


class Nested(Distance):
    """A detector that is given an estimator."""

    _parameter_constraints: dict = {
        **BaseDetector._parameter_constraints,
        "estimator": [HasMethods("fit")],
    }

    def __init__(self, estimator, contamination=0.1):
        self.estimator = estimator
        self.contamination = contamination

    def _fit(self, X):
        super()._fit(X)
        self.estimator.fit(X)


class NotFinite(Distance):
    def _score_samples(self, X):
        return np.where(X[:, 0] > 0, np.nan, 1)


@parametrize_with_checks([Distance()])
def test_two_hooks_pass_every_check_of_sklearn(estimator, check):
    in_full(check, estimator)


def test_no_check_is_missing():
    assert missing_checks(Distance()) == []


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.25, 0.5])
def test_contamination_is_the_share_of_flagged_training_rows(contamination):
    detector = Distance(contamination).fit(X)
    assert np.mean(detector.predict(X) == -1) == contamination
    assert detector.offset_ == np.quantile(detector.score_samples(X), contamination)


def test_fit_predict_scores_once_and_keeps_no_scores():
    detector = Distance()
    Distance.n_scored = 0
    labels = detector.fit_predict(X)
    assert Distance.n_scored == len(X)
    assert_array_equal(labels, detector.predict(X))
    assert set(vars(detector)) == {
        "contamination",
        "mean_",
        "n_features_in_",
        "offset_",
    }


def test_labels_are_integers_and_scores_float64():
    detector = Distance().fit(X.astype(np.float32))
    assert detector.score_samples(X.astype(np.float32)).dtype == np.float64
    assert detector.predict(X).dtype.kind == "i"


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_scores_that_are_not_finite_are_an_error(method):
    with pytest.raises(FloatingPointError, match=r"NotFinite computed \d+ non-finite"):
        getattr(NotFinite(), method)(X)


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_parameters_of_a_nested_estimator_are_validated(method):
    with pytest.raises(ValueError, match="'n_estimators' parameter of IsolationForest"):
        getattr(Nested(IsolationForest(n_estimators=-1)), method)(X)


def test_one_row_is_too_few_to_fit_and_enough_to_score():
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        Distance().fit(X[:1])
    assert Distance().fit(X).score_samples(X[:1]).shape == (1,)
