"""Errors of forecasts, as M2AD judges them: how large they are lately."""

import numpy as np
from scipy.signal import lfilter

# Rows that an area is taken over.
_AREA = 10


class Residuals:
    """Residuals of sensors, from the errors of their forecasts.

    All averages are over the rows up to a row. They begin where the training data were
    on average, so that no series begins with an exception.

    Parameters
    ----------
    kind : {"point", "signed", "area"}
        The size of errors, errors with their sign, or the area between the series and
        its forecast over ten rows, with its sign.

    smoothing : float
        Centre of mass of the exponentially weighted mean, in rows; 0 for none.
    """

    def __init__(self, kind, smoothing):
        self.kind = kind
        self._share = 1 / (1 + smoothing)

    @property
    def two_sided(self):
        """Whether residuals have a sign."""
        return self.kind != "point"

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
        sizes = np.abs(errors) if self.kind == "point" else errors
        scale = _AREA - 1 if self.kind == "area" else 1
        counts = np.maximum(np.sum(~np.isnan(errors), axis=0), 1)
        self.usual = scale * np.nansum(sizes, axis=0) / counts
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
            What `start` or the call for the rows before returned.
        """
        last_errors, last_mean = state
        if self.kind == "area":
            joined = np.concatenate([last_errors, errors])
            sizes, last_errors = self._areas(joined), joined[-(_AREA - 1) :]
        else:
            sizes = np.abs(errors) if self.kind == "point" else errors
        sizes = np.where(np.isnan(sizes), self.usual, sizes)
        keep = 1 - self._share
        means, _ = lfilter(
            [self._share], [1, -keep], sizes, axis=0, zi=keep * last_mean[np.newaxis]
        )
        if len(means):
            last_mean = means[-1]
        return np.where(np.isnan(errors), np.nan, means), (last_errors, last_mean)

    def _areas(self, errors):
        """Return the trapezoid sums over the rows up to a row, by cumulative sums."""
        usual = self.usual / (_AREA - 1)
        errors = np.where(np.isnan(errors), usual, errors)
        sums = np.cumsum(np.concatenate([np.zeros_like(errors[:1]), errors]), axis=0)
        ends = (errors[: 1 - _AREA] + errors[_AREA - 1 :]) / 2
        return sums[_AREA:] - sums[:-_AREA] - ends
