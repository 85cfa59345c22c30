"""The teacher that a detector of images trains itself, where no other is given."""

import torch

from skad._nets._backbones import Teacher
from skad._nets._mddnet import Usual, learn_moments
from skad._nets._pyramids import DefectFinder, SmallPyramid
from skad._scheduled_training import ScheduledTraining

# Images that mean and deviation are added up of at once.
_BLOCK = 64


class TeacherTraining(ScheduledTraining):
    """How a small pyramid becomes a teacher: it learns to find synthetic defects.

    Parameters
    ----------
    channels : tuple of int
        Number of channels of each level.

    defect_probability : float
        The probability that an image gets a defect.

    augment : bool
        Whether images are mirrored by chance.

    **training
        As of `ScheduledTraining`.
    """

    def __init__(self, channels, defect_probability, augment, **training):
        super().__init__(**training)
        self.channels = channels
        self.defect_probability = defect_probability
        self.augment = augment

    def fit_teacher(self, images):
        """Return a teacher.

        Parameters
        ----------
        images : Rows
            The images, of 1 or 3 channels and with values from 0 to 1.

        Returns
        -------
        teacher : Teacher
            The trained pyramid.
        """
        finder = self._trained(images).module_
        return Teacher(finder.pyramid, finder.mean.flatten(), finder.std.flatten())

    def _rows(self, images):
        return images

    def _make_module(self, images):
        usual = Usual((images[:1].shape[1], 1, 1))
        blocks = (images[i : i + _BLOCK] for i in range(0, len(images), _BLOCK))
        learn_moments([usual], ([block] for block in blocks))
        mean, std = (part.repeat(3 // len(part), 1, 1) for part in usual.buffers())
        pyramid = SmallPyramid(self.channels)
        finder = DefectFinder(
            pyramid,
            self.channels,
            mean,
            std,
            probability=self.defect_probability,
            augment=self.augment,
        )
        return finder.to(memory_format=torch.channels_last)
