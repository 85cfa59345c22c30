"""Labelled data in files."""

import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skad.datasets import list_npz, load_npz

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
Y = np.array([0, 1, 0])


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        path = tmp_path / "data.npz"
        np.savez_compressed(path, **arrays)
        return path

    return save


@pytest.mark.parametrize("dtype", [float, np.float32, int, np.uint8, bool])
def test_data_are_float64_and_labels_are_sklearns(save, dtype):
    path = save(X=X.astype(dtype), y=Y, more=np.zeros(2))
    loaded, y = load_npz(str(path))
    assert loaded.dtype == np.float64
    assert_array_equal(loaded, X.astype(dtype))
    assert_array_equal(y, [1, -1, 1])


@pytest.mark.parametrize("y", [Y.astype(float), Y.astype(bool), Y[:, np.newaxis]])
def test_labels_come_in_several_forms(save, y):
    assert_array_equal(load_npz(save(X=X, y=y))[1], [1, -1, 1])


def test_missing_values_are_kept(save):
    holed = np.where(X == 3, np.nan, X)
    assert_array_equal(load_npz(save(X=holed, y=Y))[0], holed)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X}, r"has no \['y'\]; expected X and y, found \['X'\]"),
        ({"x": X, "label": Y}, r"has no \['X', 'y'\]; .* found \['label', 'x'\]"),
        (
            {"X": X[0], "y": Y},
            r"X has shape \(2,\); expected \(n_samples, n_features\)",
        ),
        ({"X": X[:0], "y": Y[:0]}, r"X has shape \(0, 2\)"),
        ({"X": X[:, :0], "y": Y}, r"X has shape \(3, 0\)"),
        ({"X": X.astype(str), "y": Y}, "X has dtype <U32; expected real numbers"),
        ({"X": X * 1j, "y": Y}, "X has dtype complex128"),
        ({"X": X.astype(object), "y": Y}, "cannot be read: Object arrays cannot be"),
        (
            {"X": np.where(X > 3, np.inf, X), "y": Y},
            "X has 3 infinite values; expected finite",
        ),
        ({"X": X, "y": Y[:2]}, r"y has shape \(2,\); expected \(3,\)"),
        ({"X": X, "y": np.eye(3)}, r"y has shape \(3, 3\)"),
        ({"X": X, "y": [1, -1, 1]}, r"y has the labels \[-1, 1\]; expected 1 for anom"),
        ({"X": X, "y": [0, 1, 2]}, r"y has the labels \[0, 1, 2\]"),
        ({"X": X, "y": [0, 1, np.nan]}, r"y has the labels \[0.0, 1.0, nan\]"),
        ({"X": X, "y": ["a", "b", "a"]}, r"y has the labels \['a', 'b'\]"),
    ],
)
def test_bad_file_raises_with_its_name(save, arrays, message):
    with pytest.raises(ValueError, match=rf"data\.npz: .*{message}"):
        load_npz(save(**arrays))


def test_file_that_is_no_archive_raises(tmp_path):
    np.save(tmp_path / "array.npy", X)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(ValueError, match=r"array\.npz: not a \.npz file"):
        load_npz(tmp_path / "array.npz")


def test_damaged_archive_raises(save):
    path = save(X=np.random.default_rng(0).normal(size=(99, 9)), y=np.zeros(99))
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.npz: cannot be read"):
        load_npz(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }\n",
        "{'descr': '<f8', 'fortran_order': (\n",
    ],
    ids=["more than any memory holds", "no header"],
)
def test_damaged_header_raises_with_the_name_of_the_file(tmp_path, header):
    path = tmp_path / "bad.npz"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", member + header.encode())
    with pytest.raises(ValueError, match="bad.npz: cannot be read"):
        load_npz(path)


def test_archive_of_something_else_raises(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("X.npy", "text")
        archive.writestr("y.npy", "text")
    with pytest.raises(ValueError, match=r"data\.npz: X is not an array"):
        load_npz(tmp_path / "data.npz")


def test_absent_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a file"):
        load_npz(tmp_path / "none.npz")


def test_files_of_a_folder_in_the_order_of_their_numbers(tmp_path):
    for name in ("14_b.npz", "2_c.npz", "a.npz", "2_a.npz", "y.csv"):
        (tmp_path / name).touch()
    names = [path.name for path in list_npz(tmp_path)]
    assert names == ["2_a.npz", "2_c.npz", "14_b.npz", "a.npz"]


def test_folder_without_files_raises(tmp_path):
    with pytest.raises(ValueError, match=r"has no \.npz files"):
        list_npz(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        list_npz(tmp_path / "none")
