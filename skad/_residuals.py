"""Errors of forecasts, as M2AD judges them: how large they are lately."""

import numpy as np
from scipy.signal import lfilter

from skad._densities import DENSITIES

RESIDUALS = ("point", "signed", "area", "evidence")

# Rows that an area is taken over.
_AREA = 10


class Residuals:
    """Residuals of sensors, from the errors of their forecasts.

    Averages begin where the training data were on average, so that no series begins
    with an exception.

    Parameters
    ----------
    kind : {"point", "signed", "area", "evidence"}
        The size of errors; errors with their sign; the area between the series and its
        forecast over ten rows, with its sign; or minus the log of the p-value of the
        size, of which large errors have less of a say in the mean.

    smoothing : float
        Centre of mass of the exponentially weighted mean, in rows; 0 for none.

    causal : bool, default=True
        Whether the mean is over the rows up to a row, instead of as many on both sides
        of it.

    density : str, default="normal"
        The distribution of sizes of errors that "evidence" takes p-values from.
    """

    def __init__(self, kind, smoothing, *, causal=True, density="normal"):
        self.kind = kind
        self._density = DENSITIES[density]
        self._causal = causal
        self._share = 1 / (1 + (smoothing if causal else smoothing / 2))

    @property
    def two_sided(self):
        """Whether residuals have a sign."""
        return self.kind in ("signed", "area")

    def fit(self, errors, bounds):
        """Learn the usual residual from those of the training data, and return them.

        Parameters
        ----------
        errors : ndarray of shape (n_rows, n_sensors)
            Values minus forecasts, NaN where nothing was measured.

        bounds : ndarray of shape (n_series + 1,)
            The first row of each series, and the number of rows.

        Returns
        -------
        residuals : ndarray of shape (n_rows, n_sensors)
            The residuals.
        """
        if self.kind == "evidence":
            self._law = self._density(np.abs(errors), two_sided=False)
        scale = _AREA - 1 if self.kind == "area" else 1
        counts = np.maximum(np.sum(~np.isnan(errors), axis=0), 1)
        self.usual = scale * np.nansum(self._sizes(errors), axis=0) / counts
        pairs = zip(bounds[:-1], bounds[1:], strict=True)
        return np.concatenate([self(errors[a:b], self.start())[0] for a, b in pairs])

    def start(self):
        """Return the state before the first row of a series."""
        return np.full((_AREA - 1, len(self.usual)), np.nan), self.usual

    def __call__(self, errors, state):
        """Return the residuals of rows, and the state after them.

        Parameters
        ----------
        errors : ndarray of shape (n_rows, n_sensors)
            Values minus forecasts, NaN where nothing was measured. There the usual
            residual counts.

        state : tuple
            What `start` or the call for the rows before returned. If the mean is of
            both sides, these must be all rows of a series.
        """
        last_errors, last_mean = state
        if self.kind == "area":
            joined = np.concatenate([last_errors, errors])
            sizes, last_errors = self._areas(joined), joined[-(_AREA - 1) :]
        else:
            sizes = self._sizes(errors)
        sizes = np.where(np.isnan(sizes), self.usual, sizes)
        means = self._means(sizes, last_mean)
        last_mean = means[-1] if len(means) else last_mean
        if not self._causal:
            means = self._means(means[::-1], self.usual)[::-1]
        return np.where(np.isnan(errors), np.nan, means), (last_errors, last_mean)

    def _sizes(self, errors):
        if self.kind == "point":
            return np.abs(errors)
        if self.kind == "evidence":
            return -self._law.log_pvalues(np.abs(errors))
        return errors

    def _means(self, sizes, last):
        keep = 1 - self._share
        start = keep * last[np.newaxis]
        return lfilter([self._share], [1, -keep], sizes, axis=0, zi=start)[0]

    def _areas(self, errors):
        """Return the trapezoid sums over the rows up to a row, by cumulative sums."""
        usual = self.usual / (_AREA - 1)
        errors = np.where(np.isnan(errors), usual, errors)
        sums = np.cumsum(np.concatenate([np.zeros_like(errors[:1]), errors]), axis=0)
        ends = (errors[: 1 - _AREA] + errors[_AREA - 1 :]) / 2
        return sums[_AREA:] - sums[:-_AREA] - ends
