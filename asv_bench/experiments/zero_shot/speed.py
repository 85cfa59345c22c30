"""Time and memory: beside a bare loop of torch, and with a CLIP of the usual size."""

import resource
import time

import numpy as np
import torch
from experiments.fleets.runs import run_missing
from experiments.images.measures import show

from skad import GenCLIP
from skad.datasets import make_captioned_surfaces, make_surfaces
from skad.vision import HuggingFaceCLIP, train_clip

_N_IMAGES, _N_EPOCHS, _BATCH = 256, 4, 16
_N_VISION = (0, 2)
# Of CLIP ViT-B/16.
_VISION = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
}
_TEXT = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}
_N_LARGE, _N_LARGE_EPOCHS = 16, 2


def throughput(folder, path, n_seeds, n_jobs):
    """Count images a second on one thread, and print the table."""
    runs = [
        ({"vision tokens": n_vision, "seed": seed}, _counted, (n_vision, seed))
        for seed in range(n_seeds)
        for n_vision in _N_VISION
    ]
    show(run_missing(path, runs, n_jobs), ["vision tokens"])


def large(folder, path, n_seeds, n_jobs):
    """Time GenCLIP with a CLIP of the sizes of ViT-B/16, and print the table.

    The weights are random: this is about time and memory alone.
    """
    runs = [
        ({"vision tokens": n_vision, "seed": seed}, _timed_large, (n_vision, seed))
        for seed in range(n_seeds)
        for n_vision in _N_VISION
    ]
    show(run_missing(path, runs, n_jobs), ["vision tokens"])


def _counted(n_vision, seed):
    torch.set_num_threads(1)
    # Its weights do not matter.
    few = make_captioned_surfaces(64, random_state=seed)
    clip = train_clip(*few, max_epochs=1, random_state=seed)
    half = _N_IMAGES // 2
    X, y, masks, _ = make_surfaces(half, half, random_state=seed)
    detector = GenCLIP(
        clip,
        n_vision_tokens=n_vision,
        max_epochs=_N_EPOCHS,
        batch_size=_BATCH,
        random_state=seed,
    ).fit(X, y, masks=masks)
    # The first epoch is left out: it meets everything for the first time.
    seconds = [epoch["dur"] for epoch in detector.history_[1:]]
    start = time.perf_counter()
    detector.score_samples(X)
    scored = time.perf_counter() - start
    trained, bare_scored = _bare(detector, X, y, masks)
    return [
        {
            "trained": len(seconds) * _N_IMAGES / sum(seconds),
            "trained, bare": (_N_EPOCHS - 1) * _N_IMAGES / trained,
            "scored": _N_IMAGES / scored,
            "scored, bare": _N_IMAGES / bare_scored,
        }
    ]


def _bare(detector, X, y, masks):
    """Return the seconds of epochs, but for the first one, and of scoring."""
    data = detector._validate(X, reset=False, y=y, masks=masks)
    rows, net = detector._training_rows(data), detector.net_.module_
    net.hold(detector._get_teacher())
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    net.train()
    for epoch in range(_N_EPOCHS):
        if epoch == 1:
            start = time.perf_counter()
        for index in torch.randperm(len(rows)).split(_BATCH):
            loss = net(**rows[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    trained = time.perf_counter() - start
    rows = detector._rows(data)
    net.eval()
    start = time.perf_counter()
    with torch.inference_mode():
        for index in torch.arange(len(rows)).split(_BATCH):
            net.anomaly_score(rows[index])
    return trained, time.perf_counter() - start


def _timed_large(n_vision, seed):
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (_N_LARGE, 224, 224, 3), dtype=np.uint8)
    masks = np.zeros(X.shape[:3], dtype=bool)
    masks[::2, 80:120, 80:120] = True
    detector = GenCLIP(
        _random_clip(seed),
        n_vision_tokens=n_vision,
        max_epochs=_N_LARGE_EPOCHS,
        random_state=seed,
    )
    start = time.perf_counter()
    detector.fit(X, masks=masks, class_names="metal")
    fitted = time.perf_counter() - start
    epochs = sum(epoch["dur"] for epoch in detector.history_)
    start = time.perf_counter()
    maps = detector.anomaly_map(X, class_names="metal")
    scored = time.perf_counter() - start
    assert maps.shape == X.shape[:3]
    return [
        {
            "s to fit": fitted,
            "ms to train, an image": 1000 * epochs / (_N_LARGE_EPOCHS * _N_LARGE),
            "ms to score, an image": 1000 * scored / _N_LARGE,
            # Of the process until now; on Linux in KiB.
            "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
    ]


def _random_clip(seed):
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(text_config=_TEXT, vision_config=_VISION, projection_dim=512)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(config)
    return HuggingFaceCLIP(model, _numbered)


def _numbered(texts, **_):
    """Return ids for words, as a tokenizer that knows none."""
    rows = [[len(word) + 1000 for word in text.split()] for text in texts]
    longest = max(map(len, rows))
    ids, known = [], []
    for row in rows:
        n_free = longest - len(row)
        ids.append([49406, *row, 49407] + [49407] * n_free)
        known.append([1] * (len(row) + 2) + [0] * n_free)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(known)}
