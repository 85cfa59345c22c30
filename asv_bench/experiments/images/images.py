"""What detectors do with images before they look at them, and with maps after it."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate

from skad._image import to_size

# The share of a map, its highest values, whose mean is the score of an image.
_TOP = 0.01
# Maps are smoothed by this share of the side of an image.
_SMOOTHING = 1 / 64
# Added to greys, so that dark ones have no contrast of their own.
_DARK = 0.05


def rows_of(images):
    """Return images as rows of values from 0 to 1."""
    return images.reshape(len(images), -1) / 255


def as_tensor(images, size=None):
    """Return images as a net takes them, from 0 to 1, perhaps resized."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    tensor = torch.tensor(images, dtype=torch.float32).movedim(-1, 1) / 255
    if size is not None and tensor.shape[-2:] != (size, size):
        tensor = interpolate(tensor, (size, size), mode="bilinear", antialias=True)
    return tensor.contiguous()


def local_contrast(images, near=1 / 12, little=0.1):
    """Bring the logarithm of greys to mean 0 and spread 1 around each pixel.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width[, n_channels])
        The images.

    near : float
        What counts as around a pixel, as a share of the height.

    little : float
        Added to the spread.

    Returns
    -------
    images : ndarray of the same shape
        From 0 to 255; 127.5 is as bright as what is around it.
    """
    sigma = near * images.shape[1]
    around = (0, sigma, sigma, 0)[: images.ndim]
    brightness = np.log(images / 255 + _DARK)
    centred = brightness - gaussian_filter(brightness, around)
    spread = np.sqrt(gaussian_filter(centred**2, around) + little**2)
    return np.clip(127.5 + 40 * centred / spread, 0, 255)


def smoothed(maps, size):
    """Bring maps to the size of the images, and smooth them."""
    sigma = _SMOOTHING * max(size)
    return gaussian_filter(to_size(maps, size), (0, sigma, sigma))


def scores_of(maps):
    """Return scores, high for normal images, from the highest values of maps."""
    flat = maps.reshape(len(maps), -1)
    n_top = max(1, round(_TOP * flat.shape[1]))
    return -np.partition(flat, -n_top, axis=1)[:, -n_top:].mean(axis=1)
