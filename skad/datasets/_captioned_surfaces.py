"""Images of surfaces with captions, for nets that learn from both."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

from skad.datasets._surfaces import make_surfaces

# Kinds of surfaces, in the order of `make_surfaces`.
NAMES = ("metal", "cloth", "tiles", "granite", "wood")
_GENERAL = ("object", "surface")
# Share of the captions that name no kind.
_GENERAL_SHARE = 0.25
_GOOD = ("good", "flawless", "perfect", "intact")
_DAMAGED = ("damaged", "defective", "broken", "flawed")
_TEMPLATES = (
    "a photo of {} {}",
    "{} {}",
    "a picture of {} {}",
    "a close-up photo of {} {}",
)


def make_captioned_surfaces(
    n_samples=1000,
    *,
    n_classes=5,
    size=64,
    color=False,
    damaged_share=0.5,
    defect_size=(0.2, 0.5),
    defect_contrast=(0.3, 0.6),
    random_state=None,
):
    """Generate images like photographs of surfaces, and a caption for each.

    The images are those of :func:`make_surfaces`. A caption such as "a photo of a
    damaged cloth" says whether there is a defect, in one of several words, and what
    kind of surface it is: metal, cloth, tiles, granite or wood. A quarter of the
    captions speak of an object or a surface instead.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images.

    n_classes : int, default=5
        Number of kinds of surfaces, from 1 to 5, which take turns.

    size : int, default=64
        Height and width of an image in pixels, at least 16.

    color : bool, default=False
        Whether images have three channels, for red, green and blue.

    damaged_share : float, default=0.5
        Share of the images that have a defect.

    defect_size : tuple of two floats, default=(0.2, 0.5)
        Range of the length of a defect, as a share of `size`.

    defect_contrast : tuple of two floats, default=(0.3, 0.6)
        Range of the difference in grey that a scratch, a stain or a crack makes, of 1
        for black to white.

    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn; pass an int for reproducible images.

    Returns
    -------
    X : ndarray of shape (n_samples, size, size)
        The images, as uint8; with `color`, of shape (n_samples, size, size, 3).

    captions : ndarray of shape (n_samples,)
        What they show, as str.

    See Also
    --------
    skad.vision.train_clip : Trains a small CLIP on images and captions.

    Examples
    --------
    >>> from skad.datasets import make_captioned_surfaces
    >>> X, captions = make_captioned_surfaces(4, size=32, random_state=0)
    >>> X.shape, len(captions)
    ((4, 32, 32), 4)
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=0)
    check_scalar(damaged_share, "damaged_share", Real, min_val=0, max_val=1)
    rng = check_random_state(random_state)
    n_damaged = round(damaged_share * n_samples)
    X, y, _, kinds = make_surfaces(
        n_samples - n_damaged,
        n_damaged,
        n_classes=n_classes,
        size=size,
        color=color,
        defect_size=defect_size,
        defect_contrast=defect_contrast,
        random_state=rng,
    )
    captions = [_caption(*pair, rng) for pair in zip(y, kinds, strict=True)]
    order = rng.permutation(n_samples)
    return X[order], np.array(captions, dtype=str)[order]


def _caption(label, kind, rng):
    state = rng.choice(_GOOD if label == 1 else _DAMAGED)
    general = rng.uniform() < _GENERAL_SHARE
    name = rng.choice(_GENERAL) if general else NAMES[kind]
    article = "an" if state == "intact" else "a"
    return rng.choice(_TEMPLATES).format(article, f"{state} {name}")
