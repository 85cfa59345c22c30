"""DConAD: seconds to fit and to score, and its released net beside plain torch."""

import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu, leaky_relu

from skad import DConAD
from skad._nets._dconad import ReleasedNet

# The released settings for the data of servers.
WINDOW_SIZE, N_CHANNELS, WIDTH, N_HEADS, DROPOUT, LR = 105, 38, 256, 4, 0.2, 1e-4


def make_series(n_rows, n_channels):
    """Return waves with noise."""
    rng = np.random.default_rng(0)
    phases = np.arange(n_rows)[:, np.newaxis] / rng.uniform(5, 50, size=n_channels)
    return np.sin(phases) + 0.1 * rng.normal(size=phases.shape)


class FitAndScore:
    """Over the number of rows and channels; 8,192 windows are trained on at most."""

    params = ["1000 x 8", "8000 x 20", "24000 x 38"]
    param_names = ["shape"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0
    timeout = 1800

    def setup(self, shape):
        torch.set_num_threads(1)
        self.X = make_series(*map(int, shape.split(" x ")))
        self.fitted = DConAD(random_state=0, max_epochs=1).fit(self.X)

    def time_fit(self, shape):
        DConAD(random_state=0).fit(self.X)

    def time_score_samples(self, shape):
        self.fitted.score_samples(self.X)

    def peakmem_fit_and_score(self, shape):
        self.time_score_samples(shape)


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


def divergence(p, q):
    """Return the Kullback-Leibler divergence."""
    return (p * (torch.log(p + 1e-4) - torch.log(q + 1e-4))).sum(dim=-1)


def ours():
    """Return our net and its loss."""
    net = ReleasedNet(N_CHANNELS, WINDOW_SIZE, WIDTH, N_HEADS, DROPOUT)
    return net, lambda x: net(x).loss()


def plain():
    """Return the net of torch's own layers and its loss."""
    net = PlainNet()
    return net, net.loss


NETS = {"ours": ours, "plain torch": plain}


class TrainReleased:
    """Windows that the released net trains on in a second, on two cores."""

    params = (list(NETS), [64])
    param_names = ["net", "batch_size"]
    unit = "windows/s"
    timeout = 1800

    def setup(self, net, batch_size):
        torch.set_num_threads(2)
        self.module, self.loss = NETS[net]()
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=LR)
        self.x = torch.randn(batch_size, WINDOW_SIZE, N_CHANNELS)

    def track_windows_per_second(self, net, batch_size):
        self.step()
        return batch_size / min(_seconds(self.step) for _ in range(2))

    def step(self):
        self.optimizer.zero_grad()
        self.loss(self.x).backward()
        self.optimizer.step()


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
