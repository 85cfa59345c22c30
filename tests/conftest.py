"""What holds for every test: nothing here is about a single estimator."""

import os

# SciPy reads this once, when it is first imported; without it scikit-learn's
# array API checks are skipped in silence.
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import torch
from hypothesis import settings

# Nets as small as in tests gain nothing from more, and on a loaded machine threads
# that wait for one another take many times as long.
torch.set_num_threads(1)

settings.register_profile("skad", deadline=None, derandomize=True)
settings.load_profile("skad")
