"""Faults of sensors on roads, beside shocks that whole neighbourhoods share."""

from experiments.fleets.runs import run_missing
from experiments.networks.detectors import BASELINES, VARIANTS, canemon
from experiments.networks.measures import fault_measures, show
from experiments.networks.sets import traffic_week


def traffic(folder, path, names, n_seeds, n_jobs):
    """Run detectors on a week of METR-LA, and print the table."""
    runs = [
        ({"detector": name, "seed": seed}, _measured, (folder, name, seed))
        for seed in range(n_seeds)
        for name in (*BASELINES, *names)
    ]
    show(run_missing(path, runs, n_jobs), ["detector"])


def _measured(folder, name, seed):
    week = traffic_week(folder, seed)
    if name in BASELINES:
        anomaly = BASELINES[name](week, seed)
    else:
        anomaly = canemon(week, seed, VARIANTS[name])
    return [fault_measures(week.kinds, anomaly)]
