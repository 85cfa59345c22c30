"""Forests that tell real rows from uniform ones, grown in two ways.

Both have the same face, and nobody else looks behind it. Leaves are numbered
through the whole forest; `structure` holds, for every node, its parent (a root is
its own), its sibling and the feature that parts the two; `n_real` and `n_synthetic`
are the in-bag rows per leaf, `synthetic_weight` is what makes both kinds weigh the
same. `apply` finds leaves, `leaf_sums` adds up values of leaves, and `in_bag` yields
which of the `n_samples` real rows grew each tree.
"""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import gen_even_slices
from sklearn.utils.parallel import Parallel, delayed

from skad._kernels._leaves import apply, leaf_sums
from skad._kernels._trees import grow_tree
from skad._proximity import in_blocks

# A node with so few real rows is a leaf, as they say little of a density: to box them
# in further would only make every new row near them look synthetic. Every third tree
# stops already at 32 rows, or an eighth of its rows, so that a few anomalies which are
# close together do not make a neighbourhood of their own.
_FEW_ROWS, _MORE_ROWS, _LARGE_SHARE = 5, 32, 1 / 8
_MAX_SEED = np.iinfo(np.int32).max
_TASKS = 8


class RandomSplitForest:
    """Extremely randomised trees whose uniform rows are counted, never drawn.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The real rows; NaN marks missing entries.
    support : Support
        Where uniform rows lie.
    n_estimators, max_samples : int
        Number of trees, and of the rows of each, drawn with replacement.
    synthetic_ratio : float
        Uniform rows per real row.
    informative : bool
        Whether uniform rows are complete where real ones are not.
    rng : numpy.random.RandomState
        Source of the seeds.
    n_jobs : int or None
        Number of threads.
    """

    def __init__(
        self,
        X,
        support,
        *,
        n_estimators,
        max_samples,
        synthetic_ratio,
        informative,
        rng,
        n_jobs,
    ):
        n_synthetic = max(1, round(synthetic_ratio * max_samples))
        self.synthetic_weight = max_samples / n_synthetic
        self._seeds = rng.randint(_MAX_SEED, size=n_estimators)
        self.n_samples, self._max_samples = X.shape[0], max_samples
        # A category is a cell of the unit interval, at a place of its own per tree.
        levels = support.n_levels
        is_category = levels > 0
        first = np.full(X.shape[1], -1)
        first[is_category] = np.cumsum([0, *levels[is_category]])[:-1]
        positions = _positions(levels[is_category], n_estimators, rng)
        high = np.where(is_category, 1.0, support.high)
        step = np.where(is_category, 1 / np.maximum(levels, 1), support.step)
        few_rows = np.full(n_estimators, _FEW_ROWS)
        few_rows[2::3] = max(_MORE_ROWS, round(_LARGE_SHARE * max_samples))
        options = {
            "box": (np.where(is_category, 0.0, support.low), high, step),
            "n_synthetic": n_synthetic,
            "masked": bool(np.isnan(X).any()) and not informative,
            "informative": informative,
        }
        grown = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_grow_trees)(
                X,
                self._bags(trees),
                self._seeds[trees],
                few_rows[trees],
                positions[trees],
                first,
                **options,
            )
            for trees in gen_even_slices(n_estimators, min(_TASKS, n_estimators))
        )
        trees = [tree for some in grown for tree in some]
        nodes, missing_left, n_real, n_synthetic = zip(*trees, strict=True)
        roots = np.cumsum([0, *map(len, nodes)])[:-1].astype(np.int32)
        for tree, root in zip(nodes, roots, strict=True):
            tree["left"] += root
        nodes = np.concatenate(nodes)
        self._arrays = (nodes, roots, np.concatenate(missing_left), positions, first)
        self.n_real = np.concatenate(n_real)
        self.n_synthetic = np.concatenate(n_synthetic)
        self.structure = _structure_of_records(nodes)

    def apply(self, X):
        """Find the leaf of each row in each tree."""
        return apply(X, self._arrays)

    def leaf_sums(self, X, tables, n_jobs):
        """Sum each column of `tables` over the leaves of each row."""
        return _over_slices(leaf_sums, X, (self._arrays, tables), n_jobs)

    def in_bag(self):
        """Yield the rows of `X` that grew each tree."""
        yield from self._bags(slice(None))

    def _bags(self, trees):
        return [
            np.random.default_rng(seed).integers(0, self.n_samples, self._max_samples)
            for seed in self._seeds[trees]
        ]


def _over_slices(function, X, arguments, n_jobs):
    """Apply a function to slices of the rows in parallel; join what it returns."""
    return np.concatenate(
        Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(function)(X[rows], *arguments)
            for rows in gen_even_slices(len(X), min(_TASKS, len(X)))
        )
    )


def _positions(levels, n_estimators, rng):
    """Draw an order of each column's categories for each tree."""
    positions = np.empty((n_estimators, int(levels.sum())))
    for places in positions:
        orders = [(rng.permutation(n) + 0.5) / n for n in levels]
        places[:] = np.concatenate(orders) if orders else ()
    return positions


def _grow_trees(X, bags, seeds, few_rows, positions, first, *, box, **options):
    trees = []
    for bag, seed, few, places in zip(bags, seeds, few_rows, positions, strict=True):
        Z = X[bag]
        for j in np.flatnonzero(first >= 0):
            known = ~np.isnan(Z[:, j])
            Z[known, j] = places[first[j] + Z[known, j].astype(int)]
        rng = np.random.default_rng([seed, 1])
        trees.append(grow_tree(Z, *box, few, rng=rng, **options))
    return trees


