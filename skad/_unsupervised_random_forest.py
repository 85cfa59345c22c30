"""The unsupervised random forest: anomalies by their distance to a central core."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted

from skad._base import BaseDetector
from skad._columns import MixedColumns, column_support
from skad._counterfactual import CounterfactualStep, greedy_path
from skad._forests import BestSplitForest, RandomSplitForest
from skad._proximity import (
    SIMILARITIES,
    LeafSimilarity,
    PlacedRows,
    gap_matrix,
    in_blocks,
    nearest,
)

# Rows that stand for the training data when the core is found.
_MAX_REFERENCE = 4096
# Weight of the mean beside the median: many rows share no leaf with half of the core.
_TIE_BREAK = 1e-6
# What "auto" stands for with random splits; best splits take every row, and as many
# uniform ones.
_MAX_SAMPLES, _SYNTHETIC_RATIO = 256, 30.0


class UnsupervisedRandomForest(BaseDetector):
    """Detect anomalies with a forest that tells real rows from uniform ones.

    Each tree separates a sample of the rows from rows that are uniform in the box
    of the data. Two rows are similar when they often share a leaf, all the more in
    a small leaf. The score of a row is minus its distance to the core, the most
    central part of the training rows: -1 has nothing in common with it.

    Columns need no scaling, and entries may be missing. In high-dimensional
    embeddings nearest neighbours are often the better choice.

    Read more in the :ref:`User Guide <unsupervised_random_forest>`.

    Parameters
    ----------
    n_estimators : int, default=300
        Number of trees.

    splitter : {"random", "best"}, default="random"
        How trees grow: by random splits, with uniform rows that are counted but
        never drawn, or as the paper's random forest with best splits among
        sqrt(n_features) features, on a sample of uniform rows. "best" takes many
        times as long and finds less, see the User Guide.

    max_samples : int or "auto", default="auto"
        Rows that each tree is grown on, drawn with replacement; all of them if
        there are fewer. "auto" is 256 for random splits, all rows for best ones.

    synthetic_ratio : float or "auto", default="auto"
        Uniform rows per real row. "auto" is 30 for random splits, 1 for best ones.

    similarity : {"normalized_gap", "gap", "breiman"}, default="normalized_gap"
        How a shared leaf counts: by one over its rows, synthetic ones included, in
        all as heavy as the real ones, normalised to 1 for equal rows; by one over
        its rows; or 1 for every leaf.

    core : float, default=0.75
        Share of the most central training rows that make up the core.

    aggregation : {"mean", "median"}, default="mean"
        What the distance to the core is of the distances to its rows. "median"
        compares each row with each of the core's, and is slow; the mean, at a
        millionth, then tells rows of the same median apart.

    informative_missing : bool, default=False
        Whether a missing entry is a sign in itself. If not, uniform rows lack the
        entries that real rows lack; if so, they are complete.

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

    See Also
    --------
    sklearn.ensemble.IsolationForest : Scores rows by the depth of their leaves.

    Notes
    -----
    The synthetic rows are independent and uniform, so the number that falls on
    either side of a threshold that does not depend on them is binomial: the
    random trees are those of an explicit sample, in distribution.

    The paper leaves sizes and the exact score open. Its nearest reading here is
    ``UnsupervisedRandomForest(splitter="best", similarity="gap",
    aggregation="median", core=0.5)``; the default, and what "auto" stands for, is
    ours. Any row is scored as one that no tree has seen.

    References
    ----------
    .. [1] Harvey, J. et al. (2025). "Explainable Unsupervised Anomaly Detection
       with Random Forest". arXiv:2504.16075.

    .. [2] Rhodes, J. S., Cutler, A. and Moon, K. R. (2022). "Geometry- and
       Accuracy-Preserving Random Forest Proximities". arXiv:2201.12682.

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
        "splitter": [StrOptions({"random", "best"})],
        "max_samples": [
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "synthetic_ratio": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "similarity": [StrOptions(set(SIMILARITIES))],
        "core": [Interval(Real, 0, 1, closed="right")],
        "aggregation": [StrOptions({"mean", "median"})],
        "informative_missing": ["boolean"],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_estimators=300,
        *,
        splitter="random",
        max_samples="auto",
        synthetic_ratio="auto",
        similarity="normalized_gap",
        core=0.75,
        aggregation="mean",
        informative_missing=False,
        categorical_features="from_dtype",
        contamination=0.1,
        n_jobs=None,
        random_state=None,
    ):
        self.n_estimators = n_estimators
        self.splitter = splitter
        self.max_samples = max_samples
        self.synthetic_ratio = synthetic_ratio
        self.similarity = similarity
        self.core = core
        self.aggregation = aggregation
        self.informative_missing = informative_missing
        self.categorical_features = categorical_features
        self.contamination = contamination
        self.n_jobs = n_jobs
        self.random_state = random_state

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
            Between 0 and 1, as `similarity` says; 1 for equal rows unless that is
            "gap".
        """
        check_is_fitted(self)
        rows = self._place(self._validate(X, reset=False))
        others = rows if Y is None else self._place(self._validate(Y, reset=False))
        return self._similarity.between(rows, others)

    def gap_proximity(self, X_train, X=None, *, symmetric=False):
        """Compute the GAP proximities of rows to the training rows.

        Geometry- and accuracy-preserving proximities count, for each row, the
        rows in the bags of those trees that the row itself did not grow, each by
        one over the rows in the leaf that they share.

        Parameters
        ----------
        X_train : array-like of shape (n_train, n_features)
            The rows that `fit` saw, in their order.

        X : array-like of shape (n_samples, n_features), default=None
            New rows; the training rows if None.

        symmetric : bool, default=False
            Whether to return the mean of the proximities of two training rows to
            each other; only if `X` is None.

        Returns
        -------
        proximities : sparse array of shape (n_samples, n_train)
            Rows sum to 1, less the proximity to the synthetic rows. The diagonal
            is 0 for training rows.

        Raises
        ------
        ValueError
            If `X_train` are not the training rows, if one of them is in the bag of
            every tree, or if `symmetric` is asked for new rows.
        """
        check_is_fitted(self)
        if symmetric and X is not None:
            raise ValueError(
                "symmetric=True has no meaning for new rows, which no training row has "
                "a proximity to; expected X=None or symmetric=False."
            )
        train = self._forest.apply(self._validate(X_train, reset=False))
        new = X if X is None else self._forest.apply(self._validate(X, reset=False))
        proximities = gap_matrix(self._forest, train, new)
        return (proximities + proximities.T) / 2 if symmetric else proximities

    def kneighbors_graph(self, X, Y=None, *, n_neighbors=10, mode="distance"):
        """Find the most similar rows of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples_X, n_features)
            Rows.

        Y : array-like of shape (n_samples_Y, n_features), default=None
            Rows among which to look. If None, those of `X`, and a row is not its
            own neighbour.

        n_neighbors : int, default=10
            Number of neighbours of each row.

        mode : {"distance", "connectivity"}, default="distance"
            Whether entries are distances, 1 minus `proximity`, or ones.

        Returns
        -------
        graph : sparse array of shape (n_samples_X, n_samples_Y)
            With `n_neighbors` entries per row, the nearest first.

        Raises
        ------
        ValueError
            If there are fewer rows to look among than neighbours.
        """
        check_is_fitted(self)
        validate_parameter_constraints(
            {
                "n_neighbors": [Interval(Integral, 1, None, closed="left")],
                "mode": [StrOptions({"distance", "connectivity"})],
            },
            {"n_neighbors": n_neighbors, "mode": mode},
            caller_name="kneighbors_graph",
        )
        left = self._place(self._validate(X, reset=False))
        right = left if Y is None else self._place(self._validate(Y, reset=False))
        n_others = len(right) - (Y is None)
        if n_neighbors > n_others:
            raise ValueError(
                f"n_neighbors={n_neighbors} must not exceed the {n_others} other rows."
            )
        indices, values = nearest(
            lambda rows: self._similarity.between(left[rows], right),
            (len(left), len(right)),
            n_neighbors,
            skip_self=Y is None,
        )
        entries = 1 - values if mode == "distance" else np.ones_like(values)
        ends = np.arange(0, indices.size + 1, n_neighbors)
        return sparse.csr_array(
            (entries.ravel(), indices.ravel(), ends), shape=(len(left), len(right))
        )

    def explain(self, X):
        """Attribute the distance of each row from the core to the features.

        A feature gets what a row and the core rows lose in similarity where a
        split on it parts them. The little that comes from sharing a leaf is spread
        in proportion, so that a row sums to ``-score_samples(X)``. With
        ``aggregation="median"`` the shares are those of the mean distance.

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
        overshoot = np.abs(self._support.overshoot(X))
        inside = self._similarity_to_core(X)
        outside = inside * (1 - _kept(overshoot))
        return _spread(1 - inside, in_blocks(self._credits, X)) + _spread(
            outside, overshoot
        )

    def counterfactual(self, x, *, threshold=None):
        """Find which features of a row to change, and to what, to make it normal.

        The row moves to the most similar row of the core that is normal, one
        feature at a time: at each step the one that raises the score most.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (1, n_features)
            The row.

        threshold : float, default=None
            The score to reach; `offset_` if None.

        Returns
        -------
        path : list of namedtuple
            The steps, each with the `feature`'s name or index, its `old` and its
            `new` value, and the `score` of the row after it; empty if the row is
            normal as it is.

        Raises
        ------
        ValueError
            If `x` is not one row, or no row of the core reaches `threshold`.
        """
        check_is_fitted(self)
        if threshold is None:
            threshold = self.offset_
        row = self._validate(_as_one_row(x), reset=False)
        core_scores = self._score_samples(self._core_rows)
        if core_scores.max() < threshold:
            raise ValueError(
                f"threshold={threshold} is above the score of every row of the core; "
                f"expected at most {core_scores.max()}."
            )
        normal = self._core_rows[core_scores >= threshold]
        similarity = self._similarity.between(self._place(row), self._place(normal))[0]
        order = np.lexsort((-core_scores[core_scores >= threshold], -similarity))
        target = normal[order[0]]
        names = getattr(self, "feature_names_in_", np.arange(row.shape[1]).tolist())
        return [
            CounterfactualStep(
                names[feature],
                self._columns.original(feature, row[0, feature]),
                self._columns.original(feature, target[feature]),
                float(score),
            )
            for feature, score in greedy_path(
                self._score_samples, row[0], target, threshold
            )
        ]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _validate(self, X, *, reset):
        if reset:
            self._columns = MixedColumns(self.categorical_features)
            matrix = self._columns.fit_validate(self, X)
        else:
            matrix = self._columns.validate(self, X)
        n_empty = np.count_nonzero(np.isnan(matrix).all(axis=1))
        if n_empty:
            warnings.warn(
                f"{n_empty} of {len(matrix)} rows of X have no value at all; there is "
                "nothing that could make them normal or strange.",
                UserWarning,
                stacklevel=3,
            )
        return matrix

    def _fit(self, X):
        rng = check_random_state(self.random_state)
        is_random = self.splitter == "random"
        self.max_samples_ = self._find_max_samples(len(X), is_random)
        ratio = self.synthetic_ratio
        if ratio == "auto":
            ratio = _SYNTHETIC_RATIO if is_random else 1.0
        self._support = column_support(X, self._columns.n_levels())
        self._forest = (RandomSplitForest if is_random else BestSplitForest)(
            X,
            self._support,
            n_estimators=self.n_estimators,
            max_samples=self.max_samples_,
            synthetic_ratio=ratio,
            informative=self.informative_missing,
            rng=rng,
            n_jobs=self.n_jobs,
        )
        self._similarity = LeafSimilarity(self._forest, self.similarity)
        self._find_core(X, rng)

    def _find_max_samples(self, n_samples, is_random):
        if self.max_samples == "auto":
            return min(_MAX_SAMPLES, n_samples) if is_random else n_samples
        if self.max_samples > n_samples:
            warnings.warn(
                f"max_samples={self.max_samples} exceeds the {n_samples} rows of X, "
                "which are all used.",
                UserWarning,
                stacklevel=4,
            )
        return min(self.max_samples, n_samples)

    def _find_core(self, X, rng):
        """Take the reference rows that are most similar to the reference rows."""
        size = min(len(X), _MAX_REFERENCE)
        reference = X[rng.choice(len(X), size, replace=False)]
        self._set_core(reference)
        centrality = self._similarity_to_core(reference)
        n_core = int(np.ceil(self.core * size))
        chosen = np.argsort(-centrality, kind="stable")[:n_core]
        self._set_core(reference[chosen])

    def _set_core(self, rows):
        leaves = self._forest.apply(rows)
        self._core_rows = rows
        self._core_tables = self._similarity.core_tables(leaves)
        self._core_totals = self._similarity.core_totals(
            leaves, self._forest.structure[0]
        )

    def _place(self, X):
        return PlacedRows(self._forest.apply(X), self._support.overshoot(X))

    def _score_samples(self, X):
        kept = in_blocks(lambda rows: _kept(self._support.overshoot(rows)), X)
        return self._similarity_to_core(X) * kept - 1

    def _similarity_to_core(self, X):
        """Return the mean or median similarity, of rows taken to be in the box."""
        if self.aggregation == "median":
            core = self._inside(self._core_rows)
            return in_blocks(lambda rows: self._median_similarity(rows, core), X)
        sums = self._forest.leaf_sums(X, self._core_tables, self.n_jobs)
        return self._similarity.mean_from_sums(sums, self.n_estimators)

    def _median_similarity(self, X, core):
        similarity = self._similarity.between(self._inside(X), core)
        median, mean = np.median(similarity, axis=1), similarity.mean(axis=1)
        return (1 - _TIE_BREAK) * median + _TIE_BREAK * mean

    def _inside(self, X):
        return PlacedRows(self._forest.apply(X), np.zeros_like(X))

    def _credits(self, X):
        return self._similarity.parting_credits(
            self._forest.apply(X),
            self._forest.structure,
            self._core_totals,
            self.n_features_in_,
        )


def _kept(overshoot):
    """Return the share of the similarity that is left so far outside the box."""
    return np.exp(-np.abs(overshoot).sum(axis=1))


def _spread(amounts, credits):
    """Divide an amount per row in proportion to the credits of its features."""
    total = credits.sum(axis=1, keepdims=True)
    shares = np.divide(credits, total, out=np.zeros_like(credits), where=total > 0)
    return shares * amounts[:, np.newaxis]


def _as_one_row(x):
    if hasattr(x, "to_frame") and not hasattr(x, "columns"):
        x = x.to_frame().T.infer_objects()
    if np.ndim(x) == 1:
        x = np.asarray(x)[np.newaxis]
    if np.ndim(x) != 2 or len(x) != 1:
        raise ValueError(
            f"x has shape {np.shape(x)}; expected one row, of shape (n_features,) or "
            "(1, n_features)."
        )
    return x
