"""Images like photographs of surfaces, with defects of which it is known where."""

from numbers import Integral

import numpy as np
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

from skad.datasets._checks import check_range

# Standard deviation of the noise of a pixel.
_NOISE = 0.015
# A pixel belongs to a defect if this share of it does.
_LEAST = 0.2
# Pixels along a defect, at least.
_SHORTEST = 3
# Places that are tried for a defect; it gets the one where it shows most.
_N_PLACES = 4


def make_surfaces(
    n_normal=200,
    n_anomalous=50,
    *,
    n_classes=3,
    size=64,
    color=False,
    defect_size=(0.15, 0.35),
    defect_contrast=(0.2, 0.4),
    random_state=None,
):
    """Generate images like photographs of surfaces, some of them with a defect.

    There are up to five kinds of surfaces, in this order: brushed metal, woven cloth,
    tiles, granite and wood. Each image has a pattern of its own, is turned and scaled
    a little, and is lit from another side, so that no two are alike. A defect is one
    of these, whatever the surface:

    - a scratch: a thin curve, brighter or darker than what is there otherwise;
    - a stain of irregular outline;
    - a crack: a dark and jagged line;
    - a worn place, in which the fine structure is missing;
    - a turned place, in which the structure is that of another place of the image,
      turned by 90 degrees and enlarged; not in granite, where that does not show;
    - a foreign place, in which another kind of surface shows, as bright as the image.

    Parameters
    ----------
    n_normal : int, default=200
        Number of images without a defect.

    n_anomalous : int, default=50
        Number of images with one; they come last.

    n_classes : int, default=3
        Number of kinds of surfaces, from 1 to 5, which take turns.

    size : int, default=64
        Height and width of an image in pixels, at least 16. It is the resolution: a
        larger image shows the same part of a surface.

    color : bool, default=False
        Whether images have three channels, for red, green and blue.

    defect_size : tuple of two floats, default=(0.15, 0.35)
        Range of the length of a defect, as a share of `size`; it has 3 pixels or more.

    defect_contrast : tuple of two floats, default=(0.2, 0.4)
        Range of the difference in grey that a scratch, a stain or a crack makes, of 1
        for black to white.

    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn; pass an int for reproducible images.

    Returns
    -------
    X : ndarray of shape (n_normal + n_anomalous, size, size)
        The images, as uint8; with `color`, of shape (n_normal + n_anomalous, size,
        size, 3).

    y : ndarray of shape (n_normal + n_anomalous,)
        1 for images without a defect, -1 for those with one.

    masks : ndarray of shape (n_normal + n_anomalous, size, size)
        Where the defect is, as bool. The rest of the image is what it would be
        without a defect.

    categories : ndarray of shape (n_normal + n_anomalous,)
        The kind of surface, from 0 to ``n_classes - 1``.

    See Also
    --------
    make_brain_phantom : Images of one kind of object, in about the same position.

    Notes
    -----
    Generated surfaces serve tests and examples. What a detector reaches on them says
    nothing about real ones.

    Examples
    --------
    >>> from skad.datasets import make_surfaces
    >>> X, y, masks, categories = make_surfaces(6, 3, size=32, random_state=0)
    >>> X.shape, X.dtype, y.tolist()
    ((9, 32, 32), dtype('uint8'), [1, 1, 1, 1, 1, 1, -1, -1, -1])
    >>> categories.tolist()
    [0, 1, 2, 0, 1, 2, 0, 1, 2]
    >>> masks.any(axis=(1, 2)).tolist() == (y == -1).tolist()
    True
    """
    check_scalar(n_normal, "n_normal", Integral, min_val=0)
    check_scalar(n_anomalous, "n_anomalous", Integral, min_val=0)
    check_scalar(n_classes, "n_classes", Integral, min_val=1, max_val=len(_SURFACES))
    check_scalar(size, "size", Integral, min_val=16)
    check_range(defect_size, "defect_size", 0.5)
    check_range(defect_contrast, "defect_contrast", 1)
    rng = check_random_state(random_state)
    y = np.repeat([1, -1], [n_normal, n_anomalous])
    categories = np.r_[np.arange(n_normal), np.arange(n_anomalous)] % n_classes
    X = np.empty((len(y), size, size, 3 if color else 1), dtype=np.uint8)
    masks = np.zeros((len(y), size, size), dtype=bool)
    # An image is drawn from a seed of its own and its defect after all the rest of it:
    # the rest does not depend on there being a defect.
    for i, seed in enumerate(rng.randint(np.iinfo(np.int32).max, size=len(y))):
        own = np.random.RandomState(seed)
        image = _surface(categories[i], size, color, own)
        light = _light(size, own)
        noise = _NOISE * own.normal(size=image.shape)
        if y[i] == -1:
            extent = max(own.uniform(*defect_size) * size, _SHORTEST)
            contrast = own.uniform(*defect_contrast)
            image, share = _with_defect(image, categories[i], extent, contrast, own)
            masks[i] = share > 0
        X[i] = np.rint(255 * np.clip(light * image + noise, 0, 1))
    return X if color else X[..., 0], y, masks, categories


