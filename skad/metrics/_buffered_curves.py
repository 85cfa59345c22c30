"""ROC and precision-recall curves of events that are widened by buffers.

The direct way counts, for every buffer and every threshold, over all rows. Here a
row is looked at once: what it adds depends on the first threshold that flags it and
on its distance to the nearest two events, and the rest are sums over a table of
those few values.
"""

import numpy as np


def buffered_areas(rows, is_outlier, abnormality, buffers, n_thresholds):
    """Return the areas under the ROC and the PR curve, one per buffer.

    Parameters
    ----------
    rows : SeriesRows
        The series.
    is_outlier : ndarray of shape (n_timesteps,), bool
        Arranged labels, with both classes.
    abnormality : ndarray of shape (n_timesteps,)
        Arranged scores, high = abnormal.
    buffers : ndarray of shape (n_buffers,), int
        Consecutive buffers.
    n_thresholds : int
        Number of thresholds, at equally spaced ranks.

    Returns
    -------
    roc_auc, pr_auc : ndarray of shape (n_buffers,)
        The areas.
    """
    first_flag = _first_flags(abnormality, n_thresholds)
    events = _Events(rows, is_outlier, int(buffers[-1]) // 2)
    halves = np.arange(buffers[0] // 2, buffers[-1] // 2 + 1)
    touched = events.shares_touched(first_flag, halves, n_thresholds)
    found_around = events.found_weights(first_flag, buffers, n_thresholds)
    return _areas(
        np.cumsum(np.bincount(first_flag[is_outlier], minlength=n_thresholds)),
        np.cumsum(np.bincount(first_flag, minlength=n_thresholds)),
        found_around,
        touched[buffers // 2 - halves[0]],
    )


def _first_flags(abnormality, n_thresholds):
    """Return the index of the first, highest threshold that flags each row."""
    ranks = np.linspace(0, len(abnormality) - 1, n_thresholds).astype(int)
    thresholds = np.sort(-abnormality)[ranks]
    return np.searchsorted(thresholds, -abnormality)


def _areas(found, flagged, found_around, touched):
    """Areas from what the thresholds find: (n_thresholds,) or one row per buffer."""
    n_outliers, n_rows = found[-1], flagged[-1]
    found = found + found_around
    positive = n_outliers + found_around / 2
    true_rate = np.minimum(found / positive, 1) * touched
    false_rate = (flagged - found) / (n_rows - positive)
    steps = np.diff(true_rate, axis=1, prepend=0)
    pr_auc = np.sum(steps * found / flagged, axis=1)
    ends = ((0, 0), (1, 1))
    true_rate = np.pad(true_rate, ends, constant_values=(0, 1))
    false_rate = np.pad(false_rate, ends, constant_values=(0, 1))
    return np.trapezoid(true_rate, false_rate, axis=1), pr_auc


class _Events:
    """Labelled events, and the rows within `half` of one."""

    def __init__(self, rows, is_outlier, half):
        self.segments = rows.segments(is_outlier)
        self.half = half
        # Series are set apart by more than two buffers: events of different
        # series then neither meet nor reach each other's rows.
        shift = np.repeat(2 * half * np.arange(len(rows.bounds) - 1), rows.sizes)
        place = np.arange(len(is_outlier)) + shift
        self.begin = place[self.segments.start]
        self.end = place[self.segments.stop - 1]
        self._measure(np.flatnonzero(~is_outlier), place)

    def _measure(self, normal, place):
        """Find the normal rows that have an event within `half`, and how far."""
        place = place[normal]
        far = np.full(2, place[-1] + self.end[-1] + self.half + 1)
        end = np.concatenate([-far, self.end])
        begin = np.concatenate([self.begin, far])
        i = np.searchsorted(self.begin, place)
        left, right = place - end[i + 1], begin[i] - place
        near = np.flatnonzero(np.minimum(left, right) <= self.half)
        place, i, left, right = place[near], i[near], left[near], right[near]
        self.row = normal[near]
        self.nearest = np.minimum(left, right)
        others = np.minimum(place - end[i], begin[i + 1] - place)
        self.second = np.minimum(np.maximum(left, right), others)

    def found_weights(self, first_flag, buffers, n_thresholds):
        """Sum the weights of flagged rows around events, per buffer and threshold.

        A row at distance d weighs sqrt(1 - d / buffer), and 1 if it lies within
        half a buffer of two events, because both add at least sqrt(1 / 2).
        """
        flag, width = first_flag[self.row], self.half + 1
        cells = np.bincount(flag * width + self.nearest, minlength=n_thresholds * width)
        alone = cells.reshape(n_thresholds, width).astype(np.float64)
        shared = np.zeros(n_thresholds)
        order = np.argsort(self.second, kind="stable")
        cuts = np.searchsorted(self.second[order], np.arange(width + 1))
        weights = np.zeros((len(buffers), n_thresholds))
        done = 0
        for i, buffer in enumerate(buffers):
            half = buffer // 2
            both = order[cuts[done] : cuts[half + 1]]
            np.subtract.at(alone, (flag[both], self.nearest[both]), 1)
            shared += np.bincount(flag[both], minlength=n_thresholds)
            done = half + 1
            distance = np.arange(1, half + 1)
            weights[i] = alone[:, 1 : half + 1] @ np.sqrt(1 - distance / max(buffer, 1))
            weights[i] += shared
        return np.cumsum(weights, axis=1)

    def shares_touched(self, first_flag, halves, n_thresholds):
        """Return the share of widened events that a threshold touches, per half."""
        events = self.segments
        first = events.minima(first_flag)
        shares = np.empty((len(halves), n_thresholds))
        for half in range(halves[-1] + 1):
            right = np.minimum(events.stop - 1 + half, events.last - 1)
            left = np.maximum(events.start - half, events.first)
            np.minimum(first, first_flag[right], out=first)
            np.minimum(first, first_flag[left], out=first)
            if half >= halves[0]:
                apart = self.end[:-1] + half < self.begin[1:] - half
                heads = np.concatenate([[0], np.flatnonzero(apart) + 1])
                merged = np.minimum.reduceat(first, heads)
                counts = np.bincount(merged, minlength=n_thresholds)
                shares[half - halves[0]] = np.cumsum(counts) / len(heads)
        return shares
