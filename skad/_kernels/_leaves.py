"""Walking rows down a forest: leaf ids, sums over leaves, paths.

A forest is the `NODE` records of its trees one after the other, with `left` as an
index into the whole array, and `roots` with the first node of each tree.

A categorical feature is compared by a position that each tree draws anew for every
code: ``positions[tree, first[feature] + code]``; `first` is -1 for other features.
"""

import numpy as np
from numba import njit

# Rows that walk down a tree before the next: large enough to pay for loading the
# tree, small enough to stay in the second-level cache.
_BLOCK = 4096
# Rows that walk side by side, so that one's memory access hides behind another's.
_LANES = 8


@njit(cache=True, nogil=True)
def _next_node(X, i, node, tree, nodes, missing_left, positions, first):
    feature = nodes[node].feature
    value = X[i, feature]
    if np.isnan(value):
        goes_left = missing_left[node]
    else:
        if first[feature] >= 0:
            value = positions[tree, first[feature] + int(value)]
        goes_left = value <= nodes[node].threshold
    return nodes[node].left + (0 if goes_left else 1)


@njit(cache=True, nogil=True)
def _leaf(X, i, tree, nodes, root, missing_left, positions, first):
    node = root
    while nodes[node].left != node:
        node = _next_node(X, i, node, tree, nodes, missing_left, positions, first)
    return node


@njit(cache=True, nogil=True)
def _leaves_side_by_side(X, start, nodes, root, current):
    current[:] = root
    moving = True
    while moving:
        moving = False
        for lane in range(_LANES):
            node = current[lane]
            is_right = X[start + lane, nodes[node].feature] > nodes[node].threshold
            following = nodes[node].left + np.int32(is_right)
            moving |= following != node
            current[lane] = following


@njit(cache=True, nogil=True)
def _is_plain(X, first):
    if np.any(first >= 0):
        return False
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            if np.isnan(X[i, j]):
                return False
    return True


@njit(cache=True, nogil=True)
def _apply_tree(X, start, stop, plain, tree, forest, leaves):
    """Find the leaves of some rows in one tree."""
    nodes, roots, missing_left, positions, first = forest
    current = np.empty(_LANES, np.int32)
    i = start
    if plain:
        while i + _LANES <= stop:
            _leaves_side_by_side(X, i, nodes, roots[tree], current)
            leaves[i - start : i - start + _LANES] = current
            i += _LANES
    while i < stop:
        leaves[i - start] = _leaf(
            X, i, tree, nodes, roots[tree], missing_left, positions, first
        )
        i += 1


@njit(cache=True, nogil=True)
def leaf_sums(X, forest, tables):
    """Sum each column of `tables` over the leaves that a row falls into.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        Rows in the trees' units; NaN marks missing entries.
    forest : tuple of nodes, roots, missing_left, positions, first
        The forest, as described above.
    tables : ndarray of shape (n_nodes, n_tables)
        Values of the nodes.

    Returns
    -------
    sums : ndarray of shape (n_rows, n_tables)
        Added tree by tree, in the same order for every row.
    """
    n_rows, n_tables = X.shape[0], tables.shape[1]
    sums = np.zeros((n_rows, n_tables))
    leaves = np.empty(_BLOCK, np.int32)
    plain = _is_plain(X, forest[4])
    for start in range(0, n_rows, _BLOCK):
        stop = min(start + _BLOCK, n_rows)
        for tree in range(forest[1].shape[0]):
            _apply_tree(X, start, stop, plain, tree, forest, leaves)
            for i in range(start, stop):
                for k in range(n_tables):
                    sums[i, k] += tables[leaves[i - start], k]
    return sums


@njit(cache=True, nogil=True)
def apply(X, forest):
    """Find the leaf of each row in each tree, of shape (n_rows, n_trees)."""
    n_rows, n_trees = X.shape[0], forest[1].shape[0]
    result = np.empty((n_rows, n_trees), np.int32)
    leaves = np.empty(_BLOCK, np.int32)
    plain = _is_plain(X, forest[4])
    for start in range(0, n_rows, _BLOCK):
        stop = min(start + _BLOCK, n_rows)
        for tree in range(n_trees):
            _apply_tree(X, start, stop, plain, tree, forest, leaves)
            result[start:stop, tree] = leaves[: stop - start]
    return result


@njit(cache=True, nogil=True)
def subtree_totals(nodes, values):
    """Turn values of the leaves into totals over the leaves below each node."""
    totals = values.copy()
    for node in range(nodes.shape[0] - 1, -1, -1):
        left = nodes[node].left
        if left != node:
            totals[node] = totals[left] + totals[left + 1]
    return totals


@njit(cache=True, nogil=True)
def separations(X, forest, weights, core_rows, core_weight):
    """Credit the features at which a row parts from the rows of the core.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows in the trees' units.
    forest : tuple
        The forest.
    weights : ndarray of shape (n_nodes,)
        Weight of sharing each leaf.
    core_rows, core_weight : ndarray of shape (n_nodes,)
        Number of core rows below a node, and their normalised leaf weights.

    Returns
    -------
    credits : ndarray of shape (n_rows, n_features)
        Half the sum of the squared lengths that a pair of unit vectors does not
        share, added over the core rows, per splitting feature.
    """
    nodes, roots, missing_left, positions, first = forest
    credits = np.zeros(X.shape)
    leaves = apply(X, forest)
    for i in range(X.shape[0]):
        squared_length = 0.0
        for tree in range(roots.shape[0]):
            squared_length += weights[leaves[i, tree]]
        for tree in range(roots.shape[0]):
            own = weights[leaves[i, tree]] / squared_length
            node = roots[tree]
            while nodes[node].left != node:
                following = _next_node(
                    X, i, node, tree, nodes, missing_left, positions, first
                )
                other = 2 * nodes[node].left + 1 - following
                credits[i, nodes[node].feature] += 0.5 * (
                    own * core_rows[other] + core_weight[other]
                )
                node = following
    return credits
