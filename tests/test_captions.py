"""Images with captions, batch by batch."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skad._nets._captions import CaptionRows
from skad._nets._rows import Rows

CODES = torch.tensor([1, 0, 1, 2, 0])
IDS = torch.tensor([[1, 4, 2, 0], [1, 5, 6, 2], [1, 2, 0, 0]])
ENDS = torch.tensor([2, 3, 1])
MEAN, STD = (0.1, 0.2, 0.3), (1.0, 2.0, 4.0)
INDICES = {
    "all": slice(None),
    "slice": slice(1, 4),
    "order": torch.tensor([4, 0, 2]),
    "twice": torch.tensor([3, 3]),
}


def images(n_channels=3):
    return np.random.default_rng(0).random((5, n_channels, 4, 6), dtype=np.float32)


def made(X, augment=False):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    rows = Rows(X, lambda block: block, keep=False)
    return CaptionRows(rows, CODES, IDS, ENDS, mean, std, augment)


def normalized(x):
    return np.stack(
        [(x[:, min(c, x.shape[1] - 1)] - MEAN[c]) / STD[c] for c in range(3)], axis=1
    )


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_images_come_with_the_tokens_of_their_captions(index, n_channels):
    X = images(n_channels)
    rows = made(X)
    batch = rows[index]
    assert len(rows) == 5
    assert batch.keys() == {"images", "ids", "ends"}
    assert_allclose(batch["images"], normalized(X[index]), rtol=1e-5)
    codes = CODES.tolist()
    chosen = [codes[i] for i in torch.arange(5)[index].tolist()]
    assert batch["ids"].tolist() == [IDS[code].tolist() for code in chosen]
    assert batch["ends"].tolist() == [ENDS[code].item() for code in chosen]


def test_images_are_the_same_every_time_unless_they_are_mirrored():
    X = images()
    before = X.copy()
    rows = made(X)
    assert torch.equal(rows[:]["images"], rows[:]["images"])
    made(X, augment=True)[:]
    assert np.array_equal(X, before)


def test_images_are_mirrored_by_chance_each_by_itself():
    X = images()
    rows, plain = made(X, augment=True), normalized(X)
    ways = [plain, plain[..., ::-1], plain[:, :, ::-1], plain[:, :, ::-1, ::-1]]
    seen = np.zeros((5, 4), dtype=int)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(40):
            batch = rows[:]
            assert torch.equal(batch["ids"], IDS[CODES])
            found = batch["images"].numpy()
            for i in range(5):
                seen[i] += [np.allclose(found[i], way[i], atol=1e-5) for way in ways]
    assert (seen.sum(1) == 40).all()
    assert (seen > 0).all()
    assert len({tuple(row) for row in seen}) > 1


def test_the_generator_of_torch_says_how_images_are_mirrored():
    rows = made(images(), augment=True)
    found = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found.append(rows[:]["images"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
