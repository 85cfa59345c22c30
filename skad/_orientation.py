"""What ranks rows, and whether its high scores are normal or abnormal."""

import sys

from sklearn.pipeline import Pipeline

RANKING_METHODS = ("decision_function", "score_samples")


def orientation(estimator):
    """Return 1 where high scores are normal (scikit-learn), -1 for PyOD's detectors.

    A classifier has a ``decision_function`` as well, in which high stands for
    the greater label: it raises a TypeError.
    """
    estimator = unwrap(estimator)
    if is_pyod(estimator):
        return -1
    has_tags = hasattr(estimator, "__sklearn_tags__")
    kind = estimator.__sklearn_tags__().estimator_type if has_tags else None
    if kind in ("classifier", "regressor"):
        raise TypeError(
            f"{type(estimator).__name__} is a {kind}; expected an outlier detector, "
            "or a density estimator with score_samples."
        )
    return 1


def ranking_method(estimator):
    """Return the name of the method that ranks rows; raise a TypeError if none does."""
    for method in RANKING_METHODS:
        if hasattr(estimator, method):
            return method
    raise TypeError(
        f"{type(estimator).__name__} has neither of {RANKING_METHODS} to rank samples "
        "with."
    )


def is_pyod(estimator):
    """Tell whether an object is a PyOD detector, without importing PyOD."""
    # An instance of its base class cannot exist before that module was imported.
    base = sys.modules.get("pyod.models.base")
    return base is not None and isinstance(estimator, base.BaseDetector)


def unwrap(estimator):
    """Return the estimator whose scores a pipeline or a search passes on."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif type(estimator).__name__ == "FrozenEstimator":
            estimator = estimator.estimator
        else:
            return estimator
