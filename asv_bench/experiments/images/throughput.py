"""Images a second in training and in scoring, beside a bare loop over the same net."""

import time
from copy import deepcopy

import torch
from experiments.fleets.runs import run_missing
from experiments.images.images import as_tensor
from experiments.images.measures import show

from skad import MDDNet
from skad._nets._defects import N_MIRRORED, mirrored, with_defects
from skad.datasets import make_surfaces

_SIZES = (32, 64, 96)
_N_IMAGES, _N_EPOCHS, _BATCH, _DEFECTS = 256, 4, 16, 0.8


def throughput(folder, path, n_seeds, n_jobs):
    """Measure images of several sizes on one thread, and print the table."""
    runs = [
        ({"size": size, "seed": seed}, _measured, (size, seed))
        for seed in range(n_seeds)
        for size in _SIZES
    ]
    show(run_missing(path, runs, n_jobs), ["size"])


def _measured(size, seed):
    torch.set_num_threads(1)
    X, _, _, kinds = make_surfaces(_N_IMAGES, 0, size=size, random_state=seed)
    detector = MDDNet(
        image_size=size,
        pixel_range=(0, 255),
        backbone_epochs=1,
        max_epochs=_N_EPOCHS,
        batch_size=_BATCH,
        defect_probability=_DEFECTS,
        random_state=seed,
    ).fit(X, kinds)
    # The first epoch is left out: it meets everything for the first time.
    seconds = [epoch["dur"] for epoch in detector.history_[1:]]
    detector.score_samples(X[:_BATCH])
    start = time.perf_counter()
    detector.score_samples(X)
    scored = time.perf_counter() - start
    trained, bare_scored = _bare(detector, as_tensor(X), torch.as_tensor(kinds))
    return [
        {
            "trained": len(seconds) * _N_IMAGES / sum(seconds),
            "trained, bare": (_N_EPOCHS - 1) * _N_IMAGES / trained,
            "scored": _N_IMAGES / scored,
            "scored, bare": _N_IMAGES / bare_scored,
        }
    ]


def _maps(teacher, images):
    """Return the maps of each level for all images."""
    batches = [teacher(batch) for batch in images.split(_BATCH)]
    return [torch.cat(parts) for parts in zip(*batches, strict=True)]


def _bare(detector, images, codes):
    """Return the seconds of epochs, but for the first one, and of scoring."""
    net, teacher = deepcopy(detector.net_.module_), detector._get_teacher()
    ways = [torch.full_like(codes, way) for way in range(N_MIRRORED)]
    maps = [_maps(teacher, mirrored(images, way)) for way in ways]
    normal = [torch.stack(level) for level in zip(*maps, strict=True)]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    net.train()
    for epoch in range(_N_EPOCHS):
        if epoch == 1:
            start = time.perf_counter()
        for index in torch.randperm(len(images)).split(_BATCH):
            ways = torch.randint(N_MIRRORED, index.shape)
            damaged, masks = with_defects(mirrored(images[index], ways), _DEFECTS)
            known = [level[ways, index] for level in normal]
            loss = net(known, teacher(damaged), masks, codes[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    trained = time.perf_counter() - start
    net.eval()
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in images.split(_BATCH):
            net.anomaly_score(teacher(batch))
    return trained, time.perf_counter() - start
