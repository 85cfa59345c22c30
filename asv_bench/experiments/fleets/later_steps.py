"""The later steps of M2AD replaced, on the same forecasts."""

from copy import copy
from dataclasses import replace

import numpy as np

from skad import M2AD
from skad._calibration import CALIBRATIONS
from skad._system_model import Evidence, Forecasts, SystemModel

_ALPHA = 0.001


class LaterSteps:
    """Densities, combinations and calibrations on one set of forecasts.

    Parameters
    ----------
    entity : Entity
        The entity.

    params : dict
        The parameters of M2AD, with the default of alpha.
    """

    def __init__(self, entity, params):
        params = {"covariates": entity.covariates, "random_state": 0, **params}
        self._detector = M2AD(**params)
        systems = self._detector._validate(entity.train, reset=True)
        (self._system,) = systems.values()
        self._recipe = self._detector._recipe()
        self._forecasts = Forecasts()
        self._found = self._forecasts.fit(self._system, self._recipe)

    def judged_by(self, **changes):
        """Return a fitted detector with other later steps."""
        recipe = replace(self._recipe, **changes)
        evidence = Evidence(*self._found, self._system.series.bounds, recipe)
        detector = copy(self._detector)
        detector._models = {None: SystemModel(self._forecasts, evidence)}
        detector._model_of_others = None
        detector.offset_ = np.log(_ALPHA)
        return detector


class FourSigma:
    """A threshold four standard deviations above the mean, as if for a p-value."""

    def __init__(self, statistics, null_shape):
        self.mean = statistics.mean()
        self.spread = max(statistics.std(), 1e-12)

    def log_pvalues(self, statistics):
        """Return what is below the logarithm of alpha beyond four deviations."""
        z = np.maximum((statistics - self.mean) / self.spread, 0)
        return np.log(_ALPHA) * z / 4


CALIBRATIONS["four sigma"] = FourSigma
