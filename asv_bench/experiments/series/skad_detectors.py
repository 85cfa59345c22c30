"""The detectors of skad, and what each of their parts is worth."""

import numpy as np

from skad import DConAD

PARAMS = {"DConAD": (DConAD, {})}


def _scorer(detector_class, params):
    def score(train, test, seed):
        detector = detector_class(random_state=seed, device="cpu", **params)
        return -np.asarray(detector.fit(train).score_samples(test))

    return score


SKAD = {name: _scorer(*given) for name, given in PARAMS.items()}
