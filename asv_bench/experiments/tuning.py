"""Measure what criteria without labels are worth; prints the tables of the docs.

    cd asv_bench
    python -m experiments.tuning FOLDER TUNING.csv

FOLDER holds .npz files with X and y (1: anomaly). Each candidate, a family of detectors
with settings around its defaults, learns from all rows and ranks them. How good that
is, the labels say; how good it looks without them, the criteria. The file gets the
lines of a data set as soon as they are there, and what it holds is not run again.
"""

import argparse
from inspect import signature
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from experiments.fleets.runs import run_missing
from pyod.models.hbos import HBOS
from pyod.models.knn import KNN
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import UnsupervisedRandomForest
from skad.datasets import list_npz, load_npz
from skad.metrics import get_scorer
from skad.model_selection import consensus, excess_mass, stability
from skad.model_selection._agreement import usual_detectors
from skad.model_selection._level_sets import area_of_excess, level_sets, mean_volume

NEIGHBORS = (2, 5, 10, 20, 50, 100)
# The first of each family is its default.
FAMILIES = {
    "IsolationForest": [
        IsolationForest(),
        IsolationForest(max_samples=64),
        IsolationForest(max_features=0.5),
    ],
    "KNN": [KNN(), *(KNN(n_neighbors=k) for k in NEIGHBORS if k != 5)],
    "LOF": [
        LocalOutlierFactor(novelty=True),
        *(LocalOutlierFactor(k, novelty=True) for k in NEIGHBORS if k not in (2, 20)),
    ],
    "HBOS": [HBOS(), *(HBOS(n_bins=n) for n in (5, 20, 50))],
    "UnsupervisedRandomForest": [
        UnsupervisedRandomForest(),
        UnsupervisedRandomForest(max_samples=64),
        UnsupervisedRandomForest(core=0.5),
        UnsupervisedRandomForest(similarity="breiman"),
    ],
}
# What the mixed pool of all families is held against.
POOL, POOL_DEFAULT = "all", "IsolationForest"
CRITERIA = [
    "excess mass",
    "mass volume",
    "excess mass from .9",
    "mass volume from .9",
    "stability",
    "consensus",
]
IN_MEAN = ["excess mass", "stability", "consensus"]
CHOICES = [*CRITERIA, "mean of ranks", "random", "oracle"]
MAX_ROWS = 1000


def candidates():
    """Yield the family, the number and the pipeline of each candidate."""
    for family, detectors in FAMILIES.items():
        for number, detector in enumerate(detectors):
            yield family, number, make_pipeline(StandardScaler(), detector)


def measure(path, seed):
    """Return a line for each candidate on the rows of a file."""
    X, y = load_npz(path)
    if len(X) > MAX_ROWS:
        X, _, y, _ = train_test_split(
            X, y, train_size=MAX_ROWS, stratify=y, random_state=seed
        )
    # The same for all candidates: fitted once, they are not fitted again.
    others = [set_seed(d, seed).fit(X) for d in usual_detectors()]
    others = [FrozenEstimator(detector) for detector in others]
    lines = []
    for family, number, pipeline in candidates():
        fitted = set_seed(pipeline, seed).fit(X)
        line = {"family": family, "candidate": number}
        line["auroc"] = get_scorer("roc_auc")(fitted, X, y)
        start = perf_counter()
        line.update(on_level_sets(fitted, X, seed))
        at_sets = perf_counter()
        line["stability"] = stability(fitted, X, random_state=seed)
        line["level sets, s"] = at_sets - start
        line["stability, s"] = perf_counter() - at_sets
        line["consensus"] = consensus(fitted, X, detectors=others)
        lines.append(line)
    return lines


def on_level_sets(fitted, X, seed):
    """Return excess mass and mass volume, from refits that they share."""
    defaults = signature(excess_mass).parameters
    names = ("n_uniform", "max_features", "n_subsets")
    n_uniform, *limits = (defaults[name].default for name in names)
    sets = list(level_sets(fitted, X, n_uniform, *limits, seed))
    found = {}
    for end, share in (("", 0.5), (" from .9", 0.9)):
        excess = [area_of_excess(*s, share, n_uniform) for s in sets]
        volumes = [mean_volume(*s, share) for s in sets]
        found[f"excess mass{end}"] = np.mean(excess)
        found[f"mass volume{end}"] = -np.mean(volumes)
    return found


def set_seed(pipeline, seed):
    """Set the seed of the last step, if it takes one."""
    last = pipeline.steps[-1][1]
    if "random_state" in last.get_params():
        last.set_params(random_state=seed)
    return pipeline


def choices(table):
    """Return correlation and regret of each choice among the candidates of a table.

    Regret is the area under the curve of the pick, less that of the default, the first.
    """
    auroc = table["auroc"].to_numpy()
    mean = table[IN_MEAN].rank().mean(axis=1)
    found = table[CRITERIA].assign(**{"mean of ranks": mean})
    lines = {
        name: {
            "correlation": table["auroc"].corr(found[name], method="spearman"),
            "gain": auroc[found[name].argmax()] - auroc[0],
        }
        for name in found
    }
    lines["random"] = {"gain": auroc.mean() - auroc[0]}
    lines["oracle"] = {"gain": auroc.max() - auroc[0]}
    return pd.DataFrame(lines).T.rename_axis("choice")


def summarise(lines):
    """Return correlations and gains by family, data set, seed and choice."""
    # For the pool, its default comes first.
    pool = lines.assign(
        family=POOL, is_default=lines["family"].ne(POOL_DEFAULT)
    ).sort_values(["is_default", "candidate"], kind="stable")
    parts = []
    for table in (lines.sort_values("candidate", kind="stable"), pool):
        for key, group in table.groupby(["family", "set", "seed"]):
            names = dict(zip(["family", "set", "seed"], key, strict=True))
            parts.append(choices(group).reset_index().assign(**names))
    return pd.concat(parts)


def show(lines):
    """Print means over seeds and data sets, the pool by data set, and candidates."""
    found = summarise(lines)
    for value in ("correlation", "gain"):
        means = found.pivot_table(index="choice", columns="family", values=value)
        print(f"\n{value}\n{means.reindex(CHOICES).round(3).to_string()}")
    by_set = found.groupby(["family", "choice", "set"])["gain"].mean()
    spread = by_set.groupby(["family", "choice"]).agg(
        worse=lambda gains: np.sum(gains < -0.005),
        better=lambda gains: np.sum(gains > 0.005),
        worst="min",
        best="max",
    )
    print(f"\ndata sets\n{spread.round(3).to_string()}")
    for value in ("correlation", "gain"):
        pool = found[found["family"] == POOL]
        table = pool.pivot_table(index="set", columns="choice", values=value)
        table = table.reindex(columns=[c for c in CHOICES if c in table])
        print(f"\n{POOL}: {value}\n{table.round(3).to_string()}")
    settings = lines.pivot_table(index="family", columns="candidate", values="auroc")
    print(f"\nAUROC of each candidate\n{settings.round(3).to_string()}")
    seconds = ["level sets, s", "stability, s"]
    print(f"\nseconds\n{lines.groupby('family')[seconds].mean().round(2).to_string()}")


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    runs = (
        ({"set": path.stem, "seed": seed}, measure, (path, seed))
        for seed in range(args.seeds)
        for path in list_npz(args.folder)
    )
    show(run_missing(args.file, runs, args.jobs))


if __name__ == "__main__":
    main()
