"""The nets of DConAD: two views of a window, that of its values and of its changes."""

from typing import NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu, pad, scaled_dot_product_attention

from skad._nets._layers import TokenEmbedding, normalized_windows, symmetric_kl

# What the released code adds to variances, and multiplies divergences with.
_VARIANCE_FLOOR = 1e-5
_TEMPERATURE = 50.0
# In standard deviations of a channel: errors below it need not be learned from.
_FLOOR = 0.1
# Weight of the disagreement of the two views beside their errors.
_CONTRAST = 0.25
# Rows of a bilinear form at a time, the products of which stay in the cache.
_CHUNK = 256


class Forecasts(NamedTuple):
    """What the two views say of the last row of a window, in usual errors."""

    change: torch.Tensor
    by_values: torch.Tensor
    by_differences: torch.Tensor

    def loss(self):
        """Return the mean squared error of both views, and of their disagreement.

        Each view is drawn to the other, which it takes as given. What keeps them from
        agreeing on something trivial is that both must forecast.
        """
        change, a, b = self
        errors = (a - change).square() + (b - change).square()
        contrast = (a - b.detach()).square() + (b - a.detach()).square()
        return (errors + _CONTRAST * contrast).mean() / 2


class ViewsLoss(nn.Module):
    """The loss that what a net returned has."""

    def forward(self, found, x):
        """Return the loss of a batch."""
        return found.loss()


