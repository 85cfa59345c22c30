"""Nodes that a detector never saw: a random half of them, scored beside the others."""

import numpy as np
from experiments.fleets.runs import run_missing
from experiments.networks.measures import fault_measures, show
from experiments.networks.sets import radio_cells, traffic_week

from skad import CAnemon


def unseen(folder, path, n_seeds, n_jobs):
    """Learn from half of the nodes and from all, and print the table."""
    sets = {"traffic": (_traffic, (folder,)), "radio": (_radio, ())}
    runs = [
        ({"set": name, "seed": seed}, measured, (*arguments, seed))
        for seed in range(n_seeds)
        for name, (measured, arguments) in sets.items()
    ]
    show(run_missing(path, runs, n_jobs), ["set", "learned from", "scored"])


def _traffic(folder, seed):
    week = traffic_week(folder, seed)
    n_sensors = week.test.shape[1]
    half = _half(np.arange(n_sensors), seed)
    is_new = ~np.isin(np.arange(n_sensors), half)
    lines = []
    for name, learned in (("half", half), ("all", slice(None))):
        detector = CAnemon(node="node", time="time", random_state=seed)
        detector.fit(week.rows_before(learned), adjacency=week.adjacency(learned))
        scores = detector.score_samples(week.rows_after(), adjacency=week.adjacency())
        anomaly = -scores.reshape(week.test.shape)
        # A row for each sensor.
        lines += _halves(name, week.kinds.T, anomaly.T, is_new)
    return lines


def _radio(seed):
    train, test, kinds = radio_cells(seed)
    half = _half(np.unique(train["cell"]), seed)
    is_new = ~test["cell"].isin(half).to_numpy()
    lines = []
    for name, rows in (("half", train["cell"].isin(half)), ("all", slice(None))):
        detector = CAnemon(
            node="cell",
            time="time",
            position=["x", "y"],
            attributes=["type"],
            random_state=seed,
        )
        detector.fit(train[rows])
        lines += _halves(name, kinds, -detector.score_samples(test), is_new)
    return lines


def _half(names, seed):
    """Return a random half of names, in order."""
    drawn = np.random.default_rng(seed).permutation(names)
    return np.sort(drawn[: len(drawn) // 2])


def _halves(name, kinds, anomaly, is_new):
    """Measure nodes of the half and the others apart."""
    return [
        {
            "learned from": name,
            "scored": scored,
            **fault_measures(kinds[chosen], anomaly[chosen]),
        }
        for scored, chosen in (("other half", is_new), ("half", ~is_new))
    ]
