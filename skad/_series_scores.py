"""From the errors of channels at time steps to scores, for every detector of series."""

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

# In standard deviations of a channel: what is smaller counts for nothing, so that a
# channel that is predicted exactly, or never moves, is not judged by its rounding.
_FLOOR = 0.1
_FARTHEST = 10.0
# Levels of windows move slowly: a series holds few that do not depend on each other,
# and their spread on new data is larger than on the training data.
_USUAL_LEVEL = 2.0


def _explains(detector):
    if detector.variant == "released":
        raise AttributeError(
            f"{type(detector).__name__} explains scores with variant='corrected'; the "
            "released ones are of windows, in which channels are not told apart."
        )
    return True


class ChannelScoresMixin:
    """Mixin for detectors of series whose scores are sums over the channels.

    A detector implements ``_contributions(series)``, which returns what each channel
    adds to the anomaly of each row. Its released variant has no such parts.
    """

    @available_if(_explains)
    def explain(self, X, *, groups=None):
        """Return how much each channel adds to the anomaly of each time step.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_channels)
            The data; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        contributions : ndarray of shape (n_timesteps, n_channels)
            Numbers from 0 up, the higher, the more abnormal. Those of a time step sum
            to minus its score; where nothing was observed, with ``missing="mask"``,
            the score is between those of other time steps instead.
        """
        check_is_fitted(self)
        series = self._validate(X, reset=False, groups=groups)
        return series.restored(self._contributions(series))


class ChannelScaler:
    """Standardise channels by the mean and the spread that they have in training.

    A channel that never moved is only centred. Values more than ten standard
    deviations away are moved there: one of them would drown all others.

    Parameters
    ----------
    series : Series
        The training data.
    """

    def __init__(self, series):
        values = _observed(series, series.values)
        # A channel without any value stays as it is.
        values = np.where(np.isnan(values).all(axis=0), 0, values)
        self.mean = np.nanmean(values, axis=0)
        spread = np.nanstd(values, axis=0)
        # Rounding alone makes the spread of a constant differ from zero.
        is_constant = spread <= 1e-12 * np.maximum(1, np.abs(self.mean))
        self.scale = np.where(is_constant, 1, spread)

    def __call__(self, values):
        """Return rows of values, standardised."""
        return np.clip((values - self.mean) / self.scale, -_FARTHEST, _FARTHEST)

    def scaled(self, series):
        """Return a series, standardised."""
        return series.with_values(self(series.values))


class ErrorScale:
    """How much larger errors are than is usual for their channel.

    Parameters
    ----------
    series : Series
        The training data.

    errors : ndarray of shape (n_rows, n_channels)
        Their errors, not negative, in standard deviations of the channels.
    """

    def __init__(self, series, errors):
        squares = np.nanmean(_observed(series, errors) ** 2, axis=0)
        self.scale = np.sqrt(squares) + _FLOOR

    def excess(self, errors):
        """Return by how many times their usual size errors exceed it, or 0."""
        return np.maximum(errors / self.scale - 1, 0)


class WindowLevel:
    """The level and the spread of windows, which normalising each window removes.

    Parameters
    ----------
    series : Series
        The training data, standardised.

    window_size : int
        The number of rows of a window, no more than any series has. Windows are
        shorter where the training data hold fewer than three that do not overlap.
    """

    def __init__(self, series, window_size):
        self.window_size = max(1, min(window_size, int(series.lengths.max()) // 3))
        windows = [self._statistics(series.values[rows]) for rows in series.slices()]
        statistics = np.concatenate(windows, axis=1)
        self.mean = statistics.mean(axis=1, keepdims=True)
        self.spread = statistics.std(axis=1, keepdims=True) + _FLOOR

    def excess(self, series, *, causal=False):
        """Return how far the windows that hold a row are from the usual ones.

        Parameters
        ----------
        series : Series
            The data, standardised.

        causal : bool, default=False
            Whether only the window that ends at a row counts, and nothing where a
            series has none yet, instead of the mean over all windows that hold it.
            Rows that were repeated to make a series longer make no window.

        Returns
        -------
        excess : ndarray of shape (n_rows, n_channels)
            The standard deviations beyond the usual two, the mean for level and spread.
        """
        pairs = zip(series.slices(), series.added, strict=True)
        return np.concatenate(
            [self._excess(series.values[rows], n, causal) for rows, n in pairs]
        )

    def _excess(self, values, n_added, causal):
        z = np.abs(self._statistics(values) - self.mean) / self.spread
        of_windows = np.maximum(z - _USUAL_LEVEL, 0).mean(axis=0)
        of_windows[:n_added] = 0
        before = self.window_size - 1
        if not len(of_windows):
            return np.zeros(values.shape)
        if causal:
            return np.pad(of_windows, ((before, 0), (0, 0)))
        return _moving_means(of_windows, before, 0, n_rows=len(values))

    def _statistics(self, values):
        """Return the level and the log spread of all windows, one after the other."""
        after = self.window_size - 1
        n_windows = max(len(values) - after, 0)
        means = _moving_means(values, 0, after)[:n_windows]
        squares = _moving_means(values**2, 0, after)[:n_windows]
        spreads = np.sqrt(np.maximum(squares - means**2, 0))
        return np.stack([means, np.log(spreads + _FLOOR)])


class Levels:
    """Level and spread of windows of values, and of their differences.

    Parameters
    ----------
    series : Series
        The training data, standardised.

    window_size : int
        The number of rows of a window. One row has no difference.
    """

    def __init__(self, series, window_size):
        self._of_values = WindowLevel(series, window_size)
        self._of_differences = None
        if window_size > 1:
            differences = _differences(series)
            self._scaler = ChannelScaler(differences)
            scaled = self._scaler.scaled(differences)
            self._of_differences = WindowLevel(scaled, window_size - 1)

    def excess(self, series, *, causal):
        """Return the mean of what `WindowLevel.excess` returns for both."""
        of_values = self._of_values.excess(series, causal=causal)
        if self._of_differences is None:
            return of_values
        scaled = self._scaler.scaled(_differences(series))
        return (of_values + self._of_differences.excess(scaled, causal=causal)) / 2


def smoothed(series, values, n_rows, *, causal=False):
    """Return moving means that do not reach beyond the series of a row.

    Parameters
    ----------
    series : Series
        The series.

    values : ndarray of shape (len(series), ...)
        What belongs to the rows.

    n_rows : int
        The number of rows of a mean; at the ends of a series there are fewer.

    causal : bool, default=False
        Whether these are the row and those before it, instead of as many before it as
        after it.

    Returns
    -------
    means : ndarray of shape (len(series), ...)
        The means.
    """
    before = n_rows - 1 if causal else n_rows // 2
    after = n_rows - 1 - before
    means = [_moving_means(values[rows], before, after) for rows in series.slices()]
    return np.concatenate(means)


def _moving_means(values, before, after, n_rows=None):
    """Return the means of the values from `before` a row to `after` it."""
    n_values = len(values)
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    row = np.arange(n_values if n_rows is None else n_rows)
    first = np.maximum(row - before, 0)
    last = np.minimum(row + after + 1, n_values)
    counts = (last - first).reshape(-1, *[1] * (values.ndim - 1))
    return (sums[last] - sums[first]) / counts


def _observed(series, values):
    """Return values with NaN where nothing was observed."""
    if series.observed is None:
        return values
    return np.where(series.observed, values, np.nan)


def _differences(series):
    """Return the differences from the row before; 0 for the first of a series."""
    values = np.diff(series.values, axis=0, prepend=series.values[:1])
    values[series.bounds[:-1]] = 0
    return series.with_values(values)