def _structure_of_records(nodes):
    left = nodes["left"]
    inner = np.flatnonzero(left != np.arange(len(nodes)))
    return _structure(len(nodes), inner, left[inner], left[inner] + 1, nodes["feature"])


def _structure(n_nodes, inner, left, right, features):
    """Describe each node by its parent, its sibling and what parts them."""
    parent = np.arange(n_nodes, dtype=np.int32)
    sibling, feature = parent.copy(), np.zeros(n_nodes, dtype=np.int32)
    for child, other in ((left, right), (right, left)):
        parent[child], sibling[child] = inner, other
        feature[child] = features[inner]
    return parent, sibling, feature


class BestSplitForest:
    """The paper's forest: scikit-learn's random forest on an explicit sample.

    Takes the parameters of :class:`RandomSplitForest`.
    """

    def __init__(
        self,
        X,
        support,
        *,
        n_estimators,
        max_samples,
        synthetic_ratio,
        informative,
        rng,
        n_jobs,
    ):
        self._support = support
        self.n_samples = X.shape[0]
        n_synthetic = max(1, round(synthetic_ratio * X.shape[0]))
        self.synthetic_weight = X.shape[0] / n_synthetic
        synthetic = _draw_uniform(X, support, n_synthetic, informative, rng)
        Z = self._expand(np.vstack([X, synthetic]))
        share = max_samples / X.shape[0]
        self._classifier = RandomForestClassifier(
            n_estimators,
            max_samples=None if share == 1 else max(1, round(share * len(Z))),
            n_jobs=n_jobs,
            random_state=rng.randint(_MAX_SEED),
        ).fit(Z, np.arange(len(Z)) < X.shape[0])
        trees = [estimator.tree_ for estimator in self._classifier.estimators_]
        sizes = [tree.node_count for tree in trees]
        self._roots = np.cumsum([0, *sizes])[:-1].astype(np.int32)
        self.structure = self._join_structures(trees)
        self.n_real = np.empty(sum(sizes), dtype=np.int32)
        self.n_synthetic = np.empty(sum(sizes), dtype=np.int32)
        for tree, bag in enumerate(self._classifier.estimators_samples_):
            leaves = self._classifier.estimators_[tree].apply(Z)
            here = slice(self._roots[tree], self._roots[tree] + sizes[tree])
            for counts, chosen in (
                (self.n_real, bag[bag < X.shape[0]]),
                (self.n_synthetic, bag[bag >= X.shape[0]]),
            ):
                counts[here] = np.bincount(leaves[chosen], minlength=sizes[tree])

    def apply(self, X):
        """Find the leaf of each row in each tree."""
        Z = self._expand(X)
        return self._classifier.apply(Z).astype(np.int32) + self._roots

    def leaf_sums(self, X, tables, n_jobs):
        """Sum each column of `tables` over the leaves of each row."""
        return _over_slices(self._leaf_sums, X, (tables,), n_jobs)

    def _leaf_sums(self, X, tables):
        return in_blocks(
            lambda rows: sum(tables[leaves] for leaves in self.apply(rows).T), X
        )

    def in_bag(self):
        """Yield the rows of `X` that grew each tree."""
        for bag in self._classifier.estimators_samples_:
            yield bag[bag < self.n_samples]

    def _expand(self, X):
        """Scale numbers to the unit interval, spread categories over indicators."""
        support, columns = self._support, []
        for j in range(X.shape[1]):
            values = X[:, j, np.newaxis]
            if support.n_levels[j] == 0:
                width = support.high[j] - support.low[j]
                # Beyond the box there is no split to be on either side of.
                unit = (values - support.low[j]) / (width or 1.0)
                columns.append(np.clip(unit, -1, 2))
            else:
                indicators = (values == np.arange(support.n_levels[j])).astype(float)
                columns.append(np.where(np.isnan(values), np.nan, indicators))
        return np.hstack(columns).astype(np.float32)

    def _join_structures(self, trees):
        original = np.repeat(
            np.arange(len(self._support.n_levels)),
            np.maximum(self._support.n_levels, 1),
        )
        left = np.concatenate([tree.children_left for tree in trees])
        right = np.concatenate([tree.children_right for tree in trees])
        features = np.concatenate([tree.feature for tree in trees])
        root = np.repeat(self._roots, [tree.node_count for tree in trees])
        inner = np.flatnonzero(left >= 0)
        features[inner] = original[features[inner]]
        left, right = left + root, right + root
        return _structure(len(root), inner, left[inner], right[inner], features)


def _draw_uniform(X, support, n_rows, informative, rng):
    """Draw uniform rows on the support, with gaps as some real row has them."""
    rows = np.empty((n_rows, X.shape[1]))
    for j in range(X.shape[1]):
        low, width = support.low[j], support.high[j] - support.low[j]
        step, n_levels = support.step[j], support.n_levels[j]
        if n_levels > 0:
            rows[:, j] = rng.randint(n_levels, size=n_rows)
        elif step > 0:
            cells = rng.randint(int(np.rint(width / step)), size=n_rows)
            rows[:, j] = low + step * (cells + 0.5)
        else:
            rows[:, j] = low + width * rng.uniform(size=n_rows)
    if not informative:
        rows[np.isnan(X[rng.randint(len(X), size=n_rows)])] = np.nan
    return rows
