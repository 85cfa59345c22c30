"""stability and consensus: detectors that agree with themselves, or with others."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import rankdata, spearmanr
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import LocalOutlierFactor

from skad.model_selection import consensus, stability

rng = np.random.default_rng(0)
X = np.vstack([rng.normal(size=(95, 2)), rng.uniform(-6, 6, size=(5, 2))])


class Remembering(OutlierMixin, BaseEstimator):
    """Scores rows by their distance to the first that it learnt from."""

    fitted = []

    def __init__(self, power=1.0):
        self.power = power

    def fit(self, X, y=None):
        Remembering.fitted.append(X)
        self.first_ = X[0]
        return self

    def decision_function(self, X):
        distance = np.linalg.norm(X - self.first_, axis=1)
        return np.sign(self.power) * -(distance ** abs(self.power))


class Fixed(OutlierMixin, BaseEstimator):
    """Gives the same scores whatever it learns from."""

    def __init__(self, scores):
        self.scores = scores

    def fit(self, X, y=None):
        return self

    def decision_function(self, X):
        return np.asarray(self.scores, dtype=float)


def test_stability_is_the_mean_correlation_of_all_pairs_of_refits():
    Remembering.fitted.clear()
    found = stability(Remembering(), X, n_resamples=4)
    halves = list(Remembering.fitted)
    assert [half.shape for half in halves] == [(50, 2)] * 4
    assert all(len(np.unique(half, axis=0)) == 50 for half in halves)
    scores = [Remembering().fit(half).decision_function(X) for half in halves]
    pairs = [
        spearmanr(scores[i], scores[j])[0] for i in range(4) for j in range(i + 1, 4)
    ]
    assert found == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("power", [0.3, 4.0])
def test_only_the_order_of_scores_counts(power):
    assert_allclose(stability(Remembering(power), X), stability(Remembering(), X))
    others = [IsolationForest(n_estimators=3)]
    fitted = [Remembering(p).fit(X) for p in (1.0, power)]
    assert_allclose(*(consensus(d, X, detectors=others) for d in fitted))
    powers = [[Remembering(p), Remembering(2 * p)] for p in (1.0, power)]
    assert_allclose(*(consensus(fitted[0], X, detectors=d) for d in powers))


def test_what_never_changes_is_stable_and_equal_scores_are_not():
    assert stability(Fixed(X[:, 0]), X) == pytest.approx(1)
    assert stability(Fixed(np.zeros(100)), X) == 0
    assert consensus(Fixed(np.zeros(100)), X, detectors=[Fixed(X[:, 0])]) == 0
    assert consensus(Fixed(X[:, 0]), X, detectors=[Fixed(np.zeros(100))]) == 0


def test_consensus_is_the_correlation_with_the_mean_of_ranks():
    others = [Fixed(np.round(X[:, 0])), Fixed(np.exp(X[:, 1])), Fixed(X.sum(axis=1))]
    mean = np.mean([rankdata(other.scores) / 100 for other in others], axis=0)
    estimator = Fixed(X[:, 0] ** 2)
    found = consensus(estimator, X, detectors=others)
    # Those of rounded scores count as much as the others; their ranks vary less.
    assert found == pytest.approx(spearmanr(estimator.scores, mean)[0], abs=0.02)
    assert consensus(Fixed(mean), X, detectors=others) == pytest.approx(1, abs=0.01)


def test_the_density_agrees_with_the_usual_detectors():
    scores = -np.sum(X**2, axis=1)
    good, bad = consensus(Fixed(scores), X), consensus(Fixed(-scores), X)
    assert good > 0.9
    assert bad == pytest.approx(-good)


def test_units_of_columns_do_not_count_for_the_usual_detectors():
    detector = Fixed(-np.sum(X**2, axis=1))
    assert consensus(detector, X * [1, 1000]) == pytest.approx(consensus(detector, X))


def test_the_larger_half_learns():
    Remembering.fitted.clear()
    stability(Remembering(), X[:5], n_resamples=2)
    assert [len(half) for half in Remembering.fitted] == [3, 3]


def test_frozen_detectors_are_not_fitted_again():
    fitted = [Remembering().fit(X[::-1]), LocalOutlierFactor(novelty=True).fit(X)]
    Remembering.fitted.clear()
    frozen = [FrozenEstimator(detector) for detector in fitted]
    found = consensus(fitted[1], X, detectors=frozen)
    assert Remembering.fitted == []
    others = [Fixed(detector.decision_function(X)) for detector in fitted]
    assert found == consensus(fitted[1], X, detectors=others)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="n_resamples"):
        stability(Remembering(), X, n_resamples=1)
    with pytest.raises(TypeError, match="n_resamples"):
        stability(Remembering(), X, n_resamples=2.5)
    with pytest.raises(ValueError, match="X has 1 rows; expected at least 2"):
        stability(Remembering(), X[:1])
    with pytest.raises(ValueError, match="X has 1 rows; expected at least 2"):
        consensus(Remembering(), X[:1])
    with pytest.raises(ValueError, match="detectors is empty"):
        consensus(Remembering().fit(X), X, detectors=[])
