"""Data sets to compare on that need no files: shipped or generated for each kind."""

from functools import partial

import numpy as np

from skad import datasets
from skad.benchmark._problem import FixedSplit
from skad.benchmark._registry import check_kind, check_known, folded


def _payments(seed):
    X, y, _ = datasets.make_transactions(100, 50, 60, n_incidents=15, random_state=seed)
    past = X["time"] < X["time"].min() + np.timedelta64(30, "D")
    return FixedSplit(X[past], X[~past], y[~past])


def _phantoms(contrast):
    X, y, masks = datasets.make_brain_phantom(
        130, 30, size=48, lesion_contrast=contrast, random_state=0
    )
    return FixedSplit(X[:100], X[100:], y[100:], masks=masks[100:])


def _digit(digit):
    X, y = datasets.load_dataset(f"digits_{digit}")
    X = X.reshape(-1, 8, 8)
    train = np.flatnonzero(y == 1)[:120]
    test = np.setdiff1d(np.arange(len(y)), train)
    return FixedSplit(X[train], X[test], y[test])


def _surfaces(contrast):
    X, y, masks, kinds = datasets.make_surfaces(
        150,
        60,
        size=48,
        defect_size=(0.3, 0.5),
        defect_contrast=contrast,
        random_state=0,
    )
    return FixedSplit(
        X[:90], X[90:], y[90:], fit_params={"y": kinds[:90]}, masks=masks[90:]
    )


def _unseen_surface(kind, labelled):
    """One kind of surface after labelled images of three others, or without labels."""
    surfaces = {"size": 32, "defect_size": (0.4, 0.5), "defect_contrast": (0.5, 0.8)}
    X, y, masks, kinds = datasets.make_surfaces(
        160, 120, n_classes=5, random_state=0, **surfaces
    )
    other, own = kinds < 3, kinds == kind
    params = {"y": y[other], "masks": masks[other]} if labelled else {}
    return FixedSplit(X[other], X[own], y[own], fit_params=params, masks=masks[own])


def _series(size, seed):
    past, present, y, _ = datasets.make_sensor_series(size=size, random_state=seed)
    return FixedSplit(past, present, y, buffer=40)


def _fleet(size):
    """Four systems with sensors of their own; the first column is their number."""
    past, present, labels = [], [], []
    for system in range(4):
        before, after, y, _ = datasets.make_sensor_series(
            1000, 1000, 6, n_events=4 * (system % 2), size=size, random_state=system
        )
        past.append(np.column_stack([np.full(len(before), system), before]))
        present.append(np.column_stack([np.full(len(after), system), after]))
        labels.append(y)
    groups = np.repeat(np.arange(4), 1000)
    return FixedSplit(
        np.concatenate(past),
        np.concatenate(present),
        np.concatenate(labels),
        score_params={"groups": groups},
        buffer=40,
    )


def _network(seed):
    past, present, y, _ = datasets.make_radio_network(
        20, 14, 7, n_crowds=10, n_faults=10, random_state=seed
    )
    return FixedSplit(past.drop(columns="type"), present.drop(columns="type"), y)


def _video(seed):
    X, y, groups, _ = datasets.make_moving_digits(
        24, 48, anomaly_share=0.25, random_state=seed
    )
    train = groups < 12
    return FixedSplit(
        X[train],
        X[~train],
        y[~train],
        fit_params={"groups": groups[train]},
        score_params={"groups": groups[~train]},
        buffer=5,
    )


_DATASETS = {
    "tables": {
        name: partial(datasets.load_dataset, name) for name in datasets.list_datasets()
    },
    "payments": {f"payments {n}": partial(_payments, n) for n in (1, 2)},
    "images": {
        "clear lesions": partial(_phantoms, (0.2, 0.5)),
        "faint lesions": partial(_phantoms, (0.1, 0.3)),
        "digit 8": partial(_digit, 8),
    },
    "surfaces": {
        "clear defects": partial(_surfaces, (0.4, 0.6)),
        "faint defects": partial(_surfaces, (0.2, 0.4)),
    },
    "zero-shot": {
        "wood": partial(_unseen_surface, 4, True),
        "wood, no labels": partial(_unseen_surface, 4, False),
    },
    "series": {
        "large events": partial(_series, 3.0, 2),
        "small events": partial(_series, 1.5, 3),
    },
    "fleets": {
        "large events": partial(_fleet, 3.0),
        "small events": partial(_fleet, 1.5),
    },
    "networks": {f"cells {n}": partial(_network, n) for n in (1, 2)},
    "videos": {f"digits {n}": partial(_video, n) for n in (1, 2)},
}


def default_datasets(names=None, *, kind="tables"):
    """Return data sets with known anomalies of a kind, without a download.

    Tables and one set of images are real, and ship with scikit-learn. The others are
    generated, always the same: they show that a detector works, not that it is better
    than another one.

    Parameters
    ----------
    names : iterable of str, default=None
        Those wanted; None returns all.

    kind : str, default="tables"
        One of :func:`list_kinds`. The tables are those of
        :func:`skad.datasets.list_datasets`.

    Returns
    -------
    datasets : dict of str to (X, y) or FixedSplit
        Ready for :func:`compare`; labels are -1 for anomalies and 1 for the rest.

    Examples
    --------
    >>> from skad.benchmark import default_datasets
    >>> {name: X.shape for name, (X, y) in default_datasets(["wine"]).items()}
    {'wine': (132, 13)}
    >>> list(default_datasets(kind="series"))
    ['large events', 'small events']
    """
    makers = _DATASETS[check_kind(kind)]
    names = list(makers) if names is None else list(names)
    check_known(names, makers)
    return {name: makers[name]() for name in names}


def known_datasets(kinds):
    """The data sets' names of these kinds, each under its folded name."""
    return {kind: {folded(name): name for name in _DATASETS[kind]} for kind in kinds}
