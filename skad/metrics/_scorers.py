"""Scorers for model selection in which the outliers are the positive class."""

from inspect import signature

from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from skad._orientation import (
    RANKING_METHODS,
    orientation,
    ranking_method,
    unwrap,
)
from skad.metrics._range_auc import (
    range_pr_auc_score,
    range_roc_auc_score,
    vus_pr_score,
    vus_roc_score,
)
from skad.metrics._ranking import (
    average_precision_score,
    precision_at_n_score,
    roc_auc_score,
)

_KINDS = {
    "tabular": {
        "average_precision": average_precision_score,
        "precision_at_n": precision_at_n_score,
        "roc_auc": roc_auc_score,
    },
    "series": {
        "range_pr_auc": range_pr_auc_score,
        "range_roc_auc": range_roc_auc_score,
        "vus_pr": vus_pr_score,
        "vus_roc": vus_roc_score,
    },
}
_METRICS = {name: metric for kind in _KINDS.values() for name, metric in kind.items()}
_METADATA = {"sample_weight", "groups"}


class _OutlierScorer(_BaseScorer):
    """A metric of rankings as ``scorer(estimator, X, y)``.

    It is one of scikit-learn's scorers so that several of them in one search
    share a call of the detector, and so that sample weights and groups are routed.
    """

    def __init__(self, name, kwargs):
        super().__init__(_METRICS[name], 1, kwargs, RANKING_METHODS)
        self._name = name

    def __repr__(self):
        kwargs = "".join(f", {k}={v!r}" for k, v in self._kwargs.items())
        return f"outlier_scorer({self._name!r}{kwargs})"

    def _score(self, method_caller, estimator, X, y_true, groups=None, **sample_weight):
        sign, method = orientation(estimator), ranking_method(estimator)
        metadata = dict(sample_weight)
        if groups is not None and "groups" in self._metadata():
            metadata["groups"] = groups
        if groups is not None and _takes_groups(estimator, method):
            # A search's cache knows methods, not what they were called with.
            scores = getattr(estimator, method)(X, groups=groups)
        else:
            scores = method_caller(estimator, method, X, pos_label=None)
        return self._score_func(y_true, sign * scores, **self._kwargs, **metadata)

    def _metadata(self):
        return _METADATA & signature(self._score_func).parameters.keys()

    def _get_metadata_request(self):
        if hasattr(self, "_metadata_request"):
            return super()._get_metadata_request()
        # scikit-learn would take every parameter of the metric for metadata.
        request = MetadataRequest(owner=self)
        for name in sorted(self._metadata()):
            request.score.add_request(param=name, alias=None)
        return request


def outlier_scorer(metric, *, outlier_label=None, **params):
    """Make a scorer of outlier detectors from the name of a metric.

    The scorer has the signature ``scorer(estimator, X, y)`` and goes wherever
    scikit-learn takes `scoring`: ``GridSearchCV``, ``cross_validate``, also as a
    value of a dictionary of scorers. It scores with the ``decision_function`` of
    the estimator, or with ``score_samples`` if there is no such method, and is
    always to be maximised.

    Parameters
    ----------
    metric : {"average_precision", "precision_at_n", "range_pr_auc", "range_roc_auc", \
            "roc_auc", "vus_pr", "vus_roc"}
        The metric. Those of series take the rows in their order.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if the labels are neither {-1, 1}
        (-1 is the outlier) nor {0, 1} nor bool (1 is the outlier).

    **params : dict
        Further parameters of the metric: `n` of ``"precision_at_n"``, `buffer` and
        `n_thresholds` of those of series.

    Returns
    -------
    scorer : callable
        The scorer. It can be pickled, accepts `sample_weight` if the metric does,
        and `groups`.

    See Also
    --------
    get_scorer : A scorer by name, for labels that speak for themselves.

    Notes
    -----
    scikit-learn's own scorers take the greater label as the positive class, which
    is wrong for a detector in one way or the other: with {0, 1} labels
    ``scoring="roc_auc"`` silently returns one minus the area under the curve, and
    a search picks the worst candidate; with {-1, 1} labels
    ``scoring="average_precision"`` measures how normal samples are found.

    The scores of PyOD's detectors have the opposite sign. It is turned for a PyOD
    detector and for a ``Pipeline`` or a search that ends in one. Other
    meta-estimators are taken to follow scikit-learn, as
    :class:`skad.interop.PyODDetector` does. Classifiers and regressors raise a
    TypeError.

    A test fold without outliers, or with nothing else, scores NaN with an
    ``UndefinedMetricWarning``. scikit-learn splits without shuffling and without
    stratification if the estimator is not a classifier: pass
    ``cv=StratifiedKFold(shuffle=True)``. The metrics of series need consecutive
    folds, or whole series by ``GroupKFold``.

    With metadata routing, ``outlier_scorer("vus_pr").set_score_request(groups=True)``
    receives the `groups` of the test fold. They go to the metric if it is one of
    series, and to the ``decision_function`` of the detector if it takes them; in a
    ``Pipeline`` the detector has to request them with
    ``set_decision_function_request(groups=True)``. Several scorers with groups call
    the detector once each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.model_selection import StratifiedKFold, cross_val_score
    >>> from skad.metrics import outlier_scorer
    >>> X = np.r_[np.random.default_rng(0).normal(size=(95, 2)), np.full((5, 2), 9.0)]
    >>> y = np.repeat(["ok", "fraud"], [95, 5])
    >>> scorer = outlier_scorer("roc_auc", outlier_label="fraud")
    >>> scorer
    outlier_scorer('roc_auc', outlier_label='fraud')
    >>> cross_val_score(
    ...     IsolationForest(random_state=0), X, y, scoring=scorer,
    ...     cv=StratifiedKFold(shuffle=True, random_state=0),
    ... )
    array([1., 1., 1., 1., 1.])
    """
    _check_metric(metric)
    parameters = signature(_METRICS[metric]).parameters.keys()
    allowed = parameters - {"y_true", "scores", *_METADATA}
    if unknown := params.keys() - allowed:
        raise TypeError(
            f"{metric!r} has no parameter {sorted(unknown)}; it has {sorted(allowed)}."
        )
    if outlier_label is not None:
        params = {"outlier_label": outlier_label, **params}
    return _OutlierScorer(metric, params)


