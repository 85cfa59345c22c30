"""How frames differ from what was predicted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.ndimage import correlate, uniform_filter
from scipy.signal.windows import gaussian

from skad._nets._frame_errors import (
    FrameErrors,
    FrameLoss,
    blurred,
    patch_means,
    similarity,
)

# Larger than a window, as large, and smaller, of which the last are one pixel wide.
SIZES = [(13, 17), (11, 11), (10, 12), (4, 4), (2, 5), (1, 3)]
ROUNDING = 1 / (12 * 255**2)


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def window(height, width):
    """Return the weights of the largest window that fits, of odd sides up to 11."""
    sides = [max(s for s in range(1, 12, 2) if s <= side) for side in (height, width)]
    weights = np.outer(*(gaussian(side, 1.5) for side in sides))
    return weights / weights.sum()


def windows_of(image, weights):
    """Return every window of an image that fits into it."""
    return np.lib.stride_tricks.sliding_window_view(image, weights.shape)


def ssim(first, second):
    """Compute the structural similarity of two maps, window by window."""
    weights = window(*first.shape)
    pairs = windows_of(first, weights), windows_of(second, weights)
    found = np.empty(pairs[0].shape[:2])
    for place in np.ndindex(*found.shape):
        x, y = pairs[0][place], pairs[1][place]
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
        both = (weights * (x - mx) * (y - my)).sum()
        light = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        found[place] = light * (2 * both + 0.03**2) / (vx + vy + 0.03**2)
    return found


def patches_of(image, size):
    """Compute the means of patches of a map, one after the other."""
    down, across = (slices(side, size) for side in image.shape)
    return np.array([[image[rows, part].mean() for part in across] for rows in down])


def slices(side, size):
    size = min(size, side)
    starts = [0]
    while starts[-1] + size < side:
        starts.append(starts[-1] + max(1, size // 2))
    return [slice(start, start + size) for start in starts]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_colors", [1, 3])
def test_similarity_is_what_windows_have_in_common(size, n_colors):
    first, second = (images(2, n_colors, *size, seed=seed) for seed in (0, 1))
    second = 0.7 * first + 0.3 * second
    found = similarity(first.double(), second.double()).numpy()
    for image, color in np.ndindex(2, n_colors):
        expected = ssim(first[image, color].numpy(), second[image, color].numpy())
        assert_allclose(found[image, color], expected, rtol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_similarity_is_symmetric_and_1_for_equal_images(size):
    first, second = images(2, 3, *size), images(2, 3, *size, seed=1)
    found = similarity(first, second)
    assert_allclose(found, similarity(second, first), atol=1e-6)
    assert found.max() < 1
    assert_allclose(similarity(first, first), np.ones(found.shape), atol=1e-6)


def test_similarity_falls_with_noise_and_does_not_depend_on_other_images():
    first, noise = images(1, 1, 16, 16), images(1, 1, 16, 16, seed=1) - 0.5
    found = [similarity(first, first + s * noise).mean() for s in (0.1, 0.2, 0.4)]
    assert found == sorted(found, reverse=True)
    pair = similarity(torch.cat([first, noise]), torch.cat([first + 0.1, first]))
    assert_allclose(pair[:1], similarity(first, first + 0.1), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_images_are_blurred_where_the_window_fits(size):
    maps, weights = images(2, 3, *size), window(*size)
    found = blurred(maps).numpy()
    top, left = (side // 2 for side in weights.shape)
    inside = np.s_[top : size[0] - top, left : size[1] - left]
    for image, color in np.ndindex(2, 3):
        expected = correlate(maps[image, color].numpy(), weights)[inside]
        assert_allclose(found[image, color], expected, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_a_blurred_constant_is_the_same(size):
    found = blurred(torch.full((1, 2, *size), 0.3))
    assert_allclose(found, np.full(found.shape, 0.3), rtol=1e-6)


SIDES = st.integers(1, 14)


@settings(max_examples=60)
@given(SIDES, SIDES, st.integers(1, 16))
def test_patches_lie_half_over_each_other_and_cover_all(height, width, size):
    maps = images(2, 3, height, width)
    found = patch_means(maps, size).numpy()
    for of_image, means in zip(maps.numpy(), found, strict=True):
        assert_allclose(means, patches_of(of_image.mean(axis=0), size), rtol=1e-5)


def test_what_is_left_over_makes_smaller_patches():
    maps = torch.arange(5.0).expand(1, 1, 4, 5)
    assert_allclose(patch_means(maps, 4), [[[1.5, 3.0]]])


def test_the_loss_of_a_perfect_prediction_is_0():
    clips = images(2, 7, 3, 12, 13)
    assert_allclose(FrameLoss()(clips[:, 2:5], clips), 0, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_is_a_mean_of_dissimilarity_and_absolute_errors(alpha):
    clips = images(2, 7, 1, 12, 13)
    values = [0.2, 0.5, 0.9]
    for slot, value in enumerate(values):
        clips[:, 2 + slot] = value
    predicted = torch.full((2, 3, 1, 12, 13), 0.4)
    same = [(0.8 * v + 1e-4) / (0.16 + v**2 + 1e-4) for v in values]
    errors = [abs(v - 0.4) for v in values]
    expected = alpha * (1 - np.mean(same)) + (1 - alpha) * np.mean(errors)
    assert_allclose(FrameLoss(alpha)(predicted, clips), expected, atol=1e-4)


def test_the_loss_of_textures_equals_a_reference():
    clips, predicted = images(2, 5, 1, 12, 13), images(2, 1, 1, 12, 13, seed=1)
    pairs = zip(predicted[:, 0, 0].numpy(), clips[:, 2, 0].numpy(), strict=True)
    terms = [(1 - ssim(p, f).mean(), abs(p - f).mean()) for p, f in pairs]
    expected = np.mean(terms, axis=0) @ [0.3, 0.7]
    assert_allclose(FrameLoss(0.3)(predicted, clips), expected, rtol=1e-5)


def test_the_loss_of_predictions_in_half_precision_is_that_of_their_values():
    clips = 0.9 + 0.05 * torch.rand(
        2, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0)
    )
    predicted = clips[:, 1:2].bfloat16()
    found = FrameLoss()(predicted, clips)
    assert found.dtype == torch.float32
    assert_allclose(found, FrameLoss()(predicted.float(), clips), rtol=1e-6)


def test_half_of_the_loss_is_dissimilarity_unless_said_otherwise():
    clips, predicted = images(2, 5, 1, 12, 13), images(2, 1, 1, 12, 13, seed=1)
    both = [FrameLoss(alpha)(predicted, clips) for alpha in (0, 1)]
    assert_allclose(FrameLoss()(predicted, clips), np.mean(both), rtol=1e-6)


def usual_patches(errors, n_frames=20, n_colors=1, size=(12, 16), seed=5):
    """Return errors of patches of frames whose predictions are wrong by chance."""
    frames = images(n_frames, n_colors, *size, seed=seed)
    noise = images(n_frames, n_colors, *size, seed=seed + 1) - 0.5
    return errors.patches(frames + 0.2 * noise, frames)


def reference(predicted, frames, patches, size):
    """Compute the three errors of a frame, given usual errors of patches."""
    mean = uniform_filter(patches.mean(axis=0), 5, mode="nearest")
    spread = patches.std(axis=0)
    least = 0.1 * spread.mean() + ROUNDING
    spread = np.maximum(uniform_filter(spread, 5, mode="nearest"), least)
    squares = ((predicted - frames) ** 2).mean(axis=0)
    excess = ((patches_of(squares, size) - mean) / spread).max()
    pairs = zip(predicted, frames, strict=True)
    same = np.mean([ssim(*pair) for pair in pairs], axis=0)
    unlike = max(patches_of(1 - same, size).max(), 0)
    return np.log([squares.mean() + ROUNDING, max(excess, 0.1), unlike + 1e-4])


@pytest.mark.parametrize("n_colors", [1, 3])
@pytest.mark.parametrize("size", [(12, 16), (20, 13), (3, 5)])
def test_errors_equal_a_reference(size, n_colors):
    errors = FrameErrors(4)
    patches = usual_patches(errors, n_colors=n_colors, size=size)
    errors.learn(patches)
    frames = images(3, n_colors, *size, seed=1)
    noise = images(3, n_colors, *size, seed=2) - 0.5
    predicted = frames + 0.4 * noise
    predicted[0, :, :2, 1:3] += 0.5
    found = errors(predicted, frames).numpy()
    assert found.shape == (3, 3)
    for i in range(3):
        arrays = (part[i].double().numpy() for part in (predicted, frames))
        expected = reference(*arrays, patches.double().numpy(), 4)
        assert_allclose(found[i], expected, rtol=1e-3, atol=1e-3)


def test_what_is_learned_has_the_type_of_the_net():
    errors = FrameErrors(4)
    errors.learn(usual_patches(errors).double())
    assert errors.mean.dtype == errors.spread.dtype == torch.float32
    assert set(errors.state_dict()) == {"mean", "spread"}


def test_the_worst_patch_says_more_of_a_small_object_than_the_whole_frame():
    errors = FrameErrors(4)
    errors.learn(usual_patches(errors))
    frames = images(1, 1, 12, 16, seed=1)
    usual = frames + 0.2 * (images(1, 1, 12, 16, seed=2) - 0.5)
    bright = usual.clone()
    bright[..., 4:7, 4:7] += 0.3
    rise = (errors(bright, frames) - errors(usual, frames))[0]
    assert rise[1] > rise[0] + 0.5
    assert rise[0] > 0
    assert rise[2] > 0


@pytest.mark.parametrize("size", [(12, 16), (4, 4)])
def test_all_errors_rise_with_what_is_wrong(size):
    errors = FrameErrors(4)
    errors.learn(usual_patches(errors, size=size))
    frames, noise = images(5, 1, *size, seed=1), images(5, 1, *size, seed=2) - 0.5
    found = [errors(frames + scale * noise, frames) for scale in (0.3, 0.6, 0.9)]
    assert (torch.stack(found).diff(dim=0) > 0).all()


def test_a_place_where_errors_are_usual_counts_less():
    errors = FrameErrors(4)
    frames = images(40, 1, 16, 40, seed=1)
    noise = images(40, 1, 16, 40, seed=2) - 0.5
    noise[..., 20:] *= 0.1
    errors.learn(errors.patches(frames + 0.5 * noise, frames))
    found = []
    for left in 2, 34:
        predicted = frames[:1].clone()
        predicted[..., 6:10, left : left + 4] += 0.4
        found.append(errors(predicted, frames[:1])[0])
    usual, unusual = found
    assert_allclose(usual[0], unusual[0], rtol=1e-5)
    assert unusual[1] > usual[1] + 1


def test_where_nothing_was_ever_wrong_little_is_not_strange():
    errors = FrameErrors(4)
    # It must stay finite where the spread is none, and rounding must not count.
    errors.learn(torch.zeros(10, 5, 7))
    frames = (255 * images(2, 1, 12, 16)).round() / 255
    rounded = (frames + (images(2, 1, 12, 16, seed=1) - 0.5) / 255).clamp(0, 1)
    found = errors(torch.cat([frames, rounded]), torch.cat([frames, frames])).numpy()
    assert_allclose(found[:2], [np.log([ROUNDING, 0.1, 1e-4])] * 2, atol=1e-2)
    assert (found[2:, 0] < np.log(3 * ROUNDING)).all()
    assert (found[2:, 1] < np.log(3)).all()


def test_errors_of_a_frame_do_not_depend_on_others():
    errors = FrameErrors(4)
    errors.learn(usual_patches(errors))
    frames, predicted = images(4, 1, 12, 16), images(4, 1, 12, 16, seed=1)
    alone = [errors(predicted[i : i + 1], frames[i : i + 1]) for i in range(4)]
    assert_allclose(errors(predicted, frames), torch.cat(alone), atol=1e-4)
