"""DConAD: seconds to fit and to score, and its released net beside plain torch."""

import torch
from torch import nn
from torch.nn.functional import gelu, leaky_relu

from benchmarks._series import SeriesBenchmark, TrainingBenchmark, divergence
from skad import DConAD
from skad._nets._dconad import ReleasedNet

# The released settings for the data of servers.
WINDOW_SIZE, N_CHANNELS, WIDTH, N_HEADS, DROPOUT = 105, 38, 256, 4, 0.2


class FitAndScore(SeriesBenchmark):
    """Over the number of rows and channels; 8,192 windows are trained on at most."""

    def make_detector(self, **params):
        return DConAD(random_state=0, **params)


class PlainAttention(nn.Module):
    """Multi-head self-attention, written out."""

    def __init__(self, n_values):
        super().__init__()
        self.inputs = nn.ModuleList(nn.Linear(n_values, WIDTH) for _ in range(3))
        self.output = nn.Linear(WIDTH, n_values)

    def forward(self, x):
        shape = (*x.shape[:2], N_HEADS, WIDTH // N_HEADS)
        q, k, v = (layer(x).view(shape).transpose(1, 2) for layer in self.inputs)
        weights = torch.softmax(q @ k.transpose(2, 3) / shape[3] ** 0.5, dim=-1)
        return self.output((weights @ v).transpose(1, 2).flatten(2))


class PlainBlock(nn.Module):
    """A block as torch's own layers make it."""

    def __init__(self, n_tokens):
        super().__init__()
        self.among_values = PlainAttention(n_tokens)
        self.among_tokens = PlainAttention(WIDTH)
        self.norm_values = nn.LayerNorm(n_tokens)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.first = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 1) for _ in range(2))
        self.second = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 1) for _ in range(2))
        self.dropout = nn.Dropout(DROPOUT)
        self.fuse = nn.Sequential(
            nn.LayerNorm(2 * WIDTH),
            nn.Linear(2 * WIDTH, WIDTH),
            nn.GELU(),
            nn.Linear(WIDTH, WIDTH),
            nn.Dropout(DROPOUT),
            nn.LayerNorm(WIDTH),
        )

    def forward(self, x):
        values = x.transpose(1, 2)
        mixed = self.dropout(self.among_values(values))
        a = self.norm_values(values + mixed).transpose(1, 2)
        b = self.norms[2](x + self.dropout(self.among_tokens(x)))
        return self.fuse(torch.cat([self.feed(a, 0), self.feed(b, 1)], dim=-1))

    def feed(self, x, branch):
        hidden = self.dropout(gelu(self.first[branch](x.transpose(1, 2))))
        made = self.dropout(self.second[branch](hidden).transpose(1, 2))
        return self.norms[branch](x + made)


class PlainNet(nn.Module):
    """The released net from torch's own layers, nn.Bilinear among them."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv1d(
            N_CHANNELS, WIDTH, 3, padding=1, padding_mode="circular", bias=False
        )
        self.of_values = PlainBlock(WINDOW_SIZE)
        self.of_differences = PlainBlock(WINDOW_SIZE - 1)
        self.bilinear = nn.Bilinear(WINDOW_SIZE - 1, WINDOW_SIZE, WINDOW_SIZE)
        self.linear = nn.Linear(2 * WINDOW_SIZE - 1, WINDOW_SIZE)
        self.last = nn.ModuleList(nn.Linear(WINDOW_SIZE, WINDOW_SIZE) for _ in range(2))

    def forward(self, x):
        values = self.of_values(self.embedded(x)).transpose(1, 2)
        moves = self.of_differences(self.embedded(x.diff(dim=1))).transpose(1, 2)
        first = leaky_relu(self.bilinear(moves.contiguous(), values.contiguous()))
        second = leaky_relu(self.linear(torch.cat([moves, values], dim=-1)))
        views = zip(self.last, [first, second], strict=True)
        return [torch.sigmoid(layer(view)).transpose(1, 2) for layer, view in views]

    def embedded(self, x):
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        x = (x - mean) / torch.sqrt(variance + 1e-5)
        return self.embed(x.transpose(1, 2)).transpose(1, 2)

    def loss(self, x):
        series, prior = self(x)
        prior = prior / prior.sum(dim=-1, keepdim=True)
        fixed = series.detach(), prior.detach()
        of_prior = divergence(prior, fixed[0]) + divergence(fixed[0], prior)
        of_series = divergence(series, fixed[1]) + divergence(fixed[1], series)
        return of_prior.mean() - of_series.mean()


def ours():
    """Return our net and its loss."""
    net = ReleasedNet(N_CHANNELS, WINDOW_SIZE, WIDTH, N_HEADS, DROPOUT)
    return net, lambda x: net(x).loss()


def plain():
    """Return the net of torch's own layers and its loss."""
    net = PlainNet()
    return net, net.loss


NETS = {"ours": ours, "plain torch": plain}


class TrainReleased(TrainingBenchmark):
    """The released net, and the same written with torch's own layers."""

    def make_net(self, name):
        return NETS[name]()
