"""Measure GANVAE on payments beside PyOD's detectors; prints the tables of the docs.

    python asv_bench/experiments/payments.py FOLDER

FOLDER, or the environment variable SKAD_DATA, holds

- payments_fdh/std_split.npz: simulated card payments with aggregates of the customer
  and the terminal, train_X, test_X, columns, test_scenario (0: no fraud);
- payments_fdh/raw_1500cust.npz: payments of the same simulator as records, t_s
  (seconds), customer, terminal, amount, scenario;
- creditcard_sample/creditcard_sample.npz: card payments of people, X and y (1: fraud).

Detectors learn without labels. Columns are standardised for all of them.
"""

import argparse
import logging
import os
import time
import warnings
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from skad import GANVAE
from skad.preprocessing import HistoryFeatures

N_TRAIN, N_TEST = 20_000, 60_000
ALERTS = 0.01
WARM_UP = 30
PYOD = [
    *["IForest", "KNN", "LOF", "PCA", "HBOS", "ECOD", "COPOD"],
    *["VAE", "AutoEncoder", "ALAD", "SO_GAAL"],
]
MODULES = {"AutoEncoder": "auto_encoder"}
# Weights of the score's terms; those with a discriminator are one training.
WEIGHTS = {
    "GANVAE": GANVAE().term_weights,
    "GANVAE, GAN only": (0.0, 0.0, 1.0, 1.0),
    "GANVAE, VAE only": (1.0, 1.0, 0.0, 0.0),
}
SEEDED = {"IForest", "VAE", "AutoEncoder"}


def make_detector(name, seed):
    """Return an unfitted detector; those that have no seed use the global one."""
    if name in WEIGHTS:
        return GANVAE(random_state=seed, term_weights=WEIGHTS[name])
    module = import_module(f"pyod.models.{MODULES.get(name, name.lower())}")
    detector_class = getattr(module, name)
    if name in SEEDED:
        return detector_class(random_state=seed)
    return detector_class()


def aggregates(folder, seed, *, ratios=False):
    """Return payments with their aggregates, without those made from labels."""
    with np.load(folder / "payments_fdh" / "std_split.npz") as data:
        columns = data["columns"].tolist()
        train, test = data["train_X"].astype(float), data["test_X"].astype(float)
        kind = data["test_scenario"]
    # The clock has moved on at every test row, for a fraud or not.
    kept = [j for j, c in enumerate(columns) if "RISK" not in c and "SECONDS" not in c]
    rows = np.random.default_rng(seed).choice(len(train), N_TRAIN, replace=False)
    parts = train[rows], test
    if ratios:
        means = [
            columns.index(f"CUSTOMER_ID_AVG_AMOUNT_{n}DAY_WINDOW") for n in (7, 30)
        ]
        amount = columns.index("TX_AMOUNT")
        added = [p[:, [amount]] / (p[:, means] + 1) for p in parts]
        parts = [np.hstack([p[:, kept], a]) for p, a in zip(parts, added, strict=True)]
    else:
        parts = [p[:, kept] for p in parts]
    return *parts, kind, np.ones(len(kind))


def history(folder, seed):
    """Return payments as records, with the features of their past."""
    with np.load(folder / "payments_fdh" / "raw_1500cust.npz") as data:
        X = pd.DataFrame({n: data[n] for n in ("customer", "terminal", "amount")})
        X["time"] = data["t_s"] / 86_400
        kind = data["scenario"]
    is_train = (X["time"] < X["time"].max() * 2 / 3).to_numpy()
    past = HistoryFeatures("time", entities=["customer"], values=["amount"])
    past.set_output(transform="pandas").fit(X[is_train])
    parts = [past.transform(X[part]) for part in (is_train, ~is_train)]
    table = pd.concat(parts).loc[X.index].to_numpy(dtype=float)
    test = np.random.default_rng(99).permutation(np.flatnonzero(~is_train))[:N_TEST]
    warm = np.flatnonzero(is_train & (X["time"] >= WARM_UP))
    train = np.random.default_rng(seed).permutation(warm)[:N_TRAIN]
    return table[train], table[test], kind[test], np.ones(len(test))


