"""What is known of a network: neighbours, and how alike they are."""

from dataclasses import dataclass, replace

import numpy as np

from skad._edges import adjacent_nodes
from skad._graph import (
    correlated_nodes,
    nearest_nodes,
    nearest_references,
    pair_statistics,
    without,
)
from skad._node_readings import Changes, UsualReadings


@dataclass(frozen=True)
class Scene:
    """Nodes as the net sees them.

    Parameters
    ----------
    channels : ndarray of shape (n_steps, n_nodes, n_channels)
        Readings and their changes, standardised; NaN where there are none.

    index : ndarray of shape (n_targets, n_neighbors)
        The neighbours of the nodes that come first; -1 for none.

    pairs : ndarray of shape (n_targets, n_neighbors, n_pair_features)
        What is known of nodes and their neighbours.

    attributes : ndarray of shape (n_nodes, n_attributes)
        What else is known of nodes.

    known : ndarray of shape (n_targets,)
        The place of each node among those of `fit`, -1 for others.
    """

    channels: np.ndarray
    index: np.ndarray
    pairs: np.ndarray
    attributes: np.ndarray
    known: np.ndarray

    def without(self, is_odd):
        """Return the same without some of what nodes show."""
        return replace(self, channels=np.where(is_odd, np.nan, self.channels))


class Network:
    """The nodes of the training data, and their neighbours.

    Parameters
    ----------
    panel : Panel
        The training data.

    n_neighbors : int
        Number of neighbours of a node.

    metric : str
        What distance is measured by.

    change_window : int
        Number of time steps that changes are averaged over; 0 for no changes.

    causal : bool
        Whether these are the last ones, instead of those around a step.
    """

    def __init__(self, panel, *, n_neighbors, metric, change_window, causal):
        self.n_neighbors, self.metric = n_neighbors, metric
        self.usual = UsualReadings(panel)
        self.labels = panel.labels
        self._place_of = {label: i for i, label in enumerate(panel.labels)}
        readings = self.usual.standardised(panel, self.known(panel))
        self._changes = Changes(readings, change_window, causal)
        self.kind = _kind(panel)
        self.index, value = self._neighbors(panel, readings)
        self._unit = _unit(value)
        self._pairs = self._features(
            self.index, value, self._changes.channels(readings)
        )

    @property
    def n_pair_features(self):
        """The number of features of a pair."""
        return self._pairs.shape[2]

    @property
    def n_channels(self):
        """The number of channels of a node."""
        return len(self.usual.level) * (2 if self._changes.window else 1)

    @property
    def usual_change(self):
        """The usual change of each KPI from one step to the next, in spreads."""
        return self._changes.size

    def known(self, panel):
        """Return the place of each node among those of `fit`, -1 for others."""
        places = [self._place_of.get(label, -1) for label in panel.labels]
        return np.array(places, dtype=np.intp)

    def scene(self, panel):
        """Return what the net is to see of a panel."""
        known = self.known(panel)
        readings = self.usual.standardised(panel, known)
        channels = self._changes.channels(readings)
        index, pairs = self._around(panel, known, readings, channels)
        return Scene(channels, index, pairs, panel.attributes, known)

    def neighbor_labels(self, panel, scene):
        """Return the names of the neighbours of nodes, None for none."""
        labels = np.array([*panel.labels, None], dtype=object)
        return labels[scene.index]

    def _around(self, panel, known, readings, channels):
        """Return the neighbours of nodes; those of `fit` keep theirs."""
        is_known = known >= 0
        keeps = panel.adjacency is None
        if keeps and is_known.all():
            index = self._kept(known)
            return index, self._pairs[known]
        index, value = self._neighbors(panel, readings)
        if keeps:
            index[is_known] = self._kept(known)[is_known]
        pairs = self._features(index, value, channels, not keeps)
        # What the training data said of a pair still holds.
        kept = np.where(is_known[:, np.newaxis], self._kept(known), -1)
        same = index[:, :, np.newaxis] == kept[:, np.newaxis]
        same &= kept[:, np.newaxis] >= 0
        learnt = np.take_along_axis(
            self._pairs[known], same.argmax(axis=2)[:, :, np.newaxis], axis=1
        )
        return index, np.where(same.any(axis=2)[:, :, np.newaxis], learnt, pairs)

    def _kept(self, known):
        """Return the neighbours of `fit` by their places in another panel."""
        place = np.full(len(self.labels) + 1, -1)
        place[known[known >= 0]] = np.flatnonzero(known >= 0)
        return place[self.index[known]]

    def _neighbors(self, panel, readings):
        if panel.adjacency is not None:
            return adjacent_nodes(panel.adjacency, panel.labels, self.n_neighbors)
        if self.kind == "position":
            return nearest_nodes(panel.positions, self.n_neighbors, self.metric)
        if self.kind == "correlation":
            means = _mean_of_kpis(readings)
            return correlated_nodes(means, self.n_neighbors)
        # Of nodes that the adjacency of `fit` did not name nothing is known.
        shape = (len(panel.labels), self.n_neighbors)
        return np.full(shape, -1), np.zeros(shape)

    def _features(self, index, value, channels, given=False):
        """Return how close pairs are, and how alike readings and changes."""
        kind, unit = self.kind, self._unit
        if given and kind != "adjacency":
            kind, unit = "adjacency", _unit(value)
        closeness = _closeness(value, unit, kind)
        n_kpis = len(self.usual.level)
        parts = [channels[:, :, :n_kpis], channels[:, :, n_kpis:]]
        parts = [_mean_of_kpis(part) for part in parts if part.shape[2]]
        alike = [pair_statistics(part, index) for part in parts]
        pairs = np.concatenate([closeness[:, :, np.newaxis], *alike], axis=2)
        return np.where(index[:, :, np.newaxis] < 0, 0, pairs)