def _surface(category, size, color, rng):
    """Return the texture of a surface, of shape (size, size, n_channels)."""
    texture, dark, light = _SURFACES[category]
    grey = texture(size, rng)[..., np.newaxis]
    if not color:
        return grey
    dark, light = np.array(dark), np.array(light)
    return (dark + grey * (light - dark)) * (1 + rng.normal(scale=0.02, size=3))


def _light(size, rng):
    """Return how bright the light is: more from one side, and less at the edges."""
    y, x = (np.indices((size, size)) + 0.5) / size * 2 - 1
    slopes = rng.normal(scale=0.06, size=2)
    light = 1 + slopes[0] * x + slopes[1] * y - rng.uniform(0, 0.08) * (x**2 + y**2)
    return (light * rng.uniform(0.92, 1.05))[..., np.newaxis]


# Textures. Lengths are shares of the size of the image.


def _metal(size, rng):
    """Brushed metal: streaks in about the same direction."""
    angle = rng.normal(scale=0.08)
    fine = _field(size, rng, 0.005, 0.25, angle)
    coarse = _field(size, rng, 0.03, 0.6, angle)
    return 0.58 + 0.09 * fine + 0.05 * coarse + 0.03 * _field(size, rng, 0.3)


def _cloth(size, rng):
    """Woven cloth: threads that are above and below one another by turns."""
    u, v = _coordinates(size, rng, 0.06)
    n_threads = rng.uniform(8.5, 10)
    u = np.pi * (n_threads * u + 0.12 * _field(size, rng, 0.1))
    v = np.pi * (n_threads * v + 0.12 * _field(size, rng, 0.1))
    turn = np.sin(u) * np.sin(v)
    warp = np.abs(np.sin(u)) * (0.6 + 0.4 * turn)
    weft = np.abs(np.sin(v)) * (0.6 - 0.4 * turn)
    threads = 0.03 * _field(size, rng, 0.01, 0.3)
    threads += 0.03 * _field(size, rng, 0.01, 0.3, np.pi / 2)
    return 0.15 + 0.7 * np.maximum(warp, 0.85 * weft) + threads


def _tiles(size, rng):
    """Tiles with grout between them, each a little brighter or darker."""
    u, v = _coordinates(size, rng, 0.04)
    n_tiles = rng.uniform(3.3, 3.8)
    u, v = n_tiles * u, n_tiles * v
    # Every other row is moved by half a tile.
    u = u + 0.5 * (np.floor(v) % 2)
    row, column = np.floor(v).astype(int) % 11, np.floor(u).astype(int) % 11
    tone = rng.normal(scale=0.05, size=(11, 11))[row, column]
    edge = 0.5 - np.maximum(np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5))
    edge = edge + 0.006 * _field(size, rng, 0.02)
    tile = 0.62 + tone + 0.03 * _field(size, rng, 0.05) + 0.02 * _field(size, rng, 0.01)
    inside = np.clip((edge - 0.05) / (1.5 * n_tiles / size) + 0.5, 0, 1)
    return 0.3 + (tile - 0.3) * inside


