"""
=======================================
One detector for metal, cloth and tiles
=======================================

:class:`~skad.MDDNet` learns what surfaces of several kinds look like when nothing is
wrong with them. For a new image it says whether something is, and where.
"""

# %%
# The images
# ----------
#
# Drawings like photographs of three kinds of surfaces. Ninety show no defect, and are
# trained on; of the other 120, every second one has a scratch, a stain, a crack, a worn
# place or one that does not belong there.

from skad.datasets import make_surfaces

defects = {"defect_size": (0.3, 0.5), "defect_contrast": (0.4, 0.6)}
X, y, masks, kinds = make_surfaces(150, 60, size=48, random_state=0, **defects)
X_train, kinds_train = X[:90], kinds[:90]
X, y, masks, kinds = X[90:], y[90:], masks[90:], kinds[90:]

# %%
# The detector
# ------------
#
# What `fit` gets beside the images is the kind of each, not whether it is an anomaly.
# Nothing is downloaded: the teacher is trained here, too. Two levels and few epochs
# keep this example short.

from skad import MDDNet

detector = MDDNet(
    channels=(16, 32), backbone_epochs=50, max_epochs=20, lr=0.006, random_state=0
).fit(X_train, kinds_train)

# %%
# How good it is
# --------------
#
# Scores rank images, maps rank pixels. The overlap of regions counts large and small
# defects alike; by chance it would be 0.15.

from skad.metrics import per_region_overlap_score, roc_auc_score

scores = detector.score_samples(X)
maps = detector.anomaly_map(X)
print(f"AUROC of images {roc_auc_score(y, scores):.2f}")
print(f"Overlap of regions {per_region_overlap_score(masks, maps):.2f}")

# %%
# Where the defects are
# ---------------------
#
# A row for each kind, and in it four defects by their scores: the lowest, those at a
# quarter and at half of the list, and the highest, which are missed, such as places
# that are worn smooth; then a surface without a defect. The colour says how anomalous a
# place is, up to three times the threshold of scores. The line is the true outline.

import matplotlib.pyplot as plt
import numpy as np

from skad.inspection import AnomalyMapDisplay

order = np.argsort(scores)
chosen = []
for kind in range(3):
    defects = order[(kinds[order] == kind) & (y[order] == -1)]
    normal = order[(kinds[order] == kind) & (y[order] == 1)]
    places = [0, len(defects) // 4, len(defects) // 2, -1]
    chosen += [*defects[places], normal[len(normal) // 2]]
AnomalyMapDisplay.from_estimator(
    detector, X[chosen], masks=masks[chosen], vmax=-3 * detector.offset_
)
plt.show()
