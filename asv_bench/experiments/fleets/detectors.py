"""M2AD as it is by default, as in its paper, and with parts replaced."""

from sklearn.linear_model import Ridge

PAPER = {
    "residual": "point",
    "smoothing": 10,
    "density": "gmm",
    "cv": None,
    "combination": "fisher",
    "calibration": "gamma",
    "alpha": 0.001,
}
RIDGE = {"forecaster": Ridge(100.0)}
DETECTORS = {
    "M2AD": {},
    "M2AD, both sides": {"causal": False},
    "M2AD, paper": PAPER,
    "M2AD, ridge": RIDGE,
    "M2AD, ridge, one percent": {**RIDGE, "alpha": 0.01},
    "M2AD, ridge, both sides": {**RIDGE, "causal": False},
    "M2AD, ridge, both sides, one percent": {**RIDGE, "causal": False, "alpha": 0.01},
    "M2AD, ridge, paper": {**RIDGE, **PAPER},
}
COMBINATIONS = ("fisher", "stouffer", "simes", "cauchy")