def creditcard(folder, seed):
    """Return payments with 1 % of frauds, to learn from and to score.

    All frauds that are not learned from are scored, with a weight that makes them
    1 % of the rows: the mean over all ways of drawing so few.
    """
    with np.load(folder / "creditcard_sample" / "creditcard_sample.npz") as data:
        X, y = data["X"].astype(float), data["y"]
    rng = np.random.default_rng(seed)
    normal, fraud = (rng.permutation(np.flatnonzero(y == label)) for label in (0, 1))
    n_normal = int(0.6 * normal.size)
    n_fraud = round(n_normal * ALERTS)
    test = np.r_[normal[n_normal:], fraud[n_fraud:]]
    share = ALERTS / (1 - ALERTS)
    weight = share * (normal.size - n_normal) / (fraud.size - n_fraud)
    train = np.r_[normal[:n_normal], fraud[:n_fraud]]
    return X[train], X[test], y[test], np.where(y[test], weight, 1.0)


def measure(kind, anomaly, weight):
    """Return the metrics, and those of each kind of fraud."""
    is_fraud = kind > 0
    order = np.argsort(-anomaly, kind="stable")
    n_alerts = np.searchsorted(np.cumsum(weight[order]), ALERTS * weight.sum())
    alert = np.zeros(len(kind), dtype=bool)
    alert[order[: n_alerts + 1]] = True
    found = {
        "AUROC": roc_auc_score(is_fraud, anomaly),
        "AP": average_precision_score(is_fraud, anomaly, sample_weight=weight),
        "precision": np.average(is_fraud[alert], weights=weight[alert]),
        "recall": alert[is_fraud].mean(),
    }
    if kind.max() > 1:
        for one in np.unique(kind[is_fraud]):
            chosen = (kind == one) | ~is_fraud
            area = roc_auc_score(is_fraud[chosen], anomaly[chosen])
            found[f"AUROC {one}"] = area
            found[f"recall {one}"] = alert[kind == one].mean()
    return found


def run(name, seed, train, test, kind, weight):
    """Fit, score and measure a detector, with the seconds of both."""
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    start = time.perf_counter()
    detector = make_detector(name, seed).fit(train)
    seconds = time.perf_counter() - start
    if name == "GANVAE":
        names = ["GANVAE", "GANVAE, GAN only"]
        return {n: score(n, detector, seconds, test, kind, weight) for n in names}
    return {name: score(name, detector, seconds, test, kind, weight)}


def score(name, detector, fit_seconds, test, kind, weight):
    """Score with the weights of the name, and measure."""
    sign = 1  # PyOD's scores are high for anomalies
    if name in WEIGHTS:
        detector.set_params(term_weights=WEIGHTS[name])
        sign = -1
    start = time.perf_counter()
    # Infinite, as PyOD's may be, is the strangest.
    anomaly = np.nan_to_num(sign * detector.decision_function(test))
    seconds = {"fit s": fit_seconds, "score s": time.perf_counter() - start}
    return {**measure(kind, anomaly, weight), **seconds}


TASKS = {
    "aggregates": aggregates,
    "aggregates and ratios": lambda *args: aggregates(*args, ratios=True),
    "history": history,
    "creditcard": creditcard,
}


def main():
    """Run all detectors on all tasks, or those that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.environ.get("SKAD_DATA"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    names = ["GANVAE", "GANVAE, VAE only", *PYOD]
    parser.add_argument("--detectors", nargs="+", default=names, choices=names)
    args = parser.parse_args()
    if args.folder is None:
        parser.error("name a folder, or set SKAD_DATA")
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    for task in args.tasks:
        print(f"\n{task}", flush=True)
        runs = defaultdict(list)
        for seed in range(args.seeds):
            data = TASKS[task](Path(args.folder), seed)
            for name in args.detectors:
                for part, found in run(name, seed, *data).items():
                    runs[part].append(found)
        means = {name: pd.DataFrame(found).mean() for name, found in runs.items()}
        spread = {name: pd.DataFrame(found)["AP"].std() for name, found in runs.items()}
        table = pd.DataFrame(means).T
        table.insert(2, "± AP", pd.Series(spread))
        print(table.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