def _granite(size, rng):
    """Granite: grains of several sizes, some dark and some bright."""
    grains = 0.55 + 0.02 * _field(size, rng, 0.06)
    for scale, level, difference in (
        (0.016, 0.6, -0.13),
        (0.02, 0.9, 0.15),
        (0.01, 1.5, -0.25),
    ):
        field = _field(size, rng, scale)
        grains += difference * np.clip(4 * (field - level) + 0.5, 0, 1)
    return grains + 0.03 * _field(size, rng, 0.005)


def _wood(size, rng):
    """Wood: rings that run along the image, bent by what they grew around."""
    _, v = _coordinates(size, rng, 0.06)
    rings = (rng.uniform(5, 6.5) * v + 0.5 * _field(size, rng, 0.12, 0.35)) % 1
    # From early wood to late wood slowly, and back at once.
    late = np.minimum(rings**2, (1 - rings) / 0.12)
    fibres = _field(size, rng, 0.006, 0.12, rng.normal(scale=0.03))
    return 0.68 - 0.42 * late + 0.035 * fibres + 0.03 * _field(size, rng, 0.1, 0.5)


# Texture, and the colours of its dark and of its bright parts.
_SURFACES = (
    (_metal, (0.03, 0.04, 0.06), (0.95, 0.97, 1.0)),
    (_cloth, (0.04, 0.07, 0.18), (0.72, 0.82, 1.0)),
    (_tiles, (0.2, 0.12, 0.08), (1.0, 0.75, 0.6)),
    (_granite, (0.06, 0.05, 0.06), (1.0, 0.9, 0.86)),
    (_wood, (0.18, 0.08, 0.02), (1.0, 0.82, 0.58)),
)


def _coordinates(size, rng, turn):
    """Return coordinates of pixels, shifted, turned and scaled at random."""
    y, x = np.indices((size, size)) / size
    angle, scale = rng.normal(scale=turn), rng.uniform(0.93, 1.07)
    u = scale * (np.cos(angle) * x + np.sin(angle) * y) + rng.uniform(0, 10)
    v = scale * (np.cos(angle) * y - np.sin(angle) * x) + rng.uniform(0, 10)
    return u, v


def _field(size, rng, across, along=None, angle=0.0):
    """Return smooth noise of variance 1; lengths are shares of the size."""
    along = across if along is None else along
    fy, fx = np.fft.fftfreq(size)[:, np.newaxis], np.fft.rfftfreq(size)
    f_along = np.cos(angle) * fx + np.sin(angle) * fy
    f_across = np.cos(angle) * fy - np.sin(angle) * fx
    decay = (along * f_along) ** 2 + (across * f_across) ** 2
    smooth = np.exp(-2 * (np.pi * size) ** 2 * decay)
    # Only differences count, not the mean.
    smooth[0, 0] = 0
    spectrum = np.fft.rfft2(rng.normal(size=(size, size)))
    field = np.fft.irfft2(spectrum * smooth, s=(size, size))
    return field / field.std()


def _with_defect(image, category, extent, contrast, rng):
    """Return the image with a defect, and how much of each pixel is defect."""
    # Granite looks the same from all sides.
    is_granite = _SURFACES[category][0] is _granite
    defects = _DEFECTS[: -1 if is_granite else None]
    defect = defects[rng.randint(len(defects))]
    best = None
    for _ in range(_N_PLACES):
        share, other = defect(image, category, extent, contrast, rng)
        share = np.where(share < _LEAST, 0, share)[..., np.newaxis]
        changed = share * (other - image)
        shows = np.abs(changed).sum() / share.sum()
        if best is None or shows > best[0]:
            best = shows, image + changed, share[..., 0]
    return best[1:]


