"""Videos of digits that move, in some of which something else happens."""

from numbers import Integral, Real

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

from skad.datasets._checks import check_range

_KINDS = ("speed", "object")
# How many times as fast a digit is while something is wrong with it.
_FASTER = 4
# Grey of a shape and of the background, and the standard deviations of the texture
# of the background and of the noise of a pixel.
_BRIGHT, _DIM, _TEXTURE, _NOISE = 0.85, 0.15, 0.03, 0.01
# A pixel is where a shape is if the shape covers this share of it.
_LEAST = 0.1


def make_moving_digits(
    n_videos=8,
    n_frames=64,
    *,
    size=32,
    n_digits=2,
    anomaly_share=0.5,
    speed=(0.01, 0.025),
    random_state=None,
):
    """Generate videos of moving digits, in some of which something else happens.

    Handwritten digits move over a dim background that stays as it is, each straight
    ahead at a constant speed until the border reflects it. In a video with an anomaly
    there is one stretch of a quarter to a half of the frames in which one of these
    happens; the kinds take turns:

    - ``"speed"``: one of the digits moves four times as fast;
    - ``"object"``: a disc, a cross or a square crosses the picture, as bright and as
      large as a digit.

    Parameters
    ----------
    n_videos : int, default=8
        Number of videos.

    n_frames : int, default=64
        Number of frames of each of them, at least 8.

    size : int, default=32
        Height and width of a frame in pixels, at least 16. Digits are enlarged with it.

    n_digits : int, default=2
        Number of digits in each video.

    anomaly_share : float, default=0.5
        Share of the videos that have an anomaly, from 0 to 1; they come last. Their
        number is rounded.

    speed : tuple of two floats, default=(0.01, 0.025)
        Range of the way that a digit goes from frame to frame, as a share of `size`.

    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn; pass an int for reproducible videos.

    Returns
    -------
    X : ndarray of shape (n_videos * n_frames, size, size)
        The frames of one video after another, as uint8.

    y : ndarray of shape (n_videos * n_frames,)
        -1 for frames that show what is wrong, 1 for all others.

    groups : ndarray of shape (n_videos * n_frames,)
        The video of each frame, from 0 to ``n_videos - 1``.

    masks : ndarray of shape (n_videos * n_frames, size, size)
        Where the fast digit or the object is, as bool.

    See Also
    --------
    load_frames : The frames of videos that were taken.
    make_surfaces : Single images, some of them with a defect.

    Notes
    -----
    Generated videos serve tests and examples. What a detector reaches on them says
    nothing about real ones.

    Examples
    --------
    >>> from skad.datasets import make_moving_digits
    >>> X, y, groups, masks = make_moving_digits(4, 16, random_state=0)
    >>> X.shape, X.dtype, groups[::16].tolist()
    ((64, 32, 32), dtype('uint8'), [0, 1, 2, 3])
    >>> [bool((y[groups == video] == -1).any()) for video in range(4)]
    [False, False, True, True]
    >>> masks.any(axis=(1, 2)).tolist() == (y == -1).tolist()
    True
    """
    check_scalar(n_videos, "n_videos", Integral, min_val=1)
    check_scalar(n_frames, "n_frames", Integral, min_val=8)
    check_scalar(size, "size", Integral, min_val=16)
    check_scalar(n_digits, "n_digits", Integral, min_val=1)
    check_scalar(anomaly_share, "anomaly_share", Real, min_val=0, max_val=1)
    check_range(speed, "speed", 0.1)
    rng = check_random_state(random_state)
    digits = load_digits().images / 16
    X = np.empty((n_videos, n_frames, size, size), dtype=np.uint8)
    masks = np.zeros(X.shape, dtype=bool)
    n_normal = n_videos - round(anomaly_share * n_videos)
    # A video is drawn from a seed of its own and its anomaly after all the rest of it:
    # the rest does not depend on there being an anomaly.
    for i, seed in enumerate(rng.randint(np.iinfo(np.int32).max, size=n_videos)):
        kind = None if i < n_normal else _KINDS[(i - n_normal) % len(_KINDS)]
        own = np.random.RandomState(seed)
        shapes = digits[own.randint(len(digits), size=n_digits)]
        X[i], masks[i] = _video(shapes, n_frames, size, speed, kind, own)
    X, masks = X.reshape(-1, size, size), masks.reshape(-1, size, size)
    y = np.where(masks.any(axis=(1, 2)), -1, 1)
    return X, y, np.repeat(np.arange(n_videos), n_frames), masks


