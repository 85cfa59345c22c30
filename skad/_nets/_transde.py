"""The nets of TransDe: maps that are compared, and views that are compared."""

import math

import torch
from torch import nn

from skad._nets._layers import DualAttention, normalized_windows

# Shares of the variance beyond this are noise to an embedding.
_EXPLAINED = 0.999
# In variances of standardised channels: keeps the closed form from following noise.
_RIDGE = 0.1
_KEY_DIM = 32
# Added to the scores of what is not to be attended to.
_NEVER = -1e9
_VARIANCE_FLOOR = 1e-5
_TEMPERATURE = 50


class MeanLoss(nn.Module):
    """The mean of the losses of windows, which the module itself computes."""

    def forward(self, losses, windows):
        """Take the mean."""
        return losses.mean()


class ContrastedMaps(nn.Module):
    """TransDe as released: maps of attention, and how much two kinds of them differ.

    No map of window_size x window_size is ever made, see `DualAttention`.

    Parameters
    ----------
    patch_sizes : list of int
        Numbers of rows of a patch, divisors of the number of rows of a window.

    d_model : int
        Number of values of an embedded token.

    n_layers : int
        Number of layers, all of which see the same embeddings.

    smoother : tensor of shape (window_size, window_size)
        The matrix that makes a trend.
    """

    def __init__(self, patch_sizes, d_model, n_layers, smoother):
        super().__init__()
        self.register_buffer("smoother", smoother)
        sizes = [(len(smoother) // size, size) for size in patch_sizes]
        self.attention = DualAttention(sizes, d_model, n_layers)

    def forward(self, windows):
        """Return a loss that is always 0, and whose gradient is not.

        It is the divergence with the gradient going into the maps of positions, less
        that with the gradient going into the maps of patches: the former become more
        alike to what they are compared with, the latter less.
        """
        patches, positions = self._divergences(windows)
        return (positions - positions.detach()) - (patches - patches.detach())

    def anomaly_score(self, windows):
        """Return the released score: shares of a window, which add up to 1."""
        total = 0
        for patch, position in self.attention.divergences(self._streams(windows)):
            total = total + (patch[:, :, None] + position[:, None, :]).flatten(1)
        return torch.softmax(-_TEMPERATURE * total, dim=1)

    def _divergences(self, windows):
        """Return the mean of each window over its rows, sizes of patches and layers."""
        pairs = self.attention.divergences(self._streams(windows))
        n_maps = len(pairs) * self.attention.n_layers
        means = [[part.mean(dim=1) for part in pair] for pair in pairs]
        return [sum(parts) / n_maps for parts in zip(*means, strict=True)]

    def _streams(self, windows):
        """Return trend and residual of normalised windows, channel by channel."""
        windows = normalized_windows(windows, math.sqrt(_VARIANCE_FLOOR))[0].mT
        trend = windows @ self.smoother.T
        return torch.stack([trend, windows - trend], dim=1)


class ComparedViews(nn.Module):
    """What a patch says of itself, and what the other patches of a window say of it.

    Parameters
    ----------
    windows : tensor of shape (n_windows, window_size, n_channels)
        Windows from which the closed form is taken.

    patch_sizes : list of int
        Numbers of rows of a patch, divisors of `window_size`.

    d_model, n_layers : int
        As of `PatchViews`.
    """

    def __init__(self, windows, patch_sizes, d_model, n_layers):
        super().__init__()
        self.sizes = nn.ModuleList(
            PatchViews(windows, size, d_model, n_layers) for size in patch_sizes
        )

    def forward(self, windows):
        """Return the loss of each window, in variances of the channels.

        It is the squared difference of the views, of which that from inside is fixed:
        views that both moved could agree on something that says nothing.
        """
        return self.squared_errors(windows)["difference"].mean(dim=(1, 2))

    def squared_errors(self, windows):
        """Return what is unusual of each value, of the shape of the windows.

        "inside" is the squared error of the view from inside, "difference" that of the
        views from each other; means over the sizes of patches.
        """
        inside, difference = 0, 0
        for views in self.sizes:
            x, own, others = views(windows)
            inside = inside + (x - own) ** 2 / len(self.sizes)
            difference = difference + (own - others) ** 2 / len(self.sizes)
        return {"inside": inside, "difference": difference}

    def last_squared_errors(self, windows):
        """Return those of the last row of each window."""
        return {name: e[:, -1] for name, e in self.squared_errors(windows).items()}


class PatchViews(nn.Module):
    """Two reconstructions of windows by joint patches of all channels.

    Each patch has an embedding of its own values. The view from inside decodes it; the
    view from outside decodes what is expected of it from the embeddings of the other
    patches: by a linear map for each pair of patches, and by attention. All but the
    attention has a closed form, which training leaves as it is: principal axes of
    patches, and the best linear prediction of each patch from the others.

    Parameters
    ----------
    windows : tensor of shape (n_windows, window_size, n_channels)
        Windows from which the closed form is taken.

    size : int
        Number of rows of a patch.

    d_model : int
        Most values of an embedding; it has fewer if these explain nearly everything.

    n_layers : int
        Number of maps of attention.
    """

    def __init__(self, windows, size, d_model, n_layers):
        super().__init__()
        self.size, self.n_layers = size, n_layers
        patches = self._patches(windows)
        mean = patches.mean(dim=0)
        axes = _principal_axes((patches - mean).flatten(0, 1), d_model)
        self.register_buffer("mean", mean)
        self.register_buffer("encoder", axes)
        self.register_buffer("decoder", axes.T.contiguous())
        embedded = (patches - mean) @ axes
        self.register_buffer("from_others", _from_others(embedded))
        n_patches, width = embedded.shape[1:]
        self.register_buffer("is_other", 1 - torch.eye(n_patches))
        self._add_attention(n_patches, width, n_layers)

    def _add_attention(self, n_patches, width, n_layers):
        # A query that knew of the patch would tell the view from outside.
        self.queries = nn.Parameter(torch.randn(n_patches, n_layers * _KEY_DIM))
        self.keys = nn.Linear(width, n_layers * _KEY_DIM)
        self.places = nn.Parameter(torch.randn(n_patches, n_layers * _KEY_DIM))
        self.values = nn.Linear(width, n_layers * width, bias=False)
        self.output = nn.Linear(n_layers * width, width)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, windows):
        """Return windows less the mean, and the views of them from inside and outside.

        All are of shape (n_windows, window_size, n_channels).
        """
        patches = self._patches(windows) - self.mean
        embedded = patches @ self.encoder
        expected = self._expected(embedded)
        parts = patches, embedded @ self.decoder, expected @ self.decoder
        return [part.reshape(windows.shape) for part in parts]

    def _expected(self, embedded):
        """Return the embeddings that the other patches let expect."""
        weights = self.from_others.flatten(2).flatten(0, 1)
        linear = (embedded.flatten(1) @ weights.T).reshape(embedded.shape)
        return linear + self.output(torch.tanh(self._attended(embedded)))

    def _attended(self, embedded):
        queries = self._by_layer(self.queries[None])
        keys = self._by_layer(self.keys(embedded) + self.places)
        values = self._by_layer(self.values(embedded))
        scores = queries @ keys.mT / math.sqrt(_KEY_DIM)
        # Not minus infinity: the only patch of a window attends to nothing.
        blocked = _NEVER * (1 - self.is_other)
        maps = torch.softmax(scores + blocked, dim=-1) * self.is_other
        return (maps @ values).transpose(1, 2).flatten(2)

    def _by_layer(self, parts):
        return parts.unflatten(2, (self.n_layers, -1)).transpose(1, 2)

    def _patches(self, windows):
        return windows.unflatten(1, (-1, self.size)).flatten(2)


def _principal_axes(rows, n_axes):
    """Return the axes that explain nearly all of the variance, but at most n_axes."""
    rows = rows.double()
    variances, axes = torch.linalg.eigh(rows.T @ rows)
    shares = variances.flip(0).clamp(min=0).cumsum(0)
    needed = int((shares < _EXPLAINED * shares[-1]).sum()) + 1
    return axes.flip(1)[:, : min(needed, n_axes)].float()


def _from_others(embedded):
    """Return the weights of the best linear prediction of patches from the others.

    Parameters
    ----------
    embedded : tensor of shape (n_windows, n_patches, width)
        The embeddings, of mean 0.

    Returns
    -------
    weights : tensor of shape (n_patches, width, n_patches, width)
        The weights, 0 from a patch to itself.
    """
    n_windows, n_patches, width = embedded.shape
    rows = embedded.flatten(1).double()
    moments = rows.T @ rows / n_windows
    moments.diagonal().add_(_RIDGE)
    # The conditional mean of a Gaussian, from the blocks of the precision.
    precision = torch.linalg.inv(moments).reshape(n_patches, width, -1)
    blocks = torch.arange(n_patches)
    own = precision.unflatten(2, (n_patches, width))[blocks, :, blocks]
    weights = -torch.linalg.solve(own, precision)
    weights = weights.unflatten(2, (n_patches, width))
    weights[blocks, :, blocks] = 0
    return weights.float()
