"""One run of the benchmark: a detector, a data set, a seed."""

import contextlib
import warnings
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skad._orientation import orientation
from skad.benchmark._curves import course, positions
from skad.benchmark._metadata import call_with
from skad.metrics import (
    average_precision_score,
    per_region_overlap_score,
    roc_auc_score,
    vus_pr_score,
)

WARM_UP_ROWS = 100

# What was warmed up in this process, which may be one of several.
_WARM = set()


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


def run(detector, problem, seed, max_samples, warm_key):
    """Fit and score; return the measured values, or the error as a value."""
    parts = problem.split(seed, max_samples)
    if warm_key not in _WARM:
        _warm_up(detector, parts)
        _WARM.add(warm_key)
    detector = set_nested(clone(detector), "random_state", seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            outcome = _measure(detector, parts)
        except Exception as error:  # a failure is a result: recorded and shown
            outcome = {"status": "failed", "error": _first_line(error)}
    messages = {_first_line(warning.message) for warning in caught}
    return {
        **outcome,
        "n_train": _num_samples(parts.X_train),
        "n_test": _num_samples(parts.X_test),
        "warnings": sorted(messages),
    }


def _warm_up(detector, parts):
    """Let the detector import and compile what it needs, outside the measured time."""
    detector = clone(detector)
    for name in ("max_epochs", "backbone_epochs"):
        set_nested(detector, name, 1)
    rows = np.arange(min(WARM_UP_ROWS, _num_samples(parts.X_train)))
    X = _safe_indexing(parts.X_train, rows)
    params = {
        name: _safe_indexing(value, rows) for name, value in parts.fit_params.items()
    }
    # An error here, on a few rows, says nothing; the run itself reports its own.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call_with(detector, "fit", X, params)
        _normality(detector, X, {})


def _measure(detector, parts):
    start = perf_counter()
    call_with(detector, "fit", parts.X_train, parts.fit_params)
    fitted = perf_counter()
    scores = _normality(detector, parts.X_test, parts.score_params)
    scored = perf_counter()
    _check_scores(scores, len(parts.is_anomaly))
    return {
        "status": "ok",
        **_quality(detector, parts, scores),
        "fit_seconds": fitted - start,
        "score_seconds": scored - fitted,
    }


def _quality(detector, parts, scores):
    """All measures that there are for this kind of data, and the scores to be drawn."""
    labels = parts.is_anomaly
    values = {
        "auroc": roc_auc_score(labels, scores),
        "average_precision": average_precision_score(labels, scores),
    }
    if parts.buffer is None:
        values["positions"] = positions(labels, scores)
    else:
        groups = parts.score_params.get("groups")
        values["vus_pr"] = vus_pr_score(
            labels, scores, buffer=parts.buffer, groups=groups
        )
        values["course"] = course(labels, scores)
    if parts.masks is not None and hasattr(detector, "anomaly_map"):
        maps = detector.anomaly_map(parts.X_test)
        values["aupro"] = per_region_overlap_score(parts.masks, maps)
    return values


def _normality(detector, X, params):
    names = ("score_samples", "decision_function")
    if hasattr(detector, "steps") and params:
        # Of a pipeline's methods, only the second hands over what the detector takes.
        names = names[::-1]
    method = next(name for name in names if hasattr(detector, name))
    scores = call_with(detector, method, X, params)
    return orientation(detector) * np.asarray(scores, dtype=np.float64)


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
