"""Readings of nodes, in units of what is usual for each, and how much they change."""

import numpy as np

# Of fewer readings neither level nor spread can be told; those of all nodes are taken.
_FEWEST = 20
# Values farther away, in spreads, are moved there: one would drown all others.
_FARTHEST = 10.0
# Added to the mean change before its logarithm is taken, in spreads.
_STILL = 0.02
# The share of readings at either end, at least one, that does not decide what is usual.
_TAIL = 0.01


class UsualReadings:
    """Level and spread of the readings of nodes.

    Parameters
    ----------
    panel : Panel
        The training data.
    """

    def __init__(self, panel):
        n_kpis = panel.values.shape[2]
        self.level, self.spread = _usual(panel.values.reshape(-1, n_kpis))
        # A KPI that never moves is judged in its own units.
        self.spread[self.spread == 0] = 1
        self._fitted = self._of_nodes(panel)

    def of_nodes(self, panel, known=None):
        """Return level and spread of nodes, of shape (n_nodes, n_kpis).

        Those of `fit` keep theirs; `known` is the place of each among them, -1 for
        others. Without it all are seen once.
        """
        if known is None:
            return self._of_nodes(panel)
        is_known = known >= 0
        found = [part[known] for part in self._fitted]
        if not is_known.all():
            pairs = zip(found, self._of_nodes(panel), strict=True)
            found = [np.where(is_known[:, np.newaxis], *pair) for pair in pairs]
        return found

    def standardised(self, panel, known=None):
        """Return readings in spreads from their usual level, at most ten of them."""
        level, spread = self.of_nodes(panel, known)
        return np.clip((panel.values - level) / spread, -_FARTHEST, _FARTHEST)

    def _of_nodes(self, panel):
        counts = np.count_nonzero(~np.isnan(panel.values), axis=0)
        if counts.max() < _FEWEST:
            shape = counts.shape
            return [np.full(shape, part) for part in (self.level, self.spread)]
        level, spread = _usual(panel.values)
        # One that stands still in its few readings may well move in others.
        unclear = (counts < _FEWEST) | (spread == 0)
        level = np.where(counts < _FEWEST, self.level, level)
        return [level, np.where(unclear, self.spread, spread)]


class Changes:
    """How much readings change, on a logarithmic scale.

    Parameters
    ----------
    readings : ndarray of shape (n_steps, n_nodes, n_kpis)
        The training data, standardised.

    window : int
        Number of time steps that changes are averaged over; 0 for no changes.

    causal : bool
        Whether these are the last ones, instead of those around a step.
    """

    def __init__(self, readings, window, causal):
        self.window, self.causal = window, causal
        self.size = _mean_over_all(_changes(readings))
        if window:
            changes = self._of(readings)
            self.level = _mean_over_all(changes)
            self.spread = np.sqrt(_mean_over_all((changes - self.level) ** 2))
            self.spread[self.spread == 0] = 1

    def channels(self, readings):
        """Return readings, and after them their changes, standardised."""
        if not self.window:
            return readings
        changes = (self._of(readings) - self.level) / self.spread
        # A reading that is not there has no part in a score, nor have its changes.
        changes[np.isnan(readings)] = np.nan
        return np.concatenate([readings, changes], axis=2)

    def _of(self, readings):
        change = moving_mean(_changes(readings), self.window, self.causal)
        return np.log(change + _STILL)


def moving_mean(values, n_steps, causal):
    """Return means over time steps, of what is there.

    Parameters
    ----------
    values : ndarray of shape (n_times, ...)
        Numbers, NaN where there are none.

    n_steps : int
        The number of time steps of a mean; at both ends there are fewer.

    causal : bool
        Whether these are the last ones, instead of as many before as after.

    Returns
    -------
    means : ndarray of shape (n_times, ...)
        The means; NaN with fewer values than half of `n_steps`, or of all times if
        these are fewer.
    """
    before = n_steps - 1 if causal else n_steps // 2
    row = np.arange(len(values))
    first = np.maximum(row - before, 0)
    last = np.minimum(row - before + n_steps, len(values))
    is_there = ~np.isnan(values)
    sums = _window_sums(np.where(is_there, values, 0.0), first, last)
    counts = _window_sums(is_there.astype(np.int32), first, last)
    enough = 2 * counts >= np.minimum(n_steps, len(values))
    return np.where(enough & (counts > 0), sums / np.maximum(counts, 1), np.nan)


def _window_sums(values, first, last):
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    return sums[last] - sums[first]


def _usual(values):
    """Return the median over time, and the spread without the tails."""
    present = np.where(np.isnan(values).all(axis=0), 0.0, values)
    ordered = np.sort(present, axis=0)  # NaN comes last
    counts = np.count_nonzero(~np.isnan(present), axis=0)
    n_cut = np.minimum(np.ceil(_TAIL * counts).astype(int), (counts - 1) // 2)
    places = n_cut, (counts - 1) // 2, counts // 2, counts - 1 - n_cut
    low, below, above, high = (
        np.take_along_axis(ordered, place[np.newaxis], axis=0)[0] for place in places
    )
    spread = np.nanstd(np.clip(present, low, high), axis=0)
    # Rounding alone makes the spread of a constant differ from zero.
    size = np.maximum(np.abs(low), np.abs(high))
    return (below + above) / 2, np.where(spread <= 1e-12 * size, 0, spread)


def _changes(readings):
    """Return how far readings are from those a time step before."""
    first = np.full_like(readings[:1], np.nan)
    return np.abs(np.diff(readings, axis=0, prepend=first))


def _mean_over_all(values):
    """Return the mean over times and nodes, 0 where there is nothing."""
    counts = np.count_nonzero(~np.isnan(values), axis=(0, 1))
    return np.nansum(values, axis=(0, 1)) / np.maximum(counts, 1)
