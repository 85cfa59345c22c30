"""Events found and alarms in vain, as M2AD's paper counts them, and by other rules."""

import time
from itertools import product

import numpy as np
import pandas as pd
from detectors import DETECTORS
from later_steps import LaterSteps
from measures import PADDING, f_scores, overlaps, padded, ranking
from runs import run_missing
from sets import entities

from skad import M2AD

_DENSITIES = ("normal", "gmm", "empirical")
_THRESHOLDS = ("four sigma", "chi2", "gamma", "empirical", "pareto")
_N_DRAWS = 20


def events(folder, path, sets, names, n_seeds, n_jobs):
    """Run detectors on the entities of sets, and print the tables."""
    runs = [
        (_key(entity, name, seed), _measured, (entity, name, seed))
        for entity in entities(folder, sets)
        for name in names
        for seed in range(n_seeds)
    ]
    lines = run_missing(path, runs, n_jobs)
    show(lines)
    columns = ["VUS-PR", "AUC-PR", "AUC-ROC", "best F1", "seconds"]
    ranked = lines[lines["rule"] == "padded"].groupby(["set", "detector"], sort=False)
    print(ranked[columns].mean().round(3).to_string())


def ablation(folder, path, sets, names, n_jobs):
    """Replace densities and thresholds on the same forecasts, and print the table."""
    runs = [
        (_key(entity, name, 0), _replaced, (entity, name))
        for entity in entities(folder, sets)
        for name in names
    ]
    show(run_missing(path, runs, n_jobs))


def _key(entity, name, seed):
    return {"set": entity.set, "entity": entity.name, "detector": name, "seed": seed}


def _measured(entity, name, seed):
    start = time.perf_counter()
    params = {"covariates": entity.covariates, "random_state": seed}
    detector = M2AD(**params, **DETECTORS[name]).fit(entity.train)
    scores = detector.score_samples(entity.test)
    seconds = time.perf_counter() - start
    flags = detector.predict(entity.test) < 0
    ranked = ranking(entity.labels, scores, entity.test[:, 0])
    gaps = {"intervals": 0, "intervals, joined": 2 * PADDING}
    tables = {k: detector.intervals(entity.test, max_gap=n) for k, n in gaps.items()}
    rules = _flagged(flags, tables, seed)
    return [
        {"rule": rule, **_counts(entity.labels, *drawn), **ranked, "seconds": seconds}
        for rule, drawn in rules.items()
    ]


def _replaced(entity, name):
    steps = LaterSteps(entity, DETECTORS[name])
    lines = []
    for density, threshold in product(_DENSITIES, _THRESHOLDS):
        detector = steps.judged_by(density=density, calibration=threshold)
        flags = detector.predict(entity.test) < 0
        counts = _counts(entity.labels, padded(flags))
        of_normal = flags[~entity.labels].mean()
        rule = {"rule": f"{density}, {threshold}", "normal flagged": of_normal}
        lines.append({**rule, **counts})
    return lines


def _flagged(flags, tables, seed):
    """Return what each rule flags, as many times as it is drawn at random."""
    rng = np.random.default_rng(seed)
    shifts = rng.integers(len(flags), size=_N_DRAWS)
    once = {"padded": padded(flags)}
    once |= {name: _inside(table, len(flags)) for name, table in tables.items()}
    drawn = {name: [chosen] for name, chosen in once.items()}
    for name, chosen in once.items():
        drawn[f"{name}, at another time"] = [np.roll(chosen, n) for n in shifts]
    drawn["padded, random rows"] = [padded(rng.permutation(flags)) for _ in shifts]
    drawn["rows"] = [flags]
    drawn["all rows"] = [np.ones(len(flags), dtype=bool)]
    return drawn


def _inside(table, n_rows):
    """Return which rows are in an interval."""
    inside = np.zeros(n_rows, dtype=bool)
    for row in table:
        inside[row.start : row.end + 1] = True
    return inside


def _counts(labels, *drawn):
    counts = pd.DataFrame([overlaps(labels, flags) for flags in drawn])
    return counts.mean().to_dict()


def show(lines):
    """Print the counts of events over each set, their scores, and means of shares."""
    by = ["set", "detector", "rule"]
    sums = lines.groupby([*by, "seed"], sort=False)[["found", "false", "missed"]].sum()
    scored = [f_scores(*counts) for counts in sums.to_numpy()]
    names = ["precision", "recall", "F1", "F0.5"]
    sums = sums.join(pd.DataFrame(scored, index=sums.index, columns=names))
    counts = sums.groupby(by, sort=False).mean()
    shares = lines.columns.intersection(["flagged", "normal flagged", "composite F1"])
    means = lines.groupby(by, sort=False)[list(shares)].mean()
    print(counts.join(means).round(3).to_string(), end="\n\n")
