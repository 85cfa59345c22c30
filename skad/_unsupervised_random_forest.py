"""The unsupervised random forest: anomalies by their distance to a central core."""

from numbers import Integral, Real

import numpy as np
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import (
    _safe_indexing,
    check_array,
    check_random_state,
    gen_even_slices,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from skad._base import BaseDetector
from skad._kernels._leaves import apply, leaf_sums, separations, subtree_totals
from skad._kernels._trees import grow_tree
from skad._support import column_support

# Rows that stand for the training data when the core is found.
_MAX_REFERENCE = 4096
_ROW_TASKS = 8


def _grow(
    U, low, high, step, n_rows, n_synthetic, masked, positions, first, widen, seed
):
    rng = np.random.default_rng(seed)
    Z = U[rng.integers(0, U.shape[0], n_rows)]
    for j in np.flatnonzero(first >= 0):
        known = ~np.isnan(Z[:, j])
        Z[known, j] = positions[first[j] + Z[known, j].astype(int)]
    return grow_tree(Z, low, high, step, n_synthetic, widen, masked, False, rng)


class UnsupervisedRandomForest(BaseDetector):
    """Detect anomalies with a forest that tells real rows from uniform ones.

    Each tree separates a small sample of the rows from rows that are uniform in
    the box of the data. Two rows are similar when they often share a leaf, all
    the more in a small leaf. The score of a row is minus its mean distance to
    the core, the most central part of the training rows: 0 is the core's very
    middle, -1 has nothing in common with it.

    Columns need no scaling, and entries may be missing. In high-dimensional
    embeddings nearest neighbours are often the better choice.

    Parameters
    ----------
    n_estimators : int, default=300
        Number of trees.

    max_samples : int, default=256
        Rows that each tree is grown on, drawn with replacement; all of them if
        there are fewer.

    synthetic_ratio : float, default=3.0
        Uniform rows per real row. They are counted, never drawn.

    similarity : {"normalized_gap", "breiman"}, default="normalized_gap"
        How sharing a leaf counts: in proportion to one over the leaf's rows and
        normalised to 1 for equal rows, or the same for every leaf.

    core : float, default=0.75
        Share of the most central training rows that make up the core.

    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns whose values have no order: those of a DataFrame that are not
        numbers or booleans, a mask, or names or indices. A value never seen in
        training counts as a category of its own.

    contamination : float, default=0.1
        Share of anomalies in the training data, which sets the threshold.

    n_jobs : int, default=None
        Number of jobs that grow trees and score rows. The result does not
        depend on it.

    random_state : int, RandomState instance or None, default=None
        Controls the trees; pass an int for reproducible results.

    Attributes
    ----------
    offset_ : float
        Threshold: rows with a lower score are anomalies.

    max_samples_ : int
        Rows that each tree was grown on.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, if `X` has string names.

    Notes
    -----
    The synthetic rows are independent and uniform, so the number that falls on
    either side of a threshold that does not depend on them is binomial: the
    trees are those of an explicit sample, in distribution. Half of the trees
    draw thresholds anywhere in a node's box, half near the node's rows. The
    paper grows a random forest with best splits; that way is not built yet.

    References
    ----------
    .. [1] Harvey, J. et al. (2025). "Explainable Unsupervised Anomaly Detection
       with Random Forest". arXiv:2504.16075.

    Examples
    --------
    >>> import numpy as np
    >>> from skad import UnsupervisedRandomForest
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> forest = UnsupervisedRandomForest(random_state=0).fit(X)
    >>> forest.predict([[0.0, 0.0], [4.0, 4.0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseDetector._parameter_constraints,
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [Interval(Integral, 2, None, closed="left")],
        "synthetic_ratio": [Interval(Real, 0, None, closed="neither")],
        "similarity": [StrOptions({"normalized_gap", "breiman"})],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "core": [Interval(Real, 0, 1, closed="right")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_estimators=300,
        *,
        max_samples=256,
        synthetic_ratio=3.0,
        similarity="normalized_gap",
        core=0.75,
        categorical_features="from_dtype",
        contamination=0.1,
        n_jobs=None,
        random_state=None,
    ):
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.synthetic_ratio = synthetic_ratio
        self.similarity = similarity
        self.core = core
        self.categorical_features = categorical_features
        self.contamination = contamination
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def proximity(self, X, Y=None):
        """Compute the similarity of rows in the forest.

        Parameters
        ----------
        X : array-like of shape (n_samples_X, n_features)
            Rows.

        Y : array-like of shape (n_samples_Y, n_features), default=None
            Rows to compare with; those of `X` if None.

        Returns
        -------
        similarity : ndarray of shape (n_samples_X, n_samples_Y)
            Between 0 and 1; 1 for equal rows.
        """
        check_is_fitted(self)
        left = self._leaves(self._validate(X, reset=False))
        right = left if Y is None else self._leaves(self._validate(Y, reset=False))
        weights = self._leaf_weights[:, 0]
        similarity = np.zeros((left.shape[0], right.shape[0]))
        for ours, theirs in zip(left.T, right.T, strict=True):
            similarity += (ours[:, None] == theirs) * weights[ours][:, None]
        own = [np.sqrt(weights[leaves].sum(axis=1)) for leaves in (left, right)]
        return np.minimum(similarity / np.outer(*own), 1)

    def explain(self, X):
        """Attribute the distance of each row from the core to the features.

        A feature gets what a row and the core rows lose in similarity where a
        split on it parts them. The little that comes from the normalisation is
        spread in proportion, so that a row sums to ``-score_samples(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to explain.

        Returns
        -------
        attributions : ndarray of shape (n_samples, n_features)
            The larger, the more the feature makes the row an anomaly; never
            negative.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        credits = separations(
            self._to_unit(X),
            self._forest,
            self._leaf_weights[:, 0],
            self._core_totals[:, 0],
            self._core_totals[:, 1],
        )
        total = credits.sum(axis=1, keepdims=True)
        shares = np.divide(credits, total, out=np.zeros_like(credits), where=total > 0)
        return shares * -self._score_samples(X)[:, None]

    def _validate(self, X, *, reset):
        minimum = 2 if reset else 1
        options = {"dtype": np.float64, "order": "C", "ensure_all_finite": "allow-nan"}
        categorical = self._find_categorical(X) if reset else self._categorical
        if categorical.any():
            validate_data(self, X, reset=reset, skip_check_array=True)
            matrix = np.empty((len(X), self.n_features_in_))
            matrix[:, ~categorical] = check_array(
                _safe_indexing(X, np.flatnonzero(~categorical), axis=1),
                ensure_min_samples=minimum,
                ensure_min_features=0,
                **options,
            )
            columns = _safe_indexing(X, np.flatnonzero(categorical), axis=1)
            matrix[:, categorical] = self._encode(columns, reset=reset)
        else:
            matrix = validate_data(
                self, X, reset=reset, ensure_min_samples=minimum, **options
            )
        if reset:
            self._categorical = categorical
            if np.isnan(matrix).all(axis=0).any():
                empty = np.flatnonzero(np.isnan(matrix).all(axis=0)).tolist()
                raise ValueError(f"Columns {empty} of X have no value at all.")
        return matrix

    def _find_categorical(self, X):
        chosen = self.categorical_features
        n_features = X.shape[1] if len(getattr(X, "shape", ())) == 2 else 0
        mask = np.zeros(n_features, dtype=bool)
        if chosen is None or (isinstance(chosen, str) and not hasattr(X, "dtypes")):
            return mask
        if isinstance(chosen, str):
            return np.array([getattr(t, "kind", "O") not in "biufc" for t in X.dtypes])
        chosen = np.asarray(chosen)
        if chosen.dtype.kind in "OU":
            chosen = [list(getattr(X, "columns", ())).index(name) for name in chosen]
        mask[chosen] = True
        return mask

    def _encode(self, columns, *, reset):
        if reset:
            self._encoder = OrdinalEncoder(
                handle_unknown="use_encoded_value",
                unknown_value=-1,
                encoded_missing_value=np.nan,
            ).fit(columns)
        codes = self._encoder.transform(columns)
        levels = [len(values) for values in self._encoder.categories_]
        return np.where(codes == -1, levels, codes)

    def _fit(self, X):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self.max_samples_ = min(self.max_samples, X.shape[0])
        low, high, step = column_support(X)
        width = np.where(high > low, high - low, 1.0)
        step, varies = step / width, high > low
        # A category is one cell of as many as there are, and one for the unseen.
        first = np.full(X.shape[1], -1)
        cells = self._n_cells()
        first[self._categorical] = np.cumsum([0, *cells])[:-1]
        step[self._categorical] = 1 / np.array(cells)
        low[self._categorical], width[self._categorical] = 0, 1
        self._low, self._width = low, width
        rng = np.random.default_rng([seed, 2])
        positions = [
            np.concatenate([(rng.permutation(n) + 0.5) / n for n in cells])
            if cells
            else np.empty(0)
            for _ in range(self.n_estimators)
        ]
        self._grow_forest(
            self._to_unit(X), varies, step, np.array(positions), first, seed
        )
        self._find_core(X, seed)

    def _n_cells(self):
        if not self._categorical.any():
            return []
        return [len(values) + 1 for values in self._encoder.categories_]

    def _to_unit(self, X):
        return (X - self._low) / self._width

    def _grow_forest(self, U, varies, step, positions, first, seed):
        low, high = np.zeros(U.shape[1]), varies.astype(float)
        n_synthetic = max(1, round(self.synthetic_ratio * self.max_samples_))
        masked = bool(np.isnan(U).any())
        seeds = np.random.SeedSequence(seed).spawn(self.n_estimators)
        trees = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_grow)(
                U,
                low,
                high,
                step,
                self.max_samples_,
                n_synthetic,
                masked,
                positions[tree],
                first,
                tree % 2 == 1,
                child,
            )
            for tree, child in enumerate(seeds)
        )
        nodes, missing_left, real, uniform = zip(*trees, strict=True)
        roots = np.cumsum([0, *map(len, nodes)])[:-1].astype(np.int32)
        for tree, root in zip(nodes, roots, strict=True):
            tree["left"] += root
        self._forest = (
            np.concatenate(nodes),
            roots,
            np.concatenate(missing_left),
            positions,
            first,
        )
        mass = np.concatenate(real) + np.concatenate(uniform)
        self._leaf_weights = (
            1 / (mass + 1.0) if self.similarity == "normalized_gap" else mass * 0 + 1.0
        )[:, None]

    def _find_core(self, X, seed):
        rng = np.random.default_rng([seed, 1])
        size = min(X.shape[0], _MAX_REFERENCE)
        reference = X[rng.choice(X.shape[0], size, replace=False)]
        leaves = self._leaves(reference)
        own = np.sqrt(self._leaf_weights[leaves, 0].sum(axis=1))
        everyone = np.ones(size, dtype=bool)
        table = self._core_table(leaves, own, everyone)
        centrality = table[leaves].sum(axis=1) / own
        n_core = int(np.ceil(self.core * size))
        chosen = np.argsort(-centrality, kind="stable")[:n_core]
        self._tables = np.column_stack(
            [self._core_table(leaves, own, chosen) / n_core, self._leaf_weights]
        )
        self._core_totals = self._count_core(leaves[chosen], own[chosen])

    def _count_core(self, leaves, own):
        squared = self._leaf_weights[leaves, 0] / own[:, None] ** 2
        counts = [
            np.bincount(leaves.ravel(), weights, minlength=len(self._leaf_weights))
            for weights in (None, squared.ravel())
        ]
        return np.column_stack(
            [subtree_totals(self._forest[0], count.astype(float)) for count in counts]
        )

    def _core_table(self, leaves, own, chosen):
        weights = np.repeat(1 / own[chosen], leaves.shape[1])
        totals = np.bincount(
            leaves[chosen].ravel(), weights, minlength=len(self._leaf_weights)
        )
        return totals * self._leaf_weights[:, 0]

    def _leaves(self, X):
        return apply(self._to_unit(X), self._forest)

    def _score_samples(self, X):
        n_tasks = min(_ROW_TASKS, X.shape[0])
        sums = np.concatenate(
            Parallel(n_jobs=self.n_jobs, prefer="threads")(
                delayed(leaf_sums)(self._to_unit(X[rows]), self._forest, self._tables)
                for rows in gen_even_slices(X.shape[0], n_tasks)
            )
        )
        return sums[:, 0] / np.sqrt(sums[:, 1]) - 1
