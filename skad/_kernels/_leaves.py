"""Walking rows down a forest: leaf ids, sums over leaves, partings.

A forest is the `NODE` records of its trees one after the other, with `left` as an
index into the whole array, `roots` with the first node of each tree, and for each
node whether a missing entry goes left.

A categorical feature is compared by a position that each tree draws anew for every
code: ``positions[tree, first[feature] + code]``; `first` is -1 for other features.

Rows walk down in blocks. A node splits the ids of its rows as quicksort would,
without a branch per row; that is twice as fast as following each row by itself.
"""

import numpy as np
from numba import njit

# Rows that walk down a tree together: their columns fit in the first-level cache.
_BLOCK = 4096


@njit(cache=True, nogil=True)
def _load_block(X, start, stop, columns):
    for i in range(start, stop):
        for j in range(X.shape[1]):
            columns[j, i - start] = X[i, j]


@njit(cache=True, nogil=True)
def _place_categories(X, start, stop, tree, positions, first, columns):
    """Replace the codes of a block by their positions in one tree."""
    for j in range(X.shape[1]):
        if first[j] >= 0:
            for i in range(start, stop):
                if not np.isnan(X[i, j]):
                    columns[j, i - start] = positions[tree, first[j] + int(X[i, j])]


@njit(cache=True, nogil=True)
def _split_rows(column, threshold, missing_left, rows, spare, start, stop):
    """Move the rows that go left to the front; return where the others begin."""
    one = np.uint64(1)
    left, right = start, np.uint64(0)
    for k in range(start, stop):
        row = rows[k]
        # Of NaN both comparisons are false: it goes to the side that is not asked.
        if missing_left:
            goes_right = np.uint64(column[row] > threshold)
        else:
            goes_right = one - np.uint64(column[row] <= threshold)
        rows[left] = row
        spare[right] = row
        left += one - goes_right
        right += goes_right
    for k in range(right):
        rows[left + k] = spare[k]
    return left


@njit(cache=True, nogil=True)
def _walk(columns, nodes, missing_left, root, rows, spare, waiting, leaves):
    """Find the leaves of a block's rows in one tree."""
    # Unsigned throughout: a signed index costs a test for negative ones.
    one = np.uint64(1)
    for k in range(leaves.shape[0]):
        rows[k] = k
    waiting[0, 0], waiting[0, 1], waiting[0, 2] = root, 0, leaves.shape[0]
    n_waiting = 1
    while n_waiting > 0:
        n_waiting -= 1
        node, start, stop = waiting[n_waiting]
        left = np.uint64(nodes[node].left)
        while left != node:
            column = columns[np.uint64(nodes[node].feature)]
            middle = _split_rows(
                column,
                nodes[node].threshold,
                missing_left[node],
                rows,
                spare,
                start,
                stop,
            )
            node = left
            if middle == start:
                node = left + one
            elif middle < stop:
                if n_waiting == waiting.shape[0]:
                    longer = np.empty((2 * n_waiting, 3), np.uint64)
                    longer[:n_waiting] = waiting
                    waiting = longer
                waiting[n_waiting, 0] = left + one
                waiting[n_waiting, 1], waiting[n_waiting, 2] = middle, stop
                n_waiting += 1
                stop = middle
            left = np.uint64(nodes[node].left)
        for k in range(start, stop):
            leaves[rows[k]] = node


@njit(cache=True, nogil=True)
def _work_space(n_rows, n_features):
    size = min(n_rows, _BLOCK)
    columns = np.empty((n_features, size))
    rows, spare = np.empty(size, np.uint32), np.empty(size, np.uint32)
    return columns, rows, spare, np.empty((64, 3), np.uint64)


