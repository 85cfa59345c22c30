"""Images as the maps that a teacher makes of them, batch by batch or once for all."""

import torch
from torch.utils.data import Dataset

from skad._nets._defects import N_MIRRORED, mirrored, with_defects

# Maps of all images are kept up to this many bytes.
_MOST_BYTES = 2**30


class FeatureRows(Dataset):
    """The teacher's maps of images.

    Parameters
    ----------
    images : Rows
        The images.

    teacher : Teacher
        The teacher.

    device : torch.device
        Where the maps are wanted.
    """

    def __init__(self, images, teacher, device):
        self.images, self.device = images, device
        self.teacher = teacher.to(device)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """Return the maps of all levels for the images of a slice, or of indices."""
        return self.teacher(self.read(index))

    def read(self, index):
        """Return images, where the teacher is."""
        images = self.images[index].to(self.device)
        return images.contiguous(memory_format=torch.channels_last)


class DefectRows(FeatureRows):
    """The maps of normal images, of the same with defects, and where those are.

    Parameters
    ----------
    images : Rows
        The images.

    teacher : Teacher
        The teacher.

    device : torch.device
        Where the maps are wanted.

    codes : tensor of shape (n_samples,)
        The category of each image.

    probability : float
        The probability that an image gets a defect.

    augment : bool
        Whether images are mirrored by chance.
    """

    def __init__(self, images, teacher, device, codes, probability, augment):
        super().__init__(images, teacher, device)
        self.codes = codes.to(device)
        self.probability = probability
        self.n_ways = N_MIRRORED if augment else 1
        self._maps = None

    def cache(self, batch_size):
        """Keep the maps of all images, mirrored in every way, if memory allows."""
        parts = super().__getitem__(slice(0, 1))
        if self.n_ways * len(self) * sum(part.nbytes for part in parts) > _MOST_BYTES:
            return self
        shape = (self.n_ways, len(self))
        kept = [part.new_empty(*shape, *part.shape[1:]) for part in parts]
        for index in torch.arange(len(self)).split(batch_size):
            for way in range(self.n_ways):
                found = self._made(index, torch.full_like(index, way))
                for part, maps in zip(kept, found, strict=True):
                    part[way, index] = maps
        self._maps = kept
        return self

    def __getitem__(self, index):
        """Return what the net learns from, for images of a slice or of indices."""
        index = torch.arange(len(self))[index]
        ways = torch.randint(self.n_ways, index.shape)
        images = mirrored(self.read(index), ways)
        damaged, masks = with_defects(images, self.probability)
        return {
            "normal": self.normal(index, ways),
            "damaged": self.teacher(damaged),
            "masks": masks,
            "codes": self.codes[index],
        }

    def normal(self, index, ways):
        """Return the maps of images without defects, mirrored in given ways."""
        if self._maps is None:
            return self._made(index, ways)
        return [part[ways, index] for part in self._maps]

    def _made(self, index, ways):
        return self.teacher(mirrored(self.read(index), ways))


def normal_batches(rows, batch_size):
    """Yield the maps of images without defects, and their categories.

    Parameters
    ----------
    rows : DefectRows
        The images.

    batch_size : int
        The most images at once.

    Yields
    ------
    maps : list of tensor
        The maps of all levels.

    codes : tensor of shape (n_samples,)
        The categories.
    """
    for index in torch.arange(len(rows)).split(batch_size):
        yield rows.normal(index, torch.zeros_like(index)), rows.codes[index]


def pooled(rows, batch_size):
    """Return mean and deviation of each channel of the maps of each image.

    Parameters
    ----------
    rows : FeatureRows
        The images.

    batch_size : int
        Images at once.

    Returns
    -------
    pooled : ndarray of shape (n_samples, n_values), dtype float64
        The means and deviations of all levels.
    """
    found = []
    for start in range(0, len(rows), batch_size):
        maps = [part.flatten(2) for part in rows[slice(start, start + batch_size)]]
        values = [m for p in maps for m in (p.mean(2), p.std(2, correction=0))]
        found.append(torch.cat(values, dim=1).cpu())
    return torch.cat(found).double().numpy()
