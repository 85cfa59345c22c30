"""Labelled images to learn prompts from, and images of other kinds to score."""

from dataclasses import dataclass

import numpy as np
from experiments.images.sets import SETS

from skad.datasets import make_surfaces

KINDS = np.array(["metal", "cloth", "tiles", "granite", "wood"])
# Of the auxiliary images, and of those of each simulated kind to score; and normal ones
# of each target that few-shot detectors may look at.
_N_AUXILIARY, _N_SCORED, _N_REFERENCES = 400, 200, 4


@dataclass(frozen=True)
class Labelled:
    """Images, and what is known of them.

    Parameters
    ----------
    X : ndarray of shape (n_images, height, width)
        The images, as uint8.

    y : ndarray of shape (n_images,)
        1 for images without a defect, -1 for others.

    masks : ndarray of bool of shape (n_images, height, width)
        Where the defect is.

    names : ndarray of str of shape (n_images,)
        What the images show.

    references : ndarray of shape (n_references, height, width)
        Other images of the same kind, without defects.
    """

    X: np.ndarray
    y: np.ndarray
    masks: np.ndarray
    names: np.ndarray
    references: np.ndarray | None = None


def auxiliary(n_kinds, seed):
    """Return simulated surfaces of some kinds, half of them with a defect."""
    half = _N_AUXILIARY // 2
    X, y, masks, kinds = make_surfaces(
        half, half, n_classes=n_kinds, random_state=1000 + seed
    )
    return Labelled(X, y, masks, KINDS[kinds])


def targets(n_kinds, folder, seed):
    """Return images to score, by name.

    A CLIP that knows three kinds is asked about new images of these and about the two
    others; one that knows five about magnetic tiles and digits.
    """
    if n_kinds < len(KINDS):
        return _surfaces(n_kinds, seed)
    return {
        "magnetic tiles": _photographs(SETS["tile"](folder, seed), "metal tile"),
        "damaged digits": _photographs(SETS["broken digits"](folder, seed), "digit"),
    }


def _surfaces(n_known, seed):
    half = _N_SCORED * len(KINDS) // 2
    X, y, masks, kinds = make_surfaces(
        half, half, n_classes=len(KINDS), random_state=2000 + seed
    )
    groups = {"known kinds": kinds < n_known}
    groups |= {str(KINDS[k]): kinds == k for k in range(n_known, len(KINDS))}
    found = {}
    for name, chosen in groups.items():
        rows = np.flatnonzero(chosen)
        kept, rows = rows[:_N_REFERENCES], rows[_N_REFERENCES:]
        names = KINDS[kinds[rows]]
        found[name] = Labelled(X[rows], y[rows], masks[rows], names, X[kept])
    return found


def _photographs(images, name):
    names = np.full(len(images.test), name)
    references = images.train[:: len(images.train) // _N_REFERENCES][:_N_REFERENCES]
    return Labelled(images.test, images.y, images.masks, names, references)
