"""Series with labelled events: eight sets, the same entities in every run."""

from pathlib import Path

import numpy as np

# Of each set that has more, as many entities, evenly spaced over the sorted list.
_COUNTS = {"SMD": 4, "ASD": 6, "SMAP": 10, "MSL": 8, "SKAB": 8, "TEP": 6, "UCR": 10}
_N_TRAIN_SKAB = 400
_FIRST_FAULT_TEP = 160


def entities(folder, *, others=False):
    """Yield (set, name, train, test, labels) of every entity with an anomaly.

    Gaps are filled forward, and labels are 1 for anomalies.

    Those that no default was chosen on, of the five sets that have more, are the
    `others`.
    """
    folder = Path(folder)
    for name, parts in _all(folder, _others if others else _spaced):
        for entity, train, test, labels in parts:
            labels = np.asarray(labels).astype(int).ravel()
            if labels.any():
                yield name, entity, _filled(train), _filled(test), labels


def _all(folder, chosen):
    for name in ("SMD", "ASD", "SMAP", "MSL"):
        yield name, map(_train_and_test, chosen((folder / name).glob("*.npz"), name))
    yield "SKAB", map(_skab, chosen((folder / "SKAB").glob("valve1*.npz"), "SKAB"))
    yield "TEP", _tep(folder / "TEP" / "tep.npz", chosen)
    if chosen is _spaced:
        yield "BATADAL", [_batadal(folder / "BATADAL" / "batadal_dev.npz")]
    yield "UCR", map(_train_and_test, chosen((folder / "UCR").glob("*.npz"), "UCR"))


def _train_and_test(path):
    with np.load(path) as data:
        return path.stem, data["train"], data["test"], data["label"]


def _skab(path):
    with np.load(path) as data:
        x, labels = data["x"], data["label"]
    n = _N_TRAIN_SKAB
    return path.stem, x[:n], x[n:], labels[n:]


def _tep(path, chosen):
    with np.load(path) as data:
        faults = [key for key in data if key.endswith("_te") and key != "d00_te"]
        for key in chosen(faults, "TEP"):
            labels = np.arange(len(data[key])) >= _FIRST_FAULT_TEP
            yield key, data["d00"], data[key], labels


def _batadal(path):
    with np.load(path) as data:
        return "val", data["train"], data["val"], data["val_label"]


def _spaced(items, name):
    items = sorted(items)
    if not items:
        raise FileNotFoundError(f"There are no series of {name} in the folder.")
    count = min(_COUNTS[name], len(items))
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _others(items, name):
    items = sorted(items)
    return sorted(set(items) - set(_spaced(items, name)))


def _filled(x):
    """Fill gaps with the last value before them, at the beginning with the first."""
    x = np.array(x, dtype=float).reshape(len(x), -1)
    rows = np.arange(len(x))
    for channel in x.T:
        known = np.isfinite(channel)
        if known.all():
            continue
        last = np.maximum.accumulate(np.where(known, rows, -1))
        channel[:] = channel[np.where(last < 0, known.argmax(), last)]
        channel[~np.isfinite(channel)] = 0
    return x
