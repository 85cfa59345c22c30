"""One run of the benchmark: a detector, a data set, a seed."""

import contextlib
import warnings
from time import perf_counter

import numpy as np
from sklearn.base import clone

from skad._orientation import orientation
from skad.metrics import average_precision_score, roc_auc_score

WARM_UP_ROWS = 100


def check_detector(name, detector):
    """Refuse what has no scores; raise a TypeError that names it."""
    last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
    if not (hasattr(last, "score_samples") or hasattr(last, "decision_function")):
        raise TypeError(
            f"detector {name!r}: {type(last).__name__} has neither score_samples "
            "nor decision_function."
        )
    try:
        orientation(detector)
    except TypeError as error:
        raise TypeError(f"detector {name!r}: {error}") from error


def set_nested(detector, parameter, value):
    """Set a parameter wherever the detector or a part of it has it."""
    names = [
        name
        for name in detector.get_params(deep=True)
        if name.rpartition("__")[2] == parameter
    ]
    return detector.set_params(**dict.fromkeys(names, value))


def warm_up(detector, problem):
    """Let the detector compile what it compiles, outside the measured time."""
    rows = np.arange(min(WARM_UP_ROWS, problem.shape[0]))
    X = problem.take(rows)
    # An error here, on a few rows, says nothing; the run itself reports its own.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _normality(clone(detector).fit(X), X)


def run(detector, problem, seed, max_samples):
    """Fit and score; return the measured values, or the error as a value."""
    train, test = problem.split(seed, max_samples)
    detector = set_nested(clone(detector), "random_state", seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            outcome = _measure(detector, problem, train, test)
        except Exception as error:  # a failure is a result: recorded and shown
            outcome = {"status": "failed", "error": _first_line(error)}
    messages = {_first_line(warning.message) for warning in caught}
    return {
        **outcome,
        "n_train": len(train),
        "n_test": len(test),
        "warnings": sorted(messages),
    }


def _measure(detector, problem, train, test):
    X_train, X_test = problem.take(train), problem.take(test)
    start = perf_counter()
    detector.fit(X_train)
    fitted = perf_counter()
    scores = _normality(detector, X_test)
    scored = perf_counter()
    _check_scores(scores, len(test))
    labels = problem.is_anomaly[test]
    return {
        "status": "ok",
        "auroc": roc_auc_score(labels, scores),
        "average_precision": average_precision_score(labels, scores),
        "fit_seconds": fitted - start,
        "score_seconds": scored - fitted,
    }


def _normality(detector, X):
    score = getattr(detector, "score_samples", None) or detector.decision_function
    return orientation(detector) * np.asarray(score(X), dtype=np.float64)


def _check_scores(scores, n_samples):
    if scores.shape != (n_samples,):
        raise ValueError(f"scores of shape {scores.shape} for {n_samples} rows")
    n_bad = int(np.sum(~np.isfinite(scores)))
    if n_bad:
        raise ValueError(f"{n_bad} of {n_samples} scores are not finite")


def _first_line(error):
    text = str(error).strip()
    line = text.splitlines()[0] if text else ""
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
