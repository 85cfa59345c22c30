"""Blocks that several nets are made of."""

import math

import torch
from torch import nn
from torch.nn.functional import dropout2d, scaled_dot_product_attention


def normalized_windows(x, floor):
    """Bring each channel of each window to mean 0 and variance about 1.

    Parameters
    ----------
    x : tensor of shape (n_windows, window_size, n_channels)
        The windows.

    floor : float
        What is added, squared, to each variance: channels that vary much less remain
        small instead of having their noise blown up.

    Returns
    -------
    normalized : tensor of the shape of x
        The windows, less `mean`, divided by `scale`.

    mean, scale : tensor of shape (n_windows, 1, n_channels)
        What was taken away.
    """
    variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
    scale = torch.sqrt(variance + floor**2)
    return (x - mean) / scale, mean, scale


def sinusoidal_positions(length, width):
    """Return what tells places from each other, of shape (length, width).

    Columns are pairs of sine and cosine, the wave lengths of which grow geometrically
    from 2 pi to almost 20,000 pi.
    """
    frequencies = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(length)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


def with_neighbours(tokens):
    """Put beside each token the one before and the one after it, in a circle.

    Of shape (n_windows, n_tokens, n_values) it makes (..., n_tokens, 3 * n_values).
    """
    parts = [tokens.roll(1, dims=-2), tokens, tokens.roll(-1, dims=-2)]
    return torch.cat(parts, dim=-1)


class TokenEmbedding(nn.Module):
    """Embed tokens: a circular convolution over three of them, plus their positions.

    Parameters
    ----------
    max_tokens : int
        Most tokens of a window.

    n_values : int
        Number of values of a token.

    width : int
        Number of values of an embedded token.
    """

    def __init__(self, max_tokens, n_values, width):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, 3 * n_values))
        nn.init.kaiming_normal_(self.weight, nonlinearity="leaky_relu")
        positions = sinusoidal_positions(max_tokens, width)
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, tokens):
        """Embed tokens, of shape (n_windows, n_tokens, n_values)."""
        values = nn.functional.linear(with_neighbours(tokens), self.weight)
        return values + self.positions[: tokens.shape[1]]


def symmetric_kl(moving, fixed, eps=1e-4):
    """Sum the Kullback-Leibler divergences of two distributions in both directions.

    Parameters
    ----------
    moving, fixed : tensor of shape (..., n_values)
        The distributions along the last axis. No gradient goes into `fixed`.

    eps : float, default=1e-4
        What is added to probabilities before their logarithm.

    Returns
    -------
    divergence : tensor of shape (...)
        The sum. 0 for equal distributions; not negative if each sums to 1 and `eps`
        is small.
    """
    fixed = fixed.detach()
    logarithms = torch.log(moving + eps) - torch.log(fixed + eps)
    return ((moving - fixed) * logarithms).sum(dim=-1)


class MapAttention(nn.Module):
    """Multi-head self-attention among the places of feature maps.

    Parameters
    ----------
    n_channels : int
        Number of maps.

    n_heads : int
        Number of heads, a divisor of `n_channels`.
    """

    def __init__(self, n_channels, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.GroupNorm(1, n_channels)
        self.queries_keys_values = nn.Conv2d(n_channels, 3 * n_channels, 1)
        self.output = nn.Conv2d(n_channels, n_channels, 1)

    def forward(self, x):
        """Add to each place what it takes from the others."""
        parts = self.queries_keys_values(self.norm(x)).flatten(2)
        parts = parts.unflatten(1, (3, self.n_heads, -1)).transpose(3, 4)
        mixed = scaled_dot_product_attention(*parts.unbind(1))
        return x + self.output(mixed.transpose(2, 3).reshape(x.shape))


class MonteCarloDropout(nn.Module):
    """Dropout of whole maps that goes on, reproducibly, after training.

    In evaluation a batch holds the rows of pass 0, then those of pass 1, and so on.
    A pass drops the same maps for every row and in every call: it is one net of the
    many that dropout trains, so that a score depends neither on the other rows of
    the batch nor on the call.

    Parameters
    ----------
    p : float
        Probability of dropping a map.

    n_channels : int
        Number of maps.

    n_passes : int
        Number of passes.
    """

    def __init__(self, p, n_channels, n_passes):
        super().__init__()
        self.p = p
        kept = torch.rand(n_passes, 1, n_channels, 1, 1) >= p
        self.register_buffer("factors", kept / (1 - p))

    def forward(self, x):
        """Drop at random in training, as the passes say otherwise."""
        if self.training:
            return dropout2d(x, self.p)
        return (x.unflatten(0, (len(self.factors), -1)) * self.factors).flatten(0, 1)
