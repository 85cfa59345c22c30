"""What is measured of scores and of flags."""

import numpy as np
from scipy.ndimage import maximum_filter1d
from scipy.special import comb

from skad._segments import SeriesRows
from skad.metrics import (
    average_precision_score,
    best_f1_score,
    estimate_buffer,
    event_report,
    roc_auc_score,
    vus_pr_score,
)

PADDING = 50
_MOST_BUFFER = 100


def padded(flags):
    """Return flags with fifty rows on both sides of each."""
    return maximum_filter1d(np.asarray(flags, dtype=np.uint8), 2 * PADDING + 1) > 0


def overlaps(labels, flags):
    """Count events and alarms as M2AD's authors do.

    An event is found if any alarm overlaps it, and an alarm is false if it overlaps
    no event.
    """
    rows = SeriesRows.from_groups(None, len(labels))
    events, alarms = rows.segments(labels), rows.segments(np.asarray(flags))
    n_found = int(np.sum(events.n_overlapping(alarms) > 0))
    n_false = int(np.sum(alarms.n_overlapping(events) == 0))
    return {
        "found": n_found,
        "false": n_false,
        "missed": len(events) - n_found,
        "flagged": float(np.mean(flags)),
        "composite F1": event_report(labels, flags).composite_f1,
    }


def f_scores(found, false, missed):
    """Return precision, recall, F1 and F0.5 of sums of these counts."""
    precision = found / max(found + false, 1e-12)
    recall = found / max(found + missed, 1e-12)

    def f_beta(beta):
        weight = beta**2
        total = max(weight * precision + recall, 1e-12)
        return (1 + weight) * precision * recall / total

    return precision, recall, f_beta(1), f_beta(0.5)


def ranking(labels, scores, channel):
    """Return the honest metrics of scores in which high means normal."""
    buffer = min(estimate_buffer(channel), _MOST_BUFFER)
    return {
        "VUS-PR": vus_pr_score(labels, scores, buffer=buffer),
        "AUC-PR": average_precision_score(labels, scores),
        "AUC-ROC": roc_auc_score(labels, scores),
        "best F1": best_f1_score(labels, scores)[0],
    }


def chance_of_hit(n_sensors, n_guilty, n_named):
    """Return how often a random order names a guilty one among the first."""
    innocent = n_sensors - n_guilty
    return 1 - comb(innocent, n_named) / comb(n_sensors, n_named)


def system_measures(part, scores, flags):
    """Return what is measured of the rows of a system, all of its runs together."""
    known = part.labels >= 0
    part, scores, flags = part.of(known), scores[known], flags[known]
    is_event = part.labels > 0
    report = event_report(is_event, flags, groups=part.runs)
    return {
        "AUC-ROC": roc_auc_score(is_event, scores),
        "AUC-PR": average_precision_score(is_event, scores),
        "events": report.n_events,
        "found": report.n_found,
        "alarms": report.n_alarms,
        "delay": report.detection_delay,
        "normal flagged": flags[~is_event].mean(),
    }
