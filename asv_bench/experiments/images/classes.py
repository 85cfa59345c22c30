"""One net for all categories of images, beside one for each."""

import time

import numpy as np
import torch
from experiments.fleets.runs import run_missing
from experiments.images.measures import measures, show
from experiments.images.sets import SETS, ImageSet
from experiments.images.variants import Images

_SETS = ("surfaces",)
_WAYS = {
    "one, told": {"told": True},
    "one, not told": {"told": False},
    "one for each": None,
}


def classes(folder, path, n_seeds, n_jobs):
    """Run one net and several, and print the table.

    Measures are means over the categories: those of several nets know which of them
    an image belongs to.
    """
    runs = [
        ({"set": name, "nets": way, "seed": seed}, _measured, (folder, name, way, seed))
        for seed in range(n_seeds)
        for name in _SETS
        for way in _WAYS
    ]
    show(run_missing(path, runs, n_jobs), ["set", "nets"])


def _measured(folder, name, way, seed):
    torch.set_num_threads(1)
    images = SETS[name](folder, seed)
    parts = [_of_category(images, label) for label in np.unique(images.categories)]
    start = time.process_time()
    if way == "one for each":
        fitted = [_fitted(part, seed) for part in parts]
    else:
        fitted = [_fitted(images, seed, **_WAYS[way])] * len(parts)
    seconds = time.process_time() - start
    found = [
        measures(part, detector.score(part.test), detector.maps(part.test))
        for part, detector in zip(parts, fitted, strict=True)
    ]
    means = {name: np.mean([one[name] for one in found]) for name in found[0]}
    return [{**means, "s to fit": seconds}]


def _fitted(images, seed, **params):
    return Images(seed, **params).fit(images)


def _of_category(images, label):
    train, test = images.categories == label, images.test_categories == label
    return ImageSet(
        images.train[train],
        images.categories[train],
        images.test[test],
        images.y[test],
        images.masks[test],
        images.test_categories[test],
        images.sides,
    )