class TwoViews(nn.Module):
    """Two forecasts of the last row of a window, which ought to agree.

    The view of the differences knows how channels have moved; the view of the values
    knows where they stand as well. Each forecasts the next change of all channels:
    linearly, by least squares that `solve` does and training leaves alone, plus what a
    small net finds, which has one embedding for both.

    Parameters
    ----------
    n_channels : int
        Number of channels.

    n_lags : int
        Number of differences that forecasts are made from.

    width : int
        Number of values of the embedding.

    dropout : float
        Probability that one of these is dropped in training.
    """

    def __init__(self, n_channels, n_lags, width, dropout):
        super().__init__()
        self.n_lags = n_lags
        n_moves = n_lags * n_channels
        self.values_rule = Ridge(n_moves + n_channels, n_channels)
        self.differences_rule = Ridge(n_moves, n_channels)
        self.register_buffer("scale", torch.ones(n_channels))
        self.moves = nn.Linear(n_moves, width)
        self.places = nn.Linear(n_channels, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.of_values = nn.Linear(width, n_channels)
        self.of_differences = nn.Linear(width, n_channels)
        # Training starts from the linear forecasts.
        for layer in (self.of_values, self.of_differences):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def solve(self, x, penalty):
        """Find the linear forecasts, and the size of their errors, from windows."""
        change, moves, place = self._parts(x.double())
        known = torch.cat([moves, place], dim=1)
        self.values_rule.solve(known, change, penalty)
        self.differences_rule.solve(moves, change, penalty)
        errors = change.float() - self.values_rule(known.float())
        self.scale = errors.square().mean(dim=0).sqrt() + _FLOOR

    def forward(self, x):
        """Forecast the last rows of windows, (n_windows, n_rows, n_channels)."""
        change, moves, place = self._parts(x)
        embedded = self.moves(moves)
        by_values = self._view(embedded + self.places(place), self.of_values)
        by_differences = self._view(embedded, self.of_differences)
        known = torch.cat([moves, place], dim=1)
        return Forecasts(
            change / self.scale,
            self.values_rule(known) / self.scale + by_values,
            self.differences_rule(moves) / self.scale + by_differences,
        )

    def errors(self, x):
        """Return errors and disagreement for each channel of the last rows."""
        found = self(x)
        error = (found.change - found.by_values).abs()
        contrast = (found.by_values - found.by_differences).abs()
        return {"error": error * self.scale, "contrast": contrast * self.scale}

    def anomaly_score(self, x):
        """Return the mean error of the last rows."""
        return self.errors(x)["error"].mean(dim=1)

    def _view(self, embedded, output):
        return output(self.dropout(nn.functional.gelu(embedded)))

    def _parts(self, x):
        """Return the last change, the changes before it, and the row before it."""
        past, last = x[:, :-1], x[:, -1]
        if not past.shape[1]:  # nothing but the training mean is known
            past = torch.zeros_like(x)
        moves = past.diff(dim=1)
        moves = pad(moves, (0, 0, self.n_lags - moves.shape[1], 0))
        return last - past[:, -1], moves.flatten(1), past[:, -1]


class Ridge(nn.Module):
    """Ridge regression, which training leaves alone.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Number of inputs and of what they forecast.
    """

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        # As nn.Linear has them: the other order of products rounds a row differently
        # in another place of a batch.
        self.register_buffer("weight", torch.zeros(n_outputs, n_inputs))
        self.register_buffer("bias", torch.zeros(n_outputs))

    def solve(self, inputs, targets, penalty):
        """Find the coefficients, and the intercepts, which have no penalty."""
        means = inputs.mean(dim=0), targets.mean(dim=0)
        inputs = inputs - means[0]
        gram = inputs.T @ inputs
        diagonal = gram.diagonal()
        # No smaller than the rounding of the sums, which the factor would fail at.
        diagonal.add_(penalty + 1e-10 * diagonal.max())
        factor = torch.linalg.cholesky(gram)
        found = torch.cholesky_solve(inputs.T @ (targets - means[1]), factor)
        self.weight.copy_(found.T)
        self.bias.copy_(means[1] - means[0] @ found)

    def forward(self, inputs):
        """Forecast from inputs of shape (n_rows, n_inputs)."""
        return nn.functional.linear(inputs, self.weight, self.bias)


class Views(NamedTuple):
    """The two views of the released net, of shape (n_windows, window_size, width)."""

    bilinear: torch.Tensor
    linear: torch.Tensor

    def loss(self):
        """Return the released loss: its value is 0, its gradient is not.

        The linear view is drawn to the bilinear one, which is driven away from it.
        """
        series, prior = self.bilinear, _distributions(self.linear)
        return symmetric_kl(prior, series).mean() - symmetric_kl(series, prior).mean()


class ReleasedNet(nn.Module):
    """The net of the released code.

    Parameters
    ----------
    n_channels : int
        Number of channels.

    window_size : int
        Number of rows of a window.

    width : int
        Number of values of a token.

    n_heads : int
        Number of attention heads, a divisor of `width`.

    dropout : float
        Probability of dropout.
    """

    def __init__(self, n_channels, window_size, width, n_heads, dropout):
        super().__init__()
        n_moves = max(window_size - 1, 1)
        self.embed = TokenEmbedding(window_size, n_channels, width)
        self.encode_values = DualBlock(window_size, width, n_heads, dropout)
        self.encode_differences = DualBlock(n_moves, width, n_heads, dropout)
        self.bilinear = nn.Bilinear(n_moves, window_size, window_size)
        self.after_bilinear = nn.Linear(window_size, window_size)
        self.linear = nn.Linear(n_moves + window_size, window_size)
        self.after_linear = nn.Linear(window_size, window_size)

    def forward(self, x):
        """Return the two views of windows."""
        differences = x.diff(dim=1) if x.shape[1] > 1 else torch.zeros_like(x)
        values = self.encode_values(self._embedded(x)).transpose(1, 2)
        moves = self.encode_differences(self._embedded(differences)).transpose(1, 2)
        weight, bias = self.bilinear.weight, self.bilinear.bias
        first = leaky_relu(bilinear(moves, values, weight) + bias)
        second = leaky_relu(self.linear(torch.cat([moves, values], dim=-1)))
        return Views(
            torch.sigmoid(self.after_bilinear(first)).transpose(1, 2),
            torch.sigmoid(self.after_linear(second)).transpose(1, 2),
        )

    def anomaly_score(self, x):
        """Return the released score of each row, which is high where views agree."""
        views = self(x)
        divergence = symmetric_kl(views.bilinear, _distributions(views.linear))
        return torch.softmax(-_TEMPERATURE * divergence, dim=1)

    def _embedded(self, x):
        return self.embed(normalized_windows(x, _VARIANCE_FLOOR**0.5)[0])


class DualBlock(nn.Module):
    """Attention among the tokens' values, beside attention among the tokens.

    Parameters
    ----------
    n_tokens : int
        Number of tokens.

    width : int
        Number of values of a token.

    n_heads : int
        Number of heads.

    dropout : float
        Probability of dropout.
    """

    def __init__(self, n_tokens, width, n_heads, dropout):
        super().__init__()
        self.among_values = Attention(n_tokens, width, n_heads, dropout)
        self.among_tokens = Attention(width, width, n_heads, dropout)
        self.after_values = FeedForward(width, dropout)
        self.after_tokens = FeedForward(width, dropout)
        self.fuse = nn.Sequential(
            nn.LayerNorm(2 * width),
            nn.Linear(2 * width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.Dropout(dropout),
            nn.LayerNorm(width),
        )

    def forward(self, x):
        """Transform tokens of shape (n_windows, n_tokens, width)."""
        first = self.after_values(self.among_values(x.transpose(1, 2)).transpose(1, 2))
        second = self.after_tokens(self.among_tokens(x))
        return self.fuse(torch.cat([first, second], dim=-1))


class Attention(nn.Module):
    """Self-attention with what it is added to, and normalisation.

    Parameters
    ----------
    n_values : int
        Number of values of a token.

    width : int
        Number of values of the queries, keys and values of all heads.

    n_heads : int
        Number of heads.

    dropout : float
        Probability of dropout.
    """

    def __init__(self, n_values, width, n_heads, dropout):
        super().__init__()
        self.n_heads = n_heads
        self.projections = nn.Linear(n_values, 3 * width)
        self.output = nn.Linear(width, n_values)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(n_values)

    def forward(self, x):
        """Transform tokens of shape (n_windows, n_tokens, n_values)."""
        heads = self.projections(x).unflatten(-1, (3, self.n_heads, -1))
        mixed = scaled_dot_product_attention(*heads.permute(2, 0, 3, 1, 4))
        mixed = self.output(mixed.transpose(1, 2).flatten(2))
        return self.norm(x + self.dropout(mixed))


class FeedForward(nn.Module):
    """Two layers for each token, with what they are added to, and normalisation.

    Parameters
    ----------
    width : int
        Number of values of a token.

    dropout : float
        Probability of dropout.
    """

    def __init__(self, width, dropout):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )
        for layer in (self.layers[0], self.layers[3]):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="leaky_relu")
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        """Transform tokens of shape (..., width)."""
        return self.norm(x + self.layers(x))


