"""Finished runs, kept in a file from which an interrupted benchmark goes on."""

import hashlib
import json
from functools import cache
from importlib import metadata
from pathlib import Path

import joblib
import numpy as np

import skad

# Raise it when a run's numbers change their meaning: older rows are then ignored.
PROTOCOL_VERSION = 2

# Parts of skad which cannot change a score.
_NOT_SCORING = {
    "_cli",
    "benchmark",
    "datasets",
    "inspection",
    "metrics",
    "model_selection",
}

_PACKAGES = ("skad", "scikit-learn", "numpy", "scipy", "numba", "torch", "pyod")


class Store:
    """Finished runs by key; one JSON object a line, the last of a key counts.

    Parameters
    ----------
    path : path-like, default=None
        The file, made when the first run is added; None keeps nothing.
    """

    def __init__(self, path=None):
        self.path = None if path is None else Path(path)
        self._records = {}
        if self.path is not None and self.path.exists():
            self._read()

    def get(self, key):
        """The finished run with this key, or None; a failed one is tried again."""
        record = self._records.get(key)
        return record if record and record["status"] == "ok" else None

    def add(self, record):
        """Keep a run, in the file before this returns."""
        self._records[record["key"]] = record
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def _read(self):
        text = self.path.read_text(encoding="utf-8")
        for line in text.splitlines():
            # A line cut off while it was written is a run that is made again.
            try:
                record = json.loads(line)
                self._records[record["key"]] = record
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        if text and not text.endswith("\n"):
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n")


def run_key(detector, problem, seed, max_samples):
    """A hash of all that a run's numbers depend on."""
    parts = {
        "protocol": [PROTOCOL_VERSION, max_samples],
        "data": problem.fingerprint,
        "detector": describe(detector),
        "seed": seed,
        "versions": versions(),
        "code": _code_fingerprint(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def describe(value):
    """Class and parameters of an estimator, as plain nested values."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = value.get_params(deep=False)
        cls = type(value)
        return {
            "class": f"{cls.__module__}.{cls.__qualname__}",
            "params": {name: describe(params[name]) for name in sorted(params)},
        }
    if isinstance(value, np.ndarray):
        return f"array {joblib.hash(value)}"
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if hasattr(value, "__qualname__"):  # the address of a function is of no interest
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


@cache
def versions():
    """Versions of the installed packages that scores come from."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


@cache
def _code_fingerprint():
    root = Path(skad.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if relative.parts[0] not in _NOT_SCORING:
            digest.update(relative.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
