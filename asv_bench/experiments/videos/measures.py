"""How well anomalous frames are told from normal ones, in all videos and in each."""

import numpy as np
import torch

from skad._frame_scores import TERMS, between_extremes, smoothed
from skad._nets._frame_errors import FrameErrors
from skad.metrics import roc_auc_score

# As by default in MiddleFramePredictor, for frames of 64 x 96 pixels.
_PATCH_SIZE, _SMOOTHING = 4, 3.0
RAW = ("mse, raw", "patch, raw")


class TermsOfPredictions:
    """Score what a baseline predicts as MiddleFramePredictor scores its own frames.

    Parameters
    ----------
    baseline : object
        With ``fit(frames)`` and ``predict(frames, groups)``.
    """

    def __init__(self, baseline):
        self.baseline = baseline
        self.errors = FrameErrors(_PATCH_SIZE)

    def fit(self, frames, groups):
        self.range = float(frames.min()), float(frames.max())
        self.baseline.fit(self._scaled(frames))
        _, predicted, true = self._predicted(frames, groups)
        self.errors.learn(self.errors.patches(predicted, true))
        errors = self.errors(predicted, true).numpy()
        self.mean, self.std = errors.mean(axis=0), errors.std(axis=0)
        return self

    def terms(self, frames, groups):
        """Return the terms of frames, high for anomalous ones, for each video.

        As of MiddleFramePredictor, and, neither standardised nor smoothed, the mean
        squared error and that of the patch where it is highest.
        """
        known, predicted, true = self._predicted(frames, groups)
        found = (self.errors(predicted, true).numpy() - self.mean) / self.std
        found = self._filled(found, known, groups)
        for rows in rows_of_videos(groups):
            found[rows] = smoothed(found[rows], _SMOOTHING)
        squares = (predicted - true) ** 2
        patches = self.errors.patches(predicted, true).flatten(1).amax(1)
        raw = np.stack([squares.mean((1, 2, 3)), patches], axis=1)
        values = np.hstack([found, self._filled(raw, known, groups)])
        return dict(zip((*TERMS, *RAW), values.T, strict=True))

    def _scaled(self, frames):
        low, high = self.range
        return ((frames - low) / (high - low)).astype(np.float32)

    def _predicted(self, frames, groups):
        frames = self._scaled(frames)
        predicted, known = self.baseline.predict(frames, groups)
        tensors = [torch.from_numpy(f[known])[:, None] for f in (predicted, frames)]
        return known, *tensors

    def _filled(self, found, known, groups):
        """Return what the nearest frame of the video that was predicted has."""
        filled, place = np.empty((len(known), found.shape[1])), np.cumsum(known) - 1
        for rows in rows_of_videos(groups):
            kept = rows[known[rows]]
            filled[rows] = found[place[np.clip(rows, kept[0], kept[-1])]]
        return filled


class TermsOfDetector:
    """The terms of a MiddleFramePredictor."""

    def __init__(self, detector):
        self.detector = detector

    def fit(self, frames, groups):
        self.detector.fit(frames, groups=groups)
        return self

    def terms(self, frames, groups):
        """Return the terms of frames, high for anomalous ones."""
        return self.detector.score_terms(frames, groups=groups)


def measures(terms, videos):
    """Return areas under the ROC curve of frames.

    Parameters
    ----------
    terms : dict of str to ndarray of shape (n_test,)
        As `terms` returns them.

    videos : VideoSet
        What was scored.

    Returns
    -------
    found : dict of str to float
        Of the mean of the three terms: of all frames, of all when the scores of each
        video are brought between 0 and 1, and in each video that has both; and of
        every single term.
    """
    mean = np.mean([terms[name] for name in TERMS], axis=0)
    relative = np.empty(len(mean))
    for rows in rows_of_videos(videos.groups):
        relative[rows] = between_extremes(mean[rows])
    found = {"AUROC": roc_auc_score(videos.y, -mean)}
    found["per video 0 to 1"] = roc_auc_score(videos.y, -relative)
    for rows in rows_of_videos(videos.groups):
        if len(np.unique(videos.y[rows])) == 2:
            name = f"video {abs(videos.groups[rows[0]])}"
            found[name] = roc_auc_score(videos.y[rows], -mean[rows])
    # Every line of a file has the same columns.
    found |= dict.fromkeys((*TERMS, *RAW), np.nan)
    return found | {name: roc_auc_score(videos.y, -v) for name, v in terms.items()}


def rows_of_videos(groups):
    """Return the rows of each video, whose frames lie side by side."""
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.split(np.arange(len(groups)), starts[1:])
