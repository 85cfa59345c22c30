"""Images of several categories: normal ones to learn from, and others to score."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from experiments.brain_mri import distinct, read, splits
from experiments.images.images import local_contrast
from scipy.ndimage import gaussian_filter
from sklearn.cluster import AgglomerativeClustering

from skad.datasets import make_surfaces

# One minus the correlation of images from which on they show different tiles, and the
# width of edges, which all tiles share.
_LEAST_APART, _EDGE = 0.6, 8
# Digits that are normal, where the others are anomalies.
_NORMAL_DIGITS = range(5)
# Of each digit, to learn from and to score.
_N_TRAIN, _N_TEST = 200, 100


@dataclass(frozen=True)
class ImageSet:
    """Normal images to learn from, and images to score.

    Parameters
    ----------
    train, test : ndarray of shape (n_images, height, width[, n_channels])
        The images, as uint8.

    categories : ndarray of shape (n_train,)
        What the images to learn from show.

    y : ndarray of shape (n_test,)
        1 for normal images, -1 for anomalous ones.

    masks : ndarray of bool of shape (n_test, height, width), or None
        True for the pixels of anomalies.

    test_categories : ndarray of shape (n_test,)
        What the images to score show. It is told to no detector: one net for each
        category needs it.

    sides : bool, default=False
        Whether a mirrored image would be no normal one.
    """

    train: np.ndarray
    categories: np.ndarray
    test: np.ndarray
    y: np.ndarray
    masks: np.ndarray | None
    test_categories: np.ndarray
    sides: bool = False


def tile(folder, seed):
    """Return magnetic tiles: half of the free images, then the others and defects.

    Many images show a tile that others show as well, in another light. Free ones to
    score mostly show tiles that were learned from, those with a defect do not.
    """
    X, y, _ = _tiles(folder)
    free = np.random.default_rng(seed).permutation(np.flatnonzero(y == 1))
    return _part_of_tiles(folder, free[: len(free) // 2])


def tiles_apart(folder, seed):
    """Return magnetic tiles, so that none to score was learned from."""
    X, y, _ = _tiles(folder)
    tiles = _same_tile(X)
    clean = np.setdiff1d(tiles, tiles[y == -1])
    n_train, train = np.sum(y == 1) // 2, []
    for one in np.random.default_rng(seed).permutation(clean):
        if len(train) < n_train:
            train.extend(np.flatnonzero(tiles == one))
    return _part_of_tiles(folder, np.array(train))


def brain(folder, seed):
    """Return slices of brains, those without a tumour to learn from."""
    X, y = distinct(*read(folder, "brain_mri_128.npz"))
    train, test, labels = list(splits(X, y, seed + 1))[seed]
    return ImageSet(train, *_one(train), test, labels, None, *_one(test), sides=True)


def surfaces(folder, seed, n_classes=3, size=64):
    """Return simulated surfaces of several kinds, with defects."""
    X, y, masks, kinds = make_surfaces(
        300, 90, n_classes=n_classes, size=size, random_state=seed
    )
    order = np.random.default_rng(seed).permutation(np.flatnonzero(y == 1))
    train, others = np.split(order, [len(order) // 2])
    test = np.r_[others, np.flatnonzero(y == -1)]
    return ImageSet(X[train], kinds[train], X[test], y[test], masks[test], kinds[test])


def digits(folder, seed):
    """Return digits up to 4 as normal categories; the others are anomalies."""
    X, digit, train, test = _digits(folder, seed)
    train = train[np.isin(digit[train], _NORMAL_DIGITS)]
    y = np.where(np.isin(digit[test], _NORMAL_DIGITS), 1, -1)
    return ImageSet(X[train], digit[train], X[test], y, None, digit[test], True)


def broken_digits(folder, seed):
    """Return all digits as normal categories; half of those to score are damaged."""
    X, digit, train, test = _digits(folder, seed)
    rng = np.random.default_rng(seed)
    damaged, clean = np.split(rng.permutation(test), 2)
    results = [_damaged(image, rng) for image in X[damaged]]
    images, masks = (np.stack(parts) for parts in zip(*results, strict=True))
    return ImageSet(
        X[train],
        digit[train],
        np.concatenate([X[clean], images]),
        np.repeat([1, -1], len(clean)),
        np.concatenate([np.zeros(X[clean].shape, bool), masks]),
        digit[np.r_[clean, damaged]],
        sides=True,
    )


SETS = {
    "tile": tile,
    "tiles apart": tiles_apart,
    "digits": digits,
    "broken digits": broken_digits,
    "surfaces": surfaces,
    "brain": brain,
}


def _one(images):
    """Return a category that all images share."""
    return (np.zeros(len(images), dtype=int),)


def _tiles(folder):
    """Return all images, labels and masks."""
    name = "magnetic_tile_96.npz"
    X, y = read(folder, name)
    with np.load(next(Path(folder).rglob(name))) as data:
        bits = np.unpackbits(data["mask"], axis=1)
    return X, y, bits[:, : X[0].size].reshape(X.shape).astype(bool)


def _part_of_tiles(folder, train):
    """Return a set in which some images are to learn from, all others to score."""
    X, y, masks = _tiles(folder)
    test = np.setdiff1d(np.arange(len(X)), train)
    return ImageSet(X[train], *_one(train), X[test], y[test], masks[test], *_one(test))


def _same_tile(X):
    """Return groups of images whose fine structure correlates, edges left out."""
    fine = gaussian_filter(local_contrast(X, near=1 / 32, little=0.02), (0, 1, 1))
    inner = fine[:, _EDGE:-_EDGE, _EDGE:-_EDGE]
    apart = 1 - np.corrcoef(inner.reshape(len(X), -1))
    clusters = AgglomerativeClustering(
        None, metric="precomputed", linkage="average", distance_threshold=_LEAST_APART
    )
    return clusters.fit_predict(apart)


def _digits(folder, seed):
    """Return images, digits, and which of them to learn from and to score."""
    with np.load(next(Path(folder).rglob("mnist_t10k.npz"))) as data:
        X, digit = data["X"], data["digit"]
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(digit == d)) for d in range(10)]
    train = np.concatenate([rows[:_N_TRAIN] for rows in drawn])
    test = np.concatenate([rows[_N_TRAIN : _N_TRAIN + _N_TEST] for rows in drawn])
    return X, digit, train, test


def _damaged(image, rng):
    """Return a digit that is scratched, spotted or partly erased, and the mask."""
    y, x = np.indices(image.shape)
    strokes = np.argwhere(image > 127)
    while True:
        centre = strokes[rng.integers(len(strokes))]
        kind = rng.choice(["scratch", "spot", "gap"])
        if kind == "scratch":
            angle = rng.uniform(0, np.pi)
            along = (y - centre[0]) * np.sin(angle) + (x - centre[1]) * np.cos(angle)
            across = (y - centre[0]) * np.cos(angle) - (x - centre[1]) * np.sin(angle)
            shape = (np.abs(along) < rng.uniform(6, 10)) & (np.abs(across) < 0.8)
        else:
            # Spots lie anywhere, gaps on a stroke.
            middle = rng.uniform(4, 24, size=2) if kind == "spot" else centre
            distance = np.hypot(y - middle[0], x - middle[1])
            shape = distance < rng.uniform(2, 3.5)
        soft = gaussian_filter(shape.astype(float), 0.5)
        grey = 0 if kind == "gap" else 255
        changed = (image + soft * (grey - image.astype(float))).round().astype(np.uint8)
        mask = np.abs(changed.astype(int) - image) > 32
        # What lies within a stroke, or beside it, changes too little.
        if mask.sum() >= 6:
            return changed, mask
