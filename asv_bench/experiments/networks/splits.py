"""What is learned from, and what is scored, of labelled rows in no order."""

import numpy as np

SETTINGS = ("contaminated", "clean")


def split(setting, is_anomaly, seed):
    """Return the rows to learn from, and those to score.

    Contaminated: all rows, both times. Clean: the normal ones of a random half, and
    the other half.
    """
    rows = np.arange(len(is_anomaly))
    if setting == "contaminated":
        return rows, rows
    drawn = np.random.default_rng(seed).permutation(rows)
    half, other = np.split(drawn, [len(rows) // 2])
    return half[~is_anomaly[half]], other


def pyod_scores(detector, train, test):
    """Return PyOD's scores, high for anomalies; a row is no neighbour of its own."""
    detector.fit(train)
    if train is test:
        return detector.decision_scores_
    return detector.decision_function(test)
