"""Layers over short sequences of feature maps."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from skad._nets._temporal_maps import (
    ConvLSTM,
    TemporalAttention,
    TemporalLayer,
    convolution,
    each,
    norm,
)


def noise(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator)


def seeded(function, *args, seed=0, **kwargs):
    """Call a function with a seed, and put torch's generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return function(*args, **kwargs)


def layer(*, decodes, dropout=0.0):
    return seeded(TemporalLayer, 4, 2, dropout, decodes=decodes).eval()


def attended(attention, x, memory, *, causal):
    """Attend clip by clip, head by head and step by step."""
    result = torch.empty_like(x)
    size = x.shape[2] // attention.n_heads
    scale = math.sqrt(size * x.shape[3] * x.shape[4])
    for clip in range(len(x)):
        queries = attention.queries(x[clip])
        keys, values = attention.keys_values(memory[clip]).split(x.shape[2], dim=1)
        mixed = torch.zeros_like(queries)
        for first in range(0, x.shape[2], size):
            head = slice(first, first + size)
            for step, query in enumerate(queries[:, head]):
                seen = slice(0, step + 1 if causal else None)
                alike = [(query * key).sum() for key in keys[seen, head]]
                weights = torch.softmax(torch.stack(alike) / scale, dim=0)
                for weight, value in zip(weights, values[seen, head], strict=True):
                    mixed[step, head] += weight * value
        result[clip] = attention.output(mixed)
    return result


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n_heads", [1, 2, 4])
def test_attention_is_among_steps_and_its_tokens_are_the_maps_of_a_head(
    n_heads, causal
):
    attention = seeded(TemporalAttention, 4, n_heads, 0.0)
    # Large enough for weights that differ.
    x = noise(2, 5, 4, 3, 2, scale=6.0)
    with torch.no_grad():
        expected = attended(attention, x, x, causal=causal)
        assert_close(attention(x, causal=causal), expected, rtol=1e-4, atol=1e-4)


def test_attention_to_a_memory_of_another_length():
    attention = seeded(TemporalAttention, 4, 2, 0.0)
    x, memory = noise(2, 3, 4, 3, 2, scale=6.0), noise(2, 5, 4, 3, 2, seed=1, scale=6.0)
    with torch.no_grad():
        expected = attended(attention, x, memory, causal=False)
        assert_close(attention(x, memory), expected, rtol=1e-4, atol=1e-4)
    flipped = attention(x, memory.flip(1))
    assert_close(flipped, attention(x, memory), rtol=1e-4, atol=1e-4)