# Defects. They return how much of each pixel is defect, and what it is then.


def _scratch(image, category, extent, contrast, rng):
    center = _center(len(image), extent, rng)
    heading, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.8, 0.8)
    angles = heading + bend * np.linspace(-1, 1, 64)
    share = _line(len(image), center, extent, angles, 0.008)
    return share, image + contrast * _away(image, share)


def _crack(image, category, extent, contrast, rng):
    center = _center(len(image), extent, rng)
    # It goes on for some steps, then turns sharply.
    turns = np.repeat(rng.normal(scale=0.9, size=16), 4)
    angles = rng.uniform(0, 2 * np.pi) + turns
    share = _line(len(image), center, extent, angles, 0.01)
    return share, image - contrast


def _stain(image, category, extent, contrast, rng):
    share = _blob(len(image), extent, 0.15, rng)
    tint = rng.uniform(0.7, 1.3, size=image.shape[-1])
    return share, image + contrast * _away(image, share) * tint / tint.mean()


def _worn(image, category, extent, contrast, rng):
    width = 0.08 * len(image)
    return _blob(len(image), extent, 0.1, rng), gaussian_filter(
        image, (width, width, 0)
    )


def _turned(image, category, extent, contrast, rng):
    size = len(image)
    half = (size + 1) // 2
    top, left = rng.randint(size - half + 1, size=2)
    part = image[top : top + half, left : left + half]
    other = np.rot90(zoom(part, (2, 2, 1), order=1))[:size, :size]
    return _blob(size, extent, 0.05, rng), other


def _foreign(image, category, extent, contrast, rng):
    kinds = [kind for kind in range(len(_SURFACES)) if kind != category]
    other = _surface(rng.choice(kinds), len(image), image.shape[-1] == 3, rng)
    share = _blob(len(image), extent, 0.05, rng)
    return share, other + _mean(image, share) - _mean(other, share)


_DEFECTS = (_scratch, _crack, _stain, _worn, _foreign, _turned)


def _center(size, extent, rng):
    """Return a place around which there is room."""
    return rng.uniform(extent / 2, size - 1 - extent / 2, size=2)


def _line(size, center, length, angles, width):
    """Return the share of pixels that a line of changing direction covers."""
    steps = np.column_stack([np.sin(angles), np.cos(angles)])
    points = np.cumsum(steps, axis=0) * length / len(angles)
    points += center - points.mean(axis=0)
    radius = max(width * size, 0.5)
    pixels = np.indices((size, size)).reshape(2, -1).T
    distance, _ = cKDTree(points).query(pixels, distance_upper_bound=radius + 1)
    return np.clip(radius + 0.5 - distance, 0, 1).reshape(size, size)


def _blob(size, extent, softness, rng):
    """Return the share of pixels that a spot of irregular outline covers."""
    center = _center(size, extent, rng)
    y, x = np.indices((size, size)) - center[:, np.newaxis, np.newaxis]
    direction = np.arctan2(y, x)
    phases = rng.uniform(0, 2 * np.pi, size=3)
    outline = 1 + 0.25 * np.sin(2 * direction + phases[0])
    outline += 0.15 * np.sin(3 * direction + phases[1])
    outline += 0.06 * np.sin(7 * direction + phases[2])
    edge = max(softness * extent, 1)
    return np.clip((extent / 3 * outline - np.hypot(y, x)) / edge + 0.5, 0, 1)


def _mean(image, share):
    """Return the mean of each channel where the defect is."""
    return np.einsum("ijc,ij->c", image, share) / share.sum()


def _away(image, share):
    """Return the sign of the change for which there is more room."""
    return 1 if _mean(image, share).mean() < 0.5 else -1
