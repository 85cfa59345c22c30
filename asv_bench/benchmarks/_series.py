"""What the benchmarks of detectors of series share. Abstract, so that asv skips it."""

import time
from abc import ABC, abstractmethod

import numpy as np
import torch


def make_series(n_rows, n_channels):
    """Return waves with noise."""
    rng = np.random.default_rng(0)
    phases = np.arange(n_rows)[:, np.newaxis] / rng.uniform(5, 50, size=n_channels)
    return np.sin(phases) + 0.1 * rng.normal(size=phases.shape)


def divergence(p, q):
    """Return the Kullback-Leibler divergence as released code computes it."""
    return (p * (torch.log(p + 1e-4) - torch.log(q + 1e-4))).sum(dim=-1)


class SeriesBenchmark(ABC):
    """Over the number of rows and channels, with one thread."""

    params = ["1000 x 8", "8000 x 20", "24000 x 38"]
    param_names = ["shape"]
    number = 1
    repeat = (1, 3, 60.0)
    rounds = 1
    warmup_time = 0
    timeout = 1800

    @abstractmethod
    def make_detector(self, **params):
        """Return an unfitted detector."""

    def setup(self, shape):
        torch.set_num_threads(1)
        self.X = make_series(*map(int, shape.split(" x ")))
        self.fitted = self.make_detector(max_epochs=1).fit(self.X)

    def time_fit(self, shape):
        self.make_detector().fit(self.X)

    def time_score_samples(self, shape):
        self.fitted.score_samples(self.X)

    def peakmem_fit_and_score(self, shape):
        self.time_score_samples(shape)


class TrainingBenchmark(ABC):
    """Windows that nets train on in a second, on two cores."""

    params = (["ours", "plain torch"], [64])
    param_names = ["net", "batch_size"]
    unit = "windows/s"
    timeout = 1800
    shape, lr = (105, 38), 1e-4

    @abstractmethod
    def make_net(self, name):
        """Return a net, and its loss as a function of windows."""

    def setup(self, net, batch_size):
        torch.set_num_threads(2)
        module, self.loss = self.make_net(net)
        self.optimizer = torch.optim.Adam(module.parameters(), lr=self.lr)
        self.x = torch.randn(batch_size, *self.shape)

    def track_windows_per_second(self, net, batch_size):
        self.step()
        return batch_size / min(self.timed_step() for _ in range(3))

    def timed_step(self):
        start = time.perf_counter()
        self.step()
        return time.perf_counter() - start

    def step(self):
        self.optimizer.zero_grad()
        self.loss(self.x).backward()
        self.optimizer.step()
