"""Blocks that several nets share."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skad._nets._layers import (
    TokenEmbedding,
    normalized_windows,
    sinusoidal_positions,
    symmetric_kl,
)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_normalized_windows_have_mean_0_and_variance_1_and_can_be_put_back():
    x = 5 * noise(4, 30, 3) + 7
    z, mean, scale = normalized_windows(x, 1e-3)
    np.testing.assert_allclose(z.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(z.var(1, correction=0), 1, rtol=1e-4)
    np.testing.assert_allclose(z * scale + mean, x, rtol=1e-5, atol=1e-5)


def test_a_window_that_hardly_varies_stays_small():
    z, _, _ = normalized_windows(3 + 1e-3 * noise(1, 30, 1), 0.1)
    assert z.abs().max() < 0.1
    z, _, _ = normalized_windows(torch.full((1, 30, 1), 3.0), 0.1)
    assert (z == 0).all()


@pytest.mark.parametrize("width", [1, 4, 7])
def test_positions_are_pairs_of_sine_and_cosine(width):
    positions = sinusoidal_positions(6, width).numpy()
    time = np.arange(6)
    for column in range(width):
        wave = np.cos if column % 2 else np.sin
        frequency = 10_000 ** (-(column - column % 2) / width)
        np.testing.assert_allclose(
            positions[:, column], wave(time * frequency), rtol=1e-5, atol=1e-6
        )


def test_the_embedding_is_a_circular_convolution_plus_positions():
    embedding = TokenEmbedding(9, 4, 8)
    direct = nn.Conv1d(4, 8, 3, padding=1, padding_mode="circular", bias=False)
    kernel = embedding.weight.detach().unflatten(1, (3, 4)).transpose(1, 2)
    direct.weight.data = kernel
    tokens = noise(2, 6, 4)
    expected = direct(tokens.mT).mT + sinusoidal_positions(6, 8)
    torch.testing.assert_close(embedding(tokens), expected)


def distribution(seed):
    return torch.softmax(3 * noise(5, 12, seed=seed), dim=-1)


@given(st.integers(0, 99), st.integers(100, 199))
def test_the_divergence_is_symmetric_in_value_and_not_negative(first, second):
    p, q = distribution(first), distribution(second)
    torch.testing.assert_close(symmetric_kl(p, q), symmetric_kl(q, p))
    assert (symmetric_kl(p, q) > 0).all()
    assert (symmetric_kl(p, p) == 0).all()


def test_the_divergence_is_the_sum_of_both_directions():
    p, q = distribution(0), distribution(1)
    log_p, log_q = torch.log(p + 1e-4), torch.log(q + 1e-4)
    expected = (p * (log_p - log_q)).sum(-1) + (q * (log_q - log_p)).sum(-1)
    torch.testing.assert_close(symmetric_kl(p, q), expected)


def test_no_gradient_goes_into_the_fixed_distribution():
    p, q = distribution(0).requires_grad_(), distribution(1).requires_grad_()
    symmetric_kl(p, q).sum().backward()
    assert p.grad.abs().sum() > 0
    assert q.grad is None
