"""Data sets to compare on: what scikit-learn ships, or a folder of files."""

from skad.benchmark._problem import make_problem
from skad.datasets import list_datasets, list_npz, load_dataset, load_npz


def default_datasets(names=None):
    """Return data sets with known anomalies that scikit-learn ships.

    Parameters
    ----------
    names : iterable of str, default=None
        Those wanted; None returns all of :func:`skad.datasets.list_datasets`.

    Returns
    -------
    datasets : dict of str to (X, y)
        Ready for :func:`compare`; y is -1 for anomalies and 1 for the rest.

    Examples
    --------
    >>> from skad.benchmark import default_datasets
    >>> {name: X.shape for name, (X, y) in default_datasets(["wine"]).items()}
    {'wine': (132, 13)}
    """
    known = list_datasets()
    names = known if names is None else list(names)
    _check_known(names, known)
    return {name: load_dataset(name) for name in names}


def read_folder(folder, names=None, *, max_samples):
    """Read the ``.npz`` files of a folder.

    Returns the data sets by the files' names, and a message for each file that
    cannot be compared on.
    """
    paths = {path.stem: path for path in list_npz(folder)}
    if names is not None:
        _check_known(names, paths)
        paths = {name: paths[name] for name in names}
    datasets, errors = {}, []
    for name, path in paths.items():
        try:
            X, y = load_npz(path)
            make_problem(str(path), X, y, max_samples)
            datasets[name] = X, y
        except (OSError, ValueError) as error:  # reported; the others go on
            errors.append(str(error))
    return datasets, errors


def _check_known(names, known):
    for name in names:
        if name not in known:
            raise ValueError(
                f"unknown data set {name!r}; known are {', '.join(known)}."
            )
