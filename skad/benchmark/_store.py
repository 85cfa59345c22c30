"""Finished runs, kept in a file from which an interrupted benchmark goes on."""

import contextlib
import hashlib
import inspect
import json
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import cloudpickle
import joblib
import numpy as np

import skad

# Raise it when a run's numbers change their meaning: older rows are then ignored.
PROTOCOL_VERSION = 2

# Parts of skad which cannot change a score: files and folders, by name.
_NOT_SCORING = {
    "_cli",
    "_comparison.py",
    "_figures.py",
    "_plots.py",
    "_rank_plot.py",
    "_ranks.py",
    "_report.py",
    "_score_plots.py",
    "_section.py",
    "_words.py",
    "inspection",
}

# Those that scores come from, and the names by which their modules are imported.
_PACKAGES = {
    "skad": "skad",
    "scikit-learn": "sklearn",
    "numpy": "numpy",
    "scipy": "scipy",
    "numba": "numba",
    "pandas": "pandas",
    "pyod": "pyod",
    "torch": "torch",
}


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
        # What is damaged is a run that is made again, as is what was cut off.
        text = self.path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
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
        "protocol": [PROTOCOL_VERSION, problem.limit(max_samples)],
        "data": problem.fingerprint,
        "detector": describe(detector),
        "seed": seed,
        "versions": versions(),
        "code": _code_fingerprint(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def describe(value):
    """Class, code and parameters of an estimator, as plain nested values."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = value.get_params(deep=False)
        return {
            "class": _named(type(value)),
            "params": {name: describe(params[name]) for name in sorted(params)},
        }
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"array {joblib.hash(value)}"
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return [[repr(name), describe(item)] for name, item in value.items()]
    if _is_importable(value):
        return _named(value)
    if hasattr(value, "state_dict"):  # a net: its pickle tells of memory as well
        weights = {
            name: weight.cpu().float().numpy() if hasattr(weight, "cpu") else weight
            for name, weight in value.state_dict().items()
        }
        return [_named(type(value)), repr(value), describe(weights)]
    return _contents(value)


def _is_importable(value):
    """Whether a function or class is the one that its module has by this name."""
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", ".")
    found = getattr(sys.modules.get(module), name, None)
    return found is value and module != "__main__"


def _named(value):
    """A function or class by its name, and by its code if that has no version."""
    names = [f"{value.__module__}.{value.__qualname__}"]
    if value.__module__.partition(".")[0] not in _PACKAGES.values():
        with contextlib.suppress(TypeError, OSError):  # made where there is no file
            names.append(_hash_of_file(inspect.getsourcefile(value)))
    return names


@cache
def _hash_of_file(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _contents(value):
    """Closures, tables and whatever else: by all that they hold."""
    try:
        contents = cloudpickle.dumps(value)
    except Exception:  # whatever an object raises, it is not found again
        return repr(value)
    return f"{type(value).__qualname__} {hashlib.sha256(contents).hexdigest()}"


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
        if not _NOT_SCORING.intersection(relative.parts):
            digest.update(relative.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
