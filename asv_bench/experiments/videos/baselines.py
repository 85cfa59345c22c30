"""Detectors that say what a frame should look like, and in which frames they can."""

import numpy as np
import torch
from experiments.images.nets import autoencoder, reconstruct
from sklearn.decomposition import PCA

_BATCH = 64


class Shifted:
    """The mean of the frames at some distances.

    Parameters
    ----------
    shifts : tuple of int
        The distances; negative ones are earlier frames.
    """

    def __init__(self, shifts):
        self.shifts = shifts

    def fit(self, frames):
        return self

    def predict(self, frames, groups):
        """Return predicted frames, and which of them are predictions."""
        place = np.arange(len(frames))
        predicted, known = np.zeros_like(frames), np.ones(len(frames), dtype=bool)
        for shift in self.shifts:
            other = np.clip(place + shift, 0, len(frames) - 1)
            known &= (groups[other] == groups) & (other == place + shift)
            predicted += frames[other] / len(self.shifts)
        return predicted, known


class FramePCA:
    """What principal components of frames keep of them."""

    def __init__(self, seed, n_components=50):
        self.pca = PCA(n_components, svd_solver="randomized", random_state=seed)

    def fit(self, frames):
        self.pca.fit(frames.reshape(len(frames), -1))
        return self

    def predict(self, frames, groups):
        """Return reconstructed frames."""
        rows = frames.reshape(len(frames), -1)
        kept = self.pca.inverse_transform(self.pca.transform(rows))
        return kept.reshape(frames.shape), np.ones(len(frames), dtype=bool)


class FrameAutoencoder:
    """What a convolutional autoencoder keeps, trained for seconds of the processor."""

    def __init__(self, seed, seconds=60, widths=(16, 32, 64, 64)):
        self.seed, self.seconds, self.widths = seed, seconds, widths

    def fit(self, frames):
        tensor = torch.from_numpy(frames)[:, None]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.net = autoencoder(self.widths, 1)
            reconstruct(self.net, tensor, self.seconds)
        return self

    @torch.inference_mode()
    def predict(self, frames, groups):
        """Return reconstructed frames."""
        batches = torch.from_numpy(frames)[:, None].split(_BATCH)
        kept = torch.cat([self.net(batch)[:, 0] for batch in batches])
        return kept.numpy(), np.ones(len(frames), dtype=bool)


BASELINES = {
    "frame difference": lambda seed: Shifted((-1,)),
    "interpolation, next frames": lambda seed: Shifted((-1, 1)),
    "interpolation, 3 frames": lambda seed: Shifted((-3, 3)),
    "PCA of frames": FramePCA,
    "convolutional autoencoder": FrameAutoencoder,
}
