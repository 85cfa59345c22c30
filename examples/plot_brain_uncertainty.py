"""
=====================================================
How sure is a detector of where the lesion is?
=====================================================

:class:`~skad.BayesianVAE` learns what scans without a lesion look like. For a new one
it says what it would look like if it were normal, where it differs, and how much of
that difference was to be expected.
"""

# %%
# The data
# --------
#
# Phantoms: drawings like slices through a head. Half show fluid dark, half bright.
# Twenty of those to score have a lesion.

from skad.datasets import make_brain_phantom

X, y, masks = make_brain_phantom(
    120, 20, size=48, lesion_contrast=(0.1, 0.4), random_state=0
)
train, test = X[:100], X[100:]
labels, lesions = y[100:], masks[100:]

# %%
# The detector
# ------------
#
# It sees no lesion in training.

import numpy as np

from skad import BayesianVAE
from skad.metrics import roc_auc_score

detector = BayesianVAE(max_epochs=40, random_state=0).fit(train)
scores, std = detector.score_samples(test, return_std=True)
maps = detector.anomaly_map(test)
inside = np.where(lesions[labels == -1], -1, 1).ravel()
print(f"AUROC of images {roc_auc_score(labels, scores):.2f}")
print(f"AUROC of pixels {roc_auc_score(inside, -maps[labels == -1].ravel()):.2f}")

# %%
# Images and maps
# ---------------
#
# From left to right: the scan, with the outline of the lesion; its reconstruction,
# without the lesion; where it is anomalous; the deviation that the net predicts
# (aleatoric: edges are where heads differ); and the deviation between its
# Monte-Carlo passes (epistemic: what the training images do not settle). The last row
# is a scan without a lesion.

import matplotlib.pyplot as plt

order = np.argsort(scores)
chosen = [*order[labels[order] == -1][[0, 6, 12]], order[-1]]
uncertainty = detector.predict_uncertainty(test[chosen])
columns = {
    "scan": test[chosen],
    "reconstruction": detector.reconstruct(test[chosen]),
    "anomaly map": np.sqrt(maps[chosen]),
    "aleatoric": np.sqrt(uncertainty.aleatoric),
    "epistemic": np.sqrt(uncertainty.epistemic),
}
fig, axes = plt.subplots(4, 5, figsize=(8, 6.6), layout="constrained")
for column, (title, images) in zip(axes.T, columns.items(), strict=True):
    column[0].set_title(title)
    grey = title in ("scan", "reconstruction")
    top = 255 if grey else images.max()
    for ax, image in zip(column, images, strict=True):
        ax.imshow(image, cmap="gray" if grey else "magma", vmin=0, vmax=top)
        ax.set_axis_off()
for ax, i in zip(axes[:3, 0], chosen, strict=False):
    ax.contour(lesions[i], [0.5], colors="C1", linewidths=1)
plt.show()

# %%
# When to ask a human
# -------------------
#
# A label is doubtful where the score is near the threshold, compared with the standard
# deviation of the score. Leaving the most doubtful images to a human makes the rest
# more often right: that is the risk at a coverage.

doubt = -np.abs(scores - detector.offset_) / std
wrong = (detector.predict(test) != labels)[np.argsort(doubt)]
count = np.arange(1, len(test) + 1)
fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
ax.plot(count / len(test), np.cumsum(wrong) / count)
ax.axhline(wrong.mean(), color="C1", linestyle="--", label="in any other order")
ax.set(
    xlabel="coverage: share of images labelled", ylabel="risk: share of wrong labels"
)
ax.set_ylim(0)
ax.legend()
plt.show()
