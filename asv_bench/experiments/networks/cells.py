"""Faults of simulated radio cells, beside the crowds that move through them."""

import numpy as np
from experiments.fleets.runs import run_missing
from experiments.networks.measures import fault_measures, show
from experiments.networks.sets import radio_cells

from skad import CAnemon

_OWN_HISTORY = "own history"
_VARIANTS = {
    "CAnemon": {},
    "CAnemon, one pass": {"robust": False},
    "CAnemon, past": {"neighbor_window": "past"},
    "CAnemon, no changes": {"change_window": 0},
}
# Of load, a share: no spread is taken to be less.
_FLOOR = 0.02


def cells(folder, path, n_seeds, n_jobs):
    """Run detectors on networks of 60 cells, and print the table."""
    runs = [
        ({"detector": name, "seed": seed}, _measured, (name, seed))
        for seed in range(n_seeds)
        for name in (_OWN_HISTORY, *_VARIANTS)
    ]
    show(run_missing(path, runs, n_jobs), ["detector"])


def _measured(name, seed):
    train, test, kinds = radio_cells(seed, n_cells=60, n_crowds=20, n_faults=15)
    if name == _OWN_HISTORY:
        return [fault_measures(kinds, _own_history(train, test))]
    detector = CAnemon(
        node="cell",
        time="time",
        position=["x", "y"],
        attributes=["type"],
        random_state=seed,
        **_VARIANTS[name],
    )
    return [fault_measures(kinds, -detector.fit(train).score_samples(test))]


def _own_history(train, test):
    """Return the distance from the usual load of the cell at that hour of the week."""
    loads = train.groupby(_hours(train))["load"]
    level, spread = loads.median(), loads.std()
    rows = list(zip(*_hours(test), strict=True))
    distance = test["load"].to_numpy() - level.loc[rows].to_numpy()
    return np.abs(distance) / (spread.loc[rows].to_numpy() + _FLOOR)


def _hours(rows):
    """Return the cells, whether it is a weekend, and the hours of rows."""
    return [rows["cell"], rows["time"].dt.day_of_week >= 5, rows["time"].dt.hour]
