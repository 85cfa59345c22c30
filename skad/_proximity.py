"""How alike rows are that a forest puts into the same leaves."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.utils import gen_batches

from skad._kernels._leaves import partings, shared_leaves, subtree_totals

SIMILARITIES = ("normalized_gap", "gap", "breiman")

_BLOCK = 1024


@dataclass(frozen=True)
class PlacedRows:
    """Rows as a forest sees them.

    Parameters
    ----------
    leaves : ndarray of shape (n_rows, n_trees)
        The leaf of each row in each tree.
    overshoot : ndarray of shape (n_rows, n_features)
        How far entries are outside the box of the training data.
    """

    leaves: np.ndarray
    overshoot: np.ndarray

    def __len__(self):
        return len(self.leaves)

    def __getitem__(self, rows):
        return PlacedRows(self.leaves[rows], self.overshoot[rows])


class LeafSimilarity:
    """A similarity of rows that adds up over the trees in which they share a leaf.

    Parameters
    ----------
    forest : RandomSplitForest or BestSplitForest
        The forest.
    kind : {"normalized_gap", "gap", "breiman"}
        Whether a shared leaf counts one over its mass, that with synthetic rows as
        heavy as the real ones and divided by what the two rows have with themselves,
        or the same for every leaf.
    """

    def __init__(self, forest, kind):
        self.normalized = kind == "normalized_gap"
        share = forest.synthetic_weight if self.normalized else 1.0
        mass = forest.n_real + share * forest.n_synthetic
        # The one is the row itself, as if it had been in the leaf.
        self.weights = np.ones(len(mass)) if kind == "breiman" else 1 / (mass + 1)

    def squared_lengths(self, leaves):
        """Return the similarity of each row with itself, before it is normalised."""
        if self.normalized:
            return self.weights[leaves].sum(axis=1)
        return np.full(len(leaves), float(leaves.shape[1]))

    def between(self, rows, others):
        """Return the similarities of all pairs of two sets of placed rows."""
        return in_blocks(lambda block: self._block(block, others), rows)

    def _block(self, rows, others):
        sums = shared_leaves(rows.leaves, others.leaves, self.weights[rows.leaves])
        lengths = [np.sqrt(self.squared_lengths(r.leaves)) for r in (rows, others)]
        similarity = np.minimum(sums / np.outer(*lengths), 1)
        if rows.overshoot.any() or others.overshoot.any():
            similarity *= np.exp(-cdist(rows.overshoot, others.overshoot, "cityblock"))
        return similarity

    def core_tables(self, leaves):
        """Return what a row gains from each leaf: nearness to the core, length.

        The rows of the core are given by their leaves. With the sums over a row's
        leaves, the mean similarity to the core is what `mean_from_sums` returns.
        """
        shares = 1 / np.sqrt(self.squared_lengths(leaves)) / len(leaves)
        gains = self.weights * np.bincount(
            leaves.ravel(), np.repeat(shares, leaves.shape[1]), len(self.weights)
        )
        return np.column_stack([gains, self.weights] if self.normalized else [gains])

    def mean_from_sums(self, sums, n_trees):
        """Return the mean similarity to the core from sums of `core_tables`."""
        squared_length = sums[:, 1] if self.normalized else float(n_trees)
        return sums[:, 0] / np.sqrt(squared_length)

    def tree_shares(self, leaves):
        """Return the part of each tree in the squared length of each row, 1 in all."""
        if self.normalized:
            return self.weights[leaves] / self.squared_lengths(leaves)[:, np.newaxis]
        return np.full(leaves.shape, 1 / leaves.shape[1])

    def core_totals(self, leaves, parent):
        """Return the core's rows below each node, and the sum of their shares."""
        return [
            subtree_totals(parent, np.bincount(leaves.ravel(), values, len(parent)))
            for values in (np.ones(leaves.size), self.tree_shares(leaves).ravel())
        ]

    def parting_credits(self, leaves, structure, core_totals, n_features):
        """Credit each feature with what it takes from a row's nearness to the core."""
        shares = self.tree_shares(leaves)
        return partings(leaves, shares, structure, *core_totals, n_features)


