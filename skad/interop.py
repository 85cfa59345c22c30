"""Detectors of PyOD in scikit-learn, detectors of scikit-learn in PyOD."""

import copy
import warnings
from inspect import signature
from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_scalar

from skad._base import BaseDetector
from skad._orientation import is_pyod, orientation
from skad._seeding import seed_nested

__all__ = ["PyODDetector", "to_pyod"]

PYOD_CONTAMINATION = 0.1  # the default of all of PyOD's detectors


class PyODDetector(BaseDetector):
    """Detector of PyOD behind scikit-learn's interface.

    Scores are turned once, from PyOD's sign (high is abnormal) to scikit-learn's
    (high is normal), labels from {0, 1} to {1, -1}; data are validated, column
    names remembered.

    Parameters
    ----------
    detector : object
        The PyOD detector. It stays as it is: `fit` fits a clone.

    contamination : float, default=0.1
        Proportion of anomalies in the training data, in (0, 0.5]. It sets the
        threshold, and replaces the contamination of `detector`.

    rowwise : bool, default=False
        Whether to score rows one by one, for a detector that otherwise scores a row
        differently in different company; see Notes.

    random_state : int, RandomState instance or None, default=None
        Seeds `detector` and whatever is nested in it. If None, their own
        `random_state` stays.

    Attributes
    ----------
    detector_ : object
        The fitted PyOD detector, with PyOD's own threshold and training labels.

    offset_ : float
        Threshold on the scores: ``decision_function`` is ``score_samples`` minus
        `offset_`.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if all of them are strings.

    See Also
    --------
    to_pyod : The way back.

    Notes
    -----
    Some of PyOD's detectors score a row in the light of the rows that it is scored
    with. ECOD and COPOD rank each batch together with the training data; CD, COF,
    LMDD, LOCI, RGraph, ROD, SOD and SOS compare the rows of the batch with one
    another, those for time series with their neighbours in time. The score of a row
    then changes with its company, and the chunks of a table do not get the scores
    of the whole. For ECOD and COPOD, ``rowwise=True`` is the cure: every row is
    ranked alone among the training data, at the cost of one call per row. The
    others have no meaningful score for a row alone, and most of them raise an error
    if they are asked for one. Detectors that score rows independently, such as
    IForest, KNN or PCA, need none of this.

    The threshold is set on the scores that the fitted detector gives to the
    training data, as everywhere in scikit-learn, not on its
    ``decision_scores_``. The two differ for detectors that leave a training row
    out of its own neighbourhood, such as KNN. IForest's scores are relative to
    PyOD's threshold, so that `contamination` shifts all of them.

    Detectors that learn from labels (XGBOD, DevNet) are not supported. PyOD's deep
    detectors reseed the global generators of NumPy and PyTorch when they are
    constructed, hence also when they are cloned.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod.models.knn import KNN
    >>> from skad.interop import PyODDetector
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> detector = PyODDetector(KNN(n_neighbors=10), contamination=0.05).fit(X)
    >>> detector.predict([[0, 0], [6, 6]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseDetector._parameter_constraints,
        "detector": [HasMethods(["fit", "decision_function"])],
        "rowwise": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self, detector, *, contamination=0.1, rowwise=False, random_state=None
    ):
        self.detector = detector
        self.contamination = contamination
        self.rowwise = rowwise
        self.random_state = random_state

    def _fit(self, X):
        _check_is_pyod(self.detector)
        self._warn_if_contamination_differs()
        detector = clone(self.detector)
        detector.set_params(contamination=self.contamination)
        if self.random_state is not None:
            seed_nested(detector, check_random_state(self.random_state))
        self.detector_ = detector.fit(X)

    def _score_samples(self, X):
        # Some detectors keep the batch that they score: on a copy, scoring neither
        # changes what was fitted nor disturbs another thread.
        detector = copy.copy(self.detector_)
        if not self.rowwise:
            return -detector.decision_function(X)
        scores = [detector.decision_function(row[np.newaxis])[0] for row in X]
        if np.ptp(scores) == 0 and np.ptp(detector.decision_function(X)) > 0:
            raise ValueError(
                f"rowwise=True does not suit {type(detector).__name__}, which gives "
                "every row the same score if it is scored alone; expected False."
            )
        return np.negative(scores)

    def _warn_if_contamination_differs(self):
        given = self.detector.contamination
        if given != self.contamination and given != PYOD_CONTAMINATION:
            warnings.warn(
                f"contamination={given!r} of {type(self.detector).__name__} is "
                f"replaced by contamination={self.contamination!r} of PyODDetector.",
                UserWarning,
                stacklevel=2,
            )


def to_pyod(estimator, *, contamination=None):
    """Turn an outlier detector of scikit-learn into one of PyOD.

    The result is a ``pyod.models.base.BaseDetector``: it has ``fit``,
    ``decision_function`` (high is abnormal), ``predict`` (1 for anomalies),
    ``predict_proba``, ``predict_confidence``, ``decision_scores_``, ``threshold_``
    and ``labels_``, and goes wherever PyOD takes a detector. It can be cloned and
    pickled, and its parameters are reached as ``estimator__<parameter>``.

    Parameters
    ----------
    estimator : object
        An outlier detector that follows scikit-learn, or a ``Pipeline`` that ends
        in one. It stays as it is: ``fit`` fits a clone.

    contamination : float, default=None
        Proportion of the training rows that get the label 1, in (0, 0.5]. If None,
        the contamination of `estimator` if it is a number, otherwise PyOD's
        default, 0.1.

    Returns
    -------
    detector : object
        The unfitted PyOD detector.

    See Also
    --------
    PyODDetector : The way back.

    Notes
    -----
    ``decision_scores_`` are the scores that the fitted detector gives to the
    training data.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skad.interop import to_pyod
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> detector = to_pyod(IsolationForest(random_state=0), contamination=0.05).fit(X)
    >>> detector.predict(np.array([[0, 0], [6, 6]]))
    array([0, 1])
    >>> int(detector.labels_.sum())
    5
    """
    try:
        from skad._pyod import ScikitLearnDetector
    except ImportError as error:
        raise ImportError(
            'to_pyod needs PyOD, which is not installed: pip install "skad[pyod]"'
        ) from error
    _check_is_sklearn_detector(estimator)
    if contamination is None:
        contamination = getattr(estimator, "contamination", None)
        if not isinstance(contamination, Real):
            contamination = PYOD_CONTAMINATION
    check_scalar(
        contamination,
        "contamination",
        Real,
        min_val=0,
        max_val=0.5,
        include_boundaries="right",
    )
    return ScikitLearnDetector(estimator, contamination=contamination)


def _check_is_pyod(detector):
    if not is_pyod(detector):
        raise TypeError(
            f"detector is {detector!r}; expected a PyOD detector, whose scores have "
            "the opposite sign. Others need no PyODDetector."
        )
    y = signature(detector.fit).parameters.get("y")
    if y is not None and y.default is y.empty:
        raise TypeError(
            f"detector is {detector!r}, which learns from labels; expected an "
            "unsupervised PyOD detector."
        )


def _check_is_sklearn_detector(estimator):
    if isinstance(estimator, type):
        raise TypeError(f"estimator is the class {estimator!r}; expected an instance.")
    if orientation(estimator) != 1:
        raise TypeError(
            f"estimator is {estimator!r}, which is a PyOD detector already."
        )
    if not any(hasattr(estimator, m) for m in ("score_samples", "decision_function")):
        raise TypeError(
            f"estimator is {estimator!r}, which has neither score_samples nor "
            "decision_function (LocalOutlierFactor has them with novelty=True)."
        )
