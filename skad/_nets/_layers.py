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


class DualAttention(nn.Module):
    """Attention among patches, and among positions, and how much their maps differ.

    Windows of L = N p rows are cut into N tokens of p rows, and into p tokens of N
    rows. A map A (N x N) says which of the former attend to which, a map C (p x p) the
    same of the latter. Written at full size, L x L, A is repeated in blocks of p x p
    and C is tiled N x N times. Row i of the former then only depends on i // p, that
    of the latter on i mod p, each entry of one meets each entry of the other, and the
    symmetric divergence of two rows is a sum f(A[i // p]) + g(C[i mod p]): exactly,
    with an eps in the logarithms as well. Neither is ever needed at full size.

    Tokens have fewer values than their embeddings. What is between the tokens and the
    scores of a map is linear, and multiplied first.

    Parameters
    ----------
    sizes : list of tuple of two ints
        N and p, for each size of patches.

    width : int
        Number of values of an embedded token.

    n_layers : int
        Number of layers, each with its own queries and keys of the same embeddings.

    eps : float, default=1e-4
        What is added to probabilities before their logarithm.
    """

    def __init__(self, sizes, width, n_layers, eps=1e-4):
        super().__init__()
        self.n_layers, self.eps = n_layers, eps
        self.patches = nn.ModuleList(TokenEmbedding(n, p, width) for n, p in sizes)
        self.positions = nn.ModuleList(TokenEmbedding(p, n, width) for n, p in sizes)
        self.queries = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))
        self.keys = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))

    def divergences(self, streams):
        """Return f and g, summed over layers and streams, for each size of patches.

        Parameters
        ----------
        streams : tensor of shape (n_windows, n_streams, n_channels, window_size)
            What is to be seen of the windows; maps are means over the channels.

        Returns
        -------
        divergences : list of tuple of two tensors, (n_windows, N) and (n_windows, p)
            The parts of patches and of positions.
        """
        n_streams = streams.shape[1]
        found = []
        for patches, positions in zip(self.patches, self.positions, strict=True):
            n, p = len(patches.positions), len(positions.positions)
            a = self._maps(streams.unflatten(-1, (n, p)), patches)
            # At full size rows of A add up to p in each stream, as they do in the
            # released code; those of C to 1 in all streams together.
            c = self._maps(streams.unflatten(-1, (p, n)), positions) / (n * n_streams)
            f = self._part(a, within=p, across=1 / (n * n_streams))
            found.append((f, self._part(c, within=n, across=1)))
        return found

    def _part(self, maps, within, across):
        logarithms = torch.log(maps + self.eps)
        return ((within * maps - across) * logarithms).sum(dim=(0, 2, 4))

    def _maps(self, tokens, embedding):
        """Return (n_layers, n_windows, n_streams, n, n), as means over channels."""
        values = with_neighbours(tokens)
        n_values = values.shape[-1]
        # What a token with a 1 in one place would be embedded as: in each of its
        # values, and in its position.
        basis = torch.cat([embedding.weight.T, embedding.positions])
        maps = []
        for queries, keys in zip(self.queries, self.keys, strict=True):
            q = basis @ queries.weight.T
            k = basis @ keys.weight.T
            q[n_values:] += queries.bias
            k[n_values:] += keys.bias
            form = q @ k.T / math.sqrt(len(keys.bias))
            left = values @ form[:n_values] + form[n_values:]
            right = values.mT
            scores = left[..., :n_values] @ right + left[..., n_values:]
            maps.append(torch.softmax(scores, dim=-1).mean(dim=2))
        return torch.stack(maps)


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
