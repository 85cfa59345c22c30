"""Cross-validation that looks at which rows are labelled as outliers."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import check_scalar, indexable

from skad.metrics import outlier_mask
from skad.model_selection._split import BaseFolds


class _LabelledKFold(BaseFolds):
    """Shuffled folds with outliers in each of them."""

    def __init__(self, n_splits=5, *, outlier_label=None, random_state=None):
        self.n_splits = n_splits
        self.outlier_label = outlier_label
        self.random_state = random_state

    def split(self, X, y=None, groups=None):
        """Generate the rows of training and test for each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        y : array-like of shape (n_samples,), default=None
            The labels, which are needed: {-1, 1}, {0, 1}, bool, or any two with
            `outlier_label`.

        groups : Ignored
            Not used, present for API consistency by convention.

        Yields
        ------
        train : ndarray
            The rows to train on, ascending.

        test : ndarray
            The rows to test on, ascending.
        """
        check_scalar(self.n_splits, "n_splits", Integral, min_val=2)
        X, y = indexable(X, y)
        is_outlier = self._outlier_mask(y)
        folds = StratifiedKFold(
            self.n_splits, shuffle=True, random_state=self.random_state
        )
        for train, test in folds.split(np.zeros(len(is_outlier)), is_outlier):
            yield self._training_rows(train, is_outlier), test

    def _training_rows(self, train, is_outlier):
        return train

    def _outlier_mask(self, y):
        """Return the mask of the outliers, of which every fold can get some."""
        name = type(self).__name__
        if y is None:
            raise ValueError(f"{name} needs the labels y; got None.")
        is_outlier = outlier_mask(y, outlier_label=self.outlier_label)
        n_outliers = int(is_outlier.sum())
        counts = {"outliers": n_outliers, "inliers": len(is_outlier) - n_outliers}
        for kind, count in counts.items():
            if count < self.n_splits:
                raise ValueError(
                    f"n_splits={self.n_splits} needs as many {kind}, one for each "
                    f"test fold; y has {count} among {len(is_outlier)} rows."
                )
        return is_outlier


class OutlierKFold(_LabelledKFold):
    """Split rows into shuffled folds, each with its share of the outliers.

    Every row is tested once. For whatever is not a classifier, scikit-learn cuts rows
    into consecutive folds without looking at labels, and a metric of a fold without
    outliers is not defined.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if the labels are neither {-1, 1}
        (-1 is the outlier) nor {0, 1} nor bool (1 is the outlier).

    random_state : int, RandomState instance or None, default=None
        Controls the shuffling; pass an int for the same folds with every call.

    See Also
    --------
    InlierKFold : Trains on inliers only.
    sklearn.model_selection.StratifiedKFold : The same folds for any classes, with a
        warning only where a fold gets none of one.

    Notes
    -----
    Fewer outliers or inliers than folds raise a ValueError that says how many there
    are: a fold without any has no score.

    Examples
    --------
    >>> import numpy as np
    >>> from skad.model_selection import OutlierKFold
    >>> y = np.repeat(["fine", "fraud"], [7, 2])
    >>> splitter = OutlierKFold(2, outlier_label="fraud", random_state=0)
    >>> for train, test in splitter.split(np.zeros((9, 1)), y):
    ...     print(train, test, y[test])
    [0 5 6 8] [1 2 3 4 7] ['fine' 'fine' 'fine' 'fine' 'fraud']
    [1 2 3 4 7] [0 5 6 8] ['fine' 'fine' 'fine' 'fraud']
    """


class InlierKFold(_LabelledKFold):
    """Split rows into folds that train on inliers and test on both kinds.

    This is how a novelty detector is used: what it learns from is known to be normal.
    Every row is tested once, so that a test fold holds the inliers that were left out
    and its share of the outliers, as many in proportion as there are in all rows.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers; only needed if the labels are neither {-1, 1}
        (-1 is the outlier) nor {0, 1} nor bool (1 is the outlier).

    random_state : int, RandomState instance or None, default=None
        Controls the shuffling; pass an int for the same folds with every call.

    See Also
    --------
    OutlierKFold : Trains on outliers as well.

    Notes
    -----
    All outliers could be in every test fold, as none is trained on. Folds would then
    depend on each other, and metrics that depend on the share of outliers, such as the
    average precision, would be of a share that the data do not have.

    After a search, ``refit`` trains on all rows, outliers included: set
    ``refit=False``, and fit the best candidate on the inliers.

    Examples
    --------
    >>> import numpy as np
    >>> from skad.model_selection import InlierKFold
    >>> y = np.array([1, 1, 1, 1, 1, 1, -1, -1])
    >>> for train, test in InlierKFold(2, random_state=0).split(np.zeros((8, 1)), y):
    ...     print(train, test, y[test])
    [0 3 5] [1 2 4 6] [ 1  1  1 -1]
    [1 2 4] [0 3 5 7] [ 1  1  1 -1]
    """

    def _training_rows(self, train, is_outlier):
        return train[~is_outlier[train]]
