"""Clips a second in training and in scoring, beside a bare loop over the same net.

The bare loop encodes all frames of each clip, and predicts all of its middle frames.
"""

import time
from copy import deepcopy

import torch
from experiments.fleets.runs import run_missing
from experiments.images.measures import show

from skad import MiddleFramePredictor
from skad._nets._frame_errors import FrameLoss
from skad.datasets import make_moving_digits

# 32 clips to score.
_N_FRAMES, _N_CLIPS, _N_EPOCHS, _BATCH = 56, 8, 3, 4
# Preset, height and width of the frames, which are square.
_SETTINGS = (
    ("small", 32),
    ("small", 64),
    ("small", 96),
    ("small", 128),
    ("paper", 32),
    ("paper", 64),
)


def speed(folder, path, n_seeds, n_jobs):
    """Measure frames of several sizes on one thread, and print the table."""
    runs = [
        ({"preset": preset, "size": size, "seed": seed}, _measured, (preset, size))
        for seed in range(n_seeds)
        for preset, size in _SETTINGS
    ]
    show(run_missing(path, runs, n_jobs), ["preset", "size"])


def _measured(preset, size):
    torch.set_num_threads(1)
    X, _, groups, _ = make_moving_digits(
        1, _N_FRAMES, size=size, anomaly_share=0, random_state=0
    )
    detector = MiddleFramePredictor(
        preset=preset,
        image_size=size,
        pixel_range=(0, 255),
        max_clips=_N_CLIPS,
        max_epochs=_N_EPOCHS,
        batch_size=_BATCH,
        random_state=0,
    ).fit(X)
    # The first epoch is left out: it meets everything for the first time.
    trained = sum(epoch["dur"] for epoch in detector.history_[1:])
    start = time.perf_counter()
    detector.score_samples(X)
    scored = time.perf_counter() - start
    clips = _clips(X, detector)
    bare_trained, bare_scored = _bare(detector, clips)
    n_trained = (_N_EPOCHS - 1) * _N_CLIPS
    return [
        {
            "clips trained": n_trained / trained,
            "bare": n_trained / bare_trained,
            "clips scored": len(clips) / scored,
            "bare, windows": len(clips) / bare_scored,
        }
    ]


def _clips(X, detector):
    """Return all clips, of values from 0 to 1."""
    frames = torch.from_numpy(X).float()[:, None] / 255
    length = 8 * detector.stride_ + 1
    return frames.unfold(0, length, 1)[..., :: detector.stride_].movedim(-1, 1)


def _bare(detector, clips):
    """Return the seconds of epochs, but for the first one, and of scoring."""
    net, loss = deepcopy(detector.net_.module_), FrameLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    some = clips[torch.linspace(0, len(clips) - 1, _N_CLIPS).long()]
    net.train()
    for epoch in range(_N_EPOCHS):
        if epoch == 1:
            start = time.perf_counter()
        for index in torch.randperm(len(some)).split(_BATCH):
            batch = some[index]
            optimizer.zero_grad()
            loss(net(batch), batch).backward()
            optimizer.step()
    trained = time.perf_counter() - start
    net.eval()
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in clips.split(_BATCH):
            net.errors(net(batch)[:, 1], batch[:, 4])
    return trained, time.perf_counter() - start
