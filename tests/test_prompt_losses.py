"""The losses of GenCLIP's prompts, and what learns from them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_prompts import (
    CLIP,
    N_LAYERS,
    SIZE,
    TEMPERATURE,
    array,
    batch_of,
    brute_branches,
    brute_logits,
    brute_patches,
    damaged_share,
    made,
    normal,
)

from skad._nets._pixel_losses import dice_loss, focal_loss, pixel_loss


def brute_focal(logits, masks):
    probability = damaged_share(logits, 1)
    total = 0.0
    for p, mask in zip(probability.ravel(), masks.ravel(), strict=True):
        total -= mask * (1 - p) ** 2 * np.log(p) + (1 - mask) * p**2 * np.log(1 - p)
    return total / masks.size


def brute_dice(probability, masks):
    parts = [
        1 - (2 * (p * m).sum() + 1) / (p.sum() + m.sum() + 1)
        for p, m in zip(probability, masks, strict=True)
    ]
    return np.mean(parts)


def brute_pixel_loss(logits, masks):
    damaged = damaged_share(logits, 1)
    return (
        brute_focal(logits, masks)
        + brute_dice(damaged, masks)
        + brute_dice(1 - damaged, 1 - masks)
    )


def masks_of(n_samples=4, soft=False, seed=0):
    masks = torch.rand(n_samples, *SIZE, generator=torch.Generator().manual_seed(seed))
    return masks if soft else (masks > 0.8).float()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_losses_of_pixels_are_those_of_a_sum_over_them(soft, scale):
    logits, masks = scale * normal(4, 2, *SIZE), masks_of(soft=soft)
    one, other = array(logits), array(masks)
    assert focal_loss(logits, masks).item() == pytest.approx(brute_focal(one, other))
    damaged = damaged_share(one, 1)
    found = dice_loss(logits.softmax(1)[:, 1], masks).item()
    assert found == pytest.approx(brute_dice(damaged, other), rel=1e-5)
    found = pixel_loss(logits, masks).item()
    assert found == pytest.approx(brute_pixel_loss(one, other), rel=1e-5)


def test_losses_of_pixels_are_none_where_all_is_right_and_finite_where_all_is_wrong():
    masks = masks_of()
    right = torch.stack([1 - masks, masks], dim=1) * 200
    assert pixel_loss(right, masks).item() == pytest.approx(0, abs=1e-5)
    wrong = right.flip(1).requires_grad_()
    loss = pixel_loss(wrong, masks)
    loss.backward()
    # Far from right everywhere.
    assert 100 < loss.item() < 300
    assert wrong.grad.isfinite().all()


@given(st.integers(0, 999), st.booleans())
def test_losses_of_pixels_are_not_negative(seed, empty):
    logits, masks = normal(3, 2, *SIZE, seed=seed), masks_of(3, seed=seed)
    masks = masks * 0 if empty else masks
    assert focal_loss(logits, masks) >= 0
    assert 0 <= dice_loss(logits.softmax(1)[:, 1], masks) <= 1


def brute_loss(net, batch, damaged, masks, weights, image_weight):
    patches, total = brute_patches(net, batch), 0.0
    for weight, texts in zip(weights, brute_branches(net, batch), strict=True):
        for logits in brute_logits(patches, texts):
            if masks is not None:
                total += weight * brute_pixel_loss(logits, array(masks))
                continue
            maps = np.sort(damaged_share(logits, 1).reshape(len(damaged), -1), axis=1)
            top = maps[:, -10:].mean(1)
            right = np.where(damaged, top, 1 - top)
            total -= weight * np.log(right).mean()
        cosines = np.einsum("nd,lnsd->lns", array(batch["image"]), texts).mean(0)
        whole = damaged_share(cosines / TEMPERATURE, 1)
        right = np.where(damaged, whole, 1 - whole)
        total -= weight * image_weight * np.log(right).mean()
    return total


DAMAGED = torch.tensor([True, False, False, True])


@pytest.mark.parametrize("masks", [None, masks_of(soft=True)], ids=["weak", "masks"])
@pytest.mark.parametrize(("n_vision", "weights"), [(0, [1.0]), (2, [1.0, 0.6])])
@pytest.mark.parametrize("joint", [False, True])
def test_the_loss_is_that_of_both_branches_and_all_layers(
    masks, n_vision, weights, joint
):
    net = made(n_vision, joint, query_loss_weight=0.6, image_loss_weight=0.8)
    batch = batch_of()
    found = net(DAMAGED, masks, **batch).item()
    expected = brute_loss(net, batch, DAMAGED.numpy(), masks, weights, 0.8)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("masks", [None, masks_of()], ids=["weak", "masks"])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_all_that_is_learned_gets_gradients_and_the_clip_none(masks, joint, mixed):
    net = made(joint=joint)
    batch = batch_of(weights=torch.full((4,), 0.4), mixed=mixed)
    net(DAMAGED, masks, **batch).backward()
    for state in net.prompts.query.grad:
        assert (state.abs().sum(1) > 0).all()
    learned = dict(net.named_parameters())
    # A norm and a layer for each prompt, the weight of another for each of patches.
    assert len(learned) == 1 + N_LAYERS * (4 + 3)
    for name, values in learned.items():
        assert values.grad is not None and values.grad.any(), name
    assert all(part.grad is None for part in CLIP.parameters())


def gradients(net):
    net(DAMAGED, masks_of(), **batch_of()).backward()
    return {name: values.grad for name, values in net.named_parameters()}


def test_the_loss_of_the_query_alone_teaches_no_tokens_of_images():
    found = [gradients(made(query_loss_weight=weight)) for weight in (0.0, 1.0, 2.0)]
    for name, values in found[0].items():
        others = [values, *(part[name] for part in found[1:])]
        if name.startswith("prompts.vision"):
            torch.testing.assert_close(others[0], others[1])
        else:
            # A line in the weight.
            assert not torch.allclose(others[0], others[1])
            torch.testing.assert_close(others[0] + others[2], 2 * others[1])


def test_maps_are_learned():
    net, batch, masks = made(), batch_of(), torch.zeros(4, *SIZE)
    masks[0, 8:, :4] = masks[3, :4, 4:] = 1
    optimizer = torch.optim.Adam(net.parameters(), lr=0.04)
    for _ in range(30):
        optimizer.zero_grad()
        net(DAMAGED, masks, **batch).backward()
        optimizer.step()
    maps, scores = net.anomaly_map(batch), net.anomaly_score(batch)
    assert maps[masks > 0].mean() > maps[masks == 0].mean() + 0.3
    assert scores[DAMAGED].min() > scores[~DAMAGED].max()
