"""
==================================
Why is this row called an anomaly?
==================================

A score says that a row is strange. :meth:`~skad.UnsupervisedRandomForest.explain`
says which features make it so: its entries add up to the row's distance from the
ordinary rows.
"""

# %%
# The data
# --------
#
# Benign breast tumours, and among them one malignant one.

import pandas as pd
from sklearn.datasets import load_breast_cancer

data = load_breast_cancer(as_frame=True)
benign = data.data[data.target == 1]
malignant = data.data[data.target == 0].head(1)
X = pd.concat([benign, malignant], ignore_index=True)

# %%
# The forest finds it
# -------------------

from skad import UnsupervisedRandomForest

detector = UnsupervisedRandomForest(random_state=0).fit(X)
scores = pd.Series(detector.score_samples(X))
print(f"It is number {scores.rank().iloc[-1]:.0f} of {len(X)}, the strangest first.")

# %%
# The reasons
# -----------
#
# One number per feature, nothing negative. Their sum is minus the score.

reasons = pd.Series(detector.explain(malignant)[0], index=X.columns)
print(f"sum of the reasons {reasons.sum():.6f}, score {scores.iloc[-1]:.6f}")

# %%
# The picture
# -----------
#
# The ten strongest reasons. At the right stands the tumour's value and, in parentheses,
# the middle half of the benign ones: the tumour is far outside in all of them. The grey
# bars are the average reasons of the benign tumours, what a feature contributes to any
# row; compare with those, not with zero.

import matplotlib.pyplot as plt

from skad.inspection import AttributionDisplay

fig, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
AttributionDisplay.from_estimator(detector, malignant, reference=benign, ax=ax)
ax.set_title("What makes the malignant tumour strange")
plt.show()
