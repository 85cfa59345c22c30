"""
===============================================
How do names and groups get through a pipeline?
===============================================

A detector of series has to know which rows belong together, and its user wants sensors
by their names. scikit-learn hands on both, through a pipeline and a search, if asked.
"""

# %%
# Two pumps, one table
# --------------------
#
# The pumps send their readings in turns: neighbouring rows are not of the same series.

import numpy as np
import pandas as pd

from skad.datasets import make_sensor_series

sensors = ["flow", "heat", "pressure", "sound"]
tables = []
for seed, pump in enumerate(["north", "south"]):
    past, later, labels, _ = make_sensor_series(
        300, 600, 4, n_events=4, event_length=25, random_state=seed
    )
    table = pd.DataFrame(np.vstack([past, later]), columns=sensors)
    tables.append(table.assign(pump=pump, label=np.r_[np.ones(300), labels]))
table = pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)
X, y, groups = table[sensors], table["label"], table["pump"]
print(table.head(4).round(2).to_string())

# %%
# Names
# -----
#
# A scaler returns an array, which has no names, unless ``set_output`` says otherwise.
# Then the detector knows the columns by ``feature_names_in_``, and refuses a table in
# which they have changed places. An array without names is scored, with a warning.

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import DConAD

detector = DConAD(d_model=16, max_epochs=2, random_state=0)
pipeline = make_pipeline(StandardScaler(), detector).set_output(transform="pandas")
print("The detector saw", pipeline.fit(X)[-1].feature_names_in_)
try:
    detector.score_samples(X[["heat", "flow", "pressure", "sound"]])
except ValueError as error:
    print(error)

# %%
# Groups
# ------
#
# Which pump a row is of is metadata. With routing enabled, whoever takes it has to say
# so: the detector for ``fit`` and for scoring, and the scorer, whose metric counts
# events of each pump. :class:`~skad.model_selection.TimeOrderedSplit` asks by itself;
# it trains on the past of each pump and tests on what follows. In a notebook, the name
# of each step links to its page, and so does each parameter.

import sklearn
from sklearn.model_selection import GridSearchCV

from skad.metrics import outlier_scorer, vus_pr_score
from skad.model_selection import TimeOrderedSplit

with sklearn.config_context(enable_metadata_routing=True):
    detector.set_fit_request(groups=True).set_decision_function_request(groups=True)
    search = GridSearchCV(
        pipeline,
        {"dconad__window_size": [5, 20, 80]},
        scoring=outlier_scorer("vus_pr", buffer=25).set_score_request(groups=True),
        cv=TimeOrderedSplit(n_splits=2),
    ).fit(X, y, groups=groups)
    # The search's own decision_function takes no groups.
    told = search.best_estimator_.decision_function(X, groups=groups)
untold = sklearn.clone(search.best_estimator_).fit(X).decision_function(X)
print(search.best_params_, search.cv_results_["mean_test_score"].round(2))
search

# %%
# The picture
# -----------
#
# One pump, with its events shaded, and its scores, which call a time step anomalous
# below the red line. Above, what the pipeline of the search says. Below, the same
# pipeline without groups, to which the table is one series that jumps from pump to
# pump: it misses the sound that is stuck, in the third event, until that is over, and
# raises alarms where nothing happens, beginning with the first rows.

import matplotlib.pyplot as plt

north = (groups == "north").to_numpy()
figure, axes = plt.subplots(3, 1, sharex=True, figsize=(9, 6.5), layout="constrained")
axes[0].plot(X[north].to_numpy() - 6 * np.arange(4), linewidth=0.7)
axes[0].set_yticks(-6 * np.arange(4), sensors)
axes[0].set_title("readings of the pump in the north", loc="left")
for ax, scores, how in [(axes[1], told, "with"), (axes[2], untold, "without")]:
    ax.plot(scores[north], color="black", linewidth=0.8)
    ax.axhline(0, color="tab:red", linewidth=0.8)
    value = vus_pr_score(y, scores, groups=groups, buffer=25)
    ax.set_title(f"scores {how} groups: VUS-PR of both pumps {value:.2f}", loc="left")
    ax.set_ylim(-0.35, 0.1)
for ax in axes:
    for step in np.flatnonzero(y[north] < 0):
        ax.axvspan(step, step + 1, color="tab:orange", alpha=0.3, linewidth=0)
axes[2].set_xlabel("time step")
plt.show()
