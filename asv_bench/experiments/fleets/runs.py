"""Runs whose lines are kept in a file, so that none is run again."""

import warnings

import pandas as pd
from joblib import Parallel, delayed


def run_missing(path, runs, n_jobs):
    """Run what the file does not hold, and append its lines to it.

    Parameters
    ----------
    path : Path
        The file.

    runs : iterable of (key, function, arguments)
        The key, a dict, begins each of the lines, dicts again, that the function
        returns.

    n_jobs : int
        The number of processes.

    Returns
    -------
    lines : DataFrame
        All lines of the file.
    """
    known = pd.read_csv(path) if path.exists() else None
    calls = (
        delayed(_lines)(key, function, arguments)
        for key, function, arguments in runs
        if known is None or not _holds(known, key)
    )
    parallel = Parallel(n_jobs, return_as="generator_unordered", pre_dispatch=n_jobs)
    for lines in parallel(calls):
        table = pd.DataFrame(lines)
        table.to_csv(path, mode="a", header=not path.exists(), index=False)
    return pd.read_csv(path)


def _holds(known, key):
    same = [known[name] == value for name, value in key.items()]
    return pd.concat(same, axis=1).all(axis=1).any()


def _lines(key, function, arguments):
    with warnings.catch_warnings():
        # A constant sensor, a series shorter than a window: as the data are.
        warnings.simplefilter("ignore")
        return [{**key, **line} for line in function(*arguments)]
