"""Rows for a net: converted once, or batch by batch where the data lie in a file."""

import mmap

import numpy as np
import torch
from torch.utils.data import Dataset, Subset


class Rows(Dataset):
    """The rows of an array as float32 tensors.

    What lies in memory is converted once. A memory-mapped array may be larger
    than memory: it is converted where it is read, batch by batch.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        The rows.

    convert : callable
        Turns a block of rows into the array that the net takes, row by row.

    keep : bool, default=True
        Whether to do so once. Where each row is read only once, batch by batch takes
        less memory.
    """

    def __init__(self, X, convert, *, keep=True):
        self._convert = convert
        self._array, self._tensor = X, None
        if keep and not _is_memory_mapped(X):
            self._array, self._tensor = None, self._read(X)

    def __len__(self):
        return len(self._array if self._tensor is None else self._tensor)

    def __getitem__(self, index):
        """Return the rows of a slice, or of an array of indices."""
        if self._tensor is not None:
            return self._tensor[index]
        if isinstance(index, slice):
            return self._read(self._array[index])
        # A file is read fastest from its beginning to its end.
        in_file, places = np.unique(index, return_inverse=True)
        return self._read(self._array[in_file])[places]

    def _read(self, block):
        # A copy: torch would share memory with the caller, and warns where that
        # is read-only.
        return torch.tensor(np.asarray(self._convert(block)), dtype=torch.float32)


class Batches:
    """Batches of rows by slicing, for skorch's training loop.

    Batches are as equal in size as they can be, so that none is tiny: the
    statistics of a batch of one row are none.

    Parameters
    ----------
    rows : Rows or Subset of it
        The data; of a Subset only the chosen rows.

    batch_size : int
        The most rows of a batch.

    shuffle : bool, default=False
        Whether every pass has an order of its own, by torch's generator.
    """

    def __init__(self, rows, batch_size, shuffle=False):
        self.chosen = None
        if isinstance(rows, Subset):
            rows, self.chosen = rows.dataset, torch.as_tensor(rows.indices)
        self.rows, self.batch_size, self.shuffle = rows, batch_size, shuffle

    def __len__(self):
        return -(-self._n_rows() // self.batch_size)

    def __iter__(self):
        """Yield every batch twice: a detector's input is its target as well."""
        n_rows = self._n_rows()
        order = torch.randperm(n_rows) if self.shuffle else torch.arange(n_rows)
        if self.chosen is not None:
            order = self.chosen[order]
        for index in order.tensor_split(len(self)):
            batch = self.rows[index]
            yield batch, batch

    def _n_rows(self):
        return len(self.rows if self.chosen is None else self.chosen)


def _is_memory_mapped(array):
    """Tell whether an array is a view of a file; what validation returns may be."""
    while array is not None:
        if isinstance(array, (np.memmap, mmap.mmap)):
            return True
        array = getattr(array, "base", None)
    return False
