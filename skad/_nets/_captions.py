"""Images with captions, batch by batch, for the training of a CLIP."""

import torch
from torch.utils.data import Dataset

from skad._nets._defects import N_MIRRORED, mirrored


class CaptionRows(Dataset):
    """Images and the tokens of their captions.

    Parameters
    ----------
    images : Rows
        The images, of 1 or 3 channels and with values from 0 to 1.

    codes : tensor of shape (n_samples,)
        The number of the caption of each image.

    ids : tensor of shape (n_captions, length)
        The tokens of each caption.

    ends : tensor of shape (n_captions,)
        The places of the tokens that end them.

    mean, std : tensor of shape (3, 1, 1)
        What images are normalised with.

    augment : bool
        Whether images are mirrored by chance.
    """

    def __init__(self, images, codes, ids, ends, mean, std, augment):
        self.images, self.codes = images, codes
        self.ids, self.ends = ids, ends
        self.mean, self.std = mean, std
        self.augment = augment

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """Return what the net learns from, for images of a slice or of indices."""
        images = self.images[index]
        if self.augment:
            images = mirrored(images, torch.randint(N_MIRRORED, (len(images),)))
        codes = self.codes[index]
        return {
            "images": (images - self.mean) / self.std,
            "ids": self.ids[codes],
            "ends": self.ends[codes],
        }
