"""Images as rows: shapes, sizes and maps, for every detector of images."""

import math
from numbers import Integral

import numpy as np
import torch
from scipy import ndimage
from torch.nn.functional import interpolate

# Images whose maps are enlarged at once.
_BLOCK = 64
# Images from which what is usual is learned.
_MAX_REFERENCE = 2048


class ImageMixin:
    """Mixin for detectors whose rows are images.

    ``fit`` and everything that takes ``X`` then accept images of shape
    (n_samples, height, width) or (n_samples, height, width, n_channels) as well as
    flattened ones; what the hooks of the detector get are flattened rows, and
    ``_images`` turns those into images. The detector has a parameter
    ``image_shape``, and learns the attribute ``image_shape_``.

    It stands before the base class of the detector.
    """

    _parameter_constraints: dict = {"image_shape": ["array-like", None]}

    def _validate(self, X, *, reset):
        # Flattened first: validation counts the features along the second axis.
        shape = _shape_of_images(X)
        if shape is not None:
            X = np.asanyarray(X).reshape(len(X), math.prod(shape))
        learns = reset and not self._goes_on()
        X = super()._validate(X, reset=reset)
        if learns:
            self.image_shape_ = self._find_image_shape(X.shape[1], shape)
        elif shape is not None and with_channels(shape) != self.image_shape_:
            raise ValueError(
                f"X holds images of shape {shape}; {type(self).__name__} was fitted "
                f"on images of shape {self.image_shape_}."
            )
        return X

    def _goes_on(self):
        """Tell whether `fit` continues; bases that can do so say when."""
        return getattr(super(), "_goes_on", bool)()

    def _find_image_shape(self, n_features, shape):
        given = self.image_shape
        if given is not None:
            given = checked_shape(given, "image_shape", lengths=(2, 3))
            if shape is not None and with_channels(given) != with_channels(shape):
                raise ValueError(
                    f"image_shape is {given}, but X holds images of shape {shape}."
                )
            if math.prod(given) != n_features:
                raise ValueError(
                    f"image_shape is {given}, of {math.prod(given)} values; X has "
                    f"rows of {n_features}."
                )
        return with_channels(given or shape or _assumed_shape(n_features))

    def _images(self, rows):
        """Return rows as images of shape (n_samples, height, width, n_channels)."""
        return rows.reshape(len(rows), *self.image_shape_)


def checked_shape(value, name, lengths):
    """Return a tuple of positive integers, or raise an error that names it."""
    try:
        shape = tuple(value)
    except TypeError:
        shape = ()
    valid = all(isinstance(side, Integral) and side > 0 for side in shape)
    if len(shape) not in lengths or not valid:
        few = len(lengths) < 3
        counts = (
            " or ".join(map(str, lengths)) if few else f"{lengths[0]} to {lengths[-1]}"
        )
        raise ValueError(f"{name} is {value!r}; expected {counts} positive integers.")
    return tuple(map(int, shape))


def checked_pixel_range(value, X):
    """Return the values of black and white, those of `X` if none are given."""
    if value is None:
        low, high = float(X.min()), float(X.max())
        return low, high if high > low else low + 1.0
    try:
        low, high = map(float, value)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not -np.inf < low < high < np.inf:
        raise ValueError(
            f"pixel_range is {value!r}; expected two numbers, those of black and of "
            "white, the lower one first."
        )
    return low, high


def check_colors(shape, owner):
    """Check that images of some shape are grey, or have three colours."""
    if shape[2] not in (1, 3):
        raise ValueError(
            f"X holds images of {shape[2]} channels; {owner} takes grey images, of one "
            "channel, or coloured ones of three."
        )


def with_channels(shape):
    """Return the shape of an image with its number of channels, 1 if not given."""
    return shape if len(shape) == 3 else (*shape, 1)


def some_rows(X):
    """Return rows evenly from all of the training data, no more than are needed."""
    n_rows = min(len(X), _MAX_REFERENCE)
    return X[np.linspace(0, len(X) - 1, n_rows).astype(int)]


def foreground(images, background):
    """Find the object in each image: its largest bright part, without holes.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, n_channels)
        The images.

    background : float
        The grey up to which a pixel may be background.

    Returns
    -------
    masks : ndarray of shape (n_samples, height, width)
        True for the object.
    """
    masks = (images > background).any(axis=3)
    for mask in masks:
        parts, n_parts = ndimage.label(mask)
        if n_parts > 1:
            sizes = np.bincount(parts.ravel())[1:]
            mask[:] = parts == 1 + sizes.argmax()
        mask[:] = ndimage.binary_fill_holes(mask)
    return masks


def resized(images, size):
    """Resize images smoothly, without the artefacts of skipped pixels.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, n_channels)
        Images of any numeric type.

    size : tuple of two ints
        The wanted height and width.

    Returns
    -------
    images : ndarray of shape (n_samples, n_channels, *size)
        The images, as float64, with the channels first as nets take them.
    """
    first = np.moveaxis(np.asarray(images, dtype=np.float64), -1, 1)
    return _interpolated(np.ascontiguousarray(first), size)


def to_size(maps, size):
    """Bring maps to the size of the images that they belong to.

    Parameters
    ----------
    maps : ndarray of shape (n_samples, ..., height, width)
        The maps.

    size : tuple of two ints
        Height and width of the images.

    Returns
    -------
    maps : ndarray of shape (n_samples, ..., *size)
        The maps, as float64.
    """
    result = np.empty((*maps.shape[:-2], *size))
    for start in range(0, len(maps), _BLOCK):
        block = maps[start : start + _BLOCK]
        flat = block.reshape(-1, 1, *block.shape[-2:])
        enlarged = _interpolated(flat, size)
        result[start : start + _BLOCK] = enlarged.reshape(*block.shape[:-2], *size)
    return result


def _interpolated(maps, size):
    if maps.shape[-2:] == tuple(size):
        return maps
    tensor = torch.tensor(maps, dtype=torch.float64)
    return interpolate(tensor, size, mode="bilinear", antialias=True).numpy()


def _shape_of_images(X):
    """Return the shape of an image if X is an array of images, else None."""
    try:
        shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    except ValueError as error:
        raise ValueError(
            "X holds images of different shapes; expected one array of images."
        ) from error
    return tuple(shape[1:]) if len(shape) in (3, 4) else None


def _assumed_shape(n_features):
    """Take rows of unknown shape as squares where they can be, else as strips."""
    side = math.isqrt(n_features)
    return (side, side) if side**2 == n_features else (1, n_features)
