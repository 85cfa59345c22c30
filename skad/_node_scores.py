"""From errors of nodes at time steps to evidence against them."""

from dataclasses import dataclass

import numpy as np

from skad._node_readings import moving_mean

# Of fewer errors it cannot be told what is usual for a node.
_FEWEST = 20
# In spreads: a node whose errors are smaller is not judged by their size.
_FLOOR = 0.05
_QUARTILE = 75


@dataclass(frozen=True)
class Judged:
    """What is said of nodes at time steps, in spreads.

    Parameters
    ----------
    known : ndarray of shape (n_nodes,)
        The place of each node among those of `fit`, -1 for others.

    channels, estimate, spread : ndarray of shape (n_steps, n_nodes, n_channels)
        What nodes show, what was expected, and how far off that usually is.

    n_neighbors : ndarray of shape (n_steps, n_nodes)
        How many neighbours spoke.
    """

    known: np.ndarray
    channels: np.ndarray
    estimate: np.ndarray
    spread: np.ndarray
    n_neighbors: np.ndarray

    @property
    def errors(self):
        """Errors over how large they usually are; NaN where nothing was seen."""
        return (self.channels - self.estimate) / self.spread

    @property
    def is_seen(self):
        """Where a node shows anything."""
        return ~np.isnan(self.channels).all(axis=2)


class UsualErrors:
    """How large errors are that are usual for a node, one by one and as means.

    Parameters
    ----------
    errors : ndarray of shape (n_steps, n_nodes, n_channels)
        Those of the training data, in spreads; NaN where there are none.

    smoothing : int
        Number of time steps that errors with their sign are averaged over.

    causal : bool
        Whether these are the last ones, instead of those around a step.

    is_network : bool
        Whether nodes have errors of their own, or are seen once.
    """

    def __init__(self, errors, *, smoothing, causal, is_network):
        self.smoothing, self.causal = smoothing, causal
        self._of_nodes, self._of_all = [], []
        for view in self._views(errors):
            sizes = np.abs(view)
            of_all = _quartile(sizes.reshape(-1, sizes.shape[2]))
            self._of_all.append(of_all)
            if is_network:
                few = np.count_nonzero(~np.isnan(sizes), axis=0) < _FEWEST
                self._of_nodes.append(np.where(few, of_all, _quartile(sizes)))

    def evidence(self, errors, known):
        """Return by how many times errors are as large as is usual.

        Parameters
        ----------
        errors : ndarray of shape (n_steps, n_nodes, n_channels)
            Errors, in spreads; NaN where there are none.

        known : ndarray of shape (n_nodes,)
            The place of each node among those of `fit`; -1 for others.

        Returns
        -------
        evidence : ndarray of shape (n_steps, n_nodes, n_channels)
            Numbers from 0 up, the mean of that for an error and for the mean of those
            around it; 0 where there are no errors.
        """
        views = self._views(errors)
        sizes = [np.abs(view / self._usual(i, known)) for i, view in enumerate(views)]
        return np.where(np.isnan(errors), 0, sum(sizes) / len(sizes))

    def _usual(self, i, known):
        if not self._of_nodes:
            return self._of_all[i]
        is_known = (known >= 0)[:, np.newaxis]
        return np.where(is_known, self._of_nodes[i][known], self._of_all[i])

    def _views(self, errors):
        if self.smoothing == 1:
            return [errors]
        # Where few are there around a step, its own error is all that is known.
        means = moving_mean(errors, self.smoothing, self.causal)
        return [errors, np.where(np.isnan(means), errors, means)]


def _quartile(sizes):
    present = np.where(np.isnan(sizes).all(axis=0), 0.0, sizes)
    return np.nanpercentile(present, _QUARTILE, axis=0) + _FLOOR
