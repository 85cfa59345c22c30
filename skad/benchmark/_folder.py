"""A folder of data sets, each a file or a folder with two parts."""

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
        If the folder has no data sets, or some cannot be read; the message names each
        file. Whether detectors can be compared on them is for :func:`compare` to say.

    TypeError
        If `names` or `drop` is a string, not several.

    ImportError
        If pandas is missing, pyarrow for Parquet files or PyAV for images and videos.

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


def read_folder(
    folder,
    names=None,
    *,
    kind,
    label="label",
    drop=(),
    image_size=None,
    max_samples=None,
):
    """Read the data sets of a folder; with `max_samples`, check that they can be used.

    Returns them by name, and a message for each that cannot be read or used.
    """
    from skad.benchmark._rows import Columns  # needs pandas

    if isinstance(image_size, Integral):
        image_size = (image_size, image_size)
    columns = Columns(label, _listed("drop", drop))
    paths = _paths(folder, check_kind(kind))
    names = list(paths) if names is None else _listed("names", names)
    check_known(names, paths)
    found, errors = {}, []
    for name in names:
        path, *others = paths[name]
        try:
            if others:
                raise ValueError(f"{path} and {others[0]} have one name.")
            data = as_dataset(_read(path, kind, columns, image_size), kind)
            if max_samples is not None:
                make_problem(str(path), data, max_samples)
            found[name] = data
        except (OSError, ValueError) as error:  # reported; the others go on
            text = str(error)
            errors.append(text if str(path) in text else f"{path}: {text}")
    columns.check_dropped()
    return found, errors


def _listed(parameter, names):
    if isinstance(names, str):
        raise TypeError(f"{parameter}={names!r} is a string; expected a list of names.")
    return list(names)


def _paths(folder, kind):
    """The files and folders of each name, in the order of the names."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"folder={str(folder)!r} is not a folder.")
    if all(_parts(folder, name, kind) for name in ("train", "test")):
        raise ValueError(
            f"folder={str(folder)!r} holds train and test, and so is one data set; "
            "expected the folder that it is in."
        )
    endings = (".npz", *(() if is_visual(kind) else _TABLES))
    paths = {}
    for path in sorted(folder.iterdir(), key=by_name):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() in endings and path.is_file():
            paths.setdefault(path.stem, []).append(path)
        elif path.is_dir() and _is_dataset(path, kind):
            paths.setdefault(path.name, []).append(path)
    if not paths:
        raise ValueError(
            f"folder={str(folder)!r} has no data sets; {kind} are files that end with "
            f"{', '.join(endings)}, or folders that hold train and test."
        )
    return paths


def is_visual(kind):
    """Whether data of this kind are images or videos, and not tables."""
    return kind in (*_OF_IMAGES, "videos")


def _is_dataset(path, kind):
    """Whether a folder has a part in it, or in folders of categories in it."""
    categories = path.iterdir() if kind in _OF_IMAGES else ()
    return any(
        _parts(parent, name, kind)
        for parent in (path, *filter(Path.is_dir, categories))
        for name in ("train", "test")
    )


def _parts(folder, name, kind):
    """The folder of this name or, of tables, the files."""
    if is_visual(kind):
        return [folder / name] if (folder / name).is_dir() else []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.stem == name and path.suffix.lower() in _TABLES and path.is_file()
    ]


def _read(path, kind, columns, size):
    """The arrays of a data set, by the names that they have in files of arrays."""
    from skad.benchmark._rows import read_parts, read_rows

    if path.suffix.lower() == ".npz" and path.is_file():
        return read_arrays(path)
    if kind == "videos":
        return read_videos(path, size)
    if kind in _OF_IMAGES:
        return read_images(path, kind, size)
    if path.is_dir():
        parts = [_only(path, name, kind) for name in ("train", "test")]
        return read_parts(*parts, kind, columns)
    if kind != "tables":
        raise ValueError(
            f"{path}: {kind} come in two parts; expected a folder {path.stem!r} with "
            f"train{path.suffix} and test{path.suffix}."
        )
    return read_rows(path, columns)


def _only(folder, name, kind):
    found = _parts(folder, name, kind)
    if not found:
        raise ValueError(f"{folder}: has no {name}.csv, .tsv or .parquet.")
    if len(found) > 1:
        raise ValueError(f"{found[0]} and {found[1]} have one name.")
    return found[0]
