"""Categories of images: given, or found as clusters."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skad._groups import is_missing

# Clusters are looked for up to this number, and believed from this silhouette on.
_MOST_CLUSTERS, _LEAST_SILHOUETTE = 10, 0.2
# Columns that vary less than this, as a share of what is in them, do not vary.
_ROUNDING = 1e-6
# Rows that silhouettes are computed from.
_MAX_ROWS = 1000


def given_categories(y, n_rows):
    """Return the category of each row, or None if `y` tells none.

    Labels that are -1 or 1 are those of anomalies and normal samples, as they come
    from a search for parameters, and no categories.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or None
        What the caller gave.

    n_rows : int
        The number of rows of X.

    Returns
    -------
    y : ndarray of shape (n_samples,) or None
        The categories.

    Raises
    ------
    ValueError
        If labels are missing, of several types, or boolean.
    """
    if y is None:
        return None
    y = column_or_1d(y, warn=True)
    check_consistent_length(np.empty(n_rows), y)
    labels = list(dict.fromkeys(y.tolist()))
    if any(is_missing(label) for label in labels):
        raise ValueError("y has missing labels; expected a category for every image.")
    kinds = {type(label).__name__ for label in labels}
    if "str" in kinds and len(kinds) > 1:
        raise ValueError(f"y mixes labels of the types {', '.join(sorted(kinds))}.")
    if "bool" in kinds:
        raise ValueError(
            "y has labels that are True or False, as if it told anomalies; expected "
            "categories, integers or strings, or -1 and 1 for anomalies and normal "
            "samples."
        )
    check_classification_targets(y)
    return None if "str" not in kinds and set(labels) <= {-1, 1} else y


class Clusters:
    """Categories from k-means, where none are given.

    Parameters
    ----------
    n_clusters : int or "auto"
        Their number; "auto" takes the number of up to ten clusters of which the
        silhouette is highest, or a single one if it is low.
    """

    def __init__(self, n_clusters):
        self.n_clusters = n_clusters

    def fit(self, rows, random_state):
        """Find clusters of rows, each column of which counts the same.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The rows.

        random_state : RandomState
            What k-means starts from.

        Returns
        -------
        self : object
            With the number of clusters as ``n_clusters_``.
        """
        self._scaler = StandardScaler().fit(rows)
        largest = np.abs(rows).max(axis=0)
        still = np.sqrt(self._scaler.var_) <= _ROUNDING * largest
        self._scaler.scale_[still] = np.inf
        rows = self._scaler.transform(rows)
        n_distinct = len(np.unique(rows, axis=0))
        if self.n_clusters == "auto":
            numbers = range(2, min(_MOST_CLUSTERS, n_distinct - 1) + 1)
        else:
            numbers = [min(self.n_clusters, n_distinct)]
        best = None
        for number in numbers:
            means = KMeans(number, n_init=3, random_state=random_state).fit(rows)
            worth = self._worth(rows, means.labels_)
            if best is None or worth > best[0]:
                best = worth, means
        if best is None or best[0] < _LEAST_SILHOUETTE:
            best = 0, KMeans(1, n_init=1, random_state=random_state).fit(rows)
        self._means = best[1]
        self.n_clusters_ = self._means.n_clusters
        return self

    def predict(self, rows):
        """Return the cluster of each row."""
        return self._means.predict(self._scaler.transform(rows))

    def _worth(self, rows, labels):
        if self.n_clusters != "auto":
            return 1.0
        chosen = np.linspace(0, len(rows) - 1, min(len(rows), _MAX_ROWS)).astype(int)
        if not 1 < len(np.unique(labels[chosen])) < len(chosen):
            return 0.0
        return silhouette_score(rows[chosen], labels[chosen])
