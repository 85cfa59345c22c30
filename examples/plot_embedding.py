"""
======================================
Which rows does the forest find alike?
======================================

The proximity of two rows is how much they share in the forest. A map that turns
proximities into distances shows groups that nobody has named, and where the strange
rows stand between them.
"""

# %%
# The data
# --------
#
# Handwritten digits: zeros, fours and sixes are ordinary, and a few of the other
# digits are mixed in. The forest sees 64 shades of grey and no label.

import numpy as np
from sklearn.datasets import load_digits

X, digit = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
ordinary = np.isin(digit, [0, 4, 6])
keep = ordinary | (rng.random(len(digit)) < 0.02)
X, digit, ordinary = X[keep], digit[keep], ordinary[keep]
y = np.where(ordinary, 1, -1)
print(f"{ordinary.sum()} ordinary rows, {(~ordinary).sum()} others")

# %%
# Fit
# ---

from skad import UnsupervisedRandomForest

share = np.mean(y == -1)
detector = UnsupervisedRandomForest(contamination=share, random_state=0).fit(X)

# %%
# The picture
# -----------
#
# The map has three arms, and the labels, added afterwards, say that these are the three
# digits. A row far out has many rows like itself. What resembles nothing has no arm to
# stand on: the other digits meet where the arms do, and so do most of the flagged rows.
# They lie close together there because two coordinates cannot show that they are as far
# from one another as from everything else. Flagged rows at the inner end of an arm are
# ordinary digits with few like them.

import matplotlib.pyplot as plt

from skad.inspection import EmbeddingDisplay

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
by_rank = EmbeddingDisplay.from_estimator(detector, X, ax=left)
EmbeddingDisplay.from_estimator(detector, X, y, ax=right)
style = {"size": 14, "weight": "bold", "ha": "center", "va": "center"}
plate = {"boxstyle": "circle", "facecolor": "white", "edgecolor": "none"}
for name in (0, 4, 6):
    place = np.median(by_rank.embedding[digit == name], axis=0)
    right.text(*place, name, bbox=plate, **style)
left.set_title("What the forest sees")
right.set_title("What the labels say")
plt.show()
