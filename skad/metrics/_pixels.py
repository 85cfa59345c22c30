"""How well anomaly maps tell anomalous pixels from normal ones.

All three metrics follow from the same two counts: for each value of an anomalous
pixel, how many normal pixels lie above it, and how many not below it. So only the
normal pixels are sorted, without an index, and nothing is tabulated per threshold.
"""

from math import ceil
from numbers import Real

import numpy as np
from scipy import ndimage
from sklearn.utils.validation import assert_all_finite, check_scalar

from skad.metrics._checks import is_undefined


def pixel_roc_auc_score(masks, maps):
    """Compute the area under the ROC curve of all pixels of all images.

    It is the probability that an anomalous pixel gets a higher value than a normal
    one, ties counting half: 1 is a perfect ranking, 0.5 is chance.

    Parameters
    ----------
    masks : array-like of shape (n_samples, height, width)
        Where the images are anomalous: bool, or 0 and 1.

    maps : array-like of shape (n_samples, height, width)
        What ``anomaly_map`` of a detector returned: the higher, the more anomalous.

    Returns
    -------
    auc : float
        Area under the curve, in [0, 1]; NaN with an ``UndefinedMetricWarning`` if
        no pixel is anomalous, or none is normal.

    See Also
    --------
    per_region_overlap_score : Small anomalies count as much as large ones.
    pixel_average_precision_score : Says more when few pixels are anomalous.
    roc_auc_score : The same of whole images, from their scores.

    Notes
    -----
    Values near 1 are easily reached: most pixels are normal and far from any
    anomaly, so that a map that marks a wide surrounding of the anomalies ranks nearly
    all of them right. And large anomalies have most of the anomalous pixels.

    Examples
    --------
    >>> from skad.metrics import pixel_roc_auc_score
    >>> masks = [[[0, 0, 1], [0, 0, 1]]]
    >>> maps = [[[0.1, 0.2, 0.9], [0.0, 0.5, 0.5]]]
    >>> pixel_roc_auc_score(masks, maps)
    0.9375
    """
    masks, maps = _check_pixels(masks, maps)
    if is_undefined(masks, "pixel_roc_auc_score", labels="masks"):
        return np.nan
    values, counts = np.unique(maps[masks], return_counts=True)
    normal = maps[~masks]
    above, not_below = _count_normal(normal, values)
    # Integers, so that the area is exact up to its last division.
    n_halves = 2 * len(normal) * int(counts.sum())
    return (n_halves - int(counts @ (above + not_below))) / n_halves


def pixel_average_precision_score(masks, maps):
    """Compute the average precision with which anomalous pixels are found.

    Precision among the highest values of all images, averaged over the steps of
    recall. Chance level is the share of anomalous pixels, not 0.5.

    Parameters
    ----------
    masks : array-like of shape (n_samples, height, width)
        Where the images are anomalous: bool, or 0 and 1.

    maps : array-like of shape (n_samples, height, width)
        What ``anomaly_map`` of a detector returned: the higher, the more anomalous.

    Returns
    -------
    average_precision : float
        Average precision, in [0, 1]; NaN with an ``UndefinedMetricWarning`` if no
        pixel is anomalous, or none is normal.

    See Also
    --------
    pixel_roc_auc_score : Does not depend on the share of anomalous pixels.
    per_region_overlap_score : Small anomalies count as much as large ones.
    average_precision_score : The same of whole images, from their scores.

    Notes
    -----
    A map that is blurred or whose anomalies are a few pixels too wide loses much
    precision, even if a person would call it right. Large anomalies have most of the
    anomalous pixels, and decide.

    Examples
    --------
    >>> from skad.metrics import pixel_average_precision_score
    >>> masks = [[[0, 0, 1], [0, 0, 1]]]
    >>> maps = [[[0.1, 0.2, 0.9], [0.0, 0.5, 0.5]]]
    >>> round(pixel_average_precision_score(masks, maps), 3)
    0.833
    """
    masks, maps = _check_pixels(masks, maps)
    if is_undefined(masks, "pixel_average_precision_score", labels="masks"):
        return np.nan
    values, counts = np.unique(maps[masks], return_counts=True)
    _, not_below = _count_normal(maps[~masks], values)
    found = np.cumsum(counts[::-1])[::-1]
    return float(np.average(found / (found + not_below), weights=counts))


