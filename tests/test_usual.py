"""What is usual: moments of maps, around each place, and the smoothing of maps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import ndimage
from torch import nn

from skad._nets._mddnet import Usual, learn_moments, smoothed

SEEDS = st.integers(0, 1000)
FEW = settings(max_examples=30)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@FEW
@given(
    st.integers(1, 12), st.integers(1, 12), st.floats(0.2, 4), st.integers(1, 3), SEEDS
)
def test_smoothing_is_a_gaussian_over_what_there_is(height, width, sigma, n, seed):
    maps = normal(n, height, width, seed=seed).double()
    reach = math.ceil(3 * sigma)

    def gaussian(part):
        return ndimage.gaussian_filter(
            part, sigma, mode="constant", radius=(0, reach, reach)
        )

    expected = gaussian(maps.numpy()) / gaussian(np.ones(maps.shape))
    assert_allclose(smoothed(maps, sigma), expected, atol=1e-12)


@FEW
@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.01, 50), SEEDS)
def test_smoothing_keeps_constants_and_bounds_and_is_linear(height, width, sigma, seed):
    constant = torch.full((2, height, width), 3.7)
    assert_allclose(smoothed(constant, sigma), 3.7, rtol=1e-6)
    a, b = normal(2, 2, height, width, seed=seed).double()
    soft = smoothed(a, sigma)
    assert a.min() - 1e-12 <= soft.min() and soft.max() <= a.max() + 1e-12
    assert_allclose(smoothed(a - 2 * b, sigma), soft - 2 * smoothed(b, sigma))
    assert_allclose(smoothed(a.flip(2), sigma), soft.flip(2))
    assert_allclose(smoothed(a.mT, sigma), soft.mT)


def test_smoothing_by_nothing_does_nothing():
    maps = normal(2, 5, 6)
    assert torch.equal(smoothed(maps, 0.0), maps)
    assert torch.equal(smoothed(maps, 1e-30), maps)


@FEW
@given(SEEDS)
def test_what_is_usual_is_subtracted_and_divided_by(seed):
    usual = Usual((3, 1, 1))
    x = normal(2, 3, 4, 5, seed=seed)
    assert torch.equal(usual(x), x)
    mean, std = normal(3, 1, 1, seed=seed + 1), normal(3, 1, 1, seed=seed + 2).abs()
    std[1] = 0
    usual.learn(mean, std)
    divisor = std.clone()
    divisor[1] = 1
    torch.testing.assert_close(usual(x), (x - mean) / divisor)
    torch.testing.assert_close(usual(x, centred=False), x / divisor)


def plain_usual(maps, labels, n_classes):
    """Mean and deviation around each place, where all count as eight of a category."""
    maps, width = maps.double(), max(maps.shape[1:]) / 16
    means, stds = [], []
    for label in range(n_classes):
        own = maps[labels == label]
        moments = []
        for part, whole in ((own, maps), (own**2, maps**2)):
            mixed = (part.sum(0) + 8 * whole.mean(0)) / (len(own) + 8)
            moments.append(smoothed(mixed[None], width)[0])
        means.append(moments[0])
        std = (moments[1] - moments[0] ** 2).clamp_min(0).sqrt()
        stds.append(std + 0.3 * std.mean())
    return torch.stack(means), torch.stack(stds)


@pytest.mark.parametrize("size", [(6, 6), (20, 33), (1, 7), (1, 1)])
def test_what_is_usual_around_a_place_is_learned_by_category(size):
    usual = Usual((3, *size))
    # The last category has no image: what is usual for all is for it.
    labels = torch.arange(9) % 2
    maps = 2 + labels[:, None, None] * normal(1, *size) + normal(9, *size, seed=1)
    maps = maps.double()
    usual.learn_around(maps, labels)
    means, stds = plain_usual(maps, labels, 3)
    assert_allclose(usual.mean, means, rtol=1e-5, atol=1e-6)
    assert_allclose(usual.std, stds, rtol=1e-5)
    assert (usual.std > 0).all()
    some = torch.tensor([2, 0])
    expected = (maps[:2] - means[some]) / stds[some]
    assert_allclose(usual(maps[:2], some), expected, rtol=1e-4, atol=1e-5)
    found = usual(maps[:2], some, centred=False)
    assert_allclose(found, maps[:2] / stds[some], rtol=1e-4)


def test_a_category_of_many_images_has_its_own_usual():
    usual = Usual((2, 4, 4))
    labels = torch.arange(4000) % 2
    maps = 1.0 + labels[:, None, None] + 0.5 * normal(4000, 4, 4).double()
    usual.learn_around(maps, labels)
    for label in range(2):
        assert_allclose(usual.mean[label], 1 + label, atol=0.05)
        assert_allclose(usual.std[label], 1.3 * 0.5, atol=0.05)


@pytest.mark.parametrize("size", [(20, 20), (1, 1)])
@pytest.mark.parametrize("value", [0.0, 0.2, 0.7])
def test_maps_that_never_deviate_are_not_divided_by_nothing(size, value):
    usual = Usual((2, *size))
    usual.learn_around(torch.full((7, *size), value).double(), torch.arange(7) % 2)
    assert (usual.std == 1).all()
    x = torch.full((1, *size), 1.5)
    torch.testing.assert_close(usual(x, torch.tensor([1])), x - value)


@FEW
@given(SEEDS, st.integers(1, 5))
def test_moments_are_those_of_all_batches_at_once(seed, batch_size):
    usual = nn.ModuleList(Usual((n, 1, 1)) for n in (4, 6))
    maps = [3 + 2 * normal(7, n, 5, n, seed=seed) for n in (4, 6)]
    # A channel that never varies, whatever rounding makes of its squares.
    maps[1][:, 2] = 5.3
    batches = zip(*[part.split(batch_size) for part in maps], strict=True)
    learn_moments(usual, batches)
    for level, part in zip(usual, maps, strict=True):
        assert_allclose(level.mean.flatten(), part.mean((0, 2, 3)), rtol=1e-4)
        std = part.std((0, 2, 3), correction=0)
        std[std < 1e-5] = 1
        assert_allclose(level.std.flatten(), std, rtol=1e-4)
