"""Detectors side by side, on the videos to score and on others that were kept out."""

import time

import numpy as np
import torch
from experiments.fleets.runs import run_missing
from experiments.images.measures import show
from experiments.videos.baselines import BASELINES
from experiments.videos.measures import TermsOfDetector, TermsOfPredictions, measures
from experiments.videos.sets import N_FOLDS, ped2, without_some

from skad import MiddleFramePredictor
from skad.metrics import pixel_roc_auc_score

# Epochs where nets are compared with each other, fewer than by default.
_FEW_EPOCHS = 3
VARIANTS = {
    "whole net": {},
    "forward only": {"merge_weight": 1.0},
    "backward only": {"merge_weight": 0.0},
    "no transformer": {"n_layers": 0},
    "no ConvLSTM": {"bridge": False},
    "frames, not differences": {"residual": False},
    "both directions alike": {"merge_weight": 0.5},
}


def compare(folder, path, n_seeds, n_jobs):
    """Learn from all videos, score those that were given, and print the table."""
    runs = [
        ({"detector": name, "seed": seed}, _compared, (folder, name, seed))
        for seed in range(n_seeds)
        for name in (*BASELINES, "MiddleFramePredictor")
    ]
    show(run_missing(path, runs, n_jobs), ["detector"])


def others(folder, path, n_seeds, n_jobs):
    """Keep videos out in turn, score them as well, and print the table.

    A seed is a part of the videos that is kept out.
    """
    runs = [
        ({"detector": name, "seed": fold}, _others, (folder, name, fold))
        for fold in range(min(n_seeds, N_FOLDS))
        for name in (*BASELINES, "MiddleFramePredictor")
    ]
    show(run_missing(path, runs, n_jobs), ["detector"])


def ablations(folder, path, n_seeds, n_jobs):
    """Leave out parts of the net, and print the table."""
    runs = [
        ({"variant": name, "seed": seed}, _ablated, (folder, name, seed))
        for seed in range(n_seeds)
        for name in VARIANTS
    ]
    show(run_missing(path, runs, n_jobs), ["variant"])


def _compared(folder, name, seed):
    videos = ped2(folder)
    detector, line = _measured(_made(name, seed), videos)
    line |= dict.fromkeys(("flagged normal", "pixel AUROC"), np.nan)
    if name == "MiddleFramePredictor":
        fitted = detector.detector
        labels = fitted.predict(videos.test, groups=videos.groups)
        line["flagged normal"] = np.mean(labels[videos.y == 1] == -1)
        maps = fitted.anomaly_map(videos.test, groups=videos.groups)
        line["pixel AUROC"] = pixel_roc_auc_score(small(videos.masks), maps)
    return [line]


def _others(folder, name, fold):
    videos = without_some(ped2(folder), fold)
    made = _made(name, fold, max_epochs=_FEW_EPOCHS)
    return [_measured(made, videos)[1]]


def _ablated(folder, name, seed):
    params = {"max_epochs": _FEW_EPOCHS, **VARIANTS[name]}
    made = _made("MiddleFramePredictor", seed, **params)
    return [_measured(made, ped2(folder))[1]]


def _made(name, seed, **params):
    if name in BASELINES:
        return TermsOfPredictions(BASELINES[name](seed))
    # Half the time, and less than the seeds differ by.
    reduced = {"autocast": torch.bfloat16}
    return TermsOfDetector(
        MiddleFramePredictor(random_state=seed, net_params=reduced, **params)
    )


def _measured(detector, videos):
    """Fit a detector, score with it, and measure all of that."""
    torch.set_num_threads(1)
    start = time.process_time()
    detector.fit(videos.train, videos.train_groups)
    fitted = time.process_time()
    terms = detector.terms(videos.test, videos.groups)
    scored = time.process_time()
    return detector, {
        **measures(terms, videos),
        "s to fit": fitted - start,
        "ms a frame": 1000 * (scored - fitted) / len(videos.test),
    }


def small(masks):
    """Return masks of 120 x 180 pixels at the size of the frames, 64 x 96."""
    rows = np.arange(64) * masks.shape[1] // 64
    columns = np.arange(96) * masks.shape[2] // 96
    return masks[:, rows[:, None], columns]
