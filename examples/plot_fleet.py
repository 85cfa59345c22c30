"""
=============================================
A fleet with one failing machine: who and why
=============================================

One :class:`~skad.M2AD` watches many systems. Its p-values mean the same for all of
them, so that a single threshold serves the fleet, and the intervals that it returns
name the system, the time and the sensors.
"""

# %%
# The fleet
# ---------
#
# Four machines with six sensors each; every machine has waves of its own. In the second
# part the cooling of machine "C" fails: two of its sensors slowly leave the others.

import numpy as np
import pandas as pd

from skad.datasets import make_sensor_series

SENSORS = ["flow", "pressure", "speed", "torque", "inlet", "outlet"]
FAILURE = slice(900, 1100)

past, present = [], []
for seed, name in enumerate("ABCD"):
    before, after, *_ = make_sensor_series(2000, 1500, 6, n_events=0, random_state=seed)
    if name == "C":
        drift = np.linspace(0, 1, FAILURE.stop - FAILURE.start)
        after[FAILURE, 4] += drift
        after[FAILURE, 5] += 2 * drift
    past.append(pd.DataFrame(before, columns=SENSORS).assign(machine=name))
    present.append(pd.DataFrame(after, columns=SENSORS).assign(machine=name))
past, present = pd.concat(past), pd.concat(present, ignore_index=True)

# %%
# The detector
# ------------
#
# The column "machine" says whose rows they are. Each machine gets a forecaster and
# p-values of its own.

from skad import M2AD

detector = M2AD(system="machine", random_state=0).fit(past)
fleet = detector.rank_systems(present)
print(pd.DataFrame(fleet).round(4).to_string(index=False))

# %%
# One machine stands out, also after allowing for the number of machines. Where, and
# through which sensors?

intervals = detector.intervals(present)
print(pd.DataFrame(intervals).drop(columns="log_pvalue").to_string(index=False))

# %%
# The fleet over time
# -------------------
#
# Above, the p-values of all machines on a logarithmic scale; the line is the one
# threshold, and the failure is shaded in orange. Below, the sensors of the machine that
# fails. The interval found is shaded in red, and the two sensors with most evidence in
# it are drawn in red: they are those whose cooling failed.

import matplotlib.pyplot as plt

scores = detector.score_samples(present)
worst = intervals[np.argmin(intervals.log_pvalue)]
figure, (course, readings) = plt.subplots(
    2, 1, sharex=True, figsize=(10, 7), height_ratios=[2, 3], layout="constrained"
)
for name, rows in present.groupby("machine").groups.items():
    style = {"color": "tab:red", "zorder": 3} if name == worst.system else {"lw": 0.6}
    course.plot(scores[rows] / np.log(10), label=name, **style)
course.axhline(np.log10(detector.alpha), color="black", linestyle="--", linewidth=0.8)
course.axvspan(FAILURE.start, FAILURE.stop, color="tab:orange", alpha=0.3, lw=0)
course.set(ylabel="log10 of the p-value")
course.legend(title="machine", loc="lower left", ncols=4)

rows = present.index[present["machine"] == worst.system]
offsets = -5 * np.arange(len(SENSORS))
for sensor, offset in zip(SENSORS, offsets, strict=True):
    color = "tab:red" if sensor in worst.sensors[:2] else "tab:gray"
    readings.plot(present.loc[rows, sensor].to_numpy() + offset, color=color, lw=0.7)
first, last = (rows.get_loc(row) for row in (worst.start, worst.end))
readings.axvspan(first, last, color="tab:red", alpha=0.15, lw=0)
readings.set(yticks=offsets, yticklabels=SENSORS, xlabel="time step")
readings.set_ylabel(f"sensors of machine {worst.system}")
plt.show()
