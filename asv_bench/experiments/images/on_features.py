"""Detectors on the features of a net that is not trained by them, a teacher."""

import numpy as np
import torch
from experiments.images.images import as_tensor, scores_of, smoothed
from torch.nn.functional import avg_pool2d, interpolate

from skad._nets._backbones import load_backbone

_BATCH = 64
# Patches of which those to keep are chosen.
_N_DRAWN = 10000
# How much the covariance of all places counts beside that of one, and what is added as
# a share of the mean variance.
_SHARED, _RIDGE = 0.3, 0.01


class PatchNeighbors:
    """Distance of the teacher's patches to the nearest of a choice of normal ones."""

    def __init__(self, seed, teacher, size, n_kept=1000, levels=(0, 1)):
        self.seed, self.size = seed, size
        self.teacher = load_backbone(teacher)
        self.n_kept, self.levels = n_kept, levels

    def fit(self, images):
        rng = np.random.default_rng(self.seed)
        batches = _batches(images.train, self.size)
        rows = torch.cat([self._features(batch).flatten(0, 2) for batch in batches])
        drawn = rows[rng.permutation(len(rows))[:_N_DRAWN]]
        self.bank = drawn[_spread(drawn, self.n_kept)]
        return self

    def maps(self, test):
        parts = []
        for batch in _batches(test, self.size):
            features = self._features(batch)
            nearest = torch.cdist(features.flatten(1, 2), self.bank).amin(dim=2)
            parts.append(nearest.reshape(features.shape[:3]))
        return smoothed(torch.cat(parts).numpy(), test.shape[1:3])

    def score(self, test):
        return scores_of(self.maps(test))

    def _features(self, batch):
        """Return means of 3 x 3 positions of all levels, at the size of the finest."""
        maps = self.teacher(batch)
        chosen = [avg_pool2d(maps[k], 3, stride=1, padding=1) for k in self.levels]
        size = chosen[0].shape[2:]
        same = [interpolate(part, size, mode="bilinear") for part in chosen]
        return torch.cat(same, dim=1).movedim(1, 3)


class PlaceGaussian:
    """Mahalanobis distance of the teacher's vectors from those at the same place.

    The covariance of a place is mixed with that of all places. Distances of the levels
    are added up, each in units of its mean on the images to learn from.
    """

    def __init__(self, seed, teacher, size):
        self.size = size
        self.teacher = load_backbone(teacher)

    def fit(self, images):
        levels = [torch.cat(part) for part in self._levels(images.train)]
        self.means = [part.mean(0) for part in levels]
        self.roots = list(map(self._root, levels, self.means))
        self.units = [1.0] * len(levels)
        self.units = [part.mean() for part in self._distances(levels)]
        return self

    def maps(self, test):
        levels = (torch.cat(part) for part in self._levels(test))
        size = [min(self.size, side) for side in test.shape[1:3]]
        parts = [
            interpolate(part[:, None], size, mode="bilinear")[:, 0]
            for part in self._distances(levels)
        ]
        return smoothed(sum(parts).numpy(), test.shape[1:3])

    def score(self, test):
        return scores_of(self.maps(test))

    def _levels(self, images):
        batches = [self.teacher(batch) for batch in _batches(images, self.size)]
        return zip(*batches, strict=True)

    def _root(self, values, mean):
        """Return the Cholesky factors of the covariances, one of each place."""
        centred = (values - mean).flatten(2).permute(2, 0, 1)
        own = centred.mT @ centred / len(values)
        shared = own.mean(0)
        ridge = _RIDGE * shared.trace() / len(shared) * torch.eye(len(shared))
        return torch.linalg.cholesky(own + _SHARED * shared + ridge)

    def _distances(self, levels):
        for values, mean, root, unit in zip(
            levels, self.means, self.roots, self.units, strict=True
        ):
            centred = (values - mean).flatten(2).permute(2, 1, 0)
            white = torch.linalg.solve_triangular(root, centred, upper=False)
            distance = white.square().sum(1).sqrt().T
            yield distance.unflatten(1, mean.shape[1:]) / unit


class Embedded:
    """A detector of PyOD on the means of the teacher's maps."""

    def __init__(self, detector, teacher, size):
        self.detector, self.size = detector, size
        self.teacher = load_backbone(teacher)

    def fit(self, images):
        self.detector.fit(self._rows(images.train))
        return self

    def maps(self, test):
        return None

    def score(self, test):
        return -self.detector.decision_function(self._rows(test))

    def _rows(self, images):
        parts = []
        for batch in _batches(images, self.size):
            means = [level.mean(dim=(2, 3)) for level in self.teacher(batch)]
            parts.append(torch.cat(means, dim=1))
        return torch.cat(parts).numpy().astype(float)


def _batches(images, size):
    """Return tensors of images that are no larger than wished."""
    return as_tensor(images, min(size, images.shape[1])).split(_BATCH)


def _spread(rows, n_kept):
    """Choose rows one by one, always the one that is farthest from those chosen."""
    distance = torch.full((len(rows),), torch.inf)
    chosen = [0]
    while len(chosen) < min(n_kept, len(rows)):
        new = (rows - rows[chosen[-1]]).square().sum(dim=1)
        distance = torch.minimum(distance, new)
        chosen.append(int(distance.argmax()))
    return chosen
