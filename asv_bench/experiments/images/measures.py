"""How well anomalous images are told from normal ones, and where the anomaly is."""

import numpy as np

from skad.metrics import (
    average_precision_score,
    per_region_overlap_score,
    pixel_average_precision_score,
    pixel_roc_auc_score,
    roc_auc_score,
)

# False alarms among normal pixels up to which the overlap with regions counts.
_MAX_FPR = 0.3


def measures(images, scores, maps):
    """Measure a detector on a set.

    Parameters
    ----------
    images : ImageSet
        What was scored.

    scores : ndarray of shape (n_test,)
        High for normal images.

    maps : ndarray of shape (n_test, height, width) or None
        High for anomalous pixels.

    Returns
    -------
    found : dict of str to float
        AUROC and average precision of the images and of their pixels, and AUPRO; NaN
        where there is nothing to measure.
    """
    y = images.y
    found = {
        "AUROC": roc_auc_score(y, scores),
        "AP": average_precision_score(y, scores),
        **dict.fromkeys(("pixel AUROC", "pixel AP", "AUPRO"), np.nan),
    }
    if maps is not None and images.masks is not None:
        found["pixel AUROC"] = pixel_roc_auc_score(images.masks, maps)
        found["pixel AP"] = pixel_average_precision_score(images.masks, maps)
        found["AUPRO"] = per_region_overlap_score(images.masks, maps, max_fpr=_MAX_FPR)
    return found


def show(lines, by):
    """Print means over the seeds, and how far the main ones spread."""
    groups = lines.drop(columns="seed").groupby(by, sort=False)
    means = groups.mean().dropna(axis=1, how="all")
    for name in means.columns.intersection(["AUROC", "AUPRO"]):
        place = means.columns.get_loc(name) + 1
        means.insert(place, f"± {name}", groups[name].std())
    print(means.round(3).to_string(), end="\n\n")