def per_region_overlap_score(masks, maps, *, max_fpr=0.3):
    """Compute the area under the curve of the per-region overlap, AUPRO.

    The overlap at a threshold is the share of an anomalous region that lies above
    it, averaged over all regions. It is plotted over the false-positive rate, the
    share of the normal pixels of all images that lie above the threshold; the area
    from 0 to `max_fpr` is divided by `max_fpr`.

    Parameters
    ----------
    masks : array-like of shape (n_samples, height, width)
        Where the images are anomalous: bool, or 0 and 1. Anomalous pixels of an image
        that touch, be it at a corner, are one region.

    maps : array-like of shape (n_samples, height, width)
        What ``anomaly_map`` of a detector returned: the higher, the more anomalous.

    max_fpr : float, default=0.3
        The highest false-positive rate, in (0, 1], at which the overlap counts.

    Returns
    -------
    area : float
        Mean overlap up to `max_fpr`, in [0, 1]: 1 is perfect, ``max_fpr / 2`` is
        chance, and what a constant map gets. NaN with an ``UndefinedMetricWarning``
        if no pixel is anomalous, or none is normal.

    See Also
    --------
    pixel_roc_auc_score : All pixels count the same, up to any false-positive rate.
    pixel_average_precision_score : Looks at precision.

    Notes
    -----
    Every region weighs the same, whether it has one pixel or thousands. Stray pixels
    in hand-drawn masks, and crumbs into which masks fall when they are resized, count
    as regions of their own: look at the masks first. Values for different `max_fpr`,
    and for masks of different sizes, cannot be compared.

    The area is that of [1]_ over all thresholds, not over a grid of them: a point for
    each distinct value of the maps, with straight lines between them and at `max_fpr`.

    References
    ----------
    .. [1] Bergmann, P., Batzner, K., Fauser, M., Sattlegger, D. and Steger, C. "The
       MVTec anomaly detection dataset: a comprehensive real-world dataset for
       unsupervised anomaly detection". International Journal of Computer Vision 129
       (2021). :doi:`10.1007/s11263-020-01400-4`

    Examples
    --------
    A large region that is found, and a pixel that is missed:

    >>> import numpy as np
    >>> from skad.metrics import per_region_overlap_score, pixel_roc_auc_score
    >>> masks = np.zeros((1, 8, 8), dtype=bool)
    >>> masks[0, :4, :4] = masks[0, 7, 7] = True
    >>> maps = np.zeros((1, 8, 8))
    >>> maps[0, :4, :4] = 1
    >>> round(pixel_roc_auc_score(masks, maps), 3)
    0.971
    >>> round(per_region_overlap_score(masks, maps), 3)
    0.575
    """
    masks, maps = _check_pixels(masks, maps)
    check_scalar(max_fpr, "max_fpr", Real)
    if not 0 < max_fpr <= 1:
        raise ValueError(f"max_fpr == {max_fpr}, must be in (0, 1].")
    if is_undefined(masks, "per_region_overlap_score", labels="masks"):
        return np.nan
    values, value_of_pixel = np.unique(maps[masks], return_inverse=True)
    normal = maps[~masks]
    limit = max_fpr * len(normal)
    above, not_below = _count_normal(_highest(normal, ceil(limit)), values)
    areas = _areas_up_to(limit, above, not_below)
    region = _regions_of_pixels(masks)
    found = np.bincount(region, weights=areas[value_of_pixel])
    return float(np.mean(found / np.bincount(region)))


def _check_pixels(masks, maps):
    """Return masks as bool and maps as numbers, both of the same shape."""
    masks, maps = np.asarray(masks), np.asarray(maps)
    if masks.ndim != 3 or masks.size == 0:
        raise ValueError(
            f"masks has shape {masks.shape}; expected (n_samples, height, width), "
            "none of them 0."
        )
    if maps.shape != masks.shape:
        raise ValueError(
            f"maps has shape {maps.shape}; expected that of masks, {masks.shape}."
        )
    if maps.dtype.kind not in "bfiu":
        raise ValueError(f"maps has dtype {maps.dtype}; expected real numbers.")
    assert_all_finite(maps, input_name="maps")
    return as_masks(masks), maps


def as_masks(masks):
    """Return masks as bool, given as that or as 0 and 1."""
    if masks.dtype.kind not in "bfiu":
        raise ValueError(f"masks has dtype {masks.dtype}; expected bool, or 0 and 1.")
    is_anomalous = masks != 0
    strange = is_anomalous & (masks != 1)
    if strange.any():
        raise ValueError(
            f"masks has values such as {masks[strange][0]}; expected bool, or 0 and 1."
        )
    return is_anomalous


def _count_normal(normal, values):
    """Count the normal pixels above each value, and those not below; sort them."""
    normal.sort()
    above = len(normal) - np.searchsorted(normal, values, side="right")
    not_below = len(normal) - np.searchsorted(normal, values, side="left")
    return above, not_below


def _highest(normal, n):
    """Return the `n` highest values with all that tie; the others are not sorted."""
    normal.partition(len(normal) - n)
    return normal[normal >= normal[len(normal) - n]]


def _areas_up_to(limit, above, not_below):
    """Return the part of [0, limit] that the curve of a pixel with each value covers.

    The pixel is found, from 0 to 1, while the number of false positives grows from
    `above` to `not_below`: at once, or on a straight line if normal pixels tie.
    """
    n_ties = np.maximum(not_below - above, 1)
    on_line = np.clip(limit - above, 0, not_below - above)
    after = np.maximum(limit - not_below, 0)
    return (after + on_line**2 / (2 * n_ties)) / limit


def _regions_of_pixels(masks):
    """Return the number of the region of each anomalous pixel, in their order."""
    regions, n_regions = [], 0
    for mask in masks[masks.any(axis=(1, 2))]:
        labels, n_labels = ndimage.label(mask, structure=np.ones((3, 3)))
        regions.append(labels[mask] + (n_regions - 1))
        n_regions += n_labels
    return np.concatenate(regions)
