"""The training of a small CLIP on images and their captions."""

import numpy as np
import torch

from skad._nets._captions import CaptionRows
from skad._nets._small_clip import SmallCLIP, words_of
from skad._scheduled_training import ScheduledTraining

# Images that mean and deviation of colours are taken from.
_MAX_REFERENCE = 2048
# Colours that vary less are taken to vary that much.
_LEAST_STD = 1e-3


class CLIPTraining(ScheduledTraining):
    """How a small CLIP learns which image belongs to which caption.

    Parameters
    ----------
    sizes : dict
        Parameters of `SmallCLIP`.

    augment : bool
        Whether images are mirrored by chance.

    **training
        As of `ScheduledTraining`.
    """

    def __init__(self, sizes, augment, **training):
        super().__init__(**training)
        self.sizes = sizes
        self.augment = augment

    def fit_clip(self, images, captions):
        """Return a CLIP.

        Parameters
        ----------
        images : Rows
            The images, of 1 or 3 channels and with values from 0 to 1.

        captions : list of str
            What they show.

        Returns
        -------
        clip : SmallCLIP
            The trained net, in evaluation mode, on the CPU.
        """
        self._captions, codes = np.unique(captions, return_inverse=True)
        self._codes = torch.from_numpy(codes)
        clip = self._trained(images).module_.cpu().eval()
        clip.zero_grad()
        return clip.requires_grad_(False)

    def _make_module(self, images):
        some = images[np.arange(min(len(images), _MAX_REFERENCE))]
        std, mean = torch.std_mean(some, dim=(0, 2, 3), correction=0)
        std = std.clamp_min(_LEAST_STD)
        self._clip = SmallCLIP(
            words_of(self._captions),
            mean=tuple(mean.expand(3).tolist()),
            std=tuple(std.expand(3).tolist()),
            **self.sizes,
        )
        return self._clip

    def _rows(self, images):
        clip = self._clip
        ids, ends = clip.tokenize(self._captions.tolist())
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (clip.mean, clip.std))
        return CaptionRows(images, self._codes, ids, ends, mean, std, self.augment)
