"""Fleets of systems that differ: oil wells, in which sensors may be missing, and SKAB.

Rows are learned from as a fleet. With a model for each system, with a model for all of
them, and with one that never saw the systems it scores.
"""

import numpy as np
from detectors import DETECTORS
from measures import system_measures
from runs import run_missing
from sets import WELLS_WITH_NORMAL_FILES, oil_wells, water_circuit

from skad import M2AD


def wells(folder, path, names, n_jobs):
    """Run detectors on both fleets, and print the tables."""
    fleets = {"oil3W": oil_wells(folder), "SKAB": water_circuit(folder)}
    runs = [
        ({"set": set_, "detector": name, "models": models}, _measured, (*call, name))
        for set_, (train, test) in fleets.items()
        for models, call in _comparisons(set_, train, test).items()
        for name in (*names, *_WITHOUT_MODEL)
    ]
    show(run_missing(path, runs, n_jobs))


def _comparisons(name, train, test):
    """Return what is learned from, what is scored, and whether a model is shared."""
    is_first = np.isin(train.X[:, 0], _learned(name))
    is_new = ~np.isin(test.X[:, 0], _learned(name))
    return {
        "one each": (train, test, None),
        "one for all": (train, test, "all"),
        # The same rows are scored in both: what it costs never to have seen them.
        "one for all, new systems": (train.of(is_first), test.of(is_new), "all"),
        "one for all, same systems": (train, test.of(is_new), "all"),
    }


def _learned(name):
    return WELLS_WITH_NORMAL_FILES if name == "oil3W" else range(8)


def _measured(train, test, share, name):
    scores, flags = _scored(train, test, share, name)
    lines = []
    for system in np.unique(test.X[:, 0]):
        rows = test.X[:, 0] == system
        found = system_measures(test.of(rows), scores[rows], flags[rows])
        lines.append({"system": int(system), **found})
    return lines


def _scored(train, test, share, name):
    if name in _WITHOUT_MODEL:
        return _WITHOUT_MODEL[name](train, test, share)
    params = {"system": 0, "missing": "mask", "share": share, "random_state": 0}
    detector = M2AD(**params, **DETECTORS[name]).fit(train.X, groups=train.runs)
    scores = detector.score_samples(test.X, groups=test.runs)
    return scores, detector.predict(test.X, groups=test.runs) < 0


def _mean_square(train, test, share):
    """Score by the mean square of the sensors that are there, standardised."""
    scores, flags = np.empty(len(test.X)), np.empty(len(test.X), dtype=bool)
    for system in np.unique(test.X[:, 0]):
        own = train.X[:, 0] == system if share is None else slice(None)
        known, rows = train.X[own, 1:], test.X[:, 0] == system
        mean, spread = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
        spread[~(spread > 1e-8)] = 1
        usual, new = (
            -np.nan_to_num(np.nanmean(np.clip((x - mean) / spread, -10, 10) ** 2, 1))
            for x in (known, test.X[rows, 1:])
        )
        scores[rows], flags[rows] = new, new < np.quantile(usual, 0.001)
    return scores, flags


def _row_number(train, test, share):
    """Score by how late in its run a row is: in wells, events come last."""
    scores = np.empty(len(test.X))
    for run in np.unique(test.runs):
        rows = test.runs == run
        scores[rows] = -np.arange(np.count_nonzero(rows))
    return scores, np.zeros(len(scores), dtype=bool)


_WITHOUT_MODEL = {"mean square": _mean_square, "row number": _row_number}


def show(lines):
    """Print means over the systems, and numbers of events and alarms."""
    by = ["set", "models", "detector"]
    groups = lines.groupby(by, sort=False)
    sums = groups[["events", "found", "alarms"]].sum()
    means = groups[["AUC-ROC", "AUC-PR", "delay", "normal flagged"]].mean()
    print(means.round(3).join(sums).to_string())
    for name, own in lines.groupby("set", sort=False):
        print(f"\nAUC-ROC of each system of {name}")
        index = ["models", "detector"]
        table = own.pivot(index=index, columns="system", values="AUC-ROC")
        print(table.round(3).to_string())
