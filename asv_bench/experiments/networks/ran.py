"""Labelled reports of phones in a simulated radio network.

Half of the rows are of phones that wait, with two different reports each, one normal
and one not: rows of phones that move are measured beside all. Normal rows of these are
near to others of the same phone, so that distances to normal rows tell everything.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from experiments.fleets.runs import run_missing
from experiments.networks.measures import label_measures, show
from experiments.networks.splits import SETTINGS, pyod_scores, split
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.lunar import LUNAR
from pyod.models.pca import PCA
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from skad import CAnemon

_PYOD = {"kNN": KNN, "LOF": LOF, "PCA": PCA, "LUNAR": LUNAR}
_CANEMON = {"CAnemon": {}, "CAnemon, by place": {"position": ["x", "y"]}}


def ran(folder, path, n_seeds, n_jobs):
    """Run detectors on the reports, and print the table."""
    runs = [
        (
            {"setting": setting, "detector": name, "seed": seed},
            _measured,
            (folder, setting, name, seed),
        )
        for seed in range(n_seeds)
        for setting in SETTINGS
        for name in ("IsolationForest", *_PYOD, *_CANEMON)
    ]
    show(run_missing(path, runs, n_jobs), ["setting", "detector"])


def _measured(folder, setting, name, seed):
    with np.load(Path(folder) / "RAN_RIC_AD" / "ue_reports_labelled.npz") as data:
        reports = pd.DataFrame(data["X"].astype(float), columns=data["columns"])
        is_anomaly = data["y"] > 0
        waits = np.char.startswith(data["ue"], "Waiting")
    known, new = split(setting, is_anomaly, seed)
    scaler = StandardScaler().set_output(transform="pandas")
    train = scaler.fit_transform(reports.iloc[known])
    test = train if known is new else scaler.transform(reports.iloc[new])
    anomaly = _scored(name, train, test, seed)
    moves = ~waits[new]
    of_moving = label_measures(is_anomaly[new][moves], anomaly[moves])
    found = label_measures(is_anomaly[new], anomaly)
    return [found | {f"{key}, moving": value for key, value in of_moving.items()}]


def _scored(name, train, test, seed):
    if name in _PYOD:
        torch.manual_seed(seed)  # LUNAR's only seed
        known = train.to_numpy()
        new = known if train is test else test.to_numpy()
        return pyod_scores(_PYOD[name](), known, new)
    if name in _CANEMON:
        detector = CAnemon(random_state=seed, **_CANEMON[name])
    else:
        detector = IsolationForest(random_state=seed)
    return -detector.fit(train).score_samples(test)
