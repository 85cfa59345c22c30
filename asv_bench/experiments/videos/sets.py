"""Videos of a camera above a path: people to learn from; bicycles and carts to find."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_FOLDS = 4


@dataclass(frozen=True)
class VideoSet:
    """Frames to learn from, all normal, and frames to score.

    Parameters
    ----------
    train, test : ndarray of shape (n_frames, height, width)
        The frames, as uint8.

    train_groups, groups : ndarray of shape (n_frames,)
        The videos that they are of.

    y : ndarray of shape (n_test,)
        1 for normal frames to score, -1 for anomalous ones.

    masks : ndarray of bool of shape (n_test, mask_height, mask_width)
        True where the anomaly is.
    """

    train: np.ndarray
    train_groups: np.ndarray
    test: np.ndarray
    groups: np.ndarray
    y: np.ndarray
    masks: np.ndarray


def ped2(folder):
    """Return all videos to learn from, and those that were given to score."""
    path = next(Path(folder).rglob("ped2_96x64.npz"))
    with np.load(path) as data:
        shape = data["mask_shape"]
        masks = np.unpackbits(data["mask"], axis=1)[:, : shape.prod()]
        return VideoSet(
            data["train"],
            data["train_clip"],
            data["test"],
            data["test_clip"],
            np.where(data["label"], -1, 1),
            masks.reshape(-1, *shape) > 0,
        )


def without_some(videos, fold):
    """Return three quarters of the videos to learn from; the others are scored too."""
    names = np.unique(videos.train_groups)
    held = np.isin(videos.train_groups, names[fold::N_FOLDS])
    frames = videos.train[held]
    nothing = np.zeros((len(frames), *videos.masks.shape[1:]), dtype=bool)
    return VideoSet(
        videos.train[~held],
        videos.train_groups[~held],
        np.concatenate([videos.test, frames]),
        # The numbers of videos to learn from and to score begin with 1 in either.
        np.concatenate([-videos.groups.astype(int), videos.train_groups[held]]),
        np.concatenate([videos.y, np.ones(len(frames), dtype=int)]),
        np.concatenate([videos.masks, nothing]),
    )
