"""Nodes with their context, as dicts of tensors: what the net of CAnemon is given."""

import numpy as np
import torch
from torch.utils.data import Dataset, Subset


class Snapshots(Dataset):
    """All nodes at a time step, with what each has shown before.

    The grid is converted once, and contexts are views of it until they are asked for.

    Parameters
    ----------
    scene : Scene
        The nodes.

    window_size : int
        Number of time steps of a context.

    horizon : int
        Number of time steps from the last of a context to the one that is estimated.
    """

    def __init__(self, scene, window_size, horizon):
        self._values, self._seen = _tensors(scene.channels)
        lead = window_size + horizon - 1
        before = torch.zeros((lead, *self._values.shape[1:]))
        # Step t sees the steps from t - lead to t - horizon.
        self._contexts = [
            torch.cat([before, part]).unfold(0, window_size, 1)
            for part in (self._values, self._seen.float())
        ]
        self._nodes = torch.tensor(scene.attributes, dtype=torch.float32)
        self._index = torch.from_numpy(scene.index)
        self._pairs = torch.tensor(scene.pairs, dtype=torch.float32)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, index):
        """Return the steps of a slice, or of an array of indices."""
        seen = self._seen[index]
        n_steps = len(seen)
        values, masks = (part[: len(self)][index] for part in self._contexts)
        return {
            "values": values.flatten(2),
            "masks": masks.flatten(2),
            "attributes": self._nodes.expand(n_steps, -1, -1),
            "readings": self._values[index],
            "seen": seen,
            "index": self._index.expand(n_steps, -1, -1),
            "pairs": self._pairs.expand(n_steps, -1, -1, -1),
        }


class Stars(Dataset):
    """Nodes that are seen once, each with its neighbours and with nothing else.

    What is computed for one does then not depend on the others.

    Parameters
    ----------
    scene : Scene
        The nodes; those with an index come first.
    """

    def __init__(self, scene):
        n_stars, n_neighbors = scene.index.shape
        own = np.arange(n_stars)[:, np.newaxis]
        # A neighbour that is not there is never looked at.
        nodes = np.concatenate([own, np.maximum(scene.index, 0)], axis=1)
        self._nodes = torch.from_numpy(nodes)
        self._values, self._seen = _tensors(scene.channels[0])
        self._attributes = torch.tensor(scene.attributes, dtype=torch.float32)
        place = np.arange(1, n_neighbors + 1)
        self._index = torch.from_numpy(np.where(scene.index < 0, -1, place))
        self._pairs = torch.tensor(scene.pairs, dtype=torch.float32)

    def __len__(self):
        return len(self._nodes)

    def __getitem__(self, index):
        """Return the stars of a slice, or of an array of indices."""
        nodes = self._nodes[index]
        nothing = torch.zeros((*nodes.shape, 0))
        return {
            "values": nothing,
            "masks": nothing,
            "attributes": self._attributes[nodes],
            "readings": self._values[nodes],
            "seen": self._seen[nodes],
            "index": self._index[index, np.newaxis],
            "pairs": self._pairs[index, np.newaxis],
        }


def _tensors(channels):
    """Return values, 0 where there is none, and where there are some."""
    values = torch.tensor(np.nan_to_num(channels), dtype=torch.float32)
    return values, torch.from_numpy(~np.isnan(channels))


class LastSnapshots:
    """Hold out the last time steps, for skorch's ``train_split``.

    Parameters
    ----------
    fraction : float
        The share of the time steps that is held out, at least one.
    """

    def __init__(self, fraction):
        self.fraction = fraction

    def __call__(self, snapshots, y=None, groups=None):
        """Return the steps for training and those held out, as Subsets."""
        n_held = max(1, round(self.fraction * len(snapshots)))
        first = len(snapshots) - n_held
        if first < 1:
            raise ValueError(
                f"validation_fraction={self.fraction} of {len(snapshots)} time steps "
                "leaves none to learn from."
            )
        steps = np.arange(len(snapshots))
        return Subset(snapshots, steps[:first]), Subset(snapshots, steps[first:])
