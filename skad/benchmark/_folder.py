"""A folder of data sets, each a file or a folder with two parts."""

from functools import partial
from numbers import Integral
from pathlib import Path

from skad.benchmark._arrays import as_dataset
from skad.benchmark._images import read_images, read_videos
from skad.benchmark._problem import make_problem
from skad.benchmark._registry import check_kind, check_known
from skad.datasets._npz import by_name, read_arrays

_TABLES = (".csv", ".tsv", ".parquet")
_OF_IMAGES = ("images", "surfaces", "zero-shot")


def load_folder(
    folder, names=None, *, kind="tables", label="label", drop=(), image_size=None
):
    """Load the data sets of a folder, ready for a comparison.

    Each is a file ``NAME.npz``, for tables also ``NAME.csv``, ``NAME.tsv`` or
    ``NAME.parquet``, or a folder ``NAME`` with one part to fit on and one to score:
    ``train.csv`` and ``test.csv``, folders of images as MVTec AD has them, or folders
    of videos. See :ref:`benchmark_folder` for what belongs where. Hidden files and
    other folders are ignored.

    Parameters
    ----------
    folder : str or path-like
        The folder.

    names : iterable of str, default=None
        The names of those wanted, without the files' endings; None loads all.

    kind : str, default="tables"
        One of :func:`list_kinds`.

    label : str, default="label"
        In text and Parquet files, the column that tells the anomalies: {-1, 1} with -1
        for anomalies, or {0, 1} or true and false with 1 or true for anomalies.

    drop : iterable of str, default=()
        In text and Parquet files, columns to leave out.

    image_size : int or tuple of two ints, default=None
        Height and width that image files and frames of videos are resized to; an
        integer is both. If None, they stay as they are and must be of one size.

    Returns
    -------
    datasets : dict of str to (X, y) or FixedSplit
        The data sets by name, for :func:`compare`, in the order of their names or of
        `names`.

    Raises
    ------
    ValueError
        If the folder has no data sets, or one of them cannot be used; the message
        names the file.

    See Also
    --------
    default_datasets : Data that need no files.
    skad.datasets.load_frames : Reads images and videos.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skad.benchmark import load_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "motor.csv"
    ...     _ = path.write_text("heat,speed,broken\\n20.5,1500,0\\n81,1490,1\\n")
    ...     X, y = load_folder(folder, label="broken")["motor"]
    >>> X.tolist(), y.tolist()
    ([[20.5, 1500.0], [81.0, 1490.0]], [1, -1])
    """
    found, errors = read_folder(
        folder, names, kind=kind, label=label, drop=drop, image_size=image_size
    )
    if errors:
        raise ValueError("; ".join(errors))
    return found


def read_folder(folder, names=None, *, kind, max_samples=None, **options):
    """Read the data sets of a folder, each of which is checked for a comparison.

    Returns them by name, and a message for each that cannot be compared on.
    """
    read = partial(_read, kind=check_kind(kind), **_checked(**options))
    paths = _paths(folder, kind)
    check_known(names or (), paths)
    found, errors = {}, []
    for name in paths if names is None else names:
        path, *others = paths[name]
        try:
            if others:
                raise ValueError(f"{path} and {others[0]} have one name.")
            data = read(path)
            if max_samples is not None:
                make_problem(str(path), data, max_samples)
            found[name] = data
        except (ImportError, OSError, ValueError) as error:  # the others go on
            text = str(error)
            errors.append(text if str(path) in text else f"{path}: {text}")
    return found, errors


def _checked(label="label", drop=(), image_size=None):
    if isinstance(image_size, Integral):
        image_size = (image_size, image_size)
    if isinstance(drop, str):
        raise TypeError(f"drop={drop!r} is a string; expected a list of columns.")
    return {"label": label, "drop": list(drop), "size": image_size}


def _paths(folder, kind):
    """The files and folders of each name, in the order of the names."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"folder={str(folder)!r} is not a folder.")
    paths = {}
    for path in sorted(folder.iterdir(), key=by_name):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() in _endings(kind) and path.is_file():
            paths.setdefault(path.stem, []).append(path)
        elif path.is_dir() and _has_parts(path, kind):
            paths.setdefault(path.name, []).append(path)
    if not paths:
        raise ValueError(
            f"folder={str(folder)!r} has no data sets; {kind} are files that end with "
            f"{', '.join(_endings(kind))}, or folders that hold train and test."
        )
    return paths


def _endings(kind):
    return (".npz", *(() if kind in (*_OF_IMAGES, "videos") else _TABLES))


def _has_parts(path, kind):
    """Whether a folder is a data set: its parts are in it, or in its categories."""
    if _part(path, "train") or _part(path, "test"):
        return True
    categories = path.iterdir() if kind in _OF_IMAGES else ()
    return any(_part(category, "test") for category in categories if category.is_dir())


def _part(folder, name):
    """The folder or table of this name, or None."""
    paths = (folder / f"{name}{ending}" for ending in ("", *_TABLES))
    return next(filter(Path.exists, paths), None)


def _read(path, kind, label, drop, size):
    if path.suffix.lower() == ".npz" and path.is_file():
        arrays = read_arrays(path)
    elif kind == "videos":
        arrays = read_videos(path, size)
    elif kind in _OF_IMAGES:
        arrays = read_images(path, kind, size)
    else:
        arrays = _read_tables(path, kind, label, drop)
    return as_dataset(arrays, kind)


def _read_tables(path, kind, label, drop):
    from skad.benchmark._rows import read_parts, read_rows

    if path.is_dir():
        train, test = (_part(path, name) for name in ("train", "test"))
        if train is None or test is None:
            missing = "test" if train else "train"
            raise ValueError(f"{path}: has no {missing}.csv or .parquet.")
        return read_parts(train, test, kind, label, drop)
    if kind != "tables":
        raise ValueError(
            f"{path}: {kind} come in two parts; expected a folder {path.stem!r} with "
            f"train{path.suffix} and test{path.suffix}."
        )
    return read_rows(path, label, drop)
