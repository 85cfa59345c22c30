"""The comparison itself: every detector on every data set with every seed."""

import os
import sys
from collections.abc import Mapping
from numbers import Integral
from uuid import uuid4

from joblib import Parallel, delayed, effective_n_jobs
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.utils import check_scalar

from skad.benchmark._comparison import Comparison
from skad.benchmark._problem import make_problem
from skad.benchmark._run import check_detector, run
from skad.benchmark._store import Store, run_key


def compare(
    detectors,
    datasets,
    *,
    seeds=5,
    max_samples=10_000,
    n_jobs=None,
    results=None,
    progress=False,
):
    """Compare detectors on data sets with known anomalies.

    For each seed, rows without an order are split 70 to 30 with the share of anomalies
    kept. A detector is fitted on the larger part without the labels, anomalies
    included, and the scores of the smaller part are measured against the labels. Other
    data come with their own two parts, as a :class:`FixedSplit`. A detector that
    raises, or whose scores are not finite, has failed: the error is kept, and it shares
    the last rank on that data set.

    Parameters
    ----------
    detectors : dict of str to estimator
        Detectors with scikit-learn's sign, high scores for normal rows, or PyOD's.
        Each run uses a clone, of which every parameter called ``random_state`` is
        set to the seed.

    datasets : dict of str to (X, y) or FixedSplit
        The data sets. Labels are {-1, 1} with -1 for anomalies, or {0, 1} or bool
        with 1 for anomalies.

    seeds : int, default=5
        The number of splits; the seeds are ``range(seeds)``. Those of a
        :class:`FixedSplit` are all the same, so that only the detectors vary.

    max_samples : int, default=10000
        A larger data set is reduced to as many random rows, anew for each seed; a
        :class:`FixedSplit` is taken as it is.

    n_jobs : int, default=None
        The number of runs made at the same time, by joblib and so on any of its
        backends; None means 1, unless in a context of joblib. Runs beside one another
        take longer each: compare times only of the same `n_jobs`.

    results : path-like, default=None
        A file to which each finished run is added at once, as a line of JSON. What
        it holds already is used again, where data, detector, seed and versions are
        the same; failed runs are tried again.

    progress : bool, default=False
        Show a progress bar on the standard error stream.

    Returns
    -------
    comparison : Comparison
        The runs, with tables and a report.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.svm import OneClassSVM
    >>> from skad.benchmark import compare
    >>> from skad.datasets import load_dataset
    >>> comparison = compare(
    ...     {"svm": OneClassSVM(), "forest": IsolationForest(n_estimators=20)},
    ...     {"wine": load_dataset("wine"), "iris": load_dataset("iris")},
    ...     seeds=2,
    ... )
    >>> list(comparison.table().index)
    ['svm', 'forest']
    """
    plan = Plan(
        detectors, datasets, seeds=seeds, max_samples=max_samples, n_jobs=n_jobs
    )
    records = list(plan.runs(Store(results), progress=progress))
    return Comparison(plan, records)


class Plan:
    """What is to be compared, checked before anything is computed."""

    def __init__(self, detectors, datasets, *, seeds, max_samples, n_jobs=None):
        _check_names("detectors", detectors)
        _check_names("datasets", datasets)
        check_scalar(seeds, "seeds", Integral, min_val=1)
        check_scalar(max_samples, "max_samples", Integral, min_val=10)
        self.seeds = range(seeds)
        self.max_samples = max_samples
        self.n_jobs = _check_n_jobs(n_jobs)
        self.detectors = {}
        for name, detector in detectors.items():
            check_detector(name, detector, pickled=self.n_jobs > 1)
            self.detectors[name] = clone(detector)
        self.problems = [
            make_problem(name, data, max_samples) for name, data in datasets.items()
        ]
        for problem in self.problems:
            problem.check_taken(self.detectors.values())

    def __len__(self):
        return len(self.problems) * len(self.seeds) * len(self.detectors)

    def runs(self, store, *, progress=False):
        """Yield the record of each run: those that are known, and then as they come.

        All detectors take their turn with a seed before the next seed begins, so
        that an interrupted comparison still compares.
        """
        missing = {}
        with _progress_bar(len(self), progress) as bar:
            for labels, problem in self._asked():
                known = store.get(labels["key"])
                if known is not None:
                    yield {**known, **labels, "reused": True}
                    bar.update()
                else:  # of data sets that are the same, one is enough
                    same = (labels["key"], labels["detector"])
                    missing.setdefault(same, (problem, []))[1].append(labels)
            for same, outcome in self._outcomes(missing):
                for labels in missing[same][1]:
                    record = {**labels, **outcome}
                    store.add(record)
                    text = f"{labels['dataset']}, {labels['detector']}"
                    bar.set_postfix_str(text, refresh=False)
                    bar.update()
                    yield {**record, "reused": False}

    def _asked(self):
        for problem in self.problems:
            for seed in self.seeds:
                for name, detector in self.detectors.items():
                    key = run_key(detector, problem, seed, self.max_samples)
                    labels = {"key": key, "dataset": problem.name}
                    yield {**labels, "detector": name, "seed": seed}, problem

    def _outcomes(self, missing):
        """What the runs come to, in the order in which they end."""
        token = uuid4().hex
        return Parallel(n_jobs=self.n_jobs, return_as="generator_unordered")(
            delayed(_labelled_run)(
                (key, name),
                get_config(),
                self.detectors[name],
                problem,
                labels[0]["seed"],
                self.max_samples,
                warm_key=(token, name),
                home=os.getpid(),
            )
            for (key, name), (problem, labels) in missing.items()
        )


def _labelled_run(label, config, *args, **kwargs):
    # scikit-learn's Parallel hands on the filters of warnings too, which threads share.
    with config_context(**config):
        return label, run(*args, **kwargs)


def _check_names(parameter, named):
    if not isinstance(named, Mapping) or not all(isinstance(key, str) for key in named):
        raise TypeError(f"{parameter} must be a dict whose keys are str, the names.")
    if not named:
        raise ValueError("compare needs at least one detector and one data set.")


def _check_n_jobs(n_jobs):
    """The number of runs at the same time."""
    if n_jobs is not None:
        check_scalar(n_jobs, "n_jobs", Integral)
    if n_jobs == 0:
        raise ValueError("n_jobs=0 must be None, at least 1, or negative.")
    return effective_n_jobs(n_jobs)


class _Silence:
    """Stands in for the progress bar where none is wanted."""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        return None

    def set_postfix_str(self, text, refresh=True):
        pass

    def update(self):
        pass


def _progress_bar(total, progress):
    if not progress:
        return _Silence()
    from tqdm import tqdm

    # A log file gets a line now and then, a terminal a moving bar.
    interval = 0.1 if sys.stderr.isatty() else 10
    return tqdm(
        total=total, unit="run", mininterval=interval, file=sys.stderr, ncols=100
    )
