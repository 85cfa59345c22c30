"""A data set as the benchmark sees it: checked, fingerprinted, split."""

from dataclasses import dataclass

import joblib
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skad.metrics import outlier_mask

TEST_SIZE = 0.3

# Four rows of a class are the fewest of which a split keeps one for the test.
MIN_CLASS_SIZE = 4


@dataclass(frozen=True)
class Problem:
    """A data set, which of its rows are anomalies, and a hash of both."""

    name: str
    X: object
    is_anomaly: np.ndarray
    fingerprint: str

    @property
    def shape(self):
        return self.X.shape

    def split(self, seed, max_samples):
        """Rows to train on and rows to score, of at most `max_samples` rows."""
        rows = np.arange(self.X.shape[0])
        if len(rows) > max_samples:
            rows, _ = train_test_split(
                rows,
                train_size=max_samples,
                stratify=self.is_anomaly,
                random_state=seed,
            )
        return train_test_split(
            rows,
            test_size=TEST_SIZE,
            stratify=self.is_anomaly[rows],
            random_state=seed,
        )

    def take(self, rows):
        return _safe_indexing(self.X, rows)


def make_problem(name, X, y, max_samples):
    """Check a data set; raise a ValueError that names it."""
    try:
        X = _as_table(X)
        is_anomaly = outlier_mask(column_or_1d(y))
        check_consistent_length(X, is_anomaly)
        _check_class_sizes(is_anomaly, max_samples)
    except (TypeError, ValueError) as error:
        raise ValueError(f"data set {name!r}: {error}") from error
    return Problem(name, X, is_anomaly, joblib.hash((X, is_anomaly)))


def _as_table(X):
    if not hasattr(X, "iloc"):
        X = np.asarray(X)
        if X.dtype.kind in "bfiu":
            X = X.astype(np.float64)
    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimensions; expected 2.")
    return X


def _check_class_sizes(is_anomaly, max_samples):
    n_samples = len(is_anomaly)
    share = min(1, max_samples / n_samples)
    for kind, count in (
        ("anomalous", int(is_anomaly.sum())),
        ("normal", int((~is_anomaly).sum())),
    ):
        if int(count * share) < MIN_CLASS_SIZE:
            raise ValueError(
                f"{count} {kind} rows of {n_samples} (at most {max_samples} rows are "
                f"used) are too few; a split needs {MIN_CLASS_SIZE}."
            )
