"""One run of the benchmark: a detector, a data set, a seed."""

import contextlib
import os
import sys
import threading
import warnings
from time import perf_counter

import cloudpickle
import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skad._orientation import orientation
from skad.benchmark._curves import course, positions
from skad.benchmark._metadata import fit, normality
from skad.metrics import (
    average_precision_score,
    per_region_overlap_score,
    roc_auc_score,
    vus_pr_score,
)

WARM_UP_ROWS = 100

# What was warmed up in this process, which may be one of several.
_WARM = set()


def check_detector(name, detector, pickled):
    """Refuse what has no scores, or cannot be sent away; raise a TypeError by name."""
    if isinstance(detector, type):
        raise TypeError(f"detector {name!r} is a class; expected an instance of it.")
    last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
    if not (hasattr(last, "score_samples") or hasattr(last, "decision_function")):
        hint = " without novelty=True" if hasattr(last, "novelty") else ""
        raise TypeError(
            f"detector {name!r}: {type(last).__name__}{hint} has neither score_samples "
            "nor decision_function."
        )
    try:
        orientation(detector)
        if pickled:
            cloudpickle.dumps(detector)
    except Exception as error:  # what a pickle raises is up to what is pickled
        raise TypeError(f"detector {name!r}: {error}") from error


def set_nested(detector, parameter, value):
    """Set a parameter wherever the detector or a part of it has it."""
    names = [
        name
        for name in detector.get_params(deep=True)
        if name.rpartition("__")[2] == parameter
    ]
    return detector.set_params(**dict.fromkeys(names, value))


def run(detector, problem, seed, max_samples, *, warm_key, home):
    """Fit and score; return the measured values, or the error as a value.

    `home` is the process whose standard output is the caller's own affair.
    """
    away = contextlib.redirect_stdout(sys.stderr)
    with away if os.getpid() != home else contextlib.nullcontext():
        parts = problem.split(seed, max_samples)
        if warm_key not in _WARM and _warm_up(detector, parts):
            _WARM.add(warm_key)
        detector = set_nested(clone(detector), "random_state", seed)
        with _caught_warnings("default") as caught:
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
    """Let the detector import and compile what it needs, outside the measured time.

    Returns whether it got through: a few rows can be too few for it.
    """
    detector = clone(detector)
    for name in ("max_epochs", "backbone_epochs"):
        set_nested(detector, name, 1)
    with contextlib.suppress(Exception), _caught_warnings("ignore"):
        fit(detector, *_first_rows(parts.X_train, parts.fit_params))
        normality(detector, *_first_rows(parts.X_test, parts.score_params))
        return True
    return False


def _first_rows(X, params):
    rows = np.arange(min(WARM_UP_ROWS, _num_samples(X)))
    params = {name: _safe_indexing(value, rows) for name, value in params.items()}
    return _safe_indexing(X, rows), params


def _caught_warnings(action):
    """Python's filters are the process's: in a thread they are left alone."""
    if threading.current_thread() is not threading.main_thread():
        return contextlib.nullcontext([])
    return _own_filters(action)


@contextlib.contextmanager
def _own_filters(action):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        yield caught


def _measure(detector, parts):
    start = perf_counter()
    fit(detector, parts.X_train, parts.fit_params)
    fitted = perf_counter()
    scores = normality(detector, parts.X_test, parts.score_params)
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
