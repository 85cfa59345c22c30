"""Nets to compare with, as plain torch."""

import time

import torch
from experiments.images.images import as_tensor, scores_of, smoothed
from torch import nn

_BATCH = 64
# Falls to 0 while the net is trained.
_LR = 2e-3


class Autoencoder:
    """Error of a convolutional autoencoder, trained for seconds of the processor."""

    def __init__(self, seed, seconds=60, size=64, widths=(16, 32, 64, 64)):
        self.seed, self.seconds, self.size, self.widths = seed, seconds, size, widths

    def fit(self, images):
        tensor = as_tensor(images.train, self.size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.net = autoencoder(self.widths, tensor.shape[1])
            reconstruct(self.net, tensor, self.seconds)
        return self

    @torch.inference_mode()
    def maps(self, test):
        batches = as_tensor(test, self.size).split(_BATCH)
        errors = [(self.net(b) - b).square().mean(dim=1) for b in batches]
        return smoothed(torch.cat(errors).numpy(), test.shape[1:3])

    def score(self, test):
        return scores_of(self.maps(test))


def autoencoder(widths, n_channels):
    """Return a net that halves images once for each width, and doubles them again."""
    layers, before = [], n_channels
    for width in widths:
        layers += [nn.Conv2d(before, width, 4, 2, 1), nn.ReLU()]
        before = width
    for width in (*widths[-2::-1], n_channels):
        layers += [nn.ConvTranspose2d(before, width, 4, 2, 1), nn.ReLU()]
        before = width
    # Greys have no ReLU after them.
    return nn.Sequential(*layers[:-1])


def reconstruct(net, images, seconds):
    """Train a net to reconstruct images, for so many seconds of the processor."""
    optimizer = torch.optim.Adam(net.parameters(), lr=_LR)
    start = time.process_time()
    while (left := 1 - (time.process_time() - start) / seconds) > 0:
        optimizer.param_groups[0]["lr"] = left * _LR
        batch = images[torch.randint(len(images), (32,))]
        loss = (net(batch) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
