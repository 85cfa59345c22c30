"""Metrics of anomaly maps, beside scikit-learn's and a loop over thresholds."""

from time import perf_counter

import numpy as np
from scipy import ndimage
from sklearn import metrics as sklearn_metrics

from skad import metrics

SIZE = 256


def make_maps(n_images, seed=0):
    """Return masks with up to three boxes on every other image, and noisy maps."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((n_images, SIZE, SIZE), dtype=bool)
    for mask in masks[::2]:
        for _ in range(rng.integers(1, 4)):
            top, left = rng.integers(0, SIZE - 40, 2)
            height, width = rng.integers(3, 40, 2)
            mask[top : top + height, left : left + width] = True
    return masks, rng.lognormal(size=masks.shape) * np.where(masks, 4, 1)


def overlap_on_a_grid(masks, maps, max_fpr=0.3, n_thresholds=200):
    """Go through equally spaced thresholds, each time over all pixels and regions."""
    labels = [ndimage.label(mask, structure=np.ones((3, 3)))[0] for mask in masks]
    rates, overlaps = [0.0], [0.0]
    for threshold in np.linspace(maps.max(), maps.min(), n_thresholds):
        found = maps >= threshold
        rates.append(found[~masks].mean())
        shares = [
            image[label == number].mean()
            for image, label in zip(found, labels, strict=True)
            for number in range(1, label.max() + 1)
        ]
        overlaps.append(np.mean(shares))
    inside = np.append(np.linspace(0, max_fpr, 1001), rates)
    inside = np.sort(inside[inside <= max_fpr])
    return np.trapezoid(np.interp(inside, rates, overlaps), inside) / max_fpr


class Pixels:
    """The metrics over the number of images of 256 x 256 pixels."""

    params = (
        ["skad", "sklearn"],
        ["roc_auc_score", "average_precision_score", "per_region_overlap_score"],
        ["float32", "float64"],
        [10, 100],
    )
    param_names = ["library", "metric", "dtype", "n_images"]
    timeout = 300

    def setup(self, library, metric, dtype, n_images):
        masks, maps = make_maps(n_images)
        self.args = masks, maps.astype(dtype)
        if library == "skad":
            prefix = "" if metric == "per_region_overlap_score" else "pixel_"
            self.metric = getattr(metrics, prefix + metric)
        elif hasattr(sklearn_metrics, metric):
            self.metric = getattr(sklearn_metrics, metric)
            self.args = tuple(array.ravel() for array in self.args)
        else:
            raise NotImplementedError  # asv's way to skip a combination

    def time_metric(self, library, metric, dtype, n_images):
        self.metric(*self.args)

    def peakmem_metric(self, library, metric, dtype, n_images):
        self.metric(*self.args)


class OverlapAgainstGrid:
    """How many times faster than 200 thresholds, and how far these are off."""

    params = [10, 50]
    param_names = ["n_images"]
    timeout = 600

    def setup(self, n_images):
        self.args = make_maps(n_images)

    def track_speed_up(self, n_images):
        begin = perf_counter()
        overlap_on_a_grid(*self.args)
        middle = perf_counter()
        metrics.per_region_overlap_score(*self.args)
        return (middle - begin) / (perf_counter() - middle)

    def track_difference(self, n_images):
        exact = metrics.per_region_overlap_score(*self.args)
        return abs(overlap_on_a_grid(*self.args) - exact)

    track_speed_up.unit = "times"
    track_difference.unit = "absolute"
