"""The training of the two decoders, and what they learn without gradients."""

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit

from skad._nets._backbones import Teacher
from skad._nets._feature_rows import DefectRows
from skad._nets._mddnet import MemoryNet, TwoDecoders
from skad._nets._pyramids import Given, SmallPyramid
from skad._nets._rows import Rows


def seeded(function, *args, seed=0, **kwargs):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args, **kwargs)


def made(data, **changes):
    params = {
        "memory_size": 3,
        "restoration_path": "multiscale",
        "identity_path": "multiscale",
        "fusion": "sum",
        "smoothing": 0.0,
        "top_fraction": 0.01,
        "loss_weights": (1, 1, 1, 0.1),
    }
    levels = data.teacher.describe(1, (16, 16))
    return seeded(TwoDecoders, levels, (16, 16), 2, **{**params, **changes})


def rows(n_samples=16):
    """Maps of a random teacher, of images of two kinds: stripes, and dots."""
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    kinds = torch.stack([torch.sin(y), torch.cos(x) * torch.cos(y)])
    codes = torch.arange(n_samples) % 2
    shade = 0.05 * torch.linspace(-2, 2, n_samples).roll(5).view(-1, 1, 1, 1)
    images = 0.5 + 0.3 * kinds[codes][:, None] + shade
    teacher = Teacher(seeded(SmallPyramid, (4, 6)))
    images = Rows(images.numpy(), lambda block: block)
    return DefectRows(images, teacher, torch.device("cpu"), codes, 0.8, True).cache(8)


def trained(data, max_epochs, net_cls=MemoryNet, **changes):
    module = made(data, **changes)
    net = net_cls(
        module, Given, max_epochs=max_epochs, batch_size=8, lr=0.005, device="cpu"
    )
    seeded(net.initialize().partial_fit, data)
    return net


@cache
def fitted(memory_size):
    """A net that is not to be changed, and what it was trained on."""
    data = rows()
    weights = (1, 1, 1, 1)
    return data, trained(data, 30, memory_size=memory_size, loss_weights=weights)


@pytest.mark.parametrize("memory_size", [0, 8])
def test_training_lowers_the_loss_and_tells_defects(memory_size):
    data, net = fitted(memory_size)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < 0.6 * losses[0]
    clean = data.read(slice(None))
    spoiled = clean.clone()
    spoiled[:, :, 4:9, 5:10] = 1.5
    module = deepcopy(net.module_).eval()
    with torch.no_grad():
        signals = module.signals(data.teacher(data.read(slice(None))))
        module.calibrate({name: part.double() for name, part in signals.items()})
        before, after = (module.anomaly_map(data.teacher(x)) for x in (clean, spoiled))
        low, high = (module.anomaly_score(data.teacher(x)) for x in (clean, spoiled))
    assert (high > low).all()
    # A defect shows in its place and around it, as far as the teacher sees.
    growth = (after - before).mean(0)
    near = torch.zeros(16, 16, dtype=torch.bool)
    near[2:11, 3:12] = True
    assert growth[near].mean() > 1.2 * growth[~near].mean()


def test_the_scale_of_the_teacher_is_learned_once():
    data = rows()
    net = trained(data, 1)
    maps = data.teacher(data.read(slice(None)))
    for usual, part in zip(net.module_.usual, maps, strict=True):
        assert_allclose(usual.mean.flatten(), part.mean((0, 2, 3)), atol=1e-5)
    before = [usual.mean.clone() for usual in net.module_.usual]
    dark = Rows(0.2 * data.read(slice(None)).numpy(), lambda block: block)
    others = DefectRows(dark, data.teacher, data.device, data.codes, 0.8, True)
    seeded(net.partial_fit, others)
    after = [usual.mean for usual in net.module_.usual]
    assert all(map(torch.equal, before, after))


@pytest.mark.parametrize(("max_epochs", "filled_in"), [(5, 1), (15, 2), (25, 3)])
def test_the_memory_is_filled_after_the_first_tenth(max_epochs, filled_in):
    seen = []

    class Watched(MemoryNet):
        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            seen.append(self.module_.memory.is_filled())

    trained(rows(8), max_epochs, Watched)
    assert seen == [False] * (filled_in - 1) + [True] * (max_epochs - filled_in + 1)


def test_at_the_end_every_prototype_is_nearest_to_a_code():
    data, net = fitted(8)
    with torch.no_grad():
        codes = net.module_.eval().codes(data.teacher(data.read(slice(None))))
    for label, kept in enumerate(net.module_.memory.kept()):
        own = codes[data.codes == label].flatten(0, 1).double().numpy()
        similarity = own @ kept.T / np.linalg.norm(kept, axis=1)
        assert_array_equal(np.unique(similarity.argmax(1)), np.arange(len(kept)))


def test_categories_are_learned():
    data, net = fitted(8)
    posterior = net.module_.eval().posterior(data.teacher(data.read(slice(None))))
    assert torch.equal(posterior.argmax(1), data.codes)


def early(data, patience, max_epochs):
    """Train until the held-out loss, which only ever grows, has not fallen."""

    class Worse(MemoryNet):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            loss = super().get_loss(y_pred, y_true, X, training)
            return loss if training else 0 * loss + len(self.history)

    net = Worse(
        made(data, memory_size=4),
        Given,
        max_epochs=max_epochs,
        batch_size=8,
        lr=0.005,
        device="cpu",
        train_split=ValidSplit(0.5, random_state=0),
        callbacks=[EarlyStopping(patience=patience, load_best=True)],
    )
    seeded(net.initialize().partial_fit, data)
    return net


@pytest.mark.parametrize("max_epochs", [5, 40], ids=["filled", "empty"])
def test_early_stopping_leaves_a_memory_without_dead_slots(max_epochs):
    data = rows()
    net = early(data, 3, max_epochs)
    assert len(net.history) < 5
    memory = net.module_.memory
    assert all(np.abs(part).sum(1).all() for part in memory.kept())
    codes = net.module_.eval().codes(data.teacher(data.read(slice(None)))).detach()
    before = memory.usage.clone()
    memory.forget_unused(codes, data.codes)
    assert torch.equal(memory.usage, before)


def test_a_category_may_be_held_out():
    data = rows()
    # All of the second category, which no part of the training has seen.
    train, _ = ValidSplit(0.5, random_state=0)(data)
    data.codes = torch.ones(len(data), dtype=torch.int64)
    data.codes[train.indices] = 0
    kept = early(data, 9, 2).module_.memory.kept()
    assert all(len(part) > 0 for part in kept)


def test_training_follows_the_seed():
    one, other = (trained(rows(8), 3).module_ for _ in range(2))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(one.memory.prototypes, other.memory.prototypes)