def in_blocks(function, X):
    """Join what a function returns for consecutive blocks of rows."""
    blocks = [function(X[rows]) for rows in gen_batches(len(X), _BLOCK)]
    return np.concatenate(blocks)


def nearest(similarities, shape, n_neighbors, *, skip_self):
    """Find the most similar of some rows for each row, in blocks.

    Parameters
    ----------
    similarities : callable
        Returns the similarities of some rows, a slice, to all the others.
    shape : tuple of (n_rows, n_others)
        How many rows there are, and others.
    n_neighbors : int
        How many are wanted.
    skip_self : bool
        Whether row i is the i-th of the others, and not its own neighbour.

    Returns
    -------
    indices, values : ndarray of shape (n_rows, n_neighbors)
        The most similar first, the earlier first among equals.
    """
    n_rows, _ = shape
    indices = np.empty((n_rows, n_neighbors), dtype=np.int64)
    values = np.empty((n_rows, n_neighbors))
    for rows in gen_batches(n_rows, _BLOCK):
        block = similarities(rows)
        if skip_self:
            block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = -1
        order = np.argsort(-block, axis=1, kind="stable")[:, :n_neighbors]
        indices[rows] = order
        values[rows] = np.take_along_axis(block, order, axis=1)
    return indices, values


def gap_matrix(forest, leaves_train, leaves=None):
    """Compute the GAP proximities of rows to the rows that grew the forest.

    Parameters
    ----------
    forest : RandomSplitForest or BestSplitForest
        The forest.
    leaves_train : ndarray of shape (n_train, n_trees)
        Leaves of the rows that `fit` saw, in their order.
    leaves : ndarray of shape (n_rows, n_trees), default=None
        Leaves of other rows, which were in no tree's bag. If None, those of the
        training rows, each in the trees only that it did not grow.

    Returns
    -------
    proximities : sparse array of shape (n_rows, n_train)
        What is missing to 1 in a row is its proximity to the synthetic rows.
    """
    mass = forest.n_real + forest.n_synthetic
    members, cells, is_out = _in_bag_cells(forest, leaves_train)
    weighted = sparse.csr_array(
        (1 / mass[cells], (members, cells)), shape=(len(leaves_train), len(mass))
    )
    if leaves is None:
        leaves, counted = leaves_train, is_out
    else:
        counted = np.ones(leaves.shape, dtype=bool)
    # A leaf without any row says nothing: the mean is over the others.
    counted = counted & (mass[leaves] > 0)
    n_counted = counted.sum(axis=1)
    if not n_counted.all():
        raise ValueError(
            f"{np.count_nonzero(n_counted == 0)} rows of X are in the bag of every "
            "tree, which leaves none to judge them; increase n_estimators, or lower "
            "max_samples."
        )
    rows, trees = np.nonzero(counted)
    asked = sparse.csr_array(
        (1 / n_counted[rows], (rows, leaves[rows, trees])),
        shape=(len(leaves), len(mass)),
    )
    return asked @ weighted.T


def _in_bag_cells(forest, leaves):
    """Return the rows in the bags, their leaves, and where each row is out of bag."""
    if len(leaves) != forest.n_samples:
        raise ValueError(
            f"X_train has {len(leaves)} rows; fit saw {forest.n_samples}, and expects "
            "the same ones in the same order."
        )
    is_out = np.ones(leaves.shape, dtype=bool)
    members, cells = [], []
    for tree, bag in enumerate(forest.in_bag()):
        is_out[bag, tree] = False
        members.append(bag)
        cells.append(leaves[bag, tree])
    members, cells = np.concatenate(members), np.concatenate(cells)
    parent = forest.structure[0]
    is_leaf = np.ones(len(parent), dtype=bool)
    is_leaf[parent[parent != np.arange(len(parent))]] = False
    counts = np.bincount(cells, minlength=len(parent))
    if not np.array_equal(counts[is_leaf], forest.n_real[is_leaf]):
        raise ValueError(
            "X_train does not lead to the leaves of the rows that fit saw; expected "
            "the same rows in the same order."
        )
    return members, cells, is_out
