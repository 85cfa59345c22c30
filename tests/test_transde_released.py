"""The released variant of TransDe against the released formulas, written out."""

import numpy as np
import pytest
import torch

from skad import TransDe
from skad._nets._layers import DualAttention, normalized_windows, symmetric_kl
from skad._nets._transde import ContrastedMaps
from skad._trend import smoother

LENGTH, SIZES, WIDTH, N_LAYERS = 30, [3, 5], 16, 2


@pytest.fixture
def net():
    torch.manual_seed(0)
    matrix = torch.tensor(smoother(LENGTH, 6400.0), dtype=torch.float32)
    net = ContrastedMaps(SIZES, WIDTH, N_LAYERS, matrix).double()
    for parameter in net.parameters():  # maps that are far from uniform
        parameter.data *= 2
    return net


@pytest.fixture
def windows():
    rng = np.random.default_rng(0)
    return torch.tensor(rng.normal(size=(4, LENGTH, 3)).cumsum(axis=1))


def maps_at_full_size(net, windows):
    """Return the maps as the released code has them: window by window, all channels."""
    x = normalized_windows(windows, 1e-5**0.5)[0]
    trend = net.smoother @ x
    found = []
    for i, size in enumerate(SIZES):
        n = LENGTH // size
        for queries, keys in zip(
            net.attention.queries, net.attention.keys, strict=True
        ):
            pair = [], []
            for stream in (trend, x - trend):
                channels = stream.mT.flatten(0, 1)
                embeddings = (net.attention.patches[i], net.attention.positions[i])
                shapes = ((n, size), (size, n))
                for kind in range(2):
                    tokens = embeddings[kind](channels.unflatten(1, shapes[kind]))
                    scores = queries(tokens) @ keys(tokens).mT / WIDTH**0.5
                    small = torch.softmax(scores, dim=-1)
                    if kind == 0:
                        full = small.repeat_interleave(size, 1)
                        full = full.repeat_interleave(size, 2)
                    else:
                        full = small.tile(n, n)
                    pair[kind].append(full.unflatten(0, (len(windows), -1)).mean(1))
            series, prior = (torch.cat(part, dim=-1) for part in pair)
            found.append((series, prior / prior.sum(-1, keepdim=True)))
    return found


def test_the_score_is_that_of_the_maps_at_full_size(net, windows):
    pairs = maps_at_full_size(net, windows)
    total = sum(50 * symmetric_kl(series, prior) for series, prior in pairs)
    expected = torch.softmax(-total, dim=1)
    torch.testing.assert_close(
        net.anomaly_score(windows), expected, rtol=1e-9, atol=1e-12
    )


def test_the_loss_is_0_and_its_gradient_that_of_the_maps_at_full_size(net, windows):
    loss = net(windows)
    assert (loss == 0).all()
    loss.mean().backward()
    found = {name: p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad()
    pairs = maps_at_full_size(net, windows)
    prior_loss = sum(symmetric_kl(prior, series).mean() for series, prior in pairs)
    series_loss = sum(symmetric_kl(series, prior).mean() for series, prior in pairs)
    ((prior_loss - series_loss) / len(pairs)).backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-8, atol=1e-12)
    assert max(gradient.abs().max() for gradient in found.values()) > 1e-3


def test_maps_of_patches_and_of_positions_are_never_compared():
    # Row i of two normalised maps at full size differs by what row i // p of the one
    # differs from the uniform distribution, plus the same of row i mod p of the other.
    n, p = 4, 3
    generator = torch.Generator().manual_seed(0)
    a = torch.softmax(2 * torch.randn(n, n, generator=generator), dim=-1)
    c = torch.softmax(2 * torch.randn(p, p, generator=generator), dim=-1)
    full_a = a.repeat_interleave(p, 0).repeat_interleave(p, 1) / p
    full_c = c.tile(n, n) / n
    found = symmetric_kl(full_a, full_c, eps=0).reshape(n, p)
    of_a = symmetric_kl(a, torch.full_like(a, 1 / n), eps=0)
    of_c = symmetric_kl(c, torch.full_like(c, 1 / p), eps=0)
    torch.testing.assert_close(found, of_a[:, None] + of_c)


def test_every_row_is_scored_and_whole_windows_add_up_to_1():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(75, 2)).cumsum(axis=0)
    detector = TransDe(
        variant="released",
        window_size=30,
        patch_sizes=(3, 5),
        d_model=8,
        max_epochs=1,
        random_state=0,
    ).fit(X)
    scores = detector.score_samples(X)
    # Windows begin at 0, 30 and 45; rows of two have the mean of both.
    n_windows = np.repeat([1, 2, 1], [45, 15, 15])
    np.testing.assert_allclose(n_windows @ scores, -3, rtol=1e-5)
    np.testing.assert_allclose(scores[:30].sum(), -1, rtol=1e-5)
    assert all(epoch["train_loss"] == 0 for epoch in detector.history_)


def test_explain_says_that_it_needs_the_corrected_variant():
    X = np.random.default_rng(0).normal(size=(40, 2))
    detector = TransDe(
        variant="released", window_size=10, max_epochs=1, d_model=4, random_state=0
    ).fit(X)
    with pytest.raises(AttributeError) as error:
        _ = detector.explain
    assert "variant='corrected'" in str(error.value.__cause__)


def test_a_layer_with_one_patch_or_one_position_is_finite():
    attention = DualAttention([(1, 4), (4, 1)], 8, 1)
    for pair in attention.divergences(torch.randn(2, 2, 3, 4)):
        for part in pair:
            assert torch.isfinite(part).all()
