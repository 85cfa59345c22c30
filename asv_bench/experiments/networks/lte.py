"""Labelled quarters of an hour of LTE cells, unusual for their cell and hour.

The labels are in the digits: some KPIs are multiples of one number in normal rows and
of another in anomalous ones. Uniform noise as wide as the step hides that. Steps were
found as the numbers that the values of each label are nearest to multiples of.

Anomalous rows are mostly quieter than normal ones. The mean of ranks, low for
anomalies, makes use of that; the other detectors are not told.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from experiments.fleets.runs import run_missing
from experiments.networks.measures import label_measures, show
from experiments.networks.splits import SETTINGS, pyod_scores, split
from pyod.models.knn import KNN
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from skad import CAnemon

# Of normal rows; those of anomalous rows are less, where they differ: 0.0995, 0.00995.
STEPS = {
    "PRBUsageUL": 0.10105,
    "PRBUsageDL": 0.10105,
    "meanUE_DL": 0.010105,
    "meanUE_UL": 0.010105,
    "maxUE_DL": 1.0,
    "maxUE_UL": 1.0,
    "maxUE_UL+DL": 1.0,
}
_STEP_OF_OTHERS = 0.001
# In standard deviations of all rows, added to the spread of a cell at an hour.
_FLOOR = 0.05
# Cells are farther apart than any hours of one cell.
_APART = 100.0


@dataclass(frozen=True)
class Quarters:
    """Rows: their KPIs, the number of their cell, and the minute of the day."""

    kpis: np.ndarray
    cell: np.ndarray
    minute: np.ndarray

    def of(self, rows):
        """Return some of the rows."""
        return Quarters(self.kpis[rows], self.cell[rows], self.minute[rows])

    @property
    def group(self):
        """The number of the cell and the hour."""
        return 24 * self.cell + self.minute // 60

    @property
    def clock(self):
        """The time of the day on a circle."""
        angle = 2 * np.pi * self.minute / 1440
        return np.column_stack([np.sin(angle), np.cos(angle)])


def lte(folder, path, n_seeds, n_jobs):
    """Run detectors on the cells, and print the table."""
    runs = [
        (
            {"setting": setting, "detector": name, "seed": seed},
            _measured,
            (folder, setting, name, seed),
        )
        for seed in range(n_seeds)
        for setting in SETTINGS
        for name in DETECTORS
    ]
    show(run_missing(path, runs, n_jobs), ["setting", "detector"])


def load(folder, seed):
    """Return the rows with noise, and which are anomalous."""
    with np.load(Path(folder) / "LTE_cells" / "lte_cells.npz") as data:
        kpis, names = data["X"].astype(float), data["columns"]
        is_anomaly = data["y"] > 0
        cell = np.unique(data["cell"], return_inverse=True)[1]
        minute = data["minute_of_day"]
    kpis = np.where(np.isnan(kpis), np.nanmedian(kpis, axis=0), kpis)
    steps = np.array([STEPS.get(name, _STEP_OF_OTHERS) for name in names])
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, size=kpis.shape)
    return Quarters(kpis + steps * noise, cell, minute), is_anomaly


def _measured(folder, setting, name, seed):
    rows, is_anomaly = load(folder, seed)
    known, new = split(setting, is_anomaly, seed)
    anomaly = DETECTORS[name](rows.of(known), rows.of(new), seed)
    return [label_measures(is_anomaly[new], anomaly)]


def _forest(train, test, seed):
    forest = IsolationForest(random_state=seed).fit(train)
    return -forest.score_samples(test)


def _forest_of_kpis(train, test, seed):
    return _forest(train.kpis, test.kpis, seed)


def _forest_with_hour(train, test, seed):
    parts = (np.hstack([part.kpis, part.clock]) for part in (train, test))
    return _forest(*parts, seed)


def _forest_of_ranks(train, test, seed):
    return _forest(_ranks(train, train), _ranks(train, test), seed)


def _mean_rank(train, test, seed):
    return -_ranks(train, test).mean(axis=1)


def _robust_z(train, test, seed):
    """Sum the distances from the medians of the cell at that hour."""
    spread = train.kpis.std(axis=0)
    anomaly = np.zeros(len(test.kpis))
    for before, now in _groups(train, test):
        known = train.kpis[before]
        usual = np.median(known, axis=0)
        deviation = np.median(np.abs(known - usual), axis=0) + _FLOOR * spread
        anomaly[now] = (np.abs(test.kpis[now] - usual) / deviation).sum(axis=1)
    return anomaly


def _knn(train, test, seed):
    scaler = StandardScaler().fit(train.kpis)
    known, new = scaler.transform(train.kpis), scaler.transform(test.kpis)
    return pyod_scores(KNN(), known, known if train is test else new)


def _canemon(train, test, seed):
    detector = CAnemon(
        position=["cell", "sin", "cos"], n_neighbors=30, random_state=seed
    )
    detector.fit(_table(train))
    return -detector.score_samples(_table(test))


def _canemon_of_quantiles(train, test, seed):
    made_normal = QuantileTransformer(output_distribution="normal", random_state=seed)
    made_normal.fit(train.kpis)
    parts = (
        Quarters(made_normal.transform(part.kpis), part.cell, part.minute)
        for part in (train, test)
    )
    return _canemon(*parts, seed)


DETECTORS = {
    "IsolationForest": _forest_of_kpis,
    "IsolationForest, hour": _forest_with_hour,
    "IsolationForest, ranks": _forest_of_ranks,
    "mean rank, low": _mean_rank,
    "kNN": _knn,
    "robust z": _robust_z,
    "CAnemon": _canemon,
    "CAnemon, made normal": _canemon_of_quantiles,
}


def _ranks(train, test):
    """Return which shares of the rows of the cell and hour are lower."""
    ranks = np.full(test.kpis.shape, 0.5)
    for before, now in _groups(train, test):
        known = np.sort(train.kpis[before], axis=0)
        for j, column in enumerate(known.T):
            ranks[now, j] = np.searchsorted(column, test.kpis[now, j]) / len(column)
    return ranks


def _groups(train, test):
    """Yield the rows to learn from, and those to score, of each cell and hour."""
    for group in np.unique(test.group):
        before = np.flatnonzero(train.group == group)
        if len(before):
            yield before, np.flatnonzero(test.group == group)


def _table(part):
    table = pd.DataFrame(part.kpis).add_prefix("kpi ")
    table["cell"] = _APART * part.cell
    table[["sin", "cos"]] = part.clock
    return table
