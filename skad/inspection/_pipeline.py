"""The detector at the end of a pipeline, and the data as it sees them."""

from sklearn.pipeline import Pipeline


def unwrap(estimator, X, method):
    """Return the detector, which must have the method, and the rows it sees."""
    require(estimator, method)
    while isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    return estimator, X


def last_step(estimator):
    """Return the detector itself, or the last step of a pipeline."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator


def require(estimator, *methods):
    """Raise a TypeError if the detector lacks one of the methods."""
    detector = last_step(estimator)
    for method in methods:
        if not hasattr(detector, method):
            raise TypeError(
                f"estimator must have a method {method}; "
                f"{type(detector).__name__} has none."
            )


def feature_names(estimator, n_features):
    """Name the features that the detector sees; x0, x1, ... if nobody did."""
    names = None
    while isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            names = _names_out(estimator[:-1], names)
        estimator = estimator[-1]
    names = getattr(estimator, "feature_names_in_", names)
    return [f"x{i}" for i in range(n_features)] if names is None else list(names)


def _names_out(transformers, names):
    try:
        return transformers.get_feature_names_out(names)
    except AttributeError:  # one of the steps does not name what it returns
        return None
