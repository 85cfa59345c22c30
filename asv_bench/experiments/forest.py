"""Measure UnsupervisedRandomForest beyond speed; prints the tables of the docs.

    python asv_bench/experiments/forest.py variants FOLDER
    python asv_bench/experiments/forest.py missing FOLDER
    python asv_bench/experiments/forest.py explanations
    python asv_bench/experiments/forest.py clusters

FOLDER holds .npz files with X and y (1: anomaly); without it the environment variable
SKAD_DATA names it.
"""

import argparse
import os

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from skad import UnsupervisedRandomForest
from skad.benchmark import compare
from skad.datasets import list_npz, load_npz, make_planted_anomalies
from skad.metrics import roc_auc_score

PAPER = {"splitter": "best", "similarity": "gap", "aggregation": "median", "core": 0.5}
VARIANTS = {
    "default": {},
    'similarity="breiman"': {"similarity": "breiman"},
    'similarity="gap"': {"similarity": "gap"},
    'splitter="best"': {"splitter": "best"},
    "the paper's reading": PAPER,
}


def show(name, comparison):
    """Print the means over data sets, and the seconds per data set."""
    table = comparison.table()
    print(f"\n{name}")
    columns = ["auroc", "average_precision", "fit_seconds", "score_seconds"]
    print(table[[*columns, "n_failed"]].round(3).to_string())


def variants(datasets, seeds):
    """Compare the ways to grow the forest and to score."""
    detectors = {
        name: UnsupervisedRandomForest(**way) for name, way in VARIANTS.items()
    }
    detectors["isolation forest"] = IsolationForest()
    show("variants", compare(detectors, datasets, seeds=seeds, max_samples=2000))


def missing(datasets, seeds):
    """Remove entries at random, from the rows to learn from and those to score."""
    imputed = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), IsolationForest()
    )
    detectors = {"default": UnsupervisedRandomForest(), "imputed": imputed}
    for share in (0.0, 0.1, 0.3):
        holes = {}
        for name, (X, y) in datasets.items():
            X = np.array(X, dtype=float)
            X[np.random.default_rng(0).random(X.shape) < share] = np.nan
            keep = ~np.isnan(X).all(axis=1)
            holes[name] = X[keep], np.asarray(y)[keep]
        show(f"{share:.0%} removed", compare(detectors, holes, seeds=seeds))


def explanations(seeds):
    """Ask how many of the planted features are among the first of the reasons."""
    for kind in ("extreme", "joint", "mixed"):
        recalls = []
        for seed in range(seeds):
            X, y, mask = make_planted_anomalies(kind=kind, random_state=seed)
            strange = y == -1
            forest = UnsupervisedRandomForest(random_state=seed).fit(X)
            spread = X[~strange].std(axis=0)
            distance = np.abs(X - X[~strange].mean(axis=0)) / spread
            usual = forest.explain(X).mean(axis=0)
            candidates = {
                "explain": forest.explain(X[strange]),
                "explain, less the usual": forest.explain(X[strange]) - usual,
                "distance from the mean": distance[strange],
            }
            recalls.append([recall(c, mask[strange]) for c in candidates.values()])
        means = ", ".join(
            f"{name} {value:.3f}"
            for name, value in zip(candidates, np.mean(recalls, axis=0), strict=True)
        )
        print(f"{kind}: {means}")


def clusters(seeds):
    """Ask how well a tight cluster of anomalies is told from normal rows."""
    detectors = UnsupervisedRandomForest(), IsolationForest(n_estimators=300)
    for n_samples in (300, 1000, 5000):
        areas = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            n_strange = n_samples // 12
            cluster = rng.normal(size=(n_strange, 4)) / 2 + [4, -4, 4, -4]
            X = np.vstack([rng.normal(size=(n_samples, 4)), cluster])
            y = np.repeat([1, -1], [n_samples, n_strange])
            for detector in detectors:
                detector.set_params(random_state=seed).fit(X)
            areas.append([roc_auc_score(y, d.score_samples(X)) for d in detectors])
        ours, theirs = np.mean(areas, axis=0)
        print(f"{n_samples} rows: default {ours:.3f}, isolation forest {theirs:.3f}")


def recall(attributions, mask):
    """Share of the planted features among as many of the largest attributions."""
    ranks = np.argsort(np.argsort(-attributions, axis=1), axis=1)
    return np.mean((ranks < mask.sum(axis=1, keepdims=True))[mask])


def main():
    """Run the experiment that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    with_data = {"variants": variants, "missing": missing}
    without = {"explanations": explanations, "clusters": clusters}
    parser.add_argument("name", choices=[*with_data, *without])
    parser.add_argument("folder", nargs="?", default=os.environ.get("SKAD_DATA"))
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    if args.name in without:
        return without[args.name](args.seeds)
    if args.folder is None:
        parser.error("name a folder, or set SKAD_DATA")
    datasets = {path.stem: load_npz(path) for path in list_npz(args.folder)}
    return with_data[args.name](datasets, args.seeds)


if __name__ == "__main__":
    main()