def get_scorer(scoring):
    """Get a scorer of outlier detectors by its name.

    Parameters
    ----------
    scoring : {"average_precision", "precision_at_n", "range_pr_auc", \
            "range_roc_auc", "roc_auc", "vus_pr", "vus_roc"} or callable
        Name of the scorer. A callable is returned as it is.

    Returns
    -------
    scorer : callable
        The scorer, a new one with every call.

    See Also
    --------
    get_scorer_names : The names.
    outlier_scorer : Scorers for other labels than {-1, 1}, {0, 1} and bool.

    Notes
    -----
    scikit-learn looks up the names that are passed as `scoring` in a dictionary
    of its own, to which nothing can be added: pass the scorer itself. The names
    are scikit-learn's where the metric is, but its scorers are others: in these,
    outliers are the positive class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.covariance import EllipticEnvelope
    >>> from skad.metrics import get_scorer
    >>> X = np.r_[np.random.default_rng(0).normal(size=(95, 2)), np.full((5, 2), 9.0)]
    >>> y = np.repeat([0, 1], [95, 5])
    >>> detector = EllipticEnvelope(random_state=0).fit(X)
    >>> get_scorer("average_precision")(detector, X, y)
    1.0
    """
    if callable(scoring):
        return scoring
    _check_metric(scoring)
    return _OutlierScorer(scoring, {})


def get_scorer_names(kind="tabular"):
    """Get the names that `get_scorer` knows.

    Parameters
    ----------
    kind : {"tabular", "series"}, default="tabular"
        Names of the metrics that look at rows one by one, or of those that take rows
        in the order of time.

    Returns
    -------
    names : list of str
        The names, sorted.

    Examples
    --------
    >>> from skad.metrics import get_scorer_names
    >>> get_scorer_names()
    ['average_precision', 'precision_at_n', 'roc_auc']
    >>> get_scorer_names("series")
    ['range_pr_auc', 'range_roc_auc', 'vus_pr', 'vus_roc']
    """
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is unknown; expected one of {sorted(_KINDS)}.")
    return sorted(_KINDS[kind])


def _check_metric(name):
    if not isinstance(name, str) or name not in _METRICS:
        raise ValueError(
            f"{name!r} is not the name of a metric; expected one of {sorted(_METRICS)}."
        )


def _takes_groups(estimator, method):
    # scikit-learn routes nothing to score_samples.
    if method != "decision_function":
        return False
    if get_routing_for_object(estimator).consumes(method, ["groups"]):
        return True
    # Neither requested nor refused: a pipeline then says what to do about it, and
    # the detector itself can only mean these.
    request = getattr(get_routing_for_object(unwrap(estimator)), method, None)
    return request is not None and request.requests.get("groups", False) is None
