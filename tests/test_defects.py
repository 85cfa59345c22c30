"""Synthetic defects, and the noise that gives them their shapes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from skad._nets import _defects
from skad._nets._defects import N_MIRRORED, mirrored, perlin_noise, with_defects

SHAPES = st.tuples(
    st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 20), st.integers(1, 20)
)
SEEDS = st.integers(0, 1000)
FEW = settings(max_examples=40)


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def seeded(function, *args, seed=0):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args)


def grown(masks):
    return F.max_pool2d(masks, 3, 1, 1) > 0


@FEW
@given(SHAPES, SEEDS)
def test_an_image_is_changed_in_its_mask_or_beside_it_only(shape, seed):
    images = uniform(*shape, seed=seed)
    before = images.clone()
    changed, masks = seeded(with_defects, images, 1.0, seed=seed)
    assert torch.equal(images, before)
    assert changed.shape == shape and changed.dtype == images.dtype
    assert masks.shape == (shape[0], 1, *shape[2:]) and masks.dtype == images.dtype
    assert set(masks.unique().tolist()) <= {0, 1}
    assert masks.flatten(1).any(1).all()
    outside = ~grown(masks).expand_as(images)
    assert torch.equal(changed[outside], images[outside])
    assert changed.isfinite().all()


@FEW
@given(SHAPES, SEEDS)
def test_without_probability_nothing_changes(shape, seed):
    images = uniform(*shape, seed=seed)
    changed, masks = seeded(with_defects, images, 0.0, seed=seed)
    assert torch.equal(changed, images)
    assert not masks.any()


def test_as_many_images_have_defects_as_wished():
    masks = seeded(with_defects, uniform(600, 1, 24, 24), 0.3)[1]
    assert abs(masks.flatten(1).any(1).float().mean() - 0.3) < 0.06


def test_defects_are_seen_where_the_mask_is():
    images = uniform(200, 3, 32, 32)
    changed, masks = seeded(with_defects, images, 1.0)
    differs = (changed != images).any(1, keepdim=True)
    # Another place may show the same value by chance, but not often.
    assert differs[masks > 0].float().mean() > 0.99


def test_every_second_defect_has_a_soft_edge():
    images = uniform(600, 3, 24, 24)
    changed, masks = seeded(with_defects, images, 1.0)
    around = ((changed != images).any(1, keepdim=True) & (masks == 0)).flatten(1).any(1)
    has_edge = (grown(masks) & (masks == 0)).flatten(1).any(1)
    assert abs(around[has_edge].float().mean() - 0.5) < 0.07


def test_defects_are_of_every_size():
    images = uniform(500, 1, 48, 48)
    _, masks = seeded(with_defects, images, 1.0)
    areas = masks.mean((1, 2, 3))
    assert areas.quantile(0.05) < 0.002 and areas.quantile(0.95) > 0.05
    assert areas.max() < 0.25
    # They are no larger in one part of the image than in another.
    share = masks.mean((0, 1))
    quarters = F.adaptive_avg_pool2d(share[None], 2)
    assert quarters.max() < 1.5 * quarters.min()


@FEW
@given(SHAPES, SEEDS)
def test_the_seed_of_torch_decides(shape, seed):
    images = uniform(*shape, seed=seed)
    one, other = (seeded(with_defects, images, 0.7, seed=seed) for _ in range(2))
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_images_of_a_batch_get_defects_of_their_own():
    same = uniform(1, 1, 32, 32).expand(50, -1, -1, -1)
    _, masks = seeded(with_defects, same, 1.0)
    assert len(masks.flatten(1).unique(dim=0)) > 45
    other = seeded(with_defects, same, 1.0, seed=1)[1]
    assert not torch.equal(masks, other)


@FEW
@given(SHAPES, SEEDS, st.sampled_from([1e-3, 0.5, 255.0, 1e4]), st.floats(-2, 2))
def test_defects_are_of_the_scale_of_the_images(shape, seed, scale, shift):
    images = uniform(*shape, seed=seed)
    small, masks = seeded(with_defects, images, 1.0, seed=seed)
    scaled = scale * (images + shift)
    large, same = seeded(with_defects, scaled, 1.0, seed=seed)
    assert torch.equal(masks, same)
    expected = scale * (small + shift)
    torch.testing.assert_close(large, expected, rtol=1e-4, atol=2e-5 * scale)


def test_images_without_contrast_stay_as_they_are():
    images = torch.full((20, 3, 8, 8), 0.25)
    changed, masks = seeded(with_defects, images, 1.0)
    assert masks.flatten(1).any(1).all()
    torch.testing.assert_close(changed, images)


def test_defects_do_not_depend_on_how_memory_is_laid_out():
    images = uniform(4, 3, 12, 9)
    expected = seeded(with_defects, images, 1.0)
    last = images.contiguous(memory_format=torch.channels_last)
    for one, other in zip(seeded(with_defects, last, 1.0), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_textures_are_made_of_the_pixels_that_there_are():
    images = torch.arange(2 * 6 * 8.0).view(2, 1, 6, 8)
    angle, zoom = torch.tensor([0.3, 2.0]), torch.tensor([0.5, 1.3])
    moved = seeded(
        _defects._elsewhere, images, angle.view(2, 1, 1, 1), zoom.view(2, 1, 1, 1)
    )
    assert moved.shape == images.shape
    for image, texture in zip(images, moved, strict=True):
        assert set(texture.flatten().tolist()) <= set(image.flatten().tolist())
        assert len(texture.unique()) > 5


def test_neighbours_stay_neighbours_in_a_texture_that_is_only_moved():
    ramp = torch.arange(9.0).expand(1, 1, 9, 9)
    one = torch.ones(1, 1, 1, 1)
    for seed in range(10):
        moved = seeded(_defects._elsewhere, ramp, 0 * one, one, seed=seed)
        steps = moved.diff(dim=3).abs()
        assert steps.max() <= 1 and steps.sum() > 0
        assert (moved.diff(dim=2) == 0).all()


@FEW
@given(SHAPES, SEEDS)
def test_strips_are_never_empty_and_mostly_narrow(shape, seed):
    images = uniform(*shape)
    strips = seeded(_defects._strips, images, seed=seed)
    assert strips.shape == (shape[0], 1, *shape[2:]) and strips.dtype == torch.bool
    assert strips.flatten(1).any(1).all()


def test_strips_are_longer_than_wide_and_begin_anywhere():
    strips = seeded(_defects._strips, torch.zeros(300, 1, 48, 48))
    lengths, widths = [], []
    for strip in strips[:, 0].numpy():
        places = np.argwhere(strip) - np.argwhere(strip).mean(0)
        spread = np.linalg.svd(places, compute_uv=False) / len(places) ** 0.5
        lengths.append(spread[0])
        widths.append(spread[1] if len(spread) > 1 else 0)
    lengths, widths = np.array(lengths), np.array(widths)
    assert np.median(lengths) > 2 * np.median(widths)
    # A band of a given length deviates by its length through the root of twelve.
    assert lengths.max() < 1.5 * 0.5 * 48 / 12**0.5
    assert strips.any(0).float().mean() > 0.9


@FEW
@given(SHAPES, SEEDS)
def test_blobs_are_never_empty_nor_larger_than_a_tenth(shape, seed):
    images = uniform(*shape)
    blobs = seeded(_defects._blobs, images, seed=seed)
    assert blobs.dtype == torch.bool
    counts = blobs.flatten(1).sum(1)
    assert (counts >= 1).all()
    assert (counts <= 0.1 * shape[2] * shape[3] + 1).all()


def test_images_are_mirrored_in_their_ways():
    images = uniform(N_MIRRORED + 1, 3, 4, 5)
    found = mirrored(images, torch.tensor([0, 1, 2, 3, 1]))
    pixels = images.numpy()
    assert torch.equal(found[0], images[0])
    np.testing.assert_array_equal(found[1], pixels[1, :, :, ::-1])
    np.testing.assert_array_equal(found[2], pixels[2, :, ::-1])
    np.testing.assert_array_equal(found[3], pixels[3, :, ::-1, ::-1])
    np.testing.assert_array_equal(found[4], pixels[4, :, :, ::-1])


def plain_noise(images, seed):
    """Perlin noise, pixel by pixel, by the same random numbers."""
    n, _, height, width = images.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        waves = 2.0 ** torch.randint(6, (2, n)).numpy()
        turn = math.pi * torch.rand(n).numpy()
        shift = 64 * np.stack([torch.rand(n).numpy() for _ in range(2)])
        angles = 2 * math.pi * torch.rand(n, 64, 64).numpy()
    noise = np.zeros((n, 1, height, width))
    for i, row, column in np.ndindex(n, height, width):
        y = (row - (height - 1) / 2) / max(height, width)
        x = (column - (width - 1) / 2) / max(height, width)
        cos, sin = np.cos(turn[i]), np.sin(turn[i])
        place = np.array([cos * y - sin * x, sin * y + cos * x])
        place = place * waves[:, i] + shift[:, i]
        corner = np.floor(place).astype(int)
        for step in np.ndindex(2, 2):
            away = place - corner - step
            cell = tuple((corner + step) % 64)
            slope = np.cos(angles[i][cell]), np.sin(angles[i][cell])
            # Perlin's weights fall from 1 to 0 within a cell.
            t = 1 - np.abs(away)
            near = np.prod(6 * t**5 - 15 * t**4 + 10 * t**3)
            noise[i, 0, row, column] += near * np.dot(slope, away)
    return noise


@pytest.mark.parametrize("size", [(5, 7), (1, 9), (6, 1), (1, 1)])
def test_noise_is_that_of_perlin(size):
    images = torch.zeros(4, 2, *size)
    noise = seeded(perlin_noise, images, seed=3)
    np.testing.assert_allclose(noise, plain_noise(images, 3), atol=1e-4)


def test_noise_is_bounded_smooth_and_of_several_scales():
    noise = seeded(perlin_noise, torch.zeros(300, 1, 64, 64))
    assert noise.abs().max() <= 1
    assert abs(noise.mean()) < 0.02
    # Both slopes are at most about two in units of a wave, of which there are up to 32.
    rough = noise.diff(dim=3).abs().flatten(1)
    assert rough.max() < 2 * 2**0.5 * 32 / 64
    rough = rough.mean(1)
    assert rough.quantile(0.9) > 5 * rough.quantile(0.1)
    # Some are stripes, of either direction.
    ratio = rough / noise.diff(dim=2).abs().flatten(1).mean(1)
    assert ratio.quantile(0.95) > 3 and ratio.quantile(0.05) < 1 / 3
