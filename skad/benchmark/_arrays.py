"""What the files of a data set hold, by name, as a data set for a kind of data."""

import numpy as np

from skad.benchmark._problem import FixedSplit
from skad.datasets._npz import check_labelled
from skad.metrics import estimate_buffer

# Rows in the order of time, and the columns of them that are not readings.
_ORDERED = {"series": 0, "fleets": 1, "videos": None}

# Frames around an event that count in part.
_VIDEO_BUFFER = 10

# Dimensions of the arrays, and the names that columns must have.
_DIMENSIONS = {
    **dict.fromkeys(("tables", "payments", "series", "fleets", "networks"), (2,)),
    **dict.fromkeys(("images", "surfaces", "zero-shot", "videos"), (3, 4)),
}
NEEDED_COLUMNS = {
    "payments": ("customer", "terminal", "time"),
    "networks": ("cell", "time", "x", "y"),
}

_NEEDED = ("X_train", "X_test", "y_test")
_FIT = {"y_train": "y", "groups_train": "groups", "masks_train": "masks"}
_OTHERS = {*_FIT, "groups_test", "masks_test", "buffer", "columns"}


def as_dataset(arrays, kind):
    """Return (X, y), which is split at random, or both parts as a FixedSplit.

    Names are those of FixedSplit's parameters; `columns` names the columns of arrays.
    """
    if kind in _ORDERED or kind in NEEDED_COLUMNS or "X_train" in arrays:
        return _fixed_split(arrays, kind)
    if missing := sorted({"X", "y"} - arrays.keys()):
        raise ValueError(
            f"has no {missing}; expected X and y, or {', '.join(_NEEDED)}; found "
            f"{sorted(arrays)}."
        )
    if kind == "tables":
        return check_labelled(arrays["X"], arrays["y"])
    return _checked("X", arrays["X"], kind), arrays["y"]


def _fixed_split(arrays, kind):
    named = kind in NEEDED_COLUMNS and not hasattr(arrays.get("X_train"), "columns")
    needed = {*_NEEDED, *(["columns"] if named else [])}
    _check_names(arrays, needed, kind)
    X_train, X_test = (
        _named(_checked(name, arrays[name], kind), arrays.get("columns"), kind)
        for name in ("X_train", "X_test")
    )
    groups = arrays.get("groups_test")
    if groups is None and kind == "fleets":
        groups = X_test[:, 0]
    return FixedSplit(
        X_train,
        X_test,
        arrays["y_test"],
        fit_params={_FIT[key]: arrays[key] for key in _FIT if key in arrays},
        score_params={} if groups is None else {"groups": groups},
        masks=arrays.get("masks_test"),
        buffer=_buffer(arrays, kind),
    )


def _check_names(arrays, needed, kind):
    if needed - arrays.keys() or arrays.keys() - needed - _OTHERS:
        raise ValueError(
            f"has {sorted(arrays)}; {kind} need {sorted(needed)} and may have "
            f"{sorted(_OTHERS - needed)}."
        )


def _checked(name, X, kind):
    if hasattr(X, "columns"):
        return X
    if X.ndim not in _DIMENSIONS[kind] or X.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has shape {X.shape} and dtype {X.dtype}; {kind} are real numbers "
            f"in {' or '.join(map(str, _DIMENSIONS[kind]))} dimensions."
        )
    return X


def _named(X, columns, kind):
    if columns is None:
        return X
    import pandas as pd

    names = [str(name) for name in columns]
    if X.ndim != 2 or len(names) != X.shape[1]:
        raise ValueError(f"columns has {len(names)} names for X of shape {X.shape}.")
    if missing := sorted(set(NEEDED_COLUMNS.get(kind, ())) - set(names)):
        raise ValueError(
            f"columns has no {missing}, which {kind} need; it has {names}."
        )
    return pd.DataFrame(X, columns=names)


def _buffer(arrays, kind):
    if "buffer" in arrays:
        buffer = arrays["buffer"]
        if buffer.shape or buffer.dtype.kind not in "iu":
            raise ValueError(f"buffer={buffer} must be one integer.")
        return int(buffer)
    if kind not in _ORDERED:
        return None
    if kind == "videos":
        return _VIDEO_BUFFER
    X = arrays["X_test"]
    if kind == "fleets":  # the rows of systems may take turns
        X = X[X[:, 0] == X[0, 0]]
    return estimate_buffer(np.nan_to_num(X[:, _ORDERED[kind] :]))
