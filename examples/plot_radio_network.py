"""
==============================================
A radio network: which cell fails, who is busy
==============================================

A crowd and a fault both change the load of a radio cell. :class:`~skad.CAnemon` asks
the neighbours: in a crowd, they are busy too.
"""

# %%
# The network
# -----------
#
# Forty cells, hour by hour, for four weeks. Crowds move through all the time; in the
# last week, some cells fail.

from skad.datasets import make_radio_network

X_train, X_test, y_test, truth = make_radio_network(n_cells=40, random_state=3)
print(X_test.head().to_string(index=False))

# %%
# The detector
# ------------
#
# The columns are named; those that are left, load and users, are KPIs.

import pandas as pd

from skad import CAnemon

detector = CAnemon(
    node="cell",
    time="time",
    position=["x", "y"],
    attributes=["type"],
    contamination=0.01,
    random_state=0,
).fit(X_train)

# %%
# What has lasted
# ---------------
#
# Events of six hours and more, the worst first, beside the faults that are there.

events = pd.DataFrame(detector.events(X_test)).sort_values("score")
shown = ["node", "start", "end", "kind", "score", "n_neighbors"]
print(events[shown].head(8).to_string(index=False, float_format="%.0f"))
faults = truth[truth["kind"] != "crowd"]
print(faults[["cell", "start", "stop", "kind"]].to_string(index=False))

# %%
# A fault and a crowd
# -------------------
#
# On the left the cell of the worst event, on the right the busiest one of a crowd,
# which is shaded. Grey lines are the neighbours, and the blue band is what they lead to
# expect. The load of the cell that fails leaves it, and is flagged. In the crowd it is
# as unusual for the hour, but the neighbours are as busy.

import matplotlib.pyplot as plt

from skad.inspection import NodeDisplay

crowds = truth[(truth["kind"] == "crowd") & (truth["start"] >= X_test["time"].min())]
within = X_test["cell"].isin(crowds.iloc[0]["cells"])
within &= X_test["time"].between(crowds.iloc[0]["start"], crowds.iloc[0]["stop"])
busy = X_test.loc[X_test.loc[within, "load"].idxmax(), "cell"]

figure, axes = plt.subplots(
    2, 2, sharex=True, figsize=(13, 6), height_ratios=[3, 1], layout="constrained"
)
for pair, cell in zip(axes.T, (events.iloc[0]["node"], busy), strict=True):
    NodeDisplay.from_estimator(detector, X_test, cell, kpi="load", axes=pair)
for start, stop in crowds.loc[crowds.index[:1], ["start", "stop"]].to_numpy():
    axes[0, 1].axvspan(start, stop, color="tab:green", alpha=0.2, lw=0)
plt.show()
