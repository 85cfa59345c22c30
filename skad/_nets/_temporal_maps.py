"""Layers over short sequences of feature maps: temporal attention, ConvLSTM."""

import torch
from torch import nn
from torch.nn import functional as F

# Channels that are normalised together.
_GROUP = 8
_SLOPE = 0.2
# A feed-forward part is so many times as wide as what it is between.
_EXPANSION = 4


def norm(n_channels):
    """Return the normalisation of maps, each by itself."""
    wanted = max(1, n_channels // _GROUP)
    n_groups = max(g for g in range(1, wanted + 1) if not n_channels % g)
    return nn.GroupNorm(n_groups, n_channels)


def rectifier():
    """Return what is between two layers."""
    return nn.LeakyReLU(_SLOPE)


def convolution(before, after, size=3):
    """Return a convolution that leaves the size of maps."""
    return nn.Conv2d(before, after, size, padding=size // 2)


def each(layer, maps):
    """Apply a layer for maps to those of every time step.

    Parameters
    ----------
    layer : callable
        The layer.

    maps : tensor of shape (n_clips, n_steps, n_channels, height, width)
        The maps.
    """
    return layer(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])


class TemporalAttention(nn.Module):
    """Attention among time steps, whose tokens are all maps of a head.

    Space stays with the convolutions that make queries, keys and values.

    Parameters
    ----------
    n_channels : int
        The number of maps of a step.

    n_heads : int
        The number of heads, which divides `n_channels`.

    dropout : float
        The probability that an attention weight is dropped in training.
    """

    def __init__(self, n_channels, n_heads, dropout):
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.queries = convolution(n_channels, n_channels)
        self.keys_values = convolution(n_channels, 2 * n_channels)
        self.output = convolution(n_channels, n_channels)

    def forward(self, x, memory=None, *, causal=False):
        """Return what each step takes from the steps of a memory, or of `x`."""
        queries = self._heads(each(self.queries, x))
        parts = each(self.keys_values, x if memory is None else memory)
        keys, values = map(self._heads, parts.chunk(2, dim=2))
        mixed = F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
        )
        return each(self.output, mixed.transpose(1, 2).reshape(x.shape))

    def _heads(self, maps):
        tokens = maps.reshape(*maps.shape[:2], self.n_heads, -1)
        return tokens.transpose(1, 2)


class TemporalLayer(nn.Module):
    """A layer of the transformer: attention, and convolutions of each step.

    Parameters
    ----------
    n_channels : int
        The number of maps of a step.

    n_heads : int
        The number of heads of each attention.

    dropout : float
        The probability that a value is dropped in training.

    decodes : bool
        Whether it is a layer of a decoder: steps see none that come later, and attend
        to a memory as well.
    """

    def __init__(self, n_channels, n_heads, dropout, *, decodes):
        super().__init__()
        inner = _EXPANSION * n_channels
        self.decodes = decodes
        self.drop = nn.Dropout(dropout)
        self.norm = norm(n_channels)
        self.attention = TemporalAttention(n_channels, n_heads, dropout)
        if decodes:
            self.memory_norm = norm(n_channels)
            self.memory_attention = TemporalAttention(n_channels, n_heads, dropout)
        self.feed_forward = nn.Sequential(
            norm(n_channels),
            convolution(n_channels, inner),
            rectifier(),
            nn.Dropout(dropout),
            convolution(inner, n_channels),
        )

    def forward(self, x, memory=None):
        """Return the maps of steps after the layer."""
        mixed = self.attention(each(self.norm, x), causal=self.decodes)
        x = x + self.drop(mixed)
        if self.decodes:
            asked = each(self.memory_norm, x)
            x = x + self.drop(self.memory_attention(asked, memory))
        return x + self.drop(each(self.feed_forward, x))


class ConvLSTM(nn.Module):
    """An LSTM whose gates are convolutions.

    Parameters
    ----------
    n_channels : int
        The number of maps of a step, and of the state.

    kernel_size : int
        The size of the convolutions, an odd number.

    n_inputs : int, default=1
        The number of sequences that it reads side by side.
    """

    def __init__(self, n_channels, kernel_size, n_inputs=1):
        super().__init__()
        gates = 4 * n_channels
        self.inputs = convolution(n_inputs * n_channels, gates, kernel_size)
        self.recurrent = nn.Conv2d(
            n_channels, gates, kernel_size, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.GroupNorm(2, gates)

    def forward(self, *sequences):
        """Return the hidden states of all steps."""
        inputs = each(self.inputs, torch.cat(sequences, dim=2))
        hidden, cell, states = None, None, []
        for gates in inputs.unbind(1):
            if hidden is not None:
                gates = gates + self.recurrent(hidden)
            into, forget, new, out = self.norm(gates).chunk(4, dim=1)
            moved = into.sigmoid() * new.tanh()
            cell = moved if cell is None else forget.sigmoid() * cell + moved
            hidden = out.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states, dim=1)
