"""
==========================================
How do PyOD's detectors see the same data?
==========================================

Six detectors on the same points: two follow scikit-learn, four are PyOD's, wrapped in
:class:`~skad.interop.PyODDetector` so that all of them mean the same by a score.
"""

# %%
# The data
# --------
#
# A tight cluster, a wide one and a correlated one, with uniform noise between them.

import numpy as np

rng = np.random.default_rng(1)
X = np.vstack(
    [
        rng.normal([-4, 3], 0.3, size=(150, 2)),
        rng.normal([4, 3], 1.0, size=(150, 2)),
        rng.multivariate_normal([0, -3], [[6, 2.2], [2.2, 0.9]], size=150),
        rng.uniform(-8, 8, size=(40, 2)),
    ]
)
y = np.repeat([1, -1], [450, 40])

# %%
# The detectors
# -------------
#
# PyOD says 1 and a high score for anomalies; the wrapper turns both round.

from pyod.models.hbos import HBOS
from pyod.models.inne import INNE
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from sklearn.ensemble import IsolationForest

from skad import UnsupervisedRandomForest
from skad.interop import PyODDetector

detectors = {
    "UnsupervisedRandomForest": UnsupervisedRandomForest(random_state=0),
    "IsolationForest": IsolationForest(n_estimators=300, random_state=0),
    "PyOD KNN": PyODDetector(KNN()),
    "PyOD LOF": PyODDetector(LOF()),
    "PyOD INNE": PyODDetector(INNE(random_state=0)),
    "PyOD HBOS": PyODDetector(HBOS()),
}

# %%
# The picture
# -----------
#
# Scores have different scales, so the shade is the rank of a place: the darker, the
# stranger. The contour encloses the most ordinary half of the plane. HBOS looks at one
# feature at a time and finds ordinary places where no point is; the unsupervised
# forest, whose splits are parallel to the axes too, does the same where the shadows of
# two clusters cross. LOF judges by the
# neighbours' density, which makes the tight cluster a very small island. In two
# dimensions the nearest neighbours are hard to beat.

import matplotlib.pyplot as plt
from scipy.stats import rankdata

from skad.metrics import roc_auc_score

side = np.linspace(-8.5, 8.5, 80)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)

fig, axes = plt.subplots(2, 3, figsize=(8, 5.6), layout="constrained")
for ax, (name, detector) in zip(axes.flat, detectors.items(), strict=True):
    detector.fit(X)
    rank = rankdata(detector.score_samples(grid)) / len(grid)
    rank = rank.reshape(len(side), len(side))
    ax.contourf(side, side, rank, levels=20, cmap="Blues_r", vmin=0, vmax=1)
    ax.contour(side, side, rank, levels=[0.5], colors="black", linewidths=0.7)
    ax.scatter(*X[y == 1].T, s=2, color="white")
    ax.scatter(*X[y == -1].T, s=8, color="C1", edgecolor="black", linewidth=0.4)
    area = roc_auc_score(y, detector.score_samples(X))
    ax.set_title(f"{name}\nROC AUC {area:.3f}", fontsize=10)
    ax.set(xticks=[], yticks=[], aspect="equal", xlim=side[[0, -1]], ylim=side[[0, -1]])
fig.suptitle("The stranger, the darker; true anomalies in orange")
plt.show()
