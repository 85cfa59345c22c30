"""From the errors of frames to terms and scores."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

TERMS = ("psnr", "patch", "ssim")
# Errors are logarithms: a deviation of one in a hundred counts as none.
_LEAST_DEVIATION = 0.01


class FrameScores:
    """How frames are scored, relative to those of the training.

    Parameters
    ----------
    errors : ndarray of shape (n_frames, 3)
        Logarithms of the errors of the training frames, as of `FrameErrors`.

    measure, smoothing, normalization
        As for `MiddleFramePredictor`. They stay as they were in `fit`, as does the
        threshold.
    """

    def __init__(self, errors, measure, smoothing, normalization):
        self._mean = errors.mean(axis=0)
        self._deviation = np.maximum(errors.std(axis=0), _LEAST_DEVIATION)
        self._measure = measure
        self._smoothing = smoothing
        self._normalization = normalization

    def terms(self, errors):
        """Return the standardised and smoothed errors of the frames of a video."""
        return smoothed((errors - self._mean) / self._deviation, self._smoothing)

    def scores(self, errors):
        """Return the scores of the frames of a video, high for normal ones."""
        terms = self.terms(errors)
        if self._measure == "mean":
            scores = -terms.mean(axis=1)
        else:
            scores = -terms[:, TERMS.index(self._measure)]
        return between_extremes(scores) if self._normalization == "video" else scores


def smoothed(values, sigma):
    """Return Gaussian means of what belongs to the frames of a video.

    Parameters
    ----------
    values : ndarray of shape (n_frames, n_values)
        The values; before the first frame and after the last they go on as there.

    sigma : float
        The standard deviation in frames; 0 leaves values as they are.
    """
    return gaussian_filter1d(values, sigma, axis=0, mode="nearest") if sigma else values


def between_extremes(values):
    """Return values from 0, the lowest, to 1, the highest; all 1 if they are equal."""
    low, high = values.min(), values.max()
    if low == high:
        return np.ones(len(values))
    return (values - low) / (high - low)
