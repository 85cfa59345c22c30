"""Anomaly detection with published methods behind scikit-learn's interface.

Everything public is imported on first use: ``import skad`` costs next to
nothing and loads neither Numba nor any optional dependency.
"""

from importlib import import_module

__version__ = "0.1.0"

_ESTIMATORS = {
    "BayesianVAE": "skad._bayesian_vae",
    "CAnemon": "skad._canemon",
    "DConAD": "skad._dconad",
    "GANVAE": "skad._ganvae",
    "GenCLIP": "skad._genclip",
    "M2AD": "skad._m2ad",
    "MDDNet": "skad._mddnet",
    "MiddleFramePredictor": "skad._middle_frame_predictor",
    "TransDe": "skad._transde",
    "UnsupervisedRandomForest": "skad._unsupervised_random_forest",
}
_SUBMODULES = (
    "benchmark",
    "datasets",
    "forecasting",
    "inspection",
    "interop",
    "metrics",
    "model_selection",
    "preprocessing",
    "vision",
)

__all__ = [*_ESTIMATORS, *_SUBMODULES]


def __getattr__(name):
    if name in _ESTIMATORS:
        return getattr(import_module(_ESTIMATORS[name]), name)
    if name in _SUBMODULES:
        return import_module(f"skad.{name}")
    raise AttributeError(f"module 'skad' has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])
