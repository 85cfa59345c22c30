"""Series, and the runs of rows in them that are anomalous or flagged."""

from dataclasses import dataclass

import numpy as np

from skad._groups import group_codes


@dataclass(frozen=True)
class SeriesRows:
    """The rows of all series, one series after the other.

    `order` takes rows as they were given to that arrangement, and series `i` is
    ``bounds[i]:bounds[i + 1]`` of it.
    """

    order: np.ndarray
    bounds: np.ndarray

    @classmethod
    def from_groups(cls, groups, n_timesteps):
        """Arrange rows by group; within a group they keep their order."""
        codes, labels = group_codes(groups, n_timesteps)
        sizes = np.bincount(codes, minlength=len(labels))
        order = np.argsort(codes, kind="stable")
        return cls(order, np.concatenate([[0], np.cumsum(sizes)]))

    @property
    def sizes(self):
        """The number of rows of each series."""
        return np.diff(self.bounds)

    def segments(self, mask):
        """Find the maximal runs of True in an arranged mask, within each series."""
        padded = np.concatenate([[False], mask, [False]])
        starts = padded[1:] & ~padded[:-1]
        starts[self.bounds] |= padded[self.bounds + 1]
        stops = padded[:-1] & ~padded[1:]
        stops[self.bounds] |= padded[self.bounds]
        start, stop = np.flatnonzero(starts), np.flatnonzero(stops)
        series = np.searchsorted(self.bounds, start, side="right") - 1
        return Segments(start, stop, self.bounds[series], self.bounds[series + 1])


@dataclass(frozen=True)
class Segments:
    """Runs ``start:stop`` in ascending order, in series ``first:last``."""

    start: np.ndarray
    stop: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def __len__(self):
        return len(self.start)

    def __getitem__(self, chosen):
        """Return some of the runs."""
        parts = (self.start, self.stop, self.first, self.last)
        return Segments(*(part[chosen] for part in parts))

    @property
    def length(self):
        return self.stop - self.start

    def pairs(self):
        """Return ``(start, stop)`` of each run."""
        return zip(self.start.tolist(), self.stop.tolist(), strict=True)

    def joined(self, max_gap):
        """Join runs of a series with no more than `max_gap` rows between them."""
        begins, ends = np.ones((2, len(self)), dtype=bool)
        begins[1:] = self.start[1:] - self.stop[:-1] > max_gap
        begins[1:] |= self.first[1:] != self.first[:-1]
        ends[:-1] = begins[1:]
        first, last = self.first[begins], self.last[begins]
        return Segments(self.start[begins], self.stop[ends], first, last)

    def sums(self, values):
        """Add up `values`, one for every row, over each run."""
        total = np.concatenate([[0], np.cumsum(values)])
        return total[self.stop] - total[self.start]

    def minima(self, values):
        """Return the smallest of `values` in each run."""
        if not len(self):
            return np.empty(0, dtype=values.dtype)
        # The sentinel makes the end of the last run a valid index.
        values = np.append(values, values[-1:])
        edges = np.column_stack([self.start, self.stop]).ravel()
        return np.minimum.reduceat(values, edges)[::2]

    def n_overlapping(self, other):
        """Count, for each run, the runs of `other` that share a row with it."""
        before = np.searchsorted(other.stop, self.start, side="right")
        return np.searchsorted(other.start, self.stop, side="left") - before
