"""A file of a user's folder as a data set, for each kind of data."""

import numpy as np

from skad.benchmark._problem import FixedSplit
from skad.datasets import load_npz
from skad.datasets._npz import read_arrays
from skad.metrics import estimate_buffer

# Rows in the order of time, and the columns of them that are not readings.
_ORDERED = {"series": 0, "fleets": 1, "videos": None}

# Frames around an event that count in part.
_VIDEO_BUFFER = 10

_NEEDED = ("X_train", "X_test", "y_test")
_FIT = {"y_train": "y", "groups_train": "groups", "masks_train": "masks"}
_OTHERS = {*_FIT, "groups_test", "masks_test", "buffer", "columns"}


def read_npz(path, kind):
    """Read (X, y), which is split at random, or both parts of a FixedSplit.

    All of the file is read, and nothing unpickled. Names are those of FixedSplit's
    parameters; `columns` names the columns.
    """
    if kind in ("payments", "networks"):
        return _fixed_split(path, kind, needed={*_NEEDED, "columns"})
    if kind in _ORDERED:
        return _fixed_split(path, kind, needed=set(_NEEDED))
    arrays = read_arrays(path)
    if "X_train" in arrays:
        return _fixed_split(path, kind, needed=set(_NEEDED))
    if kind == "tables":
        return load_npz(path)
    if missing := sorted({"X", "y"} - arrays.keys()):
        raise ValueError(
            f"{path}: has no {missing}; expected X and y, or X_train, X_test and "
            f"y_test; found {sorted(arrays)}."
        )
    return arrays["X"], arrays["y"]


def _fixed_split(path, kind, needed):
    arrays = read_arrays(path)
    missing, unknown = needed - arrays.keys(), arrays.keys() - _OTHERS - {*_NEEDED}
    if missing or unknown:
        raise ValueError(
            f"{path}: has {sorted(arrays)}; {kind} need {sorted(needed)} and may have "
            f"{sorted(_OTHERS - needed)}."
        )
    try:
        X_train, X_test = (
            _named(arrays[name], arrays.get("columns"))
            for name in ("X_train", "X_test")
        )
        buffer = _buffer(arrays, kind)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    groups = arrays.get("groups_test")
    return FixedSplit(
        X_train,
        X_test,
        arrays["y_test"],
        fit_params={_FIT[key]: arrays[key] for key in _FIT if key in arrays},
        score_params={} if groups is None else {"groups": groups},
        masks=arrays.get("masks_test"),
        buffer=buffer,
    )


def _named(X, columns):
    if columns is None:
        return X
    import pandas as pd

    if X.ndim != 2 or len(columns) != X.shape[1]:
        raise ValueError(f"columns has {len(columns)} names for X of shape {X.shape}.")
    return pd.DataFrame(X, columns=[str(name) for name in columns])


def _buffer(arrays, kind):
    if "buffer" in arrays:
        return int(arrays["buffer"])
    if kind not in _ORDERED:
        return None
    if kind == "videos":
        return _VIDEO_BUFFER
    X = arrays["X_test"]
    if X.ndim != 2:
        raise ValueError(f"X_test has {X.ndim} dimensions; expected 2.")
    readings = X[:, _ORDERED[kind] :]
    return estimate_buffer(np.nan_to_num(readings))
