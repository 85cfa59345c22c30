"""
===========================================
How do I tune a pipeline without any label?
===========================================

Four criteria look at nothing but the rows and the detector. Here labels are kept for
the end, to see what each of the criteria would have cost.
"""

# %%
# The data
# --------
#
# Handwritten digits: the eights are ordinary, and a few of the other digits play the
# anomalies. The search will not see which.

import numpy as np
from sklearn.datasets import load_digits

X, digit = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
keep = (digit == 8) | (rng.random(len(digit)) < 0.02)
X, y = X[keep], np.where(digit[keep] == 8, 1, -1)
print(f"{len(y)} rows, {np.sum(y == -1)} of them anomalies")

# %%
# The search
# ----------
#
# Candidates are settings of three detectors behind one scaler. All rows train and all
# are scored, because the anomalies are looked for among them: a single "fold" says so.
# With several criteria, ``refit`` picks the candidate whose ranks have the best mean.
# The labels go to the last scorer only, and it has no say.

from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skad import UnsupervisedRandomForest
from skad.metrics import get_scorer
from skad.model_selection import consensus, excess_mass, neg_mass_volume, stability

criteria = {
    "excess mass": excess_mass,
    "mass volume": neg_mass_volume,
    "stability": stability,
    "consensus": consensus,
}


def best_mean_rank(results):
    """Return which candidate has the best mean of its ranks."""
    return np.argmin(sum(results[f"rank_test_{name}"] for name in criteria))


lof = LocalOutlierFactor(novelty=True)
forest = UnsupervisedRandomForest(n_estimators=30, random_state=0)
grid = [
    {"detector": [lof], "detector__n_neighbors": [2, 5, 20, 50]},
    {"detector": [OneClassSVM()], "detector__gamma": [0.01, 0.1]},
    {"detector": [forest], "detector__max_samples": [32, 100]},
]
pipeline = Pipeline([("scaler", StandardScaler()), ("detector", lof)])
rows = np.arange(len(X))
search = GridSearchCV(
    pipeline,
    grid,
    scoring={**criteria, "AUROC": get_scorer("roc_auc")},
    cv=[(rows, rows)],
    refit=best_mean_rank,
).fit(X, y)
print(search.best_params_)

# %%
# The picture
# -----------
#
# Each dot is a candidate: the criterion that needs no label against the area under the
# ROC curve that it could not see. A criterion is good if dots rise to the right. The
# circle is its pick, and the line the best candidate: what lies between them is what it
# costs not to have labels.

import matplotlib.pyplot as plt

results = search.cv_results_
auroc = results["mean_test_AUROC"]
names = np.array([type(p["detector"]).__name__ for p in results["params"]])

fig, axes = plt.subplots(2, 2, figsize=(8, 6.4), sharex=True, layout="constrained")
for ax, name in zip(axes.flat, criteria, strict=True):
    values = results[f"mean_test_{name}"]
    for detector in dict.fromkeys(names):
        of = names == detector
        ax.plot(auroc[of], values[of], "o", label=detector)
    pick = np.argmax(values)
    ax.plot(auroc[pick], values[pick], "o", mfc="none", mec="black", ms=14)
    ax.axvline(auroc.max(), color="0.6", linestyle=":")
    ax.set_title(f"{name}: {auroc.max() - auroc[pick]:.3f} below the best", fontsize=11)
for ax in axes[1]:
    ax.set_xlabel("area under the ROC curve")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# The mean of ranks picks this:

print(f"{auroc[search.best_index_]:.3f}, the best is {auroc.max():.3f}")

# %%
# One data set proves nothing, and this one is kind to the consensus: the local outlier
# factor with 20 neighbours is one of the detectors that it asks. What the criteria are
# worth over sixteen data sets is in :ref:`results_tuning`.
