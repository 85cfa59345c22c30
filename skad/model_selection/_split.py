"""Cross-validation in the order of time, for several series at once."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_scalar, indexable
from sklearn.utils.validation import _num_samples

from skad._groups import group_codes


class BaseFolds(BaseCrossValidator):
    """Base of splitters whose number of folds is the parameter `n_splits`."""

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds.

        Parameters
        ----------
        X : Ignored
            Not used, present for API consistency by convention.

        y : Ignored
            Not used, present for API consistency by convention.

        groups : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        n_splits : int
            The number of folds.
        """
        return self.n_splits


class TimeOrderedSplit(BaseFolds):
    """Split series into a past to train on and a future to test on.

    Every group is a series of its own, whose rows are in the order of time. Each of
    them is cut as :class:`~sklearn.model_selection.TimeSeriesSplit` cuts a single one:
    fold after fold, the next rows of each series are tested on, and the rows before
    them trained on. With one group the two splitters are the same.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.

    max_train_size : int, default=None
        The most rows of each series that are trained on, the latest ones. If None,
        all of them.

    test_size : int, default=None
        Number of rows of each series in a test fold. If None, the length of the
        series divided by ``n_splits + 1``, rounded down.

    gap : int, default=0
        Number of rows of each series that are left out between training and test.
        With windows, ``window_size - 1`` keeps any window from holding both.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : For a single series.
    sklearn.model_selection.GroupKFold : Tests on groups that were never seen.

    Notes
    -----
    `groups` is requested by default: in a search or in ``cross_validate`` with
    metadata routing the splitter gets it without more ado.

    Series are cut by their own lengths: rows have an order but no time. Where series
    are of the same time and depend on each other, the past of one may tell of the
    future of another, unless all have rows at the same times.

    Examples
    --------
    >>> import numpy as np
    >>> from skad.model_selection import TimeOrderedSplit
    >>> X = np.arange(10).reshape(-1, 1)
    >>> groups = ["a", "a", "a", "a", "b", "b", "b", "b", "b", "b"]
    >>> splitter = TimeOrderedSplit(n_splits=2)
    >>> for train, test in splitter.split(X, groups=groups):
    ...     print(train, test)
    [0 1 4 5] [2 6 7]
    [0 1 2 4 5 6 7] [3 8 9]
    """

    # The name that scikit-learn looks for, which Python prefixes by the class.
    __metadata_request__split = {"groups": True}

    def __init__(self, n_splits=5, *, max_train_size=None, test_size=None, gap=0):
        self.n_splits = n_splits
        self.max_train_size = max_train_size
        self.test_size = test_size
        self.gap = gap

    def split(self, X, y=None, groups=None):
        """Generate the rows of training and test for each fold.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_channels)
            The data; the rows of each series in the order of time.

        y : array-like of shape (n_timesteps,), default=None
            Not used.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of; they need not be adjacent. If None, all
            rows are of one.

        Yields
        ------
        train : ndarray
            The rows to train on, ascending.

        test : ndarray
            The rows to test on, ascending.
        """
        self._check_parameters()
        X, y = indexable(X, y)
        codes, labels = group_codes(groups, _num_samples(X))
        lengths = np.bincount(codes)
        sizes = self._test_sizes(lengths, labels)
        steps = _steps(codes, lengths)
        for fold in range(self.n_splits, 0, -1):
            start = (lengths - fold * sizes)[codes]
            stop = start + sizes[codes]
            end = start - self.gap
            oldest = 0 if self.max_train_size is None else end - self.max_train_size
            yield (
                np.flatnonzero((steps >= oldest) & (steps < end)),
                np.flatnonzero((steps >= start) & (steps < stop)),
            )

    def _check_parameters(self):
        check_scalar(self.n_splits, "n_splits", Integral, min_val=2)
        check_scalar(self.gap, "gap", Integral, min_val=0)
        for name in ("max_train_size", "test_size"):
            if getattr(self, name) is not None:
                check_scalar(getattr(self, name), name, Integral, min_val=1)

    def _test_sizes(self, lengths, labels):
        """Return the number of test rows of each group."""
        sizes = lengths // (self.n_splits + 1)
        if self.test_size is not None:
            sizes = np.full_like(lengths, self.test_size)
        is_short = (sizes == 0) | (lengths <= self.gap + self.n_splits * sizes)
        if is_short.any():
            k = is_short.argmax()
            series = "X" if labels[k] is None else f"group {labels[k]!r}"
            raise ValueError(
                f"n_splits={self.n_splits} with test_size={self.test_size} and "
                f"gap={self.gap} needs more rows than {is_short.sum()} of "
                f"{len(lengths)} series have: {series} has {lengths[k]}."
            )
        return sizes


def _steps(codes, lengths):
    """Return how many rows of its own group stand before each row."""
    first = np.cumsum(lengths) - lengths
    steps = np.empty_like(codes)
    steps[np.argsort(codes, kind="stable")] = np.arange(len(codes)) - np.repeat(
        first, lengths
    )
    return steps
