"""The base of every detector: validation, threshold and prediction, once."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from skad._doc_link import DocLinkMixin


class BaseDetector(DocLinkMixin, OutlierMixin, BaseEstimator):
    """Base class of all detectors.

    A detector implements two hooks, ``_fit(X)`` and ``_score_samples(X)``, both
    of which receive what ``_validate`` returns; everything else is here. A detector
    for data that is not a plain float matrix also overrides ``_validate``. What such
    data come with, for instance groups, is handed to it as keywords: ``context``.

    Scores follow scikit-learn: float64, the higher the more normal.
    """

    _parameter_constraints: dict = {
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
    }

    def fit(self, X, y=None):
        """Fit the detector and set its threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data, which may contain anomalies.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted detector.
        """
        self._fit_scores(X)
        return self

    def fit_predict(self, X, y=None):
        """Fit the detector and label the training data, which are scored once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data, which may contain anomalies.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal samples, -1 for anomalies; the same as of
            ``fit(X).predict(X)``.
        """
        return self._fit_labels(X)

    def score_samples(self, X):
        """Score samples; the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data to score.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            One score per sample, as float64.
        """
        return self._scores(X)

    def decision_function(self, X):
        """Score samples relative to the threshold; negative means anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data to score.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self._decisions(X)

    def predict(self, X):
        """Label samples as normal or anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data to label.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal samples, -1 for anomalies.
        """
        return self._labels(X)

    # Not skipped: a detector may be given another estimator as a parameter.
    @_fit_context(prefer_skip_nested_validation=False)
    def _fit_scores(self, X, **context):
        """Fit, and return the scores of the training data, which are not kept."""
        X = self._validate(X, reset=True, **context)
        # The last attribute to come back: a fit that is interrupted or fails leaves
        # no detector that looks fitted.
        vars(self).pop("offset_", None)
        self._fit(X)
        scores = self._row_scores(X)
        self.offset_ = self._threshold(scores)
        return scores

    def _threshold(self, scores):
        """Return the score below which rows are anomalies."""
        return float(np.percentile(scores, 100 * self.contamination))

    def _fit_labels(self, X, **context):
        return _signs(self._fit_scores(X, **context) - self.offset_)

    def _scores(self, X, **context):
        check_is_fitted(self)
        return self._row_scores(self._validate(X, reset=False, **context))

    def _decisions(self, X, **context):
        return self.score_samples(X, **context) - self.offset_

    def _labels(self, X, **context):
        return _signs(self.decision_function(X, **context))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "offset_")

    def _validate(self, X, *, reset, **checks):
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            order="C",
            ensure_min_samples=2 if reset else 1,
            **checks,
        )

    def _row_scores(self, X):
        """Score validated data, a score for each row that the caller gave."""
        return self._finite(self._score_samples(X))

    def _finite(self, scores):
        scores = np.asarray(scores, dtype=np.float64)
        if not np.isfinite(scores).all():
            raise FloatingPointError(
                f"{type(self).__name__} computed {np.sum(~np.isfinite(scores))} "
                f"non-finite scores of {scores.size}."
            )
        return scores


def _signs(decision):
    return np.where(decision < 0, -1, 1)
