"""The small pyramid, and its training to find synthetic defects."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from skorch.dataset import ValidSplit
from torch import nn

from skad._nets._pyramids import (
    DefectFinder,
    Given,
    Residual,
    ScheduledNet,
    SmallPyramid,
    convolution,
)
from skad._nets._rows import Rows
from skad._self_teacher import TeacherTraining

SIDES = st.integers(1, 20)
FEW = settings(max_examples=40)


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def seeded(function, *args, seed=0, **kwargs):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args, **kwargs)


def finder(probability=0.8, mean=0.5, std=0.3, augment=True):
    mean, std = torch.full((3, 1, 1), mean), torch.full((3, 1, 1), std)
    pyramid = seeded(SmallPyramid, (4, 6))
    return seeded(DefectFinder, pyramid, (4, 6), mean, std, probability, augment)


@FEW
@given(SIDES, SIDES, st.sampled_from([1, 3]), st.sampled_from([1, 2]))
def test_convolutions_keep_the_size_or_halve_it(height, width, size, stride):
    layer = convolution(2, 5, size, stride).eval()
    maps = layer(uniform(2, 2, height, width))
    assert maps.shape == (2, 5, -(-height // stride), -(-width // stride))
    assert (maps >= 0).all()


@pytest.mark.parametrize("sizes", [(3, 3), (1, 5), (5, 1)])
def test_a_residual_adds_to_what_goes_past(sizes):
    block = seeded(Residual, 4, 7, sizes).eval()
    maps = uniform(2, 4, 5, 6) - 0.5
    added = block.norm(block.second(block.first(maps)))
    torch.testing.assert_close(block(maps), (maps + added).clamp_min(0))
    assert block.first[0].kernel_size == (sizes[0], sizes[0])
    assert block.second.kernel_size == (sizes[1], sizes[1])
    nn.init.zeros_(block.norm.weight)
    assert torch.equal(block(maps), maps.clamp_min(0))


@FEW
@given(SIDES, SIDES, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_every_level_of_a_pyramid_has_half_the_size(height, width, channels):
    maps = SmallPyramid(channels).eval()(uniform(2, 3, height, width))
    size = height, width
    assert len(maps) == len(channels)
    for part, n_channels in zip(maps, channels, strict=True):
        size = tuple(-(-side // 2) for side in size)
        assert part.shape == (2, n_channels, *size)


def test_the_channels_may_come_in_a_list_or_a_tuple():
    images = uniform(1, 3, 8, 8)
    one, other = (seeded(SmallPyramid, c).eval()(images) for c in ([4, 6], (4, 6)))
    assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("size", [(16, 16), (13, 9), (1, 12), (3, 3)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_every_weight_learns_from_finding_defects(size, n_channels):
    module = finder().train()
    loss = seeded(module, uniform(8, n_channels, *size))
    assert loss.ndim == 0 and loss > 0
    loss.backward()
    for name, weight in module.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name


def test_the_loss_is_the_cross_entropy_of_the_share_of_a_place_that_is_a_defect(
    monkeypatch,
):
    masks = (uniform(6, 1, 8, 8, seed=5) < 0.3).float()
    monkeypatch.setattr(
        "skad._nets._pyramids.with_defects", lambda images, probability: (images, masks)
    )
    module = finder().eval()
    found = []
    for output in module.output:
        output.register_forward_hook(lambda layer, given, out: found.append(out))
    loss = module(uniform(6, 3, 8, 8))
    expected = 0
    for side, logits in zip((2, 4), found, strict=True):
        probability = torch.sigmoid(logits)
        share = masks.view(6, 1, side, 8 // side, side, 8 // side).mean((3, 5))
        right = share * probability.log() + (1 - share) * (1 - probability).log()
        expected = expected - right.mean()
    torch.testing.assert_close(loss, expected)


def test_fine_levels_know_what_coarse_ones_have_found():
    module = finder(0.0, augment=False).eval()
    images = uniform(2, 3, 8, 8)
    found = []
    module.output[0].register_forward_hook(lambda layer, given, out: found.append(out))
    module(images)
    nn.init.constant_(module.merge[1][1].bias, 3.0)
    module(images)
    assert not torch.allclose(*found)


def test_images_are_normalised_before_they_are_looked_at():
    images = uniform(4, 3, 8, 8)
    expected = seeded(finder(0.0, mean=0.0, std=1.0).eval(), images)
    module = finder(0.0, mean=2.0, std=5.0).eval()
    torch.testing.assert_close(seeded(module, 2 + 5 * images), expected)


@pytest.mark.parametrize("augment", [False, True])
def test_images_are_mirrored_in_every_way_by_chance_if_wished(augment):
    module = finder(0.0, mean=0.0, std=1.0, augment=augment).eval()
    seen = []
    module.pyramid.register_forward_hook(lambda pyramid, given, out: seen.extend(given))
    image = torch.arange(18.0).view(1, 3, 2, 3)
    seeded(module, image.expand(200, -1, -1, -1))
    ways = [image, image.flip(2), image.flip(3), image.flip(2, 3)]
    counts = [(seen[0] == way).flatten(1).all(1).sum().item() for way in ways]
    assert sum(counts) == 200
    assert min(counts[1:]) > 30 if augment else counts[0] == 200


def test_defects_are_learned_to_be_found():
    images = Rows(uniform(32, 1, 16, 16).numpy(), lambda block: block)
    module = finder().train()
    net = ScheduledNet(
        module, Given, max_epochs=25, batch_size=16, lr=0.01, device="cpu"
    )
    seeded(net.initialize().partial_fit, images)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < 0.7 * losses[0]
    # It was not learned by heart: other images, other defects.
    others = uniform(64, 1, 16, 16, seed=9)
    after = seeded(net.module_.eval(), others)
    assert after < 0.7 * seeded(finder().eval(), others)


class Line(nn.Module):
    """Nothing but a weight that makes a loss."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return (self.weight - x).square().mean()