def bilinear(first, second, weight):
    """Return ``sum_ij first_i weight_kij second_j``, as ``nn.Bilinear`` without bias.

    It is done by matrix products, some rows at a time, and again for the gradient:
    what is between them would be larger by the size of a row.

    Parameters
    ----------
    first : tensor of shape (..., n_first)
        The first factors.

    second : tensor of shape (..., n_second)
        The second factors.

    weight : tensor of shape (n_out, n_first, n_second)
        The weights.

    Returns
    -------
    result : tensor of shape (..., n_out)
        The forms.
    """
    rows = first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1])
    return _Bilinear.apply(*rows, weight).unflatten(0, first.shape[:-1])


class _Bilinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, first, second, weight):
        ctx.save_for_backward(first, second, weight)
        flat = _flat(weight)
        parts = zip(first.split(_CHUNK), second.split(_CHUNK), strict=True)
        return torch.cat([_contract(a @ flat, b) for a, b in parts])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        first, second, weight = ctx.saved_tensors
        flat = _flat(weight)
        of_flat, of_first, of_second = torch.zeros_like(flat), [], []
        parts = (part.split(_CHUNK) for part in (first, second, gradient))
        for a, b, g in zip(*parts, strict=True):
            products = (a @ flat).unflatten(1, (-1, b.shape[1]))
            of_second.append((g[:, None] @ products)[:, 0])
            outer = (g[:, :, None] * b[:, None]).flatten(1)
            of_first.append(outer @ flat.T)
            of_flat.addmm_(a.T, outer)
        of_weight = of_flat.unflatten(1, (len(weight), -1)).transpose(0, 1)
        return torch.cat(of_first), torch.cat(of_second), of_weight


def _flat(weight):
    return weight.transpose(0, 1).flatten(1)


def _contract(products, second):
    products = products.unflatten(1, (-1, second.shape[1]))
    return (products @ second[:, :, None])[:, :, 0]


def _distributions(view):
    return view / view.sum(dim=-1, keepdim=True)
