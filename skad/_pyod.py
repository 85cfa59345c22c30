"""The class behind `skad.interop.to_pyod`; the only module that imports PyOD."""

import numpy as np
from pyod.models.base import BaseDetector
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted


class ScikitLearnDetector(BaseDetector):
    """A scikit-learn outlier detector as one of PyOD's.

    Parameters
    ----------
    estimator : object
        The detector, which stays as it is; `fit` fits a clone.

    contamination : float, default=0.1
        Proportion of the training rows that get the label 1.
    """

    def __init__(self, estimator, contamination=0.1):
        super().__init__(contamination=contamination)
        self.estimator = estimator

    def fit(self, X, y=None):
        """Fit a clone of the detector, and the threshold; labels are ignored."""
        self._set_n_classes(y)
        self.estimator_ = clone(self.estimator).fit(X)
        self.decision_scores_ = self._abnormality(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X):
        """Score rows; the higher, the more abnormal."""
        check_is_fitted(self, ["decision_scores_", "threshold_", "labels_"])
        return self._abnormality(X)

    def _abnormality(self, X):
        if hasattr(self.estimator_, "score_samples"):
            return -np.asarray(self.estimator_.score_samples(X), dtype=np.float64)
        return -np.asarray(self.estimator_.decision_function(X), dtype=np.float64)
