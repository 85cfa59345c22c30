"""Metrics and scorers in which the outliers are the positive class."""

from skad.metrics._labels import outlier_mask
from skad.metrics._range_auc import (
    estimate_buffer,
    range_pr_auc_score,
    range_roc_auc_score,
    vus_pr_score,
    vus_roc_score,
)
from skad.metrics._ranking import (
    average_precision_score,
    precision_at_n_score,
    roc_auc_score,
)
from skad.metrics._scorers import get_scorer, get_scorer_names, outlier_scorer

__all__ = [
    "average_precision_score",
    "estimate_buffer",
    "get_scorer",
    "get_scorer_names",
    "outlier_mask",
    "outlier_scorer",
    "precision_at_n_score",
    "range_pr_auc_score",
    "range_roc_auc_score",
    "roc_auc_score",
    "vus_pr_score",
    "vus_roc_score",
]
