"""The detectors of skad, and what each of their parts is worth."""

from sklearn.linear_model import Ridge

from skad import M2AD, DConAD, TransDe
from skad.forecasting import LSTMRegressor

# As many epochs and the learning rate of the authors' code, on fewer windows.
RELEASED = {"variant": "released", "max_epochs": 3, "lr": 1e-4, "batch_size": 64}
UNTRAINED = {"max_epochs": 1, "lr": 1e-12}
NET = {"forecaster": LSTMRegressor(device="cpu")}
LINEAR = {"forecaster": Ridge(100.0)}
BOTH_SIDES = {"causal": False}
PAPER = {"residual": "point", "density": "normal", "calibration": "gamma", "cv": None}
PARTS = {
    "M2AD": (M2AD, NET),
    "M2AD, both sides": (M2AD, {**NET, **BOTH_SIDES}),
    "M2AD, linear": (M2AD, LINEAR),
    "M2AD, linear, sizes of errors only": (M2AD, {**LINEAR, "residual": "point"}),
    "M2AD, linear, evidence only": (M2AD, {**LINEAR, "residual": "evidence"}),
    "M2AD, linear, mixtures": (M2AD, {**LINEAR, "density": "gmm"}),
    "M2AD, linear, Simes": (M2AD, {**LINEAR, "combination": "simes"}),
    "M2AD, linear, both sides": (M2AD, {**LINEAR, **BOTH_SIDES}),
    "M2AD, linear, both sides, no level": (
        M2AD,
        {**LINEAR, **BOTH_SIDES, "level_weight": 0},
    ),
    "M2AD, the paper's steps": (
        M2AD,
        {**PAPER, "forecaster": LSTMRegressor(n_lags=0, max_epochs=35, device="cpu")},
    ),
    "DConAD": (DConAD, {}),
    "DConAD, untrained": (DConAD, UNTRAINED),
    "DConAD, no contrast": (DConAD, {"contrast_weight": 0}),
    "DConAD, no level": (DConAD, {"level_weight": 0}),
    "DConAD, no smoothing": (DConAD, {"smoothing": 1}),
    "DConAD, causal": (DConAD, {"causal": True}),
    "DConAD, released": (DConAD, {**RELEASED, "max_windows": 128}),
    "TransDe": (TransDe, {}),
    "TransDe, untrained": (TransDe, UNTRAINED),
    "TransDe, no level": (TransDe, {"level_weight": 0}),
    "TransDe, no smoothing": (TransDe, {"smoothing": 1}),
    "TransDe, causal": (TransDe, {"causal": True}),
    "TransDe, released": (
        TransDe,
        {
            **RELEASED,
            **{"window_size": 105, "patch_sizes": (5, 7), "d_model": 256},
            **{"penalty": 6400, "max_windows": 512},
        },
    ),
}


def _scorer(detector_class, params):
    on = {} if detector_class is M2AD else {"device": "cpu"}

    def score(train, test, seed):
        detector = detector_class(random_state=seed, **on, **params)
        return -detector.fit(train).score_samples(test)

    return score


SKAD = {name: _scorer(*given) for name, given in PARTS.items()}
