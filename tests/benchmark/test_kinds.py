"""Every kind of data has detectors that run on it, and data sets of its own."""

import numpy as np
import pytest

from skad.benchmark import compare, default_datasets, default_detectors, list_kinds
from skad.benchmark._problem import FixedSplit, make_problem
from skad.benchmark._registry import WINDOW, _past


def planted(n_features=4, n_samples=60):
    X = np.random.default_rng(0).normal(size=(n_samples, n_features))
    X[:10] += 6
    return X, np.arange(n_samples) < 10


@pytest.mark.parametrize("kind", list_kinds())
def test_the_embedded_data_can_be_compared_on(kind):
    names = list(default_datasets(kind=kind)) if kind != "tables" else ["iris", "wine"]
    first = default_datasets(names, kind=kind)
    problems = [make_problem(name, first[name], 10_000) for name in names]
    assert len({problem.fingerprint for problem in problems}) == len(names) > 1
    again = make_problem(
        "again", default_datasets(names[:1], kind=kind)[names[0]], 10_000
    )
    assert again.fingerprint == problems[0].fingerprint


def test_every_detector_of_tables_runs():
    comparison = compare(default_detectors(quick=True), {"a": planted()}, seeds=1)
    assert comparison.failures().empty
    assert (comparison.scores().loc["a"] > 0.5).all()


@pytest.mark.parametrize("kind", ["payments", "fleets", "networks", "series"])
def test_the_baselines_of_records_and_series_run(kind):
    skad = {
        "UnsupervisedRandomForest",
        "GANVAE",
        "TransDe",
        "DConAD",
        "M2AD",
        "CAnemon",
    }
    detectors = default_detectors(kind=kind)
    baselines = {name: detectors[name] for name in detectors if name not in skad}
    name, *_ = default_datasets(kind=kind)
    comparison = compare(baselines, default_datasets([name], kind=kind), seeds=1)
    assert comparison.failures().empty
    assert len(comparison.records) >= 3


@pytest.mark.parametrize("kind", ["images", "surfaces", "zero-shot", "videos"])
def test_the_baselines_of_images_take_pixels_for_columns(kind):
    images = (
        np.random.default_rng(0).integers(0, 90, size=(40, 5, 4, 3)).astype(np.uint8)
    )
    images[::8, :3] += 120
    y = np.arange(40) % 8 == 0
    baselines = default_detectors(["IsolationForest", "KNN", "PCA"], kind=kind)
    data = {"a": FixedSplit(images[y == 0], images, y)}
    assert (compare(baselines, data, seeds=1).scores().loc["a"] > 0.9).all()


@pytest.mark.parametrize("kind", list_kinds())
def test_quick_changes_skads_nets_and_no_baseline(kind):
    usual, quick = (
        default_detectors(kind=kind, quick=value) for value in (False, True)
    )
    changed = {name for name in usual if repr(usual[name]) != repr(quick[name])}
    nets = {"BayesianVAE", "DConAD", "GANVAE", "GenCLIP", "MDDNet"}
    assert changed <= {*nets, "MiddleFramePredictor"}
    assert len(changed) == (kind not in ("fleets", "networks"))


def test_windows_hold_the_past_of_each_row():
    X = np.arange(60.0).reshape(30, 2)
    windows = _past(X)
    assert windows.shape == (30, 2 * WINDOW)
    assert windows[25].reshape(2, WINDOW).T.tolist() == X[6:26].tolist()
    assert windows[0].reshape(2, WINDOW).T.tolist() == [[0, 1]] * WINDOW
