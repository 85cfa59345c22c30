"""Measure the false alarms of M2AD on series without anomalies; prints the docs' table.

    python asv_bench/experiments/calibration.py FALSE_ALARMS.csv
    python asv_bench/experiments/calibration.py FALSE_ALARMS.csv --density gmm
    python asv_bench/experiments/calibration.py FALSE_ALARMS.csv --forecaster lstm
    python asv_bench/experiments/calibration.py FALSE_ALARMS.csv --rows 20000

Sensors are autoregressive, and what is new in them is normal, heavy-tailed (Student's t
with five degrees of freedom), or heavy-tailed in all sensors at the same time. A
detector learns from 4,000 rows, or as many as `--rows` says, and judges the 10,000 that
follow. The table has the share of these with a p-value below the nominal rate, divided
by that rate, in the mean of the repetitions, with its standard error: 1 is right, 2 are
twice as many false alarms as promised. Smoothed rows come in clusters: a single series
says little.

The file gets a line for each repetition as soon as it is there, and what it holds is
not run again.
"""

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.signal import lfilter
from sklearn.linear_model import Ridge

from skad import M2AD
from skad._system_model import Evidence, Forecasts, SystemModel
from skad.forecasting import LSTMRegressor

NOMINAL = (0.01, 0.001)
NOISES = ("normal", "heavy", "heavy together")
SENSORS = (1, 5, 38)
CORRELATIONS = (0.0, 0.5, 0.9)
SMOOTHINGS = (10, 0)
FORECASTERS = {"linear": Ridge(), "lstm": LSTMRegressor(device="cpu", random_state=0)}
KINDS = (NOISES, SENSORS, CORRELATIONS)
CALIBRATIONS = ("pareto", "empirical", "gamma", "chi2")
CELL = ["smoothing", "noise", "sensors", "correlation"]
WAY = ["forecaster", "density", "combination", "cv", "rows"]
N_TEST, N_BEFORE = 10_000, 200
MEMORY = 0.8


def cells():
    """Yield the kinds of series; one sensor has nothing to be correlated with."""
    for cell in product(SMOOTHINGS, NOISES, SENSORS, CORRELATIONS):
        _, noise, n_sensors, correlation = cell
        if n_sensors > 1 or (correlation == 0 and noise != "heavy together"):
            yield cell


def innovations(rng, n_rows, noise, n_sensors, correlation):
    """Return what is new in each row: one factor for all sensors, and one for each."""
    size = (n_rows, n_sensors + 1)
    draws = rng.standard_t(5, size) if noise == "heavy" else rng.normal(size=size)
    found = np.sqrt(correlation) * draws[:, :1]
    found = found + np.sqrt(1 - correlation) * draws[:, 1:]
    if noise == "heavy together":
        found /= np.sqrt(rng.chisquare(5, size=(n_rows, 1)) / 5)
    return found


def repeat(cell, way, repetition):
    """Return a line of the file for each calibration."""
    smoothing, *kind = cell
    # The same series for all ways.
    seed = [
        repetition,
        *(list(values).index(v) for values, v in zip(KINDS, kind, strict=True)),
    ]
    rng = np.random.default_rng(seed)
    params = {**way, "forecaster": FORECASTERS[way["forecaster"]]}
    n_rows = params.pop("rows")
    new = innovations(rng, N_BEFORE + n_rows + N_TEST, *kind)
    X = lfilter([1], [1, -MEMORY], new, axis=0)[N_BEFORE:]
    detector = M2AD(smoothing=smoothing, **params)
    line = {**dict(zip(CELL, cell, strict=True)), **way, "repetition": repetition}
    return [
        {**line, "calibration": name, **_ratios(fitted, X[n_rows:])}
        for name, fitted in _fitted(detector, X[:n_rows])
    ]


def _fitted(detector, X):
    """Yield the detector with each calibration; other steps are not done again."""
    (system,) = detector._validate(X, reset=True).values()
    recipe, forecasts = detector._recipe(), Forecasts()
    found = forecasts.fit(system, recipe)
    detector._model_of_others, detector.offset_ = None, 0.0
    for name in CALIBRATIONS:
        judged = replace(recipe, calibration=name)
        evidence = Evidence(*found, system.series.bounds, judged)
        detector._models = {None: SystemModel(forecasts, evidence)}
        yield name, detector


def _ratios(detector, X):
    scores = detector.score_samples(X)
    return {rate: np.mean(scores < np.log(rate)) / rate for rate in NOMINAL}


def run(path, way, n_repetitions, n_jobs):
    """Run what is missing and append it to the file."""
    done = set()
    if path.exists():
        known = pd.read_csv(path)[[*CELL, *WAY, "repetition"]]
        done = set(known.itertuples(index=False, name=None))
    runs = (
        delayed(repeat)(cell, way, repetition)
        for repetition, cell in product(range(n_repetitions), cells())
        if (*cell, *way.values(), repetition) not in done
    )
    parallel = Parallel(n_jobs, return_as="generator_unordered")
    for lines in parallel(runs):
        pd.DataFrame(lines).to_csv(
            path, mode="a", header=not path.exists(), index=False
        )


def table(path):
    """Print means and standard errors, and the range of the means of a calibration."""
    lines = pd.read_csv(path)
    rates = [str(rate) for rate in NOMINAL]
    groups = lines.groupby([*WAY, "calibration", *CELL], sort=False)[rates]
    means, errors = groups.mean(), groups.sem()
    shown = means.round(2).astype(str) + " ± " + errors.round(2).astype(str)
    with pd.option_context("display.width", 200, "display.max_rows", None):
        for rate in rates:
            print(f"\nRealised over nominal rate at {rate}")
            print(shown[rate].unstack([*WAY, "calibration"]).to_string())
        print("\nLeast, mean and largest; how many are from 1/2 to 2, and above")
        ways = means.groupby([*WAY, "calibration", "smoothing"], sort=False)
        print(ways.agg(["min", "mean", "max", _within, _above]).round(2).to_string())


def _within(ratios):
    return ratios.between(0.5, 2).sum()


def _above(ratios):
    return (ratios > 2).sum()


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--forecaster", choices=FORECASTERS, default="linear")
    parser.add_argument("--density", default="normal")
    parser.add_argument("--combination", default="fisher")
    parser.add_argument("--cv", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    way = {name: getattr(given, name) for name in WAY}
    run(given.file, way, given.repetitions, given.jobs)
    table(given.file)


if __name__ == "__main__":
    main()
