"""Blocks that several nets are made of."""

import torch
from torch import nn
from torch.nn.functional import dropout2d, scaled_dot_product_attention


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
