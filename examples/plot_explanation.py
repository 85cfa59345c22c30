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
# Beside each of the ten strongest reasons stands the tumour's value and the range of
# the middle half of the benign ones: the tumour is far outside in all of them. The
# grey bars are the average reasons of the benign tumours, what a feature contributes
# to any row; compare with those, not with zero.

import matplotlib.pyplot as plt

top = reasons.nlargest(10)[::-1]
usual = pd.Series(detector.explain(benign).mean(axis=0), index=X.columns)
low, high = benign.quantile(0.25), benign.quantile(0.75)

fig, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
ax.barh(top.index, top, color="C1", label="this tumour")
ax.barh(top.index, usual[top.index], color="0.75", height=0.4, label="average benign")
for place, feature in enumerate(top.index):
    value = malignant[feature].iloc[0]
    text = f"{value:.3g}  (benign {low[feature]:.3g} to {high[feature]:.3g})"
    ax.text(top[feature], place, "  " + text, va="center", fontsize=8)
ax.set(xlabel="share of the distance from the core", xlim=(0, 1.6 * top.max()))
ax.set_title("What makes the malignant tumour strange")
ax.legend(loc="lower right")
plt.show()
