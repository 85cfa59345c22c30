"""The detectors of skad, and what each of their parts is worth."""

from skad import DConAD, TransDe

# As many epochs and the learning rate of the authors' code, on fewer windows.
RELEASED = {"variant": "released", "max_epochs": 3, "lr": 1e-4, "batch_size": 64}
UNTRAINED = {"max_epochs": 1, "lr": 1e-12}
PARTS = {
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
    def score(train, test, seed):
        detector = detector_class(random_state=seed, device="cpu", **params)
        return -detector.fit(train).score_samples(test)

    return score


SKAD = {name: _scorer(*given) for name, given in PARTS.items()}
