"""Measure what the past adds to payments; prints the tables of the docs.

    python asv_bench/experiments/history.py FILE

FILE is an .npz file with the payments of a simulation: t_s (seconds), customer,
terminal, amount, y (1: fraud) and scenario (kind of fraud). Detectors learn from
payments of the first two thirds, without labels, and are measured on the last third.
"""

import argparse

import numpy as np
import pandas as pd
from pyod.models.knn import KNN
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import UnsupervisedRandomForest
from skad.interop import PyODDetector
from skad.metrics import average_precision_score, roc_auc_score
from skad.preprocessing import HistoryFeatures

DETECTORS = {
    "isolation forest": IsolationForest(),
    "nearest neighbours": make_pipeline(StandardScaler(), PyODDetector(KNN())),
    "UnsupervisedRandomForest": UnsupervisedRandomForest(),
}
COMPARISONS = ("ratio", "deviation")
BOTH = ("customer", "terminal")
# Histories are short at first: nothing is learned from the first days.
WARM_UP = 30


def read(path):
    """Return the payments, and the kind of each: 0 is no fraud."""
    with np.load(path) as data:
        X = pd.DataFrame({name: data[name] for name in (*BOTH, "amount")})
        return X.assign(time=data["t_s"] / 86_400), data["scenario"]


def show(name, runs):
    """Print the means of the metrics over the runs, and per kind of fraud."""
    means = np.mean(runs, axis=0)
    print(f"{name:58s}", *(f"{mean:6.3f}" for mean in means))


def measure(kind, scores):
    """Return AUROC, average precision, and the AUROC of each kind of fraud."""
    y = np.where(kind > 0, -1, 1)
    found = [roc_auc_score(y, scores), average_precision_score(y, scores)]
    for one in np.unique(kind[kind > 0]):
        kept = (kind == one) | (kind == 0)
        found.append(roc_auc_score(y[kept], scores[kept]))
    return found


def featured(X, is_train, **params):
    """Make features of both parts, as a pipeline would."""
    history = HistoryFeatures("time", values=["amount"], **params)
    history.set_output(transform="pandas").fit(X[is_train])
    parts = [history.transform(X[part]) for part in (is_train, ~is_train)]
    return pd.concat(parts).loc[X.index]


def seeded(detector, seed):
    """Return a copy with the seed, if the detector takes one."""
    seeds = {
        name: seed
        for name in detector.get_params()
        if name.rpartition("__")[2] == "random_state"
    }
    return clone(detector).set_params(**seeds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=20_000)
    parser.add_argument("--max-test", type=int, default=40_000)
    args = parser.parse_args()
    X, kind = read(args.file)
    is_train = (X["time"] < X["time"].max() * 2 / 3).to_numpy()
    tables = {
        "amount": X[["amount"]],
        "customer, terminal, time, amount": X,
        "customer: all": featured(X, is_train, entities=BOTH[:1]),
        "customer: comparisons": featured(
            X, is_train, entities=BOTH[:1], features=COMPARISONS
        ),
        "both: all": featured(X, is_train, entities=BOTH),
        "both: all, windows 1, 7, 30 and all": featured(
            X, is_train, entities=BOTH, windows=(1, 7, 30, None)
        ),
        "both: comparisons": featured(X, is_train, entities=BOTH, features=COMPARISONS),
    }
    rng = np.random.default_rng(99)
    test = rng.permutation(np.flatnonzero(~is_train))[: args.max_test]
    warm = np.flatnonzero(is_train & (X["time"] >= WARM_UP))
    print(f"{len(test)} payments, frauds: {np.mean(kind[test] > 0):.4f}")
    print(" " * 58, "AUROC, average precision, AUROC of each kind of fraud")
    for name, column in tables["both: all"].items():
        show(name, [measure(kind[test], -column.to_numpy()[test])])
    for features, table in tables.items():
        table = table.to_numpy(dtype=float)
        for name, detector in DETECTORS.items():
            runs = []
            for seed in range(args.seeds):
                rows = np.random.default_rng(seed).permutation(warm)[: args.max_train]
                detector = seeded(detector, seed)
                scores = detector.fit(table[rows]).score_samples(table[test])
                runs.append(measure(kind[test], scores))
            show(f"{name}, {features}", runs)


if __name__ == "__main__":
    main()
