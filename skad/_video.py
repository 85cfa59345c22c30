"""Frames as rows: which of them are a video, and the clips in it."""

import warnings
from typing import NamedTuple

import numpy as np

from skad._groups import group_codes


class ClipShape(NamedTuple):
    """What the clips of a video look like, in frames.

    Parameters
    ----------
    n_context : int
        The number of frames on each side of the middle.

    n_target : int
        The number of frames in the middle.

    stride : int
        The distance of one frame of a clip from the next.
    """

    n_context: int
    n_target: int
    stride: int

    @classmethod
    def fitting(cls, n_context, n_target, stride, n_frames):
        """Return the shape of clips of which a video of so many frames holds one."""
        shape = cls(n_context, n_target, stride)
        most = max(1, (n_frames - 1) // (shape.n_frames - 1))
        if shape.length > n_frames and most < stride:
            warnings.warn(
                f"stride ({stride}) makes clips of {shape.length} frames, more than "
                f"the longest video has ({n_frames}); a stride of {most} is used.",
                stacklevel=2,
            )
            return shape._replace(stride=most)
        return shape

    @property
    def n_frames(self):
        """The number of frames of a clip."""
        return 2 * self.n_context + self.n_target

    @property
    def length(self):
        """The number of frames from the first of a clip to its last."""
        return (self.n_frames - 1) * self.stride + 1

    @property
    def offsets(self):
        """The frames of a clip, counted from its first."""
        return np.arange(self.n_frames) * self.stride

    @property
    def margin(self):
        """The number of frames before, and after, the one in the middle of a clip."""
        return self.length // 2


class Videos:
    """Frames as rows of an array, and the videos that they make.

    In front of a video that is too short for a clip its first frame is repeated;
    `restored` leaves these out.

    Parameters
    ----------
    X : ndarray of shape (n_frames, n_features)
        The frames, each flattened.

    rows : list of ndarray of shape (n_frames_of_video,)
        The rows of the frames of each video, in the order of time.

    added : list of int, default=None
        How many of them were repeated, for each video. None if there are none.

    Attributes
    ----------
    errors : object
        What a detector found out about the frames and needs once more. None at first.
    """

    def __init__(self, X, rows, added=None):
        self.X = X
        self.rows = rows
        self.added = [0] * len(rows) if added is None else added
        self.errors = None

    @classmethod
    def from_groups(cls, X, groups):
        """Return the videos that labels of frames say there are."""
        codes, _ = group_codes(groups, len(X))
        order = np.argsort(codes, kind="stable")
        return cls(X, np.split(order, np.cumsum(np.bincount(codes))[:-1]))

    @property
    def longest(self):
        """The number of frames of the longest video."""
        return max(map(len, self.rows))

    def padded(self, length):
        """Return videos of which none is shorter, by repeating first frames."""
        added = [max(length - len(rows), 0) for rows in self.rows]
        if not any(added):
            return self
        warnings.warn(
            f"{np.count_nonzero(added)} of {len(added)} videos have fewer frames than "
            f"a clip ({length}); their first frames are repeated in front of them.",
            stacklevel=2,
        )
        pairs = zip(self.rows, added, strict=True)
        rows = [np.concatenate([np.repeat(rows[:1], n), rows]) for rows, n in pairs]
        return Videos(self.X, rows, added)

    def clips(self, shape, max_clips):
        """Return the frames of clips that begin evenly spaced, and their videos.

        Parameters
        ----------
        shape : ClipShape
            What the clips look like. No video is shorter than one.

        max_clips : int
            The most clips.

        Returns
        -------
        frames : ndarray of shape (n_clips, shape.n_frames)
            Rows of `X`.

        videos : ndarray of shape (n_clips,)
            The number of the video of each clip.
        """
        counts = np.array([len(rows) - shape.length + 1 for rows in self.rows])
        n_clips = min(max_clips, counts.sum())
        chosen = np.linspace(0, counts.sum() - 1, n_clips).astype(int)
        videos = np.searchsorted(np.cumsum(counts), chosen, side="right")
        starts = chosen - (np.cumsum(counts) - counts)[videos]
        frames = [
            self.rows[video][start + shape.offsets]
            for video, start in zip(videos, starts, strict=True)
        ]
        return np.array(frames), videos

    def restored(self, values):
        """Return what belongs to frames of videos in the order of the rows of `X`.

        Parameters
        ----------
        values : iterable of ndarray of shape (n_frames_of_video, ...)
            What belongs to the frames of each video.
        """
        restored = None
        for found, rows, n_added in zip(values, self.rows, self.added, strict=True):
            if restored is None:
                restored = np.empty((len(self.X), *found.shape[1:]))
            restored[rows[n_added:]] = found[n_added:]
        return restored


def with_ends(values, n_frames):
    """Return values for some frames more at each end of a video: the nearest ones.

    Parameters
    ----------
    values : ndarray of shape (n_values, ...)
        The values.

    n_frames : int
        How many frames more.
    """
    widths = [(n_frames, n_frames)] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, widths, mode="edge")
