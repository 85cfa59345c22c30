"""Detectors that need no net. Scores are high for normal images, maps for anomalies."""

import numpy as np
import torch
from experiments.images.images import (
    as_tensor,
    local_contrast,
    rows_of,
    scores_of,
    smoothed,
)
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

_BATCH = 64
# Added to a covariance matrix, as a share of the mean variance.
_RIDGE = 0.01


class PixelPCA:
    """Error of a reconstruction from the principal components of the pixels.

    Of local contrasts, if so wanted, instead of greys.
    """

    def __init__(self, seed, n_components=30, contrast=False):
        self.pca = PCA(n_components, random_state=seed)
        self.contrast = contrast

    def fit(self, images):
        self.pca.fit(self._rows(images.train))
        return self

    def maps(self, test):
        rows = self._rows(test)
        error = rows - self.pca.inverse_transform(self.pca.transform(rows))
        error = np.abs(error).reshape(*test.shape[:3], -1).mean(axis=3)
        return smoothed(error, test.shape[1:3])

    def score(self, test):
        return scores_of(self.maps(test))

    def _rows(self, images):
        return rows_of(local_contrast(images) if self.contrast else images)


class PixelNeighbors:
    """Distance to the nearest images."""

    def __init__(self, seed, n_neighbors=3):
        self.nearest = NearestNeighbors(n_neighbors=n_neighbors)

    def fit(self, images):
        self.nearest.fit(rows_of(images.train))
        return self

    def maps(self, test):
        return None

    def score(self, test):
        return -self.nearest.kneighbors(rows_of(test))[0].mean(axis=1)


class PatchGaussian:
    """Mahalanobis distance of what filters say, from the mean at the same position.

    The filters are the principal components of patches, of the images at several
    scales.
    """

    def __init__(self, seed, width=7, n_filters=12, scales=(1, 2, 4), contrast=False):
        self.rng = np.random.default_rng(seed)
        self.width, self.n_filters, self.scales = width, n_filters, scales
        self.contrast = contrast

    def fit(self, images):
        tensor = self._tensor(images.train)
        self.filters = [self._filters(_coarser(tensor, s)) for s in self.scales]
        values = self._responses(tensor)
        self.mean = values.mean(dim=0)
        centred = values - self.mean
        covariance = torch.einsum("npi,npj->pij", centred, centred) / len(values)
        size = covariance.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]
        ridge = _RIDGE * size * torch.eye(covariance.shape[1])
        self.precision = torch.linalg.inv(covariance + ridge)
        return self

    def maps(self, test):
        parts = []
        for batch in self._tensor(test).split(_BATCH):
            centred = self._responses(batch) - self.mean
            product = torch.einsum("npi,pij->npj", centred, self.precision)
            parts.append((product * centred).sum(dim=2).clamp(min=0).sqrt())
        size = test.shape[1:3]
        maps = torch.cat(parts).reshape(-1, *_half(size)).numpy()
        return smoothed(maps, size)

    def score(self, test):
        return scores_of(self.maps(test))

    def _tensor(self, images):
        return as_tensor(local_contrast(images) if self.contrast else images)

    def _filters(self, tensor, n_patches=20000):
        patches = tensor.unfold(2, self.width, 1).unfold(3, self.width, 1)
        patches = patches.permute(0, 2, 3, 1, 4, 5)
        n, h, w = patches.shape[:3]
        index = [torch.tensor(self.rng.integers(k, size=n_patches)) for k in (n, h, w)]
        rows = patches[index].flatten(1).numpy()
        pca = PCA(self.n_filters, random_state=0).fit(rows)
        kernels = pca.components_.astype(np.float32)
        return torch.tensor(kernels).reshape(-1, *patches.shape[3:])

    def _responses(self, tensor):
        """Return values of shape (n_images, n_positions, n_values)."""
        size = _half(tensor.shape[2:])
        parts = []
        for scale, kernels in zip(self.scales, self.filters, strict=True):
            around = [self.width // 2] * 4
            padded = pad(_coarser(tensor, scale), around, "reflect")
            found = conv2d(padded, kernels)
            parts.append(interpolate(found, size, mode="bilinear", antialias=True))
        return torch.cat(parts, dim=1).flatten(2).transpose(1, 2)


def _half(size):
    """Return the size of maps: a position for each second pixel."""
    return [-(-side // 2) for side in size]


def _coarser(tensor, scale):
    return avg_pool2d(tensor, scale)
