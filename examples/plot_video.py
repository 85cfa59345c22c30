"""
============================
Frames that nobody predicted
============================

:class:`~skad.MiddleFramePredictor` learns to predict frames of a video from those
before and after them. Where it fails, something happens that did not in training.
"""

# %%
# The videos
# ----------
#
# Two digits move over a background that stays as it is. In the last six videos
# something else happens for a while: one of the digits is four times as fast, or an
# object crosses the picture. The others are normal. Twelve of these are trained on,
# four are kept for the threshold, and two are scored beside those with anomalies.

from skad.datasets import make_moving_digits

X, y, groups, _ = make_moving_digits(24, 48, anomaly_share=0.25, random_state=0)
train, clean, new = groups < 12, (groups >= 12) & (groups < 16), groups >= 16

# %%
# The detector
# ------------
#
# `groups` says which frames are of which video. A clip is every second of nine frames,
# and the one in its middle is predicted from two on each side. A small net and few
# epochs keep this example short.

from skad import MiddleFramePredictor

clips = {"n_context": 2, "n_target": 1, "stride": 2, "max_clips": 160}
detector = MiddleFramePredictor(
    channels=(8, 16), max_epochs=4, lr=0.005, random_state=0, **clips
).fit(X[train], groups=groups[train])

# %%
# How good it is
# --------------
#
# The net may predict videos that it was trained on better than new ones. The threshold
# is therefore taken from normal videos that it has not seen.

import numpy as np

from skad.metrics import roc_auc_score

threshold = np.quantile(detector.score_samples(X[clean], groups=groups[clean]), 0.01)
scores = detector.score_samples(X[new], groups=groups[new])
alarms = scores < threshold
print(f"AUROC of frames {roc_auc_score(y[new], scores):.2f}")
print(f"Flagged: {alarms[y[new] == -1].mean():.0%} of the anomalous frames", end=", ")
print(f"{alarms[y[new] == 1].mean():.0%} of the normal ones")

# %%
# What was expected, and what came
# --------------------------------
#
# A disc crosses the picture. The digits are predicted almost as they are. The disc is
# not: half of it is expected where it was before, half where it will be, and the error
# is bright. Below, the score falls as the disc comes in and rises as it leaves, some
# frames early and late: clips reach that far, and scores are smoothed in time. Normal
# frames next to an anomaly are flagged for that reason.

import matplotlib.pyplot as plt

video = groups == 23
frames, errors = X[video], detector.anomaly_map(X[video])
of_video = scores[groups[new] == 23]
chosen = np.arange(2, 48, 7)
rows = {
    "frame": frames[chosen],
    "predicted": detector.predict_frames(frames)[chosen],
    "error": errors[chosen],
}
fig = plt.figure(figsize=(8, 6), layout="constrained")
grid = fig.add_gridspec(4, len(chosen), height_ratios=(1, 1, 1, 1.6))
for row, (name, images) in enumerate(rows.items()):
    cmap, top = ("magma", errors.max()) if name == "error" else ("gray", 255)
    for column, image in enumerate(images):
        ax = fig.add_subplot(grid[row, column], xticks=[], yticks=[])
        ax.imshow(image, cmap=cmap, vmin=0, vmax=top)
        if row == 0:
            ax.set_title(f"frame {chosen[column]}", fontsize=9)
        if column == 0:
            ax.set_ylabel(name)
ax = fig.add_subplot(grid[3, :])
first, *_, last = np.flatnonzero(y[video] == -1)
ax.axvspan(first, last, color="C1", alpha=0.25, linewidth=0, label="disc is there")
ax.plot(of_video, "o-", markevery=chosen.tolist(), label="score")
ax.axhline(threshold, color="C3", linestyle="--", label="threshold")
ax.set(xlabel="frame", ylabel="score: high is normal", xlim=(0, 47))
ax.legend()
plt.show()
