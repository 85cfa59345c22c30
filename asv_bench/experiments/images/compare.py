"""Detectors side by side on sets of images."""

import time

import torch
from experiments.fleets.runs import run_missing
from experiments.images.baselines import BASELINES
from experiments.images.measures import measures, show
from experiments.images.sets import SETS
from experiments.images.teachers import ON_TEACHER, TEACHERS
from experiments.images.variants import VARIANTS, Images

# What each command is about.
_SETS = {
    "tile": ("tile", "tiles apart"),
    "digits": ("digits", "broken digits"),
    "surfaces": ("surfaces",),
    "brain": ("brain",),
}
# Where parts of MDDNet are left out, and teachers compared.
_PARTS = ("surfaces", "broken digits")
_OF_BOTH_TEACHERS = (
    "MDDNet",
    "reverse distillation",
    "kNN of patches",
    "Gaussian of each place",
    "KNN",
)


def compare(command, folder, path, n_seeds, n_jobs):
    """Run all detectors on the sets of a command, and print the tables."""
    runs = [
        run
        for seed in range(n_seeds)
        for name in _SETS[command]
        for run in (
            _run(_on_pixels, folder, name, seed, {"teacher": "none"}),
            _run(_on_teacher, folder, name, seed, {"teacher": "self-trained"}),
        )
    ]
    show(run_missing(path, runs, n_jobs), ["set", "teacher", "detector"])


def teachers(folder, path, n_seeds, n_jobs):
    """Run detectors on a random and on a self-trained teacher, and print the table."""
    runs = [
        _run(_on_teacher, folder, name, seed, {"teacher": teacher}, _OF_BOTH_TEACHERS)
        for seed in range(n_seeds)
        for name in _PARTS
        for teacher in TEACHERS
    ]
    show(run_missing(path, runs, n_jobs), ["set", "detector", "teacher"])


def ablations(folder, path, n_seeds, n_jobs):
    """Leave out parts of MDDNet, and print the table."""
    runs = [
        _run(_variants, folder, name, seed, {"teacher": "self-trained"})
        for seed in range(n_seeds)
        for name in _PARTS
    ]
    show(run_missing(path, runs, n_jobs), ["set", "teacher", "variant"])


def timed(detector, images):
    """Fit a detector, score with it, and measure all of that."""
    start = time.process_time()
    detector.fit(images)
    fitted = time.process_time()
    scores = detector.score(images.test)
    scored = time.process_time()
    return {
        **measures(images, scores, detector.maps(images.test)),
        "s to fit": fitted - start,
        "ms an image": 1000 * (scored - fitted) / len(images.test),
    }


def _run(function, folder, name, seed, more, *arguments):
    key = {"set": name, **more, "seed": seed}
    return key, function, (folder, name, seed, *more.values(), *arguments)


def _on_pixels(folder, name, seed, no_teacher):
    torch.set_num_threads(1)
    images = SETS[name](folder, seed)
    return [
        {"detector": detector, **timed(make(seed), images)}
        for detector, make in BASELINES.items()
    ]


def _on_teacher(folder, name, seed, teacher, names=tuple(ON_TEACHER)):
    torch.set_num_threads(1)
    images = SETS[name](folder, seed)
    net = TEACHERS[teacher](images, seed)
    return [
        {"detector": detector, **timed(ON_TEACHER[detector](seed, net), images)}
        for detector in names
    ]


def _variants(folder, name, seed, teacher):
    torch.set_num_threads(1)
    images = SETS[name](folder, seed)
    net = TEACHERS[teacher](images, seed)
    return [
        {"variant": variant, **timed(Images(seed, backbone=net, **params), images)}
        for variant, params in VARIANTS.items()
    ]
