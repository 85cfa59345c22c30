"""The detectors that the command line compares, by kind of data and name."""

from functools import partial
from importlib import import_module

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skad.benchmark._small_clip import small_clip

WINDOW = 20

# Small nets and few epochs, for a first look: seconds on a processor.
_QUICK = {
    "BayesianVAE": {"max_epochs": 20},
    "DConAD": {"d_model": 64, "max_epochs": 5, "max_windows": 2048},
    "GANVAE": {"max_epochs": 20},
    "GenCLIP": {
        "backbone": small_clip,
        "batch_size": 16,
        "lr": 0.003,
        "max_epochs": 8,
    },
    "MDDNet": {
        "channels": (16, 32),
        "backbone_epochs": 25,
        "image_size": 48,
        "lr": 0.006,
        "max_epochs": 10,
    },
    "MiddleFramePredictor": {
        "channels": (8, 16),
        "lr": 0.005,
        "max_clips": 120,
        "max_epochs": 3,
        "n_context": 2,
        "n_target": 1,
        "stride": 2,
    },
}


def _skad(name, quick, **params):
    detector = getattr(import_module("skad"), name)(**params)
    return detector.set_params(**_QUICK.get(name, {})) if quick else detector


def _forest(quick):
    from sklearn.ensemble import IsolationForest

    return IsolationForest()


def _pyod(name, quick, *, scaled=False):
    # As PyOD's users call them: PyODDetector would score the training rows once
    # more for its threshold, and the time would not be PyOD's.
    detector = getattr(import_module(f"pyod.models.{name.lower()}"), name)()
    return make_pipeline(StandardScaler(), detector) if scaled else detector


def _behind(step, factory, quick):
    """What `factory` makes, behind the transformer that `step` makes."""
    return make_pipeline(step(), factory(quick))


def _history():
    from skad.preprocessing import HistoryFeatures

    return HistoryFeatures("time", entities=["customer", "terminal"])


def _pixels():
    return FunctionTransformer(_flat)


def _flat(images):
    return np.reshape(images, (len(images), -1)).astype(np.float64)


def _windows():
    return FunctionTransformer(_past)


def _past(X):
    """Each row with those before it as one; the first row stands for those missing."""
    X = np.asarray(X)
    padded = np.concatenate([np.repeat(X[:1], WINDOW - 1, axis=0), X])
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)
    return windows.reshape(len(X), -1)


def _sensors():
    return ColumnTransformer([("sensors", StandardScaler(), slice(1, None))])


def _readings():
    drop = ("drop", "drop", ["cell", "time", "x", "y"])
    return ColumnTransformer([drop], remainder=StandardScaler())


def _all_behind(step, factories):
    return {name: partial(_behind, step, make) for name, make in factories.items()}


_BASELINES = {
    "IsolationForest": _forest,
    "KNN": partial(_pyod, "KNN", scaled=True),
    "LOF": partial(_pyod, "LOF", scaled=True),
    "ECOD": partial(_pyod, "ECOD"),
    "COPOD": partial(_pyod, "COPOD"),
    "HBOS": partial(_pyod, "HBOS"),
    "PCA": partial(_pyod, "PCA"),
    "INNE": partial(_pyod, "INNE", scaled=True),
}


def _some(*names):
    return {name: _BASELINES[name] for name in names}


_TABULAR = {
    "UnsupervisedRandomForest": partial(_skad, "UnsupervisedRandomForest"),
    "GANVAE": partial(_skad, "GANVAE"),
}
_OF_PIXELS = _all_behind(_pixels, _some("IsolationForest", "KNN", "PCA"))

