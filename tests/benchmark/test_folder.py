"""Data sets are read from a folder: files of arrays, and what all have in common."""

import sys

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from skad.benchmark import compare, load_folder
from skad.benchmark._folder import read_folder

X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.arange(60) < 10
X[Y] += 6
PARTS = {"X_train": X, "X_test": X, "y_test": Y}


def read(folder, kind, arrays):
    np.savez(folder / "mine.npz", **arrays)
    return load_folder(folder, kind=kind)["mine"]


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


def test_files_come_in_the_order_of_their_names_or_as_they_are_asked_for(tmp_path):
    for name in ("10_a", "2_b", ".hidden"):
        np.savez(tmp_path / f"{name}.npz", X=X, y=Y)
    (tmp_path / "notes.md").touch()
    (tmp_path / "pictures").mkdir()
    assert list(load_folder(tmp_path)) == ["2_b", "10_a"]
    assert list(load_folder(tmp_path, ["10_a"])) == ["10_a"]
    with pytest.raises(ValueError, match="unknown data set 'c'; known are 2_b, 10_a"):
        load_folder(tmp_path, ["c"])


def test_what_is_loaded_is_compared_on(tmp_path):
    np.savez(tmp_path / "mine.npz", X=X, y=Y)
    comparison = compare({"forest": IsolationForest()}, load_folder(tmp_path), seeds=1)
    assert comparison.scores().loc["mine", "forest"] > 0.9


def test_a_bad_file_is_an_error_that_names_each(tmp_path):
    np.savez(tmp_path / "good.npz", X=X, y=Y)
    for name in ("bad", "worse"):
        (tmp_path / f"{name}.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"bad\.npz.*; .*worse\.npz: not a .npz file"):
        load_folder(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    (tmp_path / "a.csv").write_text("x,label\n1,0\n")
    with pytest.raises(ValueError, match=r"a\.csv and .*a\.npz have one name"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("tables", r"no data sets; tables are files that end with .npz, .csv, .tsv"),
        ("videos", r"videos are files that end with .npz, or folders that hold train"),
    ],
)
def test_a_folder_without_data_says_what_is_looked_for(tmp_path, kind, message):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path, kind=kind)


def test_a_file_is_no_folder(tmp_path):
    with pytest.raises(ValueError, match="'.*nowhere' is not a folder"):
        load_folder(tmp_path / "nowhere")
    np.savez(tmp_path / "mine.npz", X=X, y=Y)
    with pytest.raises(ValueError, match="unknown kind of data 'sounds'"):
        load_folder(tmp_path, kind="sounds")
    with pytest.raises(TypeError, match="drop='a' is a string"):
        load_folder(tmp_path, drop="a")
    with pytest.raises(TypeError, match="names='a' is a string"):
        load_folder(tmp_path, "a")


@pytest.mark.parametrize("kind", ["images", "series"])
def test_a_data_set_is_told_from_a_folder_of_them(tmp_path, kind):
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.csv").write_text("x,label\n1,0\n")
    with pytest.raises(ValueError, match="holds train and test, and so is one"):
        load_folder(tmp_path, kind=kind)


def test_names_come_from_any_iterable(tmp_path):
    np.savez(tmp_path / "mine.npz", X=X, y=Y)
    assert list(load_folder(tmp_path, iter(["mine"]))) == ["mine"]


def test_a_missing_package_is_no_bad_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "mine.parquet").write_text("x")
    with pytest.raises(ImportError, match=r'pyarrow, .*: pip install "skad\[table\]"'):
        load_folder(tmp_path)
