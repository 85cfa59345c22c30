"""What holds for every test: nothing here is about a single estimator."""

import os

# SciPy reads this once, when it is first imported; without it scikit-learn's
# array API checks are skipped in silence.
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import settings

settings.register_profile("skad", deadline=None, derandomize=True)
settings.load_profile("skad")
