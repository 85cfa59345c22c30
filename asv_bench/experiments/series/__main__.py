"""Measure detectors of series on eight sets; prints the tables of the docs.

    python asv_bench/experiments/series run FOLDER RUNS.csv
    python asv_bench/experiments/series run FOLDER RUNS.csv --only TransDe --seeds 1
    python asv_bench/experiments/series run FOLDER OTHERS.csv --others
    python asv_bench/experiments/series table RUNS.csv
    python asv_bench/experiments/series threshold FOLDER

FOLDER holds SMD, ASD, SMAP, MSL, UCR (train, test, label), SKAB (x, label), TEP
(d00, dNN_te) and BATADAL (train, val, val_label) as NumPy archives.

Every detector learns from the training part and scores the test part; none sees a
label. Channels are standardised by the training part, and clipped at ten standard
deviations: skad's detectors do it themselves. RUNS.csv gets a line for each entity,
detector and seed as soon as it is there, and what it holds is not run again. The table
has means over the entities of a set, and over the sets. --others takes the entities of
these sets that the table does not have, and that no default was chosen on.

`threshold` prints which share of the normal time steps of the test part lies below the
lowest hundredth of the scores of the training part, and which below the lowest
hundredth of its last third if only the first two are trained on.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from baselines import CONTENT_FREE, PYOD, STANDARDISED
from joblib import Parallel, delayed
from sets import entities
from skad_detectors import SKAD

from skad import DConAD, TransDe
from skad.metrics import (
    average_precision_score,
    best_f1_score,
    estimate_buffer,
    point_adjusted_report,
    roc_auc_score,
    vus_pr_score,
    vus_roc_score,
)

DETECTORS = {**CONTENT_FREE, **STANDARDISED, **SKAD}
# Their scores do not depend on the seed, or they take none; the latter run once.
WITHOUT_SEED = {"row number", "PCA of windows", "ridge forecaster, smoothed"}
WITHOUT_SEED |= {
    "PCA of windows, calibrated",
    "kNN",
    "LOF",
    *(name for name in PYOD if name.startswith("PyOD")),
    *(name for name in SKAD if "linear" in name),
}
MOST_BUFFER = 100


def measure(labels, abnormality, channel):
    """Return the metrics of scores in which high means abnormal."""
    buffer = min(estimate_buffer(channel), MOST_BUFFER)
    scores = -np.asarray(abnormality, dtype=float)
    return {
        "VUS-PR": vus_pr_score(labels, scores, buffer=buffer),
        "AUC-PR": average_precision_score(labels, scores),
        "AUC-ROC": roc_auc_score(labels, scores),
        "VUS-ROC": vus_roc_score(labels, scores, buffer=buffer),
        "best F1": best_f1_score(labels, scores)[0],
        "PA-F1": point_adjusted_report(labels, scores).f1,
    }


def run(entity, detector, seed):
    """Return one line of the file."""
    torch.set_num_threads(1)
    name, part, train, test, labels = entity
    start = time.process_time()
    with warnings.catch_warnings():
        # A window longer than a series, a constant channel: as the data are.
        warnings.simplefilter("ignore")
        found = DETECTORS[detector](train, test, seed)
    seconds = time.process_time() - start
    line = {"set": name, "entity": part, "detector": detector, "seed": seed}
    return {**line, **measure(labels, found, test[:, 0]), "seconds": seconds}


def missing_runs(chosen, path, names, n_seeds):
    """Yield the runs that the file does not hold, the entities in turn."""
    done = set()
    if path.exists():
        lines = pd.read_csv(path)
        done = {*zip(lines["entity"], lines["detector"], lines["seed"], strict=True)}
    for entity in chosen:
        for name in names:
            for seed in range(1 if name in WITHOUT_SEED else n_seeds):
                if (entity[1], name, seed) not in done:
                    yield delayed(run)(entity, name, seed)


def run_all(chosen, path, names, n_seeds, n_jobs):
    """Run what is missing and append it to the file."""
    runs = missing_runs(chosen, path, names, n_seeds)
    parallel = Parallel(
        n_jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs"
    )
    for line in parallel(runs):
        pd.DataFrame([line]).to_csv(
            path, mode="a", header=not path.exists(), index=False
        )


def table(path):
    """Print the means of the sets for each detector."""
    lines = pd.read_csv(path)
    metrics = list(lines.columns[4:])
    by_entity = lines.groupby(["detector", "set", "entity"])[metrics].mean()
    by_set = by_entity.groupby(["detector", "set"]).mean()
    means = by_set.groupby("detector").mean().sort_values("VUS-PR")
    names = list(dict.fromkeys(lines["set"]))
    with pd.option_context("display.width", 200, "display.max_columns", 30):
        print(means.round(3), end="\n\n")
        print(by_set["VUS-PR"].unstack()[names].loc[means.index].round(3), end="\n\n")
        print("Standard deviation of the mean VUS-PR over the seeds")
        per_seed = lines.groupby(["detector", "seed", "set"])["VUS-PR"].mean()
        per_seed = per_seed.groupby(["detector", "seed"]).mean()
        print(per_seed.groupby("detector").std().dropna().round(4))
        counts = by_set.groupby("detector").size()
        for name in counts[counts < counts.max()].index:
            print(f"{name} was not run on all sets.")


def flagged(entity, detector_class):
    """Return shares of normal time steps below the two thresholds."""
    torch.set_num_threads(1)
    name, part, train, test, labels = entity
    n_first = 2 * len(train) // 3
    shares = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fitted, held_out in [(train, train), (train[:n_first], train[n_first:])]:
            detector = detector_class(random_state=0, device="cpu").fit(fitted)
            threshold = np.quantile(detector.score_samples(held_out), 0.01)
            scores = detector.score_samples(test)[labels == 0]
            shares.append(np.mean(scores < threshold))
    return name, len(train), detector_class.__name__, *shares


def thresholds(chosen, n_jobs):
    """Print the shares of normal time steps that would be flagged, per set."""
    runs = [delayed(flagged)(e, d) for e in chosen for d in (TransDe, DConAD)]
    columns = ["set", "rows", "detector", "trained on", "held out"]
    found = pd.DataFrame(Parallel(n_jobs)(runs), columns=columns)
    print(found.groupby(["detector", "set"], sort=False).mean().round(3))


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    runs = commands.add_parser("run")
    runs.add_argument("folder", type=Path)
    runs.add_argument("file", type=Path)
    runs.add_argument("--only", nargs="+", choices=DETECTORS, default=list(DETECTORS))
    runs.add_argument("--seeds", type=int, default=3)
    runs.add_argument("--others", action="store_true")
    runs.add_argument("--jobs", type=int, default=2)
    commands.add_parser("table").add_argument("file", type=Path)
    commands.add_parser("threshold").add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.command == "threshold":
        thresholds(entities(given.folder), n_jobs=2)
        return
    if given.command == "run":
        chosen = entities(given.folder, others=given.others)
        run_all(chosen, given.file, given.only, given.seeds, given.jobs)
    table(given.file)


if __name__ == "__main__":
    main()
