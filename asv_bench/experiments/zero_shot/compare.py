"""Detectors side by side on kinds of images that they did not learn from."""

import time

import joblib
import torch
from experiments.fleets.runs import run_missing
from experiments.images.measures import measures, show
from experiments.zero_shot.detectors import ABLATIONS, MAIN
from experiments.zero_shot.sets import auxiliary, targets
from joblib import Parallel, delayed

from skad.datasets import make_captioned_surfaces
from skad.vision import train_clip

# Images and passes over them that a CLIP is trained with.
_N_CAPTIONED, _N_EPOCHS = 4000, 40


def surfaces(folder, path, n_seeds, n_jobs):
    """Learn from three kinds of surfaces, score two others, and print the table."""
    _compare(3, MAIN | ABLATIONS, None, path, n_seeds, n_jobs)


def photographs(folder, path, n_seeds, n_jobs):
    """Learn from surfaces, score magnetic tiles and digits, and print the table."""
    _compare(5, MAIN, folder, path, n_seeds, n_jobs)


def _compare(n_kinds, detectors, folder, path, n_seeds, n_jobs):
    files = [path.with_suffix(f".clip{seed}.joblib") for seed in range(n_seeds)]
    Parallel(n_jobs)(
        delayed(_train)(n_kinds, seed, file)
        for seed, file in enumerate(files)
        if not file.exists()
    )
    runs = [
        (
            {"detector": name, "seed": seed},
            _measured,
            (n_kinds, file, make, folder, seed),
        )
        for seed, file in enumerate(files)
        for name, make in detectors.items()
    ]
    show(run_missing(path, runs, n_jobs), ["target", "detector"])


def _train(n_kinds, seed, file):
    torch.set_num_threads(1)
    X, captions = make_captioned_surfaces(
        _N_CAPTIONED, n_classes=n_kinds, random_state=seed
    )
    clip = train_clip(X, captions, max_epochs=_N_EPOCHS, random_state=seed)
    joblib.dump(clip, file)


def _measured(n_kinds, file, make, folder, seed):
    torch.set_num_threads(1)
    detector = make(joblib.load(file), seed)
    start = time.process_time()
    detector.fit(auxiliary(n_kinds, seed))
    fitted = time.process_time() - start
    lines = []
    for name, images in targets(n_kinds, folder, seed).items():
        scores, maps = detector.look(images)
        found = measures(images, scores, maps)
        lines.append({"target": name, **found, "s to fit": fitted})
    return lines
