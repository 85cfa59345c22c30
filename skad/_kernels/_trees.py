"""Growing one tree that tells real rows from uniform rows it never draws.

Given that ``m`` synthetic rows are independent and uniform in the box of a node,
and that a threshold does not depend on them, the number that falls left of the
threshold is binomial with the left part's share of the box, and both parts are
uniform again. A node therefore needs its real rows, its box and a count.

A tree is an array of `NODE` records whose two children are neighbours, in the
order in which they were created, so that a parent always precedes its children.
A leaf is its own left child.
"""

import numpy as np
from numba import njit

NODE = np.dtype([("threshold", np.float64), ("feature", np.int32), ("left", np.int32)])

# Thresholds are drawn from the range of a node's rows, extended by this many times
# its width on either side, so that a gross outlier does not waste the splits.
_MARGIN = 1.0
# Draws of a splittable feature before the node is searched feature by feature.
_TRIES = 16


@njit(cache=True, nogil=True)
def _longer(array, length):
    copy = np.empty((length, *array.shape[1:]), array.dtype)
    copy[: array.shape[0]] = array
    return copy


@njit(cache=True, nogil=True)
def _splittable(low, high, step, feature):
    # A cell of a grid cannot be cut; a continuous side can while it has a width.
    return high[feature] - low[feature] > 1.5 * step[feature]


@njit(cache=True, nogil=True)
def _draw_feature(low, high, step, rng):
    n_features = low.shape[0]
    for _ in range(_TRIES):
        feature = rng.integers(0, n_features)
        if _splittable(low, high, step, feature):
            return feature
    start = rng.integers(0, n_features)
    for k in range(n_features):
        feature = (start + k) % n_features
        if _splittable(low, high, step, feature):
            return feature
    return -1


@njit(cache=True, nogil=True)
def _draw_threshold(Z, rows, feature, low, high, step, rng):
    """Draw a cut of the box that is not far from the rows."""
    first, last = low[feature], high[feature]
    smallest, largest = np.inf, -np.inf
    for row in rows:
        value = Z[row, feature]
        if value < smallest:
            smallest = value
        if value > largest:
            largest = value
    if smallest < largest:
        margin = _MARGIN * (largest - smallest)
        first, last = max(first, smallest - margin), min(last, largest + margin)
    cell = step[feature]
    if cell == 0:
        return first + rng.random() * (last - first)
    # The inner edges of the cells of the box that lie between first and last.
    lowest = max(1, np.ceil((first - low[feature]) / cell - 1e-6))
    highest = min(
        np.rint((high[feature] - low[feature]) / cell) - 1,
        np.floor((last - low[feature]) / cell + 1e-6),
    )
    edge = lowest + np.floor(rng.random() * (highest - lowest + 1))
    return low[feature] + cell * edge


@njit(cache=True, nogil=True)
def _partition(Z, rows, feature, threshold, missing_left):
    """Move the rows that go left to the front; return how many there are."""
    i, j = 0, rows.shape[0] - 1
    while i <= j:
        value = Z[rows[i], feature]
        if value <= threshold or (missing_left and np.isnan(value)):
            i += 1
        else:
            rows[i], rows[j] = rows[j], rows[i]
            j -= 1
    return i


@njit(cache=True, nogil=True)
def _partition_masks(Z, masks, feature, share, missing_left, rng):
    """Like `_partition` for synthetic rows, of which only the mask is known."""
    i, j = 0, masks.shape[0] - 1
    while i <= j:
        if np.isnan(Z[masks[i], feature]):
            goes_left = missing_left
        else:
            goes_left = rng.random() < share
        if goes_left:
            i += 1
        else:
            masks[i], masks[j] = masks[j], masks[i]
            j -= 1
    return i


@njit(cache=True, nogil=True)
def _count_sides(Z, rows, feature, threshold):
    """Count the rows that go left, and those whose entry is missing."""
    n_left = n_missing = 0
    for row in rows:
        value = Z[row, feature]
        n_missing += np.isnan(value)
        n_left += value <= threshold
    return n_left, n_missing


