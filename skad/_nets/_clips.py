"""Clips of videos for a net, and the frames that it predicts in them."""

import math
from typing import NamedTuple

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit
from skorch.utils import to_device
from torch.utils.data import Dataset, Subset

from skad._nets._middle_frames import Encoding


class Clips(Dataset):
    """Clips as float32 tensors, of frames that are read when they are asked for.

    Takes the place of `Rows`: its "rows" are clips.

    Parameters
    ----------
    frames : Rows
        The frames.

    places : ndarray of shape (n_clips, n_frames)
        The frames of each clip.

    videos : ndarray of shape (n_clips,)
        The number of the video that each is from.
    """

    def __init__(self, frames, places, videos):
        self.frames = frames
        self.places = places
        self.videos = videos

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        """Return the clips of a slice, or of an array of indices."""
        # Of one element, NumPy would take a tensor for a number.
        index = index if isinstance(index, slice) else np.asarray(index)
        places = self.places[index]
        return self.frames[places.ravel()].unflatten(0, places.shape)


class WholeVideos:
    """Hold out whole videos, for skorch's ``train_split``.

    Clips overlap: held out by chance, each would be known from those beside it.

    Parameters
    ----------
    fraction : float
        The share of the videos that is held out, at least one.

    seed : int
        Says which.
    """

    def __init__(self, fraction, seed):
        self.fraction = fraction
        self.seed = seed

    def __call__(self, clips, y=None, groups=None):
        """Return the clips for training and those held out, as Subsets."""
        n_videos = len(np.unique(clips.videos))
        if n_videos < 2:
            raise ValueError(
                "n_iter_no_change holds out whole videos for validation, but all clips "
                "are of one; say with groups which frames are of which video."
            )
        n_held = math.ceil(self.fraction * n_videos)
        if n_held == n_videos:
            raise ValueError(
                f"validation_fraction is {self.fraction}, which holds out all "
                f"{n_videos} videos."
            )
        split = GroupShuffleSplit(1, test_size=n_held, random_state=self.seed)
        train, valid = next(split.split(clips.videos, groups=clips.videos))
        return Subset(clips, train), Subset(clips, valid)


class Predicted(NamedTuple):
    """Frames of a video and what was predicted in their place.

    Parameters
    ----------
    predicted, frames : tensor of shape (n_frames, n_colors, height, width)
        What was predicted, and the frames themselves.
    """

    predicted: torch.Tensor
    frames: torch.Tensor


def predictions(net, frames, rows, shape):
    """Predict the frames of a video, each from the clip that has it in the middle.

    Each frame is read and encoded once, however many clips it is in. What is in memory
    at a time is what as many clips as make a batch need.

    Parameters
    ----------
    net : DetectorNet
        The net, with a `MiddleFrameNet`.

    frames : Rows
        The frames.

    rows : ndarray of shape (n_frames,)
        Those of the video, in the order of time, at least as many as a clip is long.

    shape : ClipShape
        What clips look like.

    Yields
    ------
    block : Predicted
        The next frames, beginning with the one in the middle of the first clip.
    """
    module, size = net.module_.eval(), net.batch_size
    encoded = _Encoded(net, frames, rows)
    clips = torch.arange(size)[:, None] + torch.from_numpy(shape.offsets)
    n_clips = len(rows) - shape.length + 1
    for start in range(0, n_clips, size):
        read, *maps = encoded.move(start, start + size + shape.length - 1)
        with torch.inference_mode():
            encoding = Encoding(*(part[clips] for part in maps))
            predicted = module.predict_middle(read[clips], encoding)
        n_new = min(size, n_clips - start)
        middle = read[shape.margin :]
        yield Predicted(predicted[:n_new], middle[:n_new])


class _Encoded:
    """Frames of a video and what the net knows of them, along the video."""

    def __init__(self, net, frames, rows):
        self._net, self._frames, self._rows = net, frames, rows
        self._start = self._stop = 0
        self._parts = None

    def move(self, start, stop):
        """Return frames from a first to a last one, and their encodings.

        After the end of the video its last frame is repeated.
        """
        blocks = [] if self._parts is None else [self._parts]
        while self._stop < stop:
            blocks.append(self._next())
        parts = [torch.cat(of_blocks) for of_blocks in zip(*blocks, strict=True)]
        self._parts = [part[start - self._start :] for part in parts]
        self._start = start
        return [part[: stop - start] for part in self._parts]

    def _next(self):
        """Encode as many more frames as a batch has."""
        new = np.arange(self._stop, self._stop + self._net.batch_size)
        self._stop += len(new)
        rows = self._rows[np.minimum(new, len(self._rows) - 1)]
        frames = to_device(self._frames[rows], self._net.device)
        with torch.inference_mode():
            return [frames, *self._net.module_.encode(frames)]
