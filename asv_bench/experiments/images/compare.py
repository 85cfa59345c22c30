"""Detectors side by side on sets of images."""

import time

import torch
from experiments.fleets.runs import run_missing
from experiments.images.baselines import BASELINES, PYOD, on_teacher
from experiments.images.measures import measures, show
from experiments.images.sets import SETS

# What each command is about.
_SETS = {
    "tile": ("tile", "tiles apart"),
    "digits": ("digits", "broken digits"),
    "surfaces": ("surfaces",),
    "brain": ("brain",),
}
_ON_TEACHER = ("patches", *PYOD)


def compare(command, folder, path, n_seeds, n_jobs):
    """Run all detectors on the sets of a command, and print the tables."""
    runs = [
        (
            {"set": name, "detector": detector, "seed": seed},
            _measured,
            (folder, name, detector, seed),
        )
        for seed in range(n_seeds)
        for name in _SETS[command]
        for detector in _DETECTORS
    ]
    show(run_missing(path, runs, n_jobs), ["set", "detector"])


def timed(detector, images):
    """Fit a detector, score with it, and measure all of that."""
    start = time.process_time()
    detector.fit(images.train, images.categories)
    fitted = time.process_time()
    scores = detector.score(images.test)
    scored = time.process_time()
    return {
        **measures(images, scores, detector.maps(images.test)),
        "s to fit": fitted - start,
        "ms an image": 1000 * (scored - fitted) / len(images.test),
    }


def _measured(folder, name, detector, seed):
    torch.set_num_threads(1)
    images = SETS[name](folder, seed)
    return [timed(_DETECTORS[detector](seed), images)]


def _on_random_teacher(name):
    return lambda seed: on_teacher(name, seed)


_DETECTORS = BASELINES | {
    f"{name}, random teacher": _on_random_teacher(name) for name in _ON_TEACHER
}
