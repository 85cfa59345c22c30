"""
===========================================
How do I tune a pipeline with a few labels?
===========================================

Detectors learn without labels, but a handful of labelled anomalies can choose between
settings. What matters is the scorer and the splits.
"""

# %%
# The data
# --------
#
# Handwritten digits: the eights are ordinary, and a few of the other digits play the
# anomalies. The label 1 marks anomalies, as in most published data.

import numpy as np
from sklearn.datasets import load_digits

X, digit = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
keep = (digit == 8) | (rng.random(len(digit)) < 0.02)
X, y = X[keep], (digit[keep] != 8).astype(int)
print(f"{len(y)} rows, {y.sum()} of them anomalies")

# %%
# The search
# ----------
#
# Does the forest gain from principal components, and from how many? The scorer takes
# anomalies as the positive class. The folds are shuffled and share the anomalies,
# because scikit-learn would otherwise cut the rows into blocks, some of them without
# any. Without labels, see
# :ref:`sphx_glr_auto_examples_plot_tuning_without_labels.py`.

from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skad import UnsupervisedRandomForest
from skad.metrics import get_scorer
from skad.model_selection import OutlierKFold

components = [2, 4, 8, 16, 32]
pipeline = Pipeline(
    [
        ("pca", PCA(random_state=0)),
        ("forest", UnsupervisedRandomForest(n_estimators=100, random_state=0)),
    ]
)
search = GridSearchCV(
    pipeline,
    {"pca__n_components": components},
    scoring={
        "right": get_scorer("roc_auc"),
        "wrong": "roc_auc",
    },
    refit="right",
    cv=OutlierKFold(n_splits=5, random_state=0),
).fit(X, y)
print(search.best_params_)

# %%
# The picture
# -----------
#
# The bars are one standard deviation over the folds: with so few anomalies, neighbours
# can hardly be told apart, and the honest answer is a range. The grey line is what
# scikit-learn's own ``"roc_auc"`` reports for labels 0 and 1. It is the mirror image,
# and a search that trusts it picks the worst setting without a warning.

import matplotlib.pyplot as plt

results = search.cv_results_
fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
places = np.arange(len(components))
for name, style, label in [
    ("right", {"color": "C0", "marker": "o"}, "scorer of skad.metrics"),
    ("wrong", {"color": "0.6", "marker": "x"}, 'scikit-learn\'s "roc_auc"'),
]:
    mean, std = results[f"mean_test_{name}"], results[f"std_test_{name}"]
    ax.errorbar(places, mean, std, capsize=3, label=label, **style)
ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
ax.set_xticks(places, components)
ax.set(xlabel="principal components", ylabel="area under the ROC curve", ylim=(0, 1.02))
ax.set_title("Other digits among eights")
ax.legend(loc="center right")
plt.show()
