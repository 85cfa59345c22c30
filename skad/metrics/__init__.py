"""Metrics and scorers in which the outliers are the positive class."""

from skad.metrics._affiliation import affiliation_report
from skad.metrics._events import event_report
from skad.metrics._f1 import best_f1_score, f1_at_threshold_score
from skad.metrics._labels import outlier_mask
from skad.metrics._pixels import (
    per_region_overlap_score,
    pixel_average_precision_score,
    pixel_roc_auc_score,
)
from skad.metrics._point_adjustment import (
    pa_k_auc_score,
    pa_k_f1_score,
    point_adjusted_report,
)
from skad.metrics._range_auc import (
    estimate_buffer,
    range_pr_auc_score,
    range_roc_auc_score,
    vus_pr_score,
    vus_roc_score,
)
from skad.metrics._range_precision import (
    range_f1_score,
    range_precision_score,
    range_recall_score,
)
from skad.metrics._ranking import (
    average_precision_score,
    precision_at_n_score,
    roc_auc_score,
)
from skad.metrics._scorers import get_scorer, get_scorer_names, outlier_scorer

__all__ = [
    "affiliation_report",
    "average_precision_score",
    "best_f1_score",
    "estimate_buffer",
    "event_report",
    "f1_at_threshold_score",
    "get_scorer",
    "get_scorer_names",
    "outlier_mask",
    "outlier_scorer",
    "pa_k_auc_score",
    "pa_k_f1_score",
    "per_region_overlap_score",
    "pixel_average_precision_score",
    "pixel_roc_auc_score",
    "point_adjusted_report",
    "precision_at_n_score",
    "range_f1_score",
    "range_pr_auc_score",
    "range_precision_score",
    "range_recall_score",
    "range_roc_auc_score",
    "roc_auc_score",
    "vus_pr_score",
    "vus_roc_score",
]
