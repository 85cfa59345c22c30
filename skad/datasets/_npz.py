"""Labelled data in ``.npz`` files, as benchmark collections publish them."""

import re
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

# What NumPy raises for archives that are damaged, encrypted or no archives at all.
_UNREADABLE = (
    EOFError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_npz(path):
    """Load labelled data from a ``.npz`` file, with thorough checks.

    The file holds an array `X` of shape (n_samples, n_features) and an array `y` of
    shape (n_samples,) with 1 for anomalies and 0 for normal samples, the format of
    ADBench. Nothing is unpickled.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        The data, as float64. Missing values are NaN.

    y : ndarray of shape (n_samples,)
        1 for normal samples, -1 for anomalies: scikit-learn's labels, not those of
        the file.

    See Also
    --------
    list_npz : The files of a folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skad.datasets import load_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "data.npz"
    ...     np.savez(path, X=[[0.1, 2.0], [np.nan, 3.0], [9.0, 9.0]], y=[0, 0, 1])
    ...     X, y = load_npz(path)
    >>> y
    array([ 1,  1, -1])
    """
    arrays = read_arrays(path)
    if missing := sorted({"X", "y"} - arrays.keys()):
        raise ValueError(
            f"{path}: has no {missing}; expected X and y, found {sorted(arrays)}."
        )
    try:
        return check_labelled(arrays["X"], arrays["y"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def list_npz(folder):
    """List the ``.npz`` files of a folder.

    Parameters
    ----------
    folder : str or path-like
        The folder. Folders in it are not searched.

    Returns
    -------
    paths : list of pathlib.Path
        The files in the order of their names, numbers by value: ``2_b.npz`` before
        ``10_a.npz``.

    See Also
    --------
    load_npz : Load one of them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skad.datasets import list_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("10_a.npz", "2_b.npz", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in list_npz(folder)]
    ['2_b.npz', '10_a.npz']
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"folder={str(folder)!r} is not a folder.")
    paths = sorted(folder.glob("*.npz"), key=by_name)
    if not paths:
        raise ValueError(f"folder={str(folder)!r} has no .npz files.")
    return paths


def by_name(path):
    """Return what paths are sorted by: their names, with numbers by value."""
    parts = re.split(r"(\d+)", path.name)
    key = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    # Zeros in front of a number are no reason to leave the order to chance.
    return key, path.name


def read_arrays(path):
    """Read all arrays of a ``.npz`` file, without unpickling anything.

    Returns
    -------
    arrays : dict of str to ndarray
        The arrays by name.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path={str(path)!r} is not a file.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a .npz file, which is a zip archive.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            arrays = {name: arrays[name] for name in arrays.files}
    except _UNREADABLE as error:
        hint = ""
        if "allow_pickle" in str(error):
            hint = " Text can be read if it is saved as names.astype(str)."
        raise ValueError(f"{path}: cannot be read: {error}{hint}") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # the bytes of another file
            raise ValueError(f"{path}: {name} is not an array of NumPy.")
    return arrays


def check_labelled(X, y):
    """Return X as floats and y as scikit-learn's labels, both checked."""
    return _check_X(X), _check_y(y, len(X))


def _check_X(X):
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X has dtype {X.dtype}; expected real numbers.")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"X has shape {X.shape}; expected (n_samples, n_features), not empty."
        )
    X = X.astype(np.float64)
    if np.isinf(X).any():
        raise ValueError(
            f"X has {np.isinf(X).sum()} infinite values; expected finite values or NaN."
        )
    return X


def _check_y(y, n_samples):
    if y.shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(
            f"y has shape {y.shape}; expected ({n_samples},), one label per row of X."
        )
    if y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"y has the labels {np.unique(y)[:5].tolist()}; expected 1 for anomalies "
            "and 0 for normal samples."
        )
    return np.where(y.ravel() == 1, -1, 1)
