"""Hand to a detector what it takes of the labels, groups and masks of a data set."""

from inspect import Parameter, signature

import numpy as np
from sklearn import config_context
from sklearn.utils.metadata_routing import get_routing_for_object

from skad._orientation import is_pyod, orientation, unwrap


def fit(detector, X, params):
    """Fit a detector with those of `params` that it takes."""
    return _call(detector, "fit", X, params, fit_taken(detector, params))


def normality(detector, X, params):
    """Score with those of `params` that the detector takes; high is normal."""
    scorer = _scorer(detector)
    taken = score_taken(detector, params)
    scores = _call(scorer, _scoring_method(scorer, params), X, params, taken)
    return orientation(detector) * np.asarray(scores, dtype=np.float64)


def fit_taken(detector, names):
    """Those of the names that a detector is fitted with."""
    # PyOD's detectors warn of labels, and count what they take for classes.
    names = {name for name in names if name != "y" or not is_pyod(_innermost(detector))}
    return _taken(detector, "fit", names) | names & {"y"}


def score_taken(detector, names):
    """Those of the names that a detector scores with."""
    scorer = _scorer(detector)
    return _taken(scorer, _scoring_method(scorer, names), set(names))


def _call(detector, method, X, params, taken):
    given = {name: params[name] for name in taken}
    if not _routes(detector, method):
        return getattr(detector, method)(X, **given)
    with config_context(enable_metadata_routing=True):
        return getattr(detector, method)(X, **given)


def _taken(detector, method, names):
    """By the signature; what hands on anything takes what its parts request."""
    if not _routes(detector, method):
        return names & signature(getattr(detector, method)).parameters.keys()
    with config_context(enable_metadata_routing=True):
        return set(get_routing_for_object(detector).consumes(method, names))


def _routes(detector, method):
    kinds = {
        item.kind for item in signature(getattr(detector, method)).parameters.values()
    }
    return Parameter.VAR_KEYWORD in kinds and hasattr(detector, "get_metadata_routing")


def _scorer(detector):
    """What scores: a search hands on nothing but the rows, its choice does."""
    return getattr(detector, "best_estimator_", detector)


def _scoring_method(detector, params):
    names = ["score_samples", "decision_function"]
    if hasattr(detector, "steps") and params:
        # Of a pipeline's methods, only the second hands on what the detector takes.
        names.reverse()
    return next(name for name in names if hasattr(detector, name))


def _innermost(detector):
    """The detector within pipelines and searches, fitted or not."""
    detector = unwrap(detector)
    while hasattr(detector, "estimator"):
        detector = unwrap(detector.estimator)
    return detector
