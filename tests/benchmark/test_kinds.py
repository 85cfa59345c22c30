"""Every kind of data has detectors that run on it, and data sets of its own."""

import numpy as np
import pytest

from skad.benchmark import compare, default_datasets, default_detectors, list_kinds
from skad.benchmark._data import read_folder
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


X, Y = planted()
PARTS = {"X_train": X, "X_test": X, "y_test": Y}


def read(folder, kind, arrays):
    np.savez(folder / "mine.npz", **arrays)
    found, errors = read_folder(folder, kind=kind, max_samples=1000)
    assert errors == []
    return found["mine"]


def test_a_table_comes_whole_or_in_two_parts(tmp_path):
    whole = read(tmp_path, "tables", {"X": X, "y": Y})
    assert whole[0].shape == (60, 4)
    parts = read(tmp_path, "tables", PARTS)
    assert parts.buffer is None
    assert parts.X_train.tolist() == X.tolist()


def test_images_come_with_categories_and_masks(tmp_path):
    images = np.zeros((60, 3, 3))
    arrays = {"X_train": images, "X_test": images, "y_test": Y}
    masks = np.arange(9).reshape(3, 3) < np.where(Y, 4, 0)[:, np.newaxis, np.newaxis]
    arrays |= {"y_train": Y, "masks_train": masks, "masks_test": masks}
    found = read(tmp_path, "zero-shot", arrays)
    assert set(found.fit_params) == {"y", "masks"}
    assert found.masks.shape == (60, 3, 3)
    assert read(tmp_path, "images", {"X": images, "y": Y})[0].shape == (60, 3, 3)


def test_series_get_groups_and_a_buffer(tmp_path):
    wave = np.sin(2 * np.pi * np.arange(600) / 50)[:, np.newaxis]
    arrays = {"X_train": wave, "X_test": wave, "y_test": np.arange(600) < 9}
    groups = {
        "groups_train": np.arange(600) // 300,
        "groups_test": np.arange(600) // 300,
    }
    found = read(tmp_path, "series", arrays | groups)
    assert found.buffer == 50
    assert found.fit_params["groups"].tolist() == groups["groups_train"].tolist()
    assert found.score_params["groups"].tolist() == groups["groups_test"].tolist()
    assert read(tmp_path, "series", {**arrays, "buffer": 7}).buffer == 7
    systems = np.column_stack([groups["groups_test"], wave])
    fleet = {"X_train": systems, "X_test": systems, "y_test": arrays["y_test"]}
    assert read(tmp_path, "fleets", fleet).buffer == 50


def test_columns_get_their_names(tmp_path):
    columns = ["cell", "time", "x", "y"]
    found = read(tmp_path, "networks", {**PARTS, "columns": columns})
    assert found.X_test.columns.tolist() == columns


@pytest.mark.parametrize(
    ("kind", "arrays", "message"),
    [
        (
            "series",
            {"X": X, "y": Y},
            r"has \['X', 'y'\]; series need \['X_test', 'X_tr",
        ),
        ("images", {"X": X}, r"has no \['y'\]; expected X and y, or X_train"),
        ("images", {"X": X, "y": Y}, "images are real numbers in 3 or 4 dimensions"),
        ("series", {**PARTS, "X_test": X.astype(str)}, "dtype <U32; series are real"),
        ("series", {**PARTS, "buffer": 2.5}, "buffer=2.5 must be one integer"),
        (
            "networks",
            {**PARTS, "columns": list("abcd")},
            r"no \['cell', 'time', 'x', 'y",
        ),
        ("networks", {**PARTS, "columns": np.array(["a"], object)}, "astype.str."),
        ("networks", PARTS, "networks need .*'columns'"),
        ("networks", {**PARTS, "columns": ["a"]}, "columns has 1 names for X of shape"),
        ("tables", {**PARTS, "y": Y}, "and may have .*'buffer'"),
        ("tables", {**PARTS, "y_test": np.zeros(60)}, "0 of 60 rows to score"),
    ],
)
def test_a_bad_file_is_named_and_says_what_is_wanted(tmp_path, kind, arrays, message):
    np.savez(tmp_path / "mine.npz", **arrays)
    found, errors = read_folder(tmp_path, kind=kind, max_samples=1000)
    assert found == {}
    assert len(errors) == 1
    assert "mine.npz" in errors[0]
    with pytest.raises(ValueError, match=message):
        raise ValueError(errors[0])
