"""What training and scoring by the deep core cost beyond torch itself."""

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from skad import GANVAE
from skad._nets._net import DetectorNet
from skad._nets._rows import Rows

N_ROWS, N_FEATURES, LR = 20_000, 20, 1e-3


class Autoencoder(nn.Module):
    """The smallest net that anyone would use: its overhead weighs the most."""

    def __init__(self):
        super().__init__()
        sizes = (N_FEATURES, 128, 64, 128, N_FEATURES)
        layers = []
        for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x):
        return self.layers(x)

    def anomaly_score(self, x):
        return (self(x) - x).square().mean(dim=1)


def rows():
    X = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES))
    return Rows(X, lambda block: block)


def bare_epoch(batch_size):
    """Return a function that trains for an epoch with nothing but torch."""
    net, data, criterion = Autoencoder().train(), rows()[:], nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=LR)

    def epoch():
        losses = []
        for index in torch.randperm(len(data)).split(batch_size):
            batch = data[index]
            optimizer.zero_grad()
            loss = criterion(net(batch), batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return np.mean(losses)

    return epoch


def skad_epoch(batch_size):
    """Return a function that trains the same net for an epoch by the core."""
    net = DetectorNet(
        Autoencoder, nn.MSELoss, lr=LR, batch_size=batch_size, max_epochs=1
    ).initialize()
    data = rows()
    return lambda: net.partial_fit(data)


class Epoch:
    """An epoch, by the core and by a bare loop."""

    params = (["skad", "torch"], [64, 512])
    param_names = ["loop", "batch_size"]
    warmup_time = 1

    def setup(self, loop, batch_size):
        torch.set_num_threads(1)
        make = {"skad": skad_epoch, "torch": bare_epoch}[loop]
        self.epoch = make(batch_size)

    def time_epoch(self, loop, batch_size):
        self.epoch()


class Overhead:
    """The core's epoch in units of the bare one, both measured in turn."""

    params = [64, 512]
    param_names = ["batch_size"]
    timeout = 300

    def setup(self, batch_size):
        torch.set_num_threads(1)

    def track_ratio(self, batch_size):
        loops = [skad_epoch(batch_size), bare_epoch(batch_size)]
        seconds = np.array([[_cpu_seconds(loop) for loop in loops] for _ in range(25)])
        ours, bare = np.median(seconds[5:], axis=0)
        return ours / bare

    track_ratio.unit = "bare epochs"


class Score:
    """Scoring all rows, and one row alone, which costs a batch."""

    params = [1, N_ROWS]
    param_names = ["n_rows"]

    def setup(self, n_rows):
        torch.set_num_threads(1)
        self.net = DetectorNet(Autoencoder, nn.MSELoss, batch_size=512).initialize()
        self.rows = Rows(rows()[:n_rows].numpy(), lambda block: block)

    def time_evaluate(self, n_rows):
        self.net.evaluate(self.rows)


class LargeFile:
    """Memory that is neither the file's nor there before the fit (Linux only)."""

    params = [250_000, 1_000_000]
    param_names = ["n_rows"]
    timeout = 600

    def setup(self, n_rows):
        torch.set_num_threads(1)
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "X.npy"
        shape, rng = (n_rows, 40), np.random.default_rng(0)
        X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, n_rows, 50_000):
            X[start : start + 50_000] = rng.normal(size=(50_000, 40))
        X.flush()
        self.X = np.load(path, mmap_mode="r")

    def teardown(self, n_rows):
        del self.X
        self.folder.cleanup()

    def track_peak(self, n_rows):
        before, peaks, done = _private_megabytes(), [], threading.Event()

        def watch():
            while not done.wait(0.05):
                peaks.append(_private_megabytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        weights = (1, 1, 0, 0)
        try:
            GANVAE(max_epochs=1, term_weights=weights, batch_size=4096).fit(self.X)
        finally:
            done.set()
            watcher.join()
        return max(peaks) - before

    track_peak.unit = "MB"


def _private_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3


def _cpu_seconds(function):
    # Of the process, with one thread: other load on the machine counts little.
    start = time.process_time()
    function()
    return time.process_time() - start