@njit(cache=True, nogil=True)
def leaf_sums(X, forest, tables):
    """Sum each column of `tables` over the leaves that a row falls into.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        Rows; NaN marks missing entries.
    forest : tuple of nodes, roots, missing_left, positions, first
        The forest, as described above.
    tables : ndarray of shape (n_nodes, n_tables)
        Values of the nodes.

    Returns
    -------
    sums : ndarray of shape (n_rows, n_tables)
        Added tree by tree, in the same order for every row.
    """
    nodes, roots, missing_left, positions, first = forest
    n_rows, n_tables = X.shape[0], tables.shape[1]
    sums = np.zeros((n_rows, n_tables))
    columns, rows, spare, waiting = _work_space(n_rows, X.shape[1])
    leaves = np.empty(rows.shape[0], np.uint32)
    for start in range(0, n_rows, _BLOCK):
        stop = min(start + _BLOCK, n_rows)
        here = leaves[: stop - start]
        _load_block(X, start, stop, columns)
        for tree in range(roots.shape[0]):
            _place_categories(X, start, stop, tree, positions, first, columns)
            _walk(columns, nodes, missing_left, roots[tree], rows, spare, waiting, here)
            for i in range(stop - start):
                for k in range(n_tables):
                    sums[start + i, k] += tables[here[i], k]
    return sums


@njit(cache=True, nogil=True)
def apply(X, forest):
    """Find the leaf of each row in each tree, of shape (n_rows, n_trees)."""
    nodes, roots, missing_left, positions, first = forest
    n_rows = X.shape[0]
    result = np.empty((n_rows, roots.shape[0]), np.int32)
    columns, rows, spare, waiting = _work_space(n_rows, X.shape[1])
    leaves = np.empty(rows.shape[0], np.uint32)
    for start in range(0, n_rows, _BLOCK):
        stop = min(start + _BLOCK, n_rows)
        here = leaves[: stop - start]
        _load_block(X, start, stop, columns)
        for tree in range(roots.shape[0]):
            _place_categories(X, start, stop, tree, positions, first, columns)
            _walk(columns, nodes, missing_left, roots[tree], rows, spare, waiting, here)
            for i in range(stop - start):
                result[start + i, tree] = here[i]
    return result


@njit(cache=True, nogil=True)
def subtree_totals(parent, values):
    """Turn values of the leaves into totals over the leaves below each node."""
    totals = values.copy()
    for node in range(parent.shape[0] - 1, -1, -1):
        if parent[node] != node:
            totals[parent[node]] += totals[node]
    return totals


@njit(cache=True, nogil=True)
def partings(leaves, own, structure, core_rows, core_weight, n_features):
    """Credit the features at which rows part from the rows of the core.

    Parameters
    ----------
    leaves : ndarray of shape (n_rows, n_trees)
        The leaves of the rows.
    own : ndarray of shape (n_rows, n_trees)
        Squared length of each row's part in each tree, 1 over all trees.
    structure : tuple of parent, sibling, feature, each of shape (n_nodes,)
        A root is its own parent; `feature` is the one that parts a node from its
        sibling.
    core_rows, core_weight : ndarray of shape (n_nodes,)
        Number of core rows below a node, and the sum of what they have as `own`.
    n_features : int
        Number of features.

    Returns
    -------
    credits : ndarray of shape (n_rows, n_features)
        Half the sum of the squared lengths that a pair of unit vectors does not
        share, added over the core rows, per splitting feature.
    """
    parent, sibling, feature = structure
    credits = np.zeros((leaves.shape[0], n_features))
    for i in range(leaves.shape[0]):
        for tree in range(leaves.shape[1]):
            node = leaves[i, tree]
            while parent[node] != node:
                other = sibling[node]
                credits[i, feature[node]] += 0.5 * (
                    own[i, tree] * core_rows[other] + core_weight[other]
                )
                node = parent[node]
    return credits


@njit(cache=True, nogil=True)
def shared_leaves(leaves, others, weights):
    """Add the weights of the leaves that pairs of rows share.

    Parameters
    ----------
    leaves, others : ndarray of shape (n_rows, n_trees), (n_others, n_trees)
        The leaves of two sets of rows.
    weights : ndarray of shape (n_rows, n_trees)
        The weight of each leaf in `leaves`.

    Returns
    -------
    sums : ndarray of shape (n_rows, n_others)
        One sum per pair.
    """
    sums = np.empty((leaves.shape[0], others.shape[0]))
    for i in range(leaves.shape[0]):
        for j in range(others.shape[0]):
            total = 0.0
            for tree in range(leaves.shape[1]):
                if leaves[i, tree] == others[j, tree]:
                    total += weights[i, tree]
            sums[i, j] = total
    return sums