def _video(shapes, n_frames, size, speed, kind, rng):
    """Return the frames of a video, and where something is wrong in them."""
    side = _side(size)
    background = gaussian_filter(rng.normal(size=(size, size)), size / 32, mode="wrap")
    background = _DIM + _TEXTURE * background / background.std()
    noise = _NOISE * rng.normal(size=(n_frames, size, size))
    starts = rng.uniform(0, size - side, size=(len(shapes), 2))
    angles = rng.uniform(0, 2 * np.pi, size=len(shapes))
    steps = size * rng.uniform(*speed, size=len(shapes))
    stretch = _stretch(n_frames, rng)
    paces = np.ones((len(shapes), n_frames))
    wrong = rng.randint(len(shapes))
    if kind == "speed":
        paces[wrong, stretch] = _FASTER
    ways = steps[:, np.newaxis] * paces.cumsum(axis=1)
    layers = [
        _drawn(shape, _path(*motion, size - side), size)
        for shape, *motion in zip(shapes, starts, angles, ways, strict=True)
    ]
    mask = np.zeros(noise.shape, dtype=bool)
    if kind == "object":
        wrong = len(layers)
        layers.append(np.zeros(noise.shape))
        layers[wrong][stretch] = _passing(stretch.stop - stretch.start, size, rng)
    if kind is not None:
        mask[stretch] = layers[wrong][stretch] > _LEAST
    share = np.max(layers, axis=0)
    video = background + share * (_BRIGHT - background) + noise
    return np.rint(255 * np.clip(video, 0, 1)), mask


def _side(size):
    """Return the height and width of a shape in pixels."""
    return max(8, 3 * size // 8)


def _stretch(n_frames, rng):
    """Return the frames in which something is wrong: not the first, nor the last."""
    length = rng.randint(n_frames // 4, n_frames // 2 + 1)
    start = rng.randint(1, n_frames - length)
    return slice(start, start + length)


def _path(start, angle, way, room):
    """Return the corner of a shape in each frame, of shape (n_frames, 2)."""
    straight = start + way[:, np.newaxis] * [np.sin(angle), np.cos(angle)]
    # Between two mirrors: there and back again.
    return room - np.abs(straight % (2 * room) - room)


def _passing(n_frames, size, rng):
    """Return the share of pixels of an object that comes in and goes out again."""
    side = _side(size)
    along = np.linspace(-side, size, n_frames + 2)[1:-1]
    across = np.linspace(*rng.uniform(0, size - side, size=2), n_frames)
    path = np.column_stack([along, across])[:, :: rng.choice([-1, 1])]
    return _drawn(
        _OBJECTS[rng.randint(len(_OBJECTS))], path[:: rng.choice([-1, 1])], size
    )


def _drawn(shape, path, size):
    """Return the share of each pixel that a shape on its path covers in each frame."""
    scale = len(shape) / _side(size)
    places = (np.arange(size) + 0.5 - path[..., np.newaxis]) * scale - 0.5
    # Linear interpolation, which fades out beyond the shape.
    distances = np.abs(places[..., np.newaxis] - np.arange(len(shape)))
    weights = np.maximum(1 - distances, 0)
    return weights[:, 0] @ shape @ weights[:, 1].swapaxes(1, 2)


def _objects():
    """Return shapes that are no digits, in the resolution of the digits."""
    y, x = np.abs(np.indices((8, 8)) - 3.5)
    disc = np.clip(4 - np.hypot(x, y), 0, 1)
    return disc, 1.0 * (np.minimum(x, y) < 1), 1.0 * (np.maximum(x, y) < 3)


_OBJECTS = _objects()
