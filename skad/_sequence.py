"""Detectors whose rows are time steps: groups, gaps and windows."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skad._series import Series, filled, side_by_side


class GroupsMixin:
    """Mixin for detectors whose rows are time steps of one or of several series.

    ``groups`` says which rows are of one series, in `fit` and in everything that takes
    ``X``; `_validate` of the detector gets it as well. The mixin stands before the base
    class of the detector.
    """

    def fit(self, X, y=None, *, groups=None):
        """Fit the detector and set its threshold.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, ...)
            The training data, which may contain anomalies; the rows of each series in
            the order of time.

        y : Ignored
            Not used, present for API consistency by convention.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        self : object
            The fitted detector.
        """
        self._fit_scores(X, groups=groups)
        return self

    def fit_predict(self, X, y=None, *, groups=None):
        """Fit the detector and label the training data, which are scored once.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, ...)
            The training data, which may contain anomalies; the rows of each series in
            the order of time.

        y : Ignored
            Not used, present for API consistency by convention.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        labels : ndarray of shape (n_timesteps,)
            +1 for normal time steps, -1 for anomalies; the same as of
            ``fit(X).predict(X)``.
        """
        return self._fit_labels(X, groups=groups)

    def score_samples(self, X, *, groups=None):
        """Score time steps; the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, ...)
            The data to score; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one. A pipeline
            has no ``groups`` here; use its `decision_function`.

        Returns
        -------
        scores : ndarray of shape (n_timesteps,)
            One score per time step, as float64.
        """
        return self._scores(X, groups=groups)

    def decision_function(self, X, *, groups=None):
        """Score time steps relative to the threshold; negative means anomalous.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, ...)
            The data to score; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        scores : ndarray of shape (n_timesteps,)
            ``score_samples(X) - offset_``.
        """
        return self._decisions(X, groups=groups)

    def predict(self, X, *, groups=None):
        """Label time steps as normal or anomalous.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, ...)
            The data to label; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        labels : ndarray of shape (n_timesteps,)
            +1 for normal time steps, -1 for anomalies.
        """
        return self._labels(X, groups=groups)


class SequenceMixin(GroupsMixin):
    """Mixin for detectors whose rows are time steps and whose columns are channels.

    What the hooks of the detector get is a `Series`, each of them at least
    `window_size_` rows long; they return a score for each of its rows. The detector has
    the parameters ``window_size`` and ``missing``, and learns ``window_size_``.

    It stands before the base class of the detector.
    """

    _parameter_constraints: dict = {
        "window_size": [Interval(Integral, 1, None, closed="left")],
        "missing": [StrOptions({"raise", "interpolate", "mask"})],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "raise"
        return tags

    def _validate(self, X, *, reset, groups=None):
        X = super()._validate(X, reset=reset, ensure_all_finite="allow-nan")
        series, labels = side_by_side(X, groups)
        learns = reset and not self._goes_on()
        series = self._without_gaps(series, labels, learns)
        if learns:
            self.window_size_ = self._longest_window(series, labels)
        return series.padded(self.window_size_)

    def _goes_on(self):
        """Tell whether `fit` continues; bases that can do so say when."""
        return getattr(super(), "_goes_on", bool)()

    def _longest_window(self, series, labels):
        shortest = int(series.lengths.min())
        if shortest >= self.window_size:
            return self.window_size
        label = labels[series.lengths.argmin()]
        group = "" if label is None else f", of group {label!r}"
        warnings.warn(
            f"window_size ({self.window_size}) is greater than the number of rows of "
            f"the shortest series ({shortest}{group}); windows of {shortest} are used.",
            stacklevel=2,
        )
        return shortest

    def _without_gaps(self, series, labels, learns):
        missing = np.isnan(series.values)
        if not missing.any():
            if learns:
                self._fill = series.values.mean(axis=0)
            return series
        if self.missing == "raise":
            n_rows = np.count_nonzero(missing.any(axis=1))
            raise ValueError(
                f"Input X contains NaN in {n_rows} of {len(missing)} rows. "
                f"{type(self).__name__} takes missing values with "
                "missing='interpolate' or missing='mask'."
            )
        masks = self.missing == "mask"
        if masks:
            _check_series(missing, series.bounds, labels)
        if learns:
            self._check_columns(missing.all(axis=0))
            self._fill = np.nanmean(series.values, axis=0)
        values = filled(series.values, missing, series.bounds, self._fill)
        observed = ~missing if masks else None
        return Series(values, series.bounds, series.place, observed)

    def _check_columns(self, is_empty):
        if is_empty.any():
            names = getattr(self, "feature_names_in_", range(len(is_empty)))
            name = names[int(is_empty.argmax())]
            raise ValueError(f"Column {name!r} of X has no value in any row but NaN.")

    def _row_scores(self, series):
        scores = series.bridged(self._score_samples(series))
        return self._finite(series.restored(scores))


def _check_series(missing, bounds, labels):
    is_empty = np.logical_and.reduceat(missing.all(axis=1), bounds[:-1])
    if is_empty.any():
        label = labels[is_empty.argmax()]
        group = "" if label is None else f" of group {label!r}"
        raise ValueError(
            f"The series{group} has no value but NaN, which missing='mask' leaves "
            "without a score."
        )
