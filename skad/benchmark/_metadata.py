"""Hand to a detector what it takes of the labels, groups and masks of a data set."""

from inspect import signature

from sklearn import config_context
from sklearn.utils.metadata_routing import get_routing_for_object

from skad._orientation import is_pyod, unwrap


def call_with(detector, method, X, params):
    """Call a method with those of `params` that the detector takes.

    A pipeline takes what its steps request, by scikit-learn's metadata routing.
    """
    call = getattr(detector, method)
    if not hasattr(detector, "steps"):
        return call(X, **_named(call, _without_y(detector, params)))
    params = _without_y(detector, params)
    with config_context(enable_metadata_routing=True):
        routed = get_routing_for_object(detector).consumes(method, params.keys())
        y = {"y": params["y"]} if method == "fit" and "y" in params else {}
        return call(X, **y, **{name: params[name] for name in routed})


def _named(call, params):
    taken = signature(call).parameters
    return {name: value for name, value in params.items() if name in taken}


def _without_y(detector, params):
    """PyOD's detectors warn of labels, and count what they take for classes."""
    if not is_pyod(unwrap(detector)):
        return params
    return {name: value for name, value in params.items() if name != "y"}
