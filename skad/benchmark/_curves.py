"""What is kept of the scores of a run, enough to draw them: ranks, not values."""

import numpy as np
from scipy.stats import rankdata

# Points of a drawn course: as many as a page has room for.
N_BINS = 240
# Marks of anomalies in a drawn row.
N_MARKS = 120


def positions(is_anomaly, scores):
    """Where the anomalies are in the ranking, from 0, the strangest, to 1.

    Of many anomalies, evenly spaced quantiles.
    """
    found = np.sort(_ranks(scores)[is_anomaly])
    if len(found) > N_MARKS:
        found = np.quantile(found, np.linspace(0, 1, N_MARKS))
    return np.round(found, 4).tolist()


def course(is_anomaly, scores):
    """The ranking in the order of the rows: the strangest of each of a few bins.

    Returns a dictionary: `rank` of each bin, 0 the strangest, whether it has an
    `event`, and the number of rows, `n_rows`.
    """
    ranks, n_rows = _ranks(scores), len(scores)
    starts = np.unique(np.linspace(0, n_rows, N_BINS, endpoint=False).astype(int))
    return {
        "rank": np.round(np.minimum.reduceat(ranks, starts), 4).tolist(),
        "event": np.logical_or.reduceat(is_anomaly, starts).tolist(),
        "n_rows": n_rows,
    }


def _ranks(scores):
    return (rankdata(scores) - 0.5) / len(scores)