@njit(cache=True, nogil=True)
def _draw_split(Z, rows, low, high, step, informative, rng):
    """Draw a feature, a threshold, its share of the box and a missing side."""
    feature = _draw_feature(low, high, step, rng)
    if feature < 0:
        return -1, 0.0, 0.0, False
    threshold = _draw_threshold(Z, rows, feature, low, high, step, rng)
    share = (threshold - low[feature]) / (high[feature] - low[feature])
    if step[feature] > 0:  # a ratio of whole cells, whatever the rounding
        n_cells = np.rint((high[feature] - low[feature]) / step[feature])
        share = np.rint(share * n_cells) / n_cells
    n_left, n_missing = _count_sides(Z, rows, feature, threshold)
    n_observed = rows.shape[0] - n_missing
    if informative and n_missing > 0:
        if n_observed == 0:
            return -1, 0.0, 0.0, False
        return feature, np.inf, 1.0, False
    if not 0 < share < 1:  # the box is as narrow as floating point allows
        return -1, 0.0, 0.0, False
    if informative:  # an entry that was never missing before is strange
        return feature, threshold, share, 2 * n_left < n_observed
    # Missing entries go together, with the odds of the observed ones.
    odds = n_left / n_observed if n_observed > 0 else share
    return feature, threshold, share, rng.random() < odds


@njit(cache=True, nogil=True)
def grow_tree(Z, low, high, step, few_rows, n_synthetic, masked, informative, rng):
    """Grow one tree on the rows of `Z` against uniform rows in a box.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_features), float64
        The in-bag rows; NaN marks missing entries.
    low, high : ndarray of shape (n_features,)
        The box of the uniform rows; that of a grid ends half a step outside.
    step : ndarray of shape (n_features,)
        Distance of a grid's values, 0 for a continuous feature.
    few_rows : int
        A node with so few real rows is a leaf.
    n_synthetic : int
        Number of uniform rows.
    masked : bool
        Each synthetic row lacks the entries that some row of `Z` lacks.
    informative : bool
        Synthetic rows are complete, and missing entries are split off.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    nodes : ndarray of `NODE`
        The tree.
    missing_left : ndarray of bool
        Whether a missing entry goes left, per node.
    n_real, n_uniform : ndarray of int32
        In-bag and synthetic rows per node.
    """
    n_rows, n_features = Z.shape
    rows = np.arange(n_rows)
    masks = rng.integers(0, n_rows, n_synthetic if masked else 0)
    capacity = 2 * n_rows + 2
    nodes = np.empty(capacity, NODE)
    missing_left = np.empty(capacity, np.bool_)
    counts = np.empty((capacity, 2), np.int32)
    n_nodes = 1
    # One slot per node that waits: its id, its rows, its synthetic rows.
    waiting = np.empty((32, 5), np.int64)
    lows, highs = np.empty((32, n_features)), np.empty((32, n_features))
    waiting[0] = 0, 0, n_rows, 0, n_synthetic
    lows[0], highs[0] = low, high
    slot = 0
    while slot >= 0:
        node, start, stop, synthetic_start, synthetic_stop = waiting[slot]
        real, uniform = stop - start, synthetic_stop - synthetic_start
        nodes[node].threshold, nodes[node].feature = np.inf, 0
        nodes[node].left, missing_left[node] = node, True
        counts[node] = real, uniform
        feature = -1
        if real > few_rows and uniform > 0:
            here = rows[start:stop]
            feature, threshold, share, to_left = _draw_split(
                Z, here, lows[slot], highs[slot], step, informative, rng
            )
        if feature < 0:
            slot -= 1
            continue

        middle = start + _partition(Z, here, feature, threshold, to_left)
        if masked:
            here = masks[synthetic_start:synthetic_stop]
            left_uniform = _partition_masks(Z, here, feature, share, to_left, rng)
        else:
            left_uniform = rng.binomial(uniform, share) if share < 1 else uniform
        synthetic_middle = synthetic_start + left_uniform

        if n_nodes + 2 > capacity:
            capacity *= 2
            nodes, counts = _longer(nodes, capacity), _longer(counts, capacity)
            missing_left = _longer(missing_left, capacity)
        if slot + 2 > waiting.shape[0]:
            waiting = _longer(waiting, 2 * waiting.shape[0])
            lows, highs = _longer(lows, len(waiting)), _longer(highs, len(waiting))
        nodes[node].threshold, nodes[node].feature = threshold, feature
        nodes[node].left = n_nodes
        missing_left[node] = to_left
        lows[slot + 1], highs[slot + 1] = lows[slot], highs[slot]
        if threshold < np.inf:
            lows[slot, feature], highs[slot + 1, feature] = threshold, threshold
        waiting[slot] = n_nodes + 1, middle, stop, synthetic_middle, synthetic_stop
        waiting[slot + 1] = n_nodes, start, middle, synthetic_start, synthetic_middle
        n_nodes += 2
        slot += 1
    return (
        nodes[:n_nodes].copy(),
        missing_left[:n_nodes].copy(),
        counts[:n_nodes, 0].copy(),
        counts[:n_nodes, 1].copy(),
    )
