"""How many rows are flagged in a network in which nothing happens."""

from experiments.fleets.runs import run_missing
from experiments.networks.measures import show

from skad import CAnemon
from skad.datasets import make_radio_network

# Numbers of cells, and of days to learn from.
_SIZES = ((30, 7), (60, 7), (60, 21), (60, 42), (200, 21))
_NOMINAL = 0.01


def alarms(folder, path, n_seeds, n_jobs):
    """Learn from networks of several sizes, and print the shares that are flagged."""
    runs = [
        (
            {"cells": n_cells, "days": n_days, "seed": seed},
            _measured,
            (n_cells, n_days, seed),
        )
        for seed in range(n_seeds)
        for n_cells, n_days in _SIZES
    ]
    show(run_missing(path, runs, n_jobs), ["cells", "days"])


def _measured(n_cells, n_days, seed):
    train, test, *_ = make_radio_network(
        n_cells, n_days, n_crowds=0, n_faults=0, random_state=seed
    )
    detector = CAnemon(
        node="cell",
        time="time",
        position=["x", "y"],
        attributes=["type"],
        contamination=_NOMINAL,
        random_state=seed,
    )
    labels = detector.fit(train).predict(test)
    return [{"flagged": (labels == -1).mean(), "nominal": _NOMINAL}]
