"""Systems with labelled events: machines, spacecraft, oil wells, a test bed.

A fleet is a table whose first column says which system a row is of, and whose other
columns are sensors; its runs are series of a system, told apart by `groups`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

_N_TRAIN_SKAB = 400
# Wells that are normal for whole files; the others appear with their events only.
WELLS_WITH_NORMAL_FILES = (1, 2, 3)


@dataclass(frozen=True)
class Entity:
    """A system by itself: what to learn from, and what to score."""

    set: str
    name: str
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    covariates: tuple | None = None


@dataclass(frozen=True)
class Part:
    """Rows of a fleet; labels are -1 where the set says nothing."""

    X: np.ndarray
    runs: np.ndarray
    labels: np.ndarray

    def of(self, chosen):
        """Return some of the rows."""
        return Part(self.X[chosen], self.runs[chosen], self.labels[chosen])


def entities(folder, names=("SMD", "SMAP", "MSL", "ASD")):
    """Yield every entity that has an event.

    In the sets of the spacecraft the first column is telemetry, and the others are
    commands: they say what is to be expected, and are never anomalous.
    """
    for name in names:
        for path in _paths(folder, name):
            with np.load(path) as data:
                train, test, labels = (data[key] for key in ("train", "test", "label"))
            commands = tuple(range(1, train.shape[1]))
            covariates = commands if name in ("SMAP", "MSL") else None
            if labels.any():
                labels = labels.astype(bool).ravel()
                parts = (train.astype(float), test.astype(float), labels)
                yield Entity(name, path.stem, *parts, covariates)


def causes(folder, entity):
    """Return the rows of each event, and which sensors are wrong in it.

    A line of the file is ``first-last:1,4,9``: rows from 0 on, the last of which may
    be the one after the event, and sensors from 1 on.
    """
    path = Path(folder) / entity.set / "interpretation_label" / f"{entity.name}.txt"
    found = []
    for line in path.read_text().split():
        span, sensors = line.split(":")
        first, last = map(int, span.split("-"))
        rows = first + np.flatnonzero(entity.labels[first : last + 1])
        guilty = np.array([int(sensor) - 1 for sensor in sensors.split(",")])
        found.append((rows, guilty))
    return found


def oil_wells(folder):
    """Return what to learn from, and what to score: parts of the runs of wells.

    To learn from are two of three runs without an event, and of those with one the
    first half of the rows before it. In every run with one, the event comes last: the
    third runs are there to tell a detector from the number of the row.
    """
    train, test = [], []
    for number, path in enumerate(_paths(folder, "oil3W")):
        well = int(path.stem.split("WELL-")[1][:5])
        with np.load(path) as data:
            x, kind = data["x"].astype(float), data["cls"].ravel().astype(int)
        x[np.isinf(x)] = np.nan
        event = np.flatnonzero(kind > 0)
        n_train = len(kind) * (number % 3 < 2)
        if len(event):
            n_train = event[0] // 2
        run = (well, path.stem, x, np.minimum(kind, 1))
        train.append(_cut(*run, slice(n_train)))
        test.append(_cut(*run, slice(n_train, None)))
    return _stacked(train), _stacked(test)


def water_circuit(folder):
    """Return what to learn from, and what to score: a run of valve 1 is a system."""
    train, test = [], []
    for system, path in enumerate(_paths(folder, "SKAB", "valve1*.npz")):
        with np.load(path) as data:
            run = (system, path.stem, data["x"].astype(float), data["label"].ravel())
        train.append(_cut(*run, slice(_N_TRAIN_SKAB)))
        test.append(_cut(*run, slice(_N_TRAIN_SKAB, None)))
    return _stacked(train), _stacked(test)


def _cut(system, run, x, labels, rows):
    x = x[rows]
    X = np.column_stack([np.full(len(x), float(system)), x])
    return Part(X, np.full(len(x), run), labels[rows].astype(int))


def _stacked(parts):
    fields = [(part.X, part.runs, part.labels) for part in parts]
    return Part(*(np.concatenate(arrays) for arrays in zip(*fields, strict=True)))


def _paths(folder, name, pattern="*.npz"):
    paths = sorted((Path(folder) / name).glob(pattern))
    if not paths:
        raise FileNotFoundError(f"There are no series of {name} in {folder}.")
    return paths
