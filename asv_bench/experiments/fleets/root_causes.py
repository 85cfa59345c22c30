"""Which sensors caused an event: the first that are named, beside a random order."""

import numpy as np
from detectors import COMBINATIONS, DETECTORS
from later_steps import LaterSteps
from measures import chance_of_hit
from runs import run_missing
from sets import causes, entities


def root_causes(folder, path, names, n_jobs):
    """Rank sensors in the events of SMD and ASD, and print the tables."""
    runs = [
        ({"set": e.set, "entity": e.name, "detector": name}, _ranked, (e, name, folder))
        for e in entities(folder, ("SMD", "ASD"))
        for name in names
    ]
    show(run_missing(path, runs, n_jobs))


def _ranked(entity, name, folder):
    steps, lines = LaterSteps(entity, DETECTORS[name]), []
    for combination in COMBINATIONS:
        detector = steps.judged_by(combination=combination)
        evidence = detector.explain(entity.test)
        scores = detector.score_samples(entity.test)
        table = detector.intervals(entity.test)
        for rows, sensors in causes(folder, entity):
            for where, place in _places(rows, scores, table).items():
                hits = _hits(evidence[place].sum(axis=0), sensors)
                lines.append({"combination": combination, "where": where, **hits})
    return lines


def _places(rows, scores, table):
    """Return the rows by which sensors are ranked for an event."""
    places = {"event": rows, "event's peak": rows[[scores[rows].argmin()]]}
    meets = table[(table.start <= rows[-1]) & (table.end >= rows[0])]
    if len(meets):
        worst = meets[meets.log_pvalue.argmin()]
        places["interval found"] = np.arange(worst.start, worst.end + 1)
    return places


def _hits(evidence, guilty):
    """Return whether guilty sensors are named first, and what chance would do."""
    n, n_guilty = len(evidence), len(guilty)
    is_guilty = np.isin(np.argsort(-evidence, kind="stable"), guilty)
    return {
        "top 1": is_guilty[0],
        "chance 1": chance_of_hit(n, n_guilty, 1),
        "top 5": is_guilty[:5].any(),
        "chance 5": chance_of_hit(n, n_guilty, 5),
        "among as many": is_guilty[:n_guilty].mean(),
        "chance": n_guilty / n,
    }


def show(lines):
    """Print the rates over the events of each set."""
    by = ["set", "detector", "where", "combination"]
    groups = lines.drop(columns="entity").astype({"top 1": float, "top 5": float})
    groups = groups.groupby(by, sort=False)
    print(groups.mean().round(3).assign(events=groups.size()).to_string())