class ReferenceRows:
    """Rows of the training data, as the neighbours of nodes that are seen once.

    Parameters
    ----------
    panel : Panel
        The training data.

    n_neighbors : int
        Number of neighbours of a row.

    metric : str
        What distance is measured by.
    """

    n_pair_features = 1

    def __init__(self, panel, *, n_neighbors, metric):
        self.n_neighbors, self.metric = n_neighbors, metric
        self.usual = UsualReadings(panel)
        self._readings = self._told = self.usual.standardised(panel)
        self._positions = self._places(panel, self._readings)
        self._attributes = panel.attributes
        self.n_channels = len(self.usual.level)
        self._unit = _unit(self._nearest(panel, self._readings)[1])

    def known(self, panel):
        """Return -1 for each row: all are new."""
        return np.full(panel.n_nodes, -1)

    def scene(self, panel):
        """Return what the net is to see of rows, the training data behind them."""
        readings = self.usual.standardised(panel)
        index, distance = self._nearest(panel, readings)
        closeness = _closeness(distance, self._unit, "position")
        n_rows = len(index)
        return Scene(
            np.concatenate([readings, self._told], axis=1),
            np.where(index < 0, -1, index + n_rows),
            np.where(index < 0, 0, closeness)[:, :, np.newaxis],
            np.concatenate([panel.attributes, self._attributes]),
            self.known(panel),
        )

    def leave_out(self, is_odd):
        """Let readings of `fit` say nothing of other rows any more."""
        self._told = np.where(is_odd, np.nan, self._readings)

    def neighbor_labels(self, panel, scene):
        """Return the rows of `fit` that are neighbours, None for none."""
        n_rows = len(scene.index)
        found = np.array([*range(len(self._positions)), None], dtype=object)
        return found[np.where(scene.index < 0, -1, scene.index - n_rows)]

    def _nearest(self, panel, readings):
        """Return the nearest rows of `fit`, without one that is the row itself."""
        index, distance = nearest_references(
            self._places(panel, readings),
            self._positions,
            self.n_neighbors + 1,
            self.metric,
        )
        here, there = readings[0][:, np.newaxis], self._readings[0][index]
        same = (here == there) | (np.isnan(here) & np.isnan(there))
        is_itself = same.all(axis=2) & (distance == 0) & (index >= 0)
        # The last one where none is.
        is_itself[:, -1] = True
        return without(is_itself.argmax(axis=1), index, distance)

    def _places(self, panel, readings):
        if panel.positions is not None:
            return panel.positions
        # What is missing is as usual.
        return np.nan_to_num(readings[0])


def _mean_of_kpis(readings):
    """Return the mean over KPIs, NaN where none is there."""
    counts = np.count_nonzero(~np.isnan(readings), axis=2)
    return np.where(counts > 0, np.nansum(readings, axis=2), np.nan) / np.maximum(
        counts, 1
    )


def _kind(panel):
    """Return what neighbours are found by."""
    if panel.adjacency is not None:
        return "adjacency"
    return "correlation" if panel.positions is None else "position"


def _unit(value):
    """Return the median of what is above 0, or 1."""
    above = value[value > 0]
    return float(np.median(above)) if above.size else 1.0


def _closeness(value, unit, kind):
    """Return numbers from 0 to 1, the higher, the closer."""
    if kind == "correlation":
        return value
    share = value / (value + unit)
    return 1 - share if kind == "position" else share
