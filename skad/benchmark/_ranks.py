"""Mean ranks over data sets: do they differ, and which of them do not?"""

from typing import NamedTuple

import numpy as np
from scipy.stats import friedmanchisquare, studentized_range


class RankTest(NamedTuple):
    """What Friedman's and Nemenyi's tests say of mean ranks."""

    pvalue: float
    critical_difference: float
    groups: list


def rank_test(ranks, alpha):
    """Test ranks, one row a data set and one column a detector, in the order of means.

    After J. Demšar, "Statistical comparisons of classifiers over multiple data sets",
    JMLR 7 (2006).
    """
    n_datasets, n_detectors = ranks.shape
    return RankTest(
        _friedman(ranks.to_numpy()),
        critical := critical_difference(n_detectors, n_datasets, alpha),
        _groups(ranks.mean(), critical),
    )


def critical_difference(n_detectors, n_datasets, alpha):
    """Nemenyi's: the least difference of two mean ranks that is not chance."""
    q = studentized_range.ppf(1 - alpha, n_detectors, np.inf) / np.sqrt(2)
    return q * np.sqrt(n_detectors * (n_detectors + 1) / (6 * n_datasets))


def _friedman(ranks):
    if (ranks == ranks[:, :1]).all():  # SciPy would divide by zero
        return 1.0
    return float(friedmanchisquare(*ranks.T).pvalue)


def _groups(means, critical):
    """The longest runs of neighbours within one critical difference."""
    names, values = list(means.index), means.to_numpy()
    ends = np.searchsorted(values, values + critical, side="right")
    return [
        names[start:end]
        for start, end in enumerate(ends)
        if end - start > 1 and (start == 0 or end > ends[start - 1])
    ]