def test_without_a_causal_mask_steps_have_no_order():
    x, order = noise(2, 5, 4, 3, 2, scale=6.0), torch.tensor([3, 0, 4, 2, 1])
    attention = seeded(TemporalAttention, 4, 2, 0.0)
    for function in attention, layer(decodes=False):
        assert_close(function(x)[:, order], function(x[:, order]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changed", [1, 2, 4])
def test_a_step_of_a_decoder_sees_no_later_one(changed):
    decoder, attention = layer(decodes=True), seeded(TemporalAttention, 4, 2, 0.0)
    x, memory = noise(2, 5, 4, 3, 2), noise(2, 6, 4, 3, 2, seed=1)
    other = x.clone()
    other[:, changed] += noise(2, 4, 3, 2, seed=2, scale=5.0)
    for function in (
        lambda x: attention(x, causal=True),
        lambda x: decoder(x, memory),
    ):
        found, expected = function(other), function(x)
        assert_close(found[:, :changed], expected[:, :changed])
        differ = (found - expected).abs().amax((2, 3, 4))
        assert (differ[:, changed:] > 1e-4).all()


def test_a_step_of_an_encoder_sees_later_ones():
    encoder, x = layer(decodes=False), noise(1, 5, 4, 3, 2)
    other = x.clone()
    other[:, -1] += noise(4, 3, 2, seed=2, scale=5.0)
    assert ((encoder(other) - encoder(x)).abs().amax((2, 3, 4)) > 1e-4).all()


def test_a_decoder_asks_its_memory_without_an_order():
    decoder = layer(decodes=True)
    x, memory = noise(2, 3, 4, 3, 2), noise(2, 6, 4, 3, 2, seed=1, scale=6.0)
    assert_close(decoder(x, memory.flip(1)), decoder(x, memory), rtol=1e-4, atol=1e-5)
    other = memory.clone()
    other[:, 2] += 5 * noise(2, 4, 3, 2, seed=2)
    assert ((decoder(x, other) - decoder(x, memory)).abs() > 1e-4).any()


@pytest.mark.parametrize("decodes", [False, True])
def test_a_layer_adds_to_what_it_is_given(decodes):
    changing = layer(decodes=decodes)
    x, memory = noise(2, 3, 4, 3, 2), noise(2, 6, 4, 3, 2, seed=1)
    lasts = [changing.attention.output, changing.feed_forward[-1]]
    if decodes:
        lasts.append(changing.memory_attention.output)
    assert ((changing(x, memory) - x).abs() > 1e-3).any()
    for last in lasts:
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
    assert_close(changing(x, memory), x)


def test_values_are_dropped_in_training_only():
    dropping, x = layer(decodes=False, dropout=0.5), noise(1, 3, 4, 3, 2)
    assert_close(dropping(x), dropping(x), rtol=0, atol=0)
    assert_close(dropping(x), layer(decodes=False)(x))
    dropping.train()
    assert not torch.equal(
        seeded(dropping, x, seed=1),
        seeded(dropping, x, seed=2),
    )


def test_weights_of_attention_are_dropped_in_training_only():
    x = noise(1, 3, 4, 3, 2)
    dropping = seeded(TemporalAttention, 4, 2, 0.5)
    kept = seeded(TemporalAttention, 4, 2, 0.0)
    assert not torch.allclose(seeded(dropping, x), kept(x))
    assert_close(dropping.eval()(x), kept(x))


def recurrence(lstm, *sequences):
    """Compute the states of a ConvLSTM clip by clip and step by step."""
    kernel, bias = lstm.inputs.weight, lstm.inputs.bias
    around = kernel.shape[-1] // 2
    clips = []
    for parts in zip(*sequences, strict=True):
        hidden = cell = torch.zeros(1, *parts[0].shape[1:])
        states = []
        for maps in zip(*parts, strict=True):
            # One convolution of the inputs and the state, side by side.
            together = torch.cat([*(m[None] for m in maps), hidden], dim=1)
            weight = torch.cat([kernel, lstm.recurrent.weight], dim=1)
            gates = F.conv2d(together, weight, bias, padding=around)
            gates = F.group_norm(gates, 2, lstm.norm.weight, lstm.norm.bias)
            into, forget, new, out = gates.split(hidden.shape[1], dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(new)
            hidden = torch.sigmoid(out) * torch.tanh(cell)
            states.append(hidden[0])
        clips.append(torch.stack(states))
    return torch.stack(clips)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("n_inputs", [1, 2])
def test_a_conv_lstm_is_a_recurrence_from_a_state_of_zeros(n_inputs, kernel_size):
    lstm = seeded(ConvLSTM, 3, kernel_size, n_inputs)
    for parameter in lstm.norm.parameters():
        parameter.data += noise(12, seed=3)
    sequences = [noise(2, 4, 3, 5, 4, seed=seed) for seed in range(n_inputs)]
    with torch.no_grad():
        found, expected = lstm(*sequences), recurrence(lstm, *sequences)
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_state_is_of_the_steps_until_then():
    lstm, x = seeded(ConvLSTM, 3, 3), noise(2, 4, 3, 5, 4)
    other = x.clone()
    other[:, 2] += noise(2, 3, 5, 4, seed=1)
    assert_close(lstm(other)[:, :2], lstm(x)[:, :2])
    differ = (lstm(other) - lstm(x)).abs().amax((2, 3, 4))
    assert (differ[:, 2:] > 1e-4).all()


@pytest.mark.parametrize(
    "function",
    [
        layer(decodes=False),
        lambda x: layer(decodes=True)(x, 2 * x.flip(1)),
        seeded(ConvLSTM, 4, 3),
        lambda x: each(norm(4), x),
    ],
    ids=["encoder", "decoder", "lstm", "norm"],
)
def test_what_becomes_of_a_clip_does_not_depend_on_others(function):
    x = noise(3, 4, 4, 3, 5) * torch.tensor([0.1, 1.0, 9.0])[:, None, None, None, None]
    alone = torch.cat([function(clip[None]) for clip in x])
    assert_close(function(x), alone, rtol=1e-4, atol=1e-5)


def test_each_map_is_normalised_by_itself():
    maps = noise(3, 16, 4, 5) * torch.tensor([0.1, 1.0, 9.0])[:, None, None, None]
    found = norm(16)(maps).unflatten(1, (2, 8))
    assert_close(found.mean((2, 3, 4)), torch.zeros(3, 2), rtol=0, atol=1e-5)
    variances = found.var((2, 3, 4), correction=0)
    assert_close(variances, torch.ones(3, 2), rtol=5e-3, atol=0)


@pytest.mark.parametrize(
    ("n_channels", "n_groups"),
    [(1, 1), (4, 1), (8, 1), (12, 1), (16, 2), (17, 1), (20, 2), (28, 2), (64, 8)],
)
def test_about_eight_channels_are_normalised_together(n_channels, n_groups):
    assert norm(n_channels).num_groups == n_groups


@given(st.integers(1, 100))
def test_no_more_groups_would_do(n_channels):
    n_groups = norm(n_channels).num_groups
    sizes = [s for s in range(1, n_channels + 1) if not n_channels % s and s >= 8]
    assert n_channels // n_groups == min(sizes, default=n_channels)


def test_a_layer_is_applied_to_the_maps_of_each_step():
    maps, changing = noise(2, 3, 4, 5, 6), convolution(4, 7)
    found = each(changing, maps)
    assert found.shape == (2, 3, 7, 5, 6)
    for clip in range(2):
        for step in range(3):
            assert_close(found[clip, step], changing(maps[clip, step]))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_convolution_leaves_the_size(size):
    assert convolution(2, 3, size)(noise(1, 2, 4, 7)).shape == (1, 3, 4, 7)
