"""Images like slices through a head, with lesions of which it is known where."""

from numbers import Integral, Real

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

from skad.datasets._checks import check_range

# Grey of scalp, grey matter, white matter and ventricles as two kinds of scans show
# them: fluid dark, or fluid bright.
_SCANS = np.array([[0.85, 0.45, 0.65, 0.12], [0.7, 0.6, 0.4, 0.95]])


def make_brain_phantom(
    n_normal=80,
    n_anomalous=20,
    *,
    size=64,
    lesion_radius=(0.06, 0.14),
    lesion_contrast=(0.2, 0.5),
    noise=0.02,
    random_state=None,
):
    """Generate images like slices through a head, some of them with a lesion.

    A head is a bright scalp around a brain of grey and white matter with two
    ventricles, about the same on the left and on the right. Heads differ in size,
    shape, tilt, folds and in how bright a tissue is; half of the scans show fluid
    dark, half of them bright. A lesion is a spot of irregular outline in one half
    of the brain, brighter or darker than what is there otherwise.

    Parameters
    ----------
    n_normal : int, default=80
        Number of images without a lesion.

    n_anomalous : int, default=20
        Number of images with one; they come last.

    size : int, default=64
        Height and width of an image in pixels, at least 16.

    lesion_radius : tuple of two floats, default=(0.06, 0.14)
        Range of the radius of a lesion, as a share of `size`.

    lesion_contrast : tuple of two floats, default=(0.2, 0.5)
        Range of the difference in grey that a lesion makes, of 1 for black to white.

    noise : float, default=0.02
        Standard deviation of the noise of a pixel.

    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn; pass an int for reproducible images.

    Returns
    -------
    X : ndarray of shape (n_normal + n_anomalous, size, size)
        The images, as uint8.

    y : ndarray of shape (n_normal + n_anomalous,)
        1 for images without a lesion, -1 for those with one.

    masks : ndarray of shape (n_normal + n_anomalous, size, size)
        Where the lesion is, as bool.

    See Also
    --------
    make_planted_anomalies : Tables with anomalies in known features.

    Notes
    -----
    Phantoms serve tests and examples. What a detector reaches on them says nothing
    about real scans.

    Examples
    --------
    >>> from skad.datasets import make_brain_phantom
    >>> X, y, masks = make_brain_phantom(8, 2, size=32, random_state=0)
    >>> X.shape, X.dtype, y.tolist()
    ((10, 32, 32), dtype('uint8'), [1, 1, 1, 1, 1, 1, 1, 1, -1, -1])
    >>> masks.any(axis=(1, 2)).tolist() == (y == -1).tolist()
    True
    """
    check_scalar(n_normal, "n_normal", Integral, min_val=0)
    check_scalar(n_anomalous, "n_anomalous", Integral, min_val=0)
    check_scalar(size, "size", Integral, min_val=16)
    check_scalar(noise, "noise", Real, min_val=0)
    check_range(lesion_radius, "lesion_radius", 0.2)
    check_range(lesion_contrast, "lesion_contrast", 1)
    rng = check_random_state(random_state)
    n_images = n_normal + n_anomalous
    X = np.empty((n_images, size, size), dtype=np.uint8)
    masks = np.zeros(X.shape, dtype=bool)
    for i in range(n_images):
        image, brain = _head(size, rng)
        if i >= n_normal:
            lesion = _lesion(brain, rng.uniform(*lesion_radius) * size, rng)
            masks[i] = lesion > 0.5
            # Towards the side where there is room for the contrast.
            sign = 1 if image[masks[i]].mean() < 0.5 else -1
            image = image + sign * rng.uniform(*lesion_contrast) * lesion
        image = image + noise * rng.normal(size=image.shape)
        X[i] = np.rint(255 * np.clip(image, 0, 1))
    return X, np.repeat([1, -1], [n_normal, n_anomalous]), masks


def _head(size, rng):
    """Return an image without a lesion, and the brain in it as a mask."""
    u, v = _coordinates(size, rng)
    folds = gaussian_filter(rng.normal(size=(size, size)), size / 24)
    folds = 0.05 * folds / folds.std()
    radius = np.hypot(u, v)
    scan = _SCANS[rng.randint(len(_SCANS))] * rng.uniform(0.85, 1.1, size=4)
    scalp, grey, white, fluid = scan
    width, height = rng.uniform(0.1, 0.18), rng.uniform(0.22, 0.38)
    aside = rng.uniform(0.14, 0.2)
    ventricles = np.hypot((np.abs(u) - aside) / width, (v + 0.05) / height)
    edge = 2 / size
    image = scalp * (_inside(radius, 1.0, edge) - _inside(radius, 0.93, edge))
    image += grey * _inside(radius, 0.87, edge)
    image += (white - grey) * _inside(radius + folds, 0.68, 2 * edge)
    image += (fluid - white) * _inside(ventricles, 1.0, 6 * edge)
    shade = rng.uniform(-0.1, 0.1, size=2)
    image *= 1 + shade[0] * u + shade[1] * v
    return image, radius < 0.8


def _coordinates(size, rng):
    """Return coordinates in which the head is the unit circle."""
    y, x = (np.indices((size, size)) + 0.5) / size * 2 - 1
    x, y = x - rng.uniform(-0.05, 0.05), y - rng.uniform(-0.05, 0.05)
    angle = rng.uniform(-0.1, 0.1)
    u = np.cos(angle) * x + np.sin(angle) * y
    v = np.cos(angle) * y - np.sin(angle) * x
    return u / rng.uniform(0.62, 0.76), v / rng.uniform(0.8, 0.92)


def _inside(distance, radius, edge):
    """Return 1 inside, 0 outside and something between on the edge."""
    return np.clip((radius - distance) / edge + 0.5, 0, 1)


def _lesion(brain, radius, rng):
    """Return how much of each pixel is lesion, around a place in the brain."""
    rows, columns = np.nonzero(brain)
    # Not on the midline, where it would be as symmetric as the head.
    aside = np.abs(columns - columns.mean()) > brain.shape[1] / 12
    chosen = rng.choice(np.flatnonzero(aside))
    i, j = np.indices(brain.shape)
    direction = np.arctan2(i - rows[chosen], j - columns[chosen])
    distance = np.hypot(i - rows[chosen], j - columns[chosen])
    phases = rng.uniform(0, 2 * np.pi, size=2)
    outline = 1 + 0.2 * np.sin(2 * direction + phases[0])
    outline += 0.1 * np.sin(5 * direction + phases[1])
    lesion = _inside(distance, radius * outline, 2.0) * brain
    # A place of its own in any case, however small the image.
    lesion[rows[chosen], columns[chosen]] = 1
    return lesion
