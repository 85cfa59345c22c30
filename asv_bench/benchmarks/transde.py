"""TransDe: seconds to fit and to score, and its released net beside plain torch."""

import torch
from torch import nn

from benchmarks._series import (
    SeriesBenchmark,
    TrainingBenchmark,
    divergence,
    make_series,
)
from skad import TransDe
from skad._nets._transde import ContrastedMaps
from skad._trend import hp_trend, smoother

# The released settings for the data of servers.
WINDOW_SIZE, PATCH_SIZES, N_CHANNELS, WIDTH, N_LAYERS = 105, (5, 7), 38, 256, 3
PENALTY = 6400.0


class FitAndScore(SeriesBenchmark):
    """Over the number of rows and channels; about 2,048 windows are trained on."""

    def make_detector(self, **params):
        return TransDe(random_state=0, **params)


class Trend:
    """The trend of many series, all rows at once."""

    def setup(self):
        self.X = make_series(100_000, 8)
        hp_trend(self.X[:10], PENALTY)

    def time_hp_trend(self):
        hp_trend(self.X, PENALTY)


class PlainNet(nn.Module):
    """The released net as it is written there: maps at the size of the window."""

    def __init__(self):
        super().__init__()
        sizes = [(WINDOW_SIZE // size, size) for size in PATCH_SIZES]
        self.patches = nn.ModuleList(embedding(p) for _, p in sizes)
        self.positions = nn.ModuleList(embedding(n) for n, _ in sizes)
        self.queries = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(N_LAYERS))
        self.keys = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(N_LAYERS))
        matrix = torch.tensor(smoother(WINDOW_SIZE, PENALTY), dtype=torch.float32)
        self.register_buffer("smoother", matrix)
        self.places = positions()

    def forward(self, x):
        """Return pairs of maps of shape (n_windows, window_size, 2 * window_size)."""
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        x = (x - mean) / torch.sqrt(variance + 1e-5)
        trend = self.smoother @ x
        pairs = [self.maps(trend), self.maps(x - trend)]
        return [
            [torch.cat(maps, dim=-1) for maps in zip(*pair, strict=True)]
            for pair in zip(*pairs, strict=True)
        ]

    def maps(self, x):
        rows = x.transpose(1, 2).flatten(0, 1)
        found = []
        for i, size in enumerate(PATCH_SIZES):
            n = WINDOW_SIZE // size
            patches = self.embedded(self.patches[i], rows.unflatten(1, (n, size)))
            places = self.embedded(self.positions[i], rows.unflatten(1, (size, n)))
            for queries, keys in zip(self.queries, self.keys, strict=True):
                series = attention(queries(patches), keys(patches))
                series = series.repeat_interleave(size, 1).repeat_interleave(size, 2)
                prior = attention(queries(places), keys(places)).repeat(1, n, n)
                pair = [m.unflatten(0, (len(x), -1)).mean(1) for m in (series, prior)]
                found.append(pair)
        return found

    def embedded(self, embedding, tokens):
        values = embedding(tokens.transpose(1, 2)).transpose(1, 2)
        return values + self.places[: values.shape[1]]

    def loss(self, x):
        """Return the released loss."""
        total = 0
        for series, prior in self(x):
            prior = prior / prior.sum(dim=-1, keepdim=True)
            fixed = series.detach(), prior.detach()
            of_prior = divergence(prior, fixed[0]) + divergence(fixed[0], prior)
            of_series = divergence(series, fixed[1]) + divergence(fixed[1], series)
            total = total + of_prior.mean() - of_series.mean()
        return total


def embedding(n_values):
    """Return a circular convolution over three tokens."""
    return nn.Conv1d(n_values, WIDTH, 3, padding=1, padding_mode="circular", bias=False)


def positions():
    """Return waves that tell tokens from each other."""
    frequencies = 10_000.0 ** (-torch.arange(0, WIDTH, 2) / WIDTH)
    angles = torch.arange(WINDOW_SIZE)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def attention(queries, keys):
    """Return how much tokens attend to each other."""
    return torch.softmax(queries @ keys.transpose(1, 2) / WIDTH**0.5, dim=-1)


def ours():
    """Return our net and its loss."""
    matrix = torch.tensor(smoother(WINDOW_SIZE, PENALTY), dtype=torch.float32)
    net = ContrastedMaps(PATCH_SIZES, WIDTH, N_LAYERS, matrix)
    return net, lambda x: net(x).mean()


def plain():
    """Return the net that is written as released, and its loss."""
    net = PlainNet()
    return net, net.loss


NETS = {"ours": ours, "plain torch": plain}


class TrainReleased(TrainingBenchmark):
    """The released net, and the same written with torch's own layers."""

    def make_net(self, name):
        return NETS[name]()
