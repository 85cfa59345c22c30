"""
=====================================================
Which events does a detector of series see, and why?
=====================================================

Sensors of one system move together. :class:`~skad.DConAD` learns how, from data without
events, and scores each later time step; :func:`~skad.inspection.explain` says which
sensor the score is due to.
"""

# %%
# The data
# --------
#
# Eight sensors that three hidden waves drive. In the second part are eight events, each
# in one sensor: readings that are off for a moment, a shifted level, a stuck reading,
# and a stretch of the sensor's own past, in which each value is as usual but does not
# fit the other sensors.

from skad.datasets import make_sensor_series

X_train, X_test, y_test, events = make_sensor_series(3000, random_state=2)
print(events.to_string(index=False))

# %%
# The detector
# ------------
#
# It knows the time steps that it was trained on better than new ones, so the threshold
# comes from normal time steps that it has not seen. One in a hundred of them is below.

import numpy as np

from skad import DConAD
from skad.inspection import explain
from skad.metrics import event_report, vus_pr_score

detector = DConAD(random_state=0).fit(X_train[:2000])
threshold = np.quantile(detector.score_samples(X_train[2000:]), 0.01)
scores = detector.score_samples(X_test)
parts = explain(detector, X_test)

report = event_report(y_test, scores < threshold)
print(f"VUS-PR {vus_pr_score(y_test, scores, buffer=40):.2f}")
print(f"Found {report.n_found} of {report.n_events} events, {report.n_alarms} alarms")

# %%
# Scores over time
# ----------------
#
# Above, the readings. In the middle, the scores, below the line where the time step is
# called anomalous; true events are shaded. Below, what each sensor adds: the
# dark stretches lie in the sensors in which the events are, outlined in red.

import matplotlib.pyplot as plt

offsets = -5 * np.arange(X_test.shape[1])
figure, (readings, course, reasons) = plt.subplots(
    3, 1, sharex=True, figsize=(10, 8), height_ratios=[3, 2, 2], layout="constrained"
)
readings.plot(X_test + offsets, linewidth=0.6)
readings.set(ylabel="sensor", yticks=offsets, yticklabels=range(8))
course.plot(scores, color="black", linewidth=0.8)
course.axhline(threshold, color="tab:red", linewidth=0.8)
course.set_ylabel("score")
for event in events.itertuples():
    for axes in (readings, course):
        axes.axvspan(event.start, event.stop, color="tab:orange", alpha=0.3)
    course.text(event.start, 0.1, event.kind, fontsize="small", va="bottom")
    corner, width = (event.start, event.channel - 0.5), event.stop - event.start
    reasons.add_patch(plt.Rectangle(corner, width, 1, fill=False, color="tab:red"))
limit = np.quantile(parts, 0.99)
reasons.imshow(parts.T, aspect="auto", cmap="Greys", vmax=limit, interpolation="none")
reasons.set(ylabel="sensor", xlabel="time step", yticks=range(8))
course.set_ylim(top=0.35)
plt.show()
