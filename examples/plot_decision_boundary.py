"""
=====================================
Where does the forest draw the line?
=====================================

Two moons of ordinary points, a few points that belong to neither, and the scores of
:class:`~skad.UnsupervisedRandomForest` over the whole plane.
"""

# %%
# The data
# --------
#
# The anomalies are drawn uniformly over the plane, so that some of them fall inside
# a moon. Nobody could tell those apart.

import numpy as np
from sklearn.datasets import make_moons

rng = np.random.default_rng(0)
moons, _ = make_moons(500, noise=0.07, random_state=0)
strange = rng.uniform([-1.7, -1.2], [2.7, 1.7], size=(25, 2))
X = np.vstack([moons, strange])

# %%
# Fit and score
# -------------
#
# ``contamination`` sets the threshold only: 5 % of the training rows shall be
# flagged. The scores themselves do not depend on it.

from skad import UnsupervisedRandomForest

detector = UnsupervisedRandomForest(contamination=0.05, random_state=0).fit(X)
flagged = detector.predict(X) == -1

# %%
# The picture
# -----------
#
# Only the order of scores matters, so the shade is the rank of a place: the darker,
# the stranger. The line is the threshold: rows outside it get the label -1. The forest
# follows the moons, but calls most of the room between them ordinary and only its
# middle strange. Splits look at one feature at a time, which shows in the streaks along
# the axes.

import matplotlib.pyplot as plt
from scipy.stats import rankdata

a, b = np.meshgrid(np.linspace(-1.8, 2.8, 150), np.linspace(-1.3, 1.8, 110))
score = detector.score_samples(np.column_stack([a.ravel(), b.ravel()]))
rank = (rankdata(score) / score.size).reshape(a.shape)
score = score.reshape(a.shape)

fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
shades = ax.contourf(a, b, rank, levels=20, cmap="Blues_r")
ax.contour(
    a, b, score, [detector.offset_], colors="black", linestyles="solid", linewidths=0.8
)
ax.scatter(*X[~flagged].T, s=8, color="white", edgecolor="0.3", linewidth=0.4)
ax.scatter(*X[flagged].T, s=28, color="C1", edgecolor="black", label="flagged")
ax.set(xlabel="feature 0", ylabel="feature 1", title="The stranger, the darker")
ax.legend(loc="lower left")
fig.colorbar(shades, ax=ax, label="rank of score_samples")
plt.show()
