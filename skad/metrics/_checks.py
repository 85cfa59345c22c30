"""What the metrics check before they compute."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import assert_all_finite, check_consistent_length

from skad.metrics._labels import as_column, outlier_mask


def check_scores(y_true, scores, outlier_label):
    """Return who is an outlier, and scores of which the highest are abnormal."""
    scores = as_column(scores, "scores")
    if scores.dtype.kind not in "bfiuO":
        raise ValueError(f"scores has dtype {scores.dtype}; expected real numbers.")
    scores = scores.astype(np.float64)
    assert_all_finite(scores, input_name="scores")
    y_true = as_column(y_true, "y_true")
    check_consistent_length(y_true, scores)
    return outlier_mask(y_true, outlier_label=outlier_label), -scores


def check_predictions(y_true, y_pred, outlier_label):
    """Return who is an outlier, and who is flagged as one."""
    y_true, y_pred = as_column(y_true, "y_true"), as_column(y_pred, "y_pred")
    check_consistent_length(y_true, y_pred)
    is_outlier = outlier_mask(y_true, outlier_label=outlier_label)
    return is_outlier, outlier_mask(y_pred)


def is_undefined(is_outlier, name, stacklevel=3, labels="y_true"):
    """Warn and return True if there are not both outliers and normal samples."""
    if is_outlier.any() and not is_outlier.all():
        return False
    warnings.warn(
        f"{labels} has a single class: {name} is not defined and NaN is returned.",
        UndefinedMetricWarning,
        stacklevel=stacklevel,
    )
    return True