# Defaults throughout, unless quick. Of the baselines, those that measure distances
# get scaled columns; PyOD's PCA and GANVAE scale by themselves, and the others do not
# depend on the columns' scale.
_DETECTORS = {
    "tables": {**_TABULAR, **_BASELINES},
    "payments": _all_behind(
        _history,
        {**_TABULAR, **_some("IsolationForest", "HBOS", "KNN", "PCA")},
    ),
    "images": {"BayesianVAE": partial(_skad, "BayesianVAE"), **_OF_PIXELS},
    "surfaces": {"MDDNet": partial(_skad, "MDDNet"), **_OF_PIXELS},
    "zero-shot": {"GenCLIP": partial(_skad, "GenCLIP"), **_OF_PIXELS},
    "series": {
        "TransDe": partial(_skad, "TransDe"),
        "DConAD": partial(_skad, "DConAD"),
        "M2AD": partial(_skad, "M2AD"),
        **_some("IsolationForest", "KNN", "PCA"),
        "PCA of windows": partial(_behind, _windows, _BASELINES["PCA"]),
    },
    "fleets": {
        "M2AD": partial(_skad, "M2AD", system=0),
        **_all_behind(_sensors, _some("IsolationForest", "KNN", "PCA")),
    },
    "networks": {
        "CAnemon": partial(
            _skad, "CAnemon", node="cell", time="time", position=["x", "y"]
        ),
        **_all_behind(_readings, _some("IsolationForest", "KNN", "PCA")),
    },
    "videos": {
        "MiddleFramePredictor": partial(_skad, "MiddleFramePredictor"),
        **_OF_PIXELS,
    },
}


def list_kinds():
    """List the kinds of data for which there are detectors and data sets.

    Returns
    -------
    kinds : list of str
        The kinds, tables first.

    Examples
    --------
    >>> from skad.benchmark import list_kinds
    >>> list_kinds()[:3]
    ['tables', 'payments', 'images']
    """
    return list(_DETECTORS)


def default_detectors(names=None, *, kind="tables", quick=False):
    """Return skad's detectors for a kind of data, and baselines beside them.

    The baselines are scikit-learn's and PyOD's, with their default parameters. Those
    that measure distances come in a pipeline that scales the columns, those for images
    and videos in one that takes each pixel for a column.

    Parameters
    ----------
    names : iterable of str, default=None
        Those wanted, in any spelling of upper and lower case; None returns all.

    kind : str, default="tables"
        One of :func:`list_kinds`.

    quick : bool, default=False
        Make skad's nets small and train them for a few epochs, for a first look.

    Returns
    -------
    detectors : dict of str to estimator
        Unfitted detectors, for :func:`compare`, which knows that PyOD's scores have
        the opposite sign.

    Examples
    --------
    >>> from skad.benchmark import default_detectors
    >>> default_detectors(["isolationforest"])
    {'IsolationForest': IsolationForest()}
    >>> list(default_detectors(kind="videos"))
    ['MiddleFramePredictor', 'IsolationForest', 'KNN', 'PCA']
    """
    makers = _DETECTORS[check_kind(kind)]
    known = known_detectors([kind])[kind]
    names = list(makers) if names is None else list(names)
    unknown = [name for name in names if folded(name) not in known]
    if unknown:
        raise ValueError(
            f"unknown detector {unknown[0]!r}; known are {', '.join(makers)}."
        )
    chosen = [known[folded(name)] for name in names]
    return {name: makers[name](quick) for name in chosen}


def check_kind(kind):
    """Return the kind if there is one of this name."""
    if kind not in _DETECTORS:
        raise ValueError(
            f"unknown kind of data {kind!r}; known are {', '.join(_DETECTORS)}."
        )
    return kind


def check_known(names, known):
    """Check that there is a data set of each name."""
    for name in names:
        if name not in known:
            raise ValueError(
                f"unknown data set {name!r}; known are {', '.join(known)}."
            )


def known_detectors(kinds):
    """The detectors' names of these kinds, each under its folded name."""
    return {kind: {folded(name): name for name in _DETECTORS[kind]} for kind in kinds}


def folded(name):
    """A name without regard to upper case, blanks and marks."""
    return "".join(char for char in name.lower() if char.isalnum())