class Watched(ScheduledNet):
    """Notes the learning rate of every step."""

    def train_step_single(self, batch, **fit_params):
        (group,) = self.optimizer_.param_groups
        self.rates = [*getattr(self, "rates", []), group["lr"]]
        return super().train_step_single(batch, **fit_params)


@pytest.mark.parametrize(("max_epochs", "n_rows"), [(10, 40), (50, 8), (1, 800)])
def test_the_learning_rate_rises_and_then_falls(max_epochs, n_rows):
    rows = Rows(np.ones((n_rows, 1)), lambda block: block)
    net = Watched(Line(), Given, max_epochs=max_epochs, batch_size=8, lr=0.5)
    net.initialize().partial_fit(rows)
    rates = np.array(net.rates) / 0.5
    n_steps = max_epochs * n_rows // 8
    assert len(rates) == n_steps
    top = rates.argmax()
    assert top == n_steps // 5
    assert_allclose(rates[[0, top]], [0.1, 1])
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert 0 < rates[-1] < 0.01
    # It begins anew when training goes on.
    net.partial_fit(rows)
    assert_allclose(np.array(net.rates[n_steps:]) / 0.5, rates)


def test_batches_that_are_held_out_do_not_count_as_steps():
    rows = Rows(np.ones((80, 1)), lambda block: block)
    net = Watched(
        Line(), Given, max_epochs=10, batch_size=8, lr=1, train_split=ValidSplit(2)
    )
    net.initialize().partial_fit(rows)
    assert len(net.rates) == 50
    assert np.argmax(net.rates) == 10
    assert net.rates[-1] < 0.01


def training(**changes):
    params = {
        "channels": (4, 6),
        "defect_probability": 0.8,
        "augment": True,
        "max_epochs": 2,
        "batch_size": 8,
        "lr": 0.004,
        "device": "cpu",
        "random_state": 0,
        "verbose": 0,
    }
    return TeacherTraining(**{**params, **changes})


def images(n_channels=1, n_images=20, size=(10, 9)):
    pixels = 0.2 + 0.5 * uniform(n_images, n_channels, *size, seed=2)
    return Rows(pixels.numpy(), lambda block: block)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_teacher_is_a_frozen_pyramid_that_normalises_by_the_images(n_channels):
    rows = images(n_channels, n_images=150)
    teacher = training().fit_teacher(rows)
    assert not teacher.training and not teacher.pyramid.training
    assert not any(weight.requires_grad for weight in teacher.parameters())
    pixels = rows[:].double()
    for name, expected in (
        ("mean", pixels.mean((0, 2, 3))),
        ("std", pixels.std((0, 2, 3), correction=0)),
    ):
        found = getattr(teacher, name).flatten()
        assert_allclose(found, expected.expand(3), rtol=1e-6)
    maps = teacher(rows[:4])
    assert [tuple(part.shape) for part in maps] == [(4, 4, 5, 5), (4, 6, 3, 3)]


def test_grey_and_grey_in_three_channels_are_the_same_to_a_teacher():
    rows = images()
    teacher = training().fit_teacher(rows)
    grey = rows[:4]
    for one, other in zip(
        teacher(grey), teacher(grey.expand(-1, 3, -1, -1)), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_teacher_follows_its_seed():
    def last(**changes):
        return training(**changes).fit_teacher(images())(images()[:4])[-1]

    before = torch.get_rng_state()
    expected = last()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(last(), expected)
    assert not torch.equal(last(random_state=1), expected)


def test_a_teacher_has_learned_from_the_images():
    few = training(max_epochs=20, lr=0.01)
    few.fit_teacher(images(size=(16, 16)))
    losses = [epoch["train_loss"] for epoch in few.history_]
    assert few.n_iter_ == len(losses) == 20
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("value", [0.7, 0.9, 0.03])
def test_a_channel_that_never_varies_is_not_divided_by_rounding(value):
    # Their number is no power of two: means are rounded.
    pixels = uniform(21, 3, 15, 17).numpy()
    pixels[:, 2] = value
    rows = Rows(pixels, lambda block: block)
    teacher = training(max_epochs=1).fit_teacher(rows)
    assert teacher.std[2] == 1
    assert_allclose(teacher.mean[2], value, rtol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 4), (1, 3)])
def test_batches_of_one_small_image_are_learned_from(size):
    few = training(batch_size=1)
    teacher = few.fit_teacher(images(n_images=3, size=size))
    assert np.isfinite([epoch["train_loss"] for epoch in few.history_]).all()
    assert all(part.isfinite().all() for part in teacher(images(size=size)[:2]))


def test_pixels_that_are_all_the_same_are_not_divided_by_nothing():
    rows = Rows(np.zeros((8, 1, 8, 8)), lambda block: block)
    teacher = training().fit_teacher(rows)
    assert teacher.std.flatten().tolist() == [1, 1, 1]
    assert all(part.isfinite().all() for part in teacher(rows[:2]))
