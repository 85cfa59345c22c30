"""M2AD: one calibrated score for the sensors of many systems."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skad._base import BaseDetector
from skad._calibration import CALIBRATIONS
from skad._combination import COMBINATIONS
from skad._densities import DENSITIES
from skad._fleet import (
    FleetColumns,
    check_system,
    in_order_of_rows,
    labels_of_rows,
    sensor_weights,
    series_rows,
)
from skad._intervals import find_intervals, interval_table, system_table
from skad._residuals import RESIDUALS
from skad._seeding import seed_nested
from skad._sequence import GroupsMixin
from skad._system_model import Recipe, SystemModel, fitted_alone, fitted_together
from skad.forecasting import LSTMRegressor


class M2AD(GroupsMixin, BaseDetector):
    """Detect what the sensors of a system did not do before, in many systems at once.

    Every row is forecast from the rows before it. The error of each sensor becomes a
    p-value, by the errors that are usual for it; the p-values of all sensors become one
    for the row, calibrated by normal data, so that sensors may depend on each other.
    A threshold then has the same meaning for every system: `alpha` is the share of
    normal rows below it. Sensors need not be scaled. Unless `causal` is False, no score
    depends on later rows.

    Read more in the :ref:`User Guide <m2ad>`.

    Parameters
    ----------
    system : int or str, default=None
        Index or name of the column that names the system of each row. If None, all
        rows are of one.

    covariates : array-like of int or str, default=None
        Columns that are known beforehand, such as a status or a set point. Those of a
        row condition its forecast; they are not scored. All other columns are sensors.

    weights : dict, default=None
        Weight of sensors in the score, by column or by tuple of columns; that of a
        tuple is divided among them. A sensor that is not named has a weight of 1.

    forecaster : object, default=None
        A regressor. :class:`~skad.forecasting.LSTMRegressor`, whose default
        configuration is used if None, remembers the rows before; any other one of
        scikit-learn is given the last `n_lags` of them, and learns to forecast all
        sensors at once.

    n_lags : int, default=None
        Number of rows before it that a row is forecast from, by a regressor without
        memory. If None, so many that all sensors give 400 values, or a quarter of the
        number of training rows if that is less, but 3 to 100. With 0, there are only
        the covariates.

    share : {None, "all"}, default=None
        What systems have in common. If None, nothing. With "all" they share scale and
        forecaster, and only what errors are usual is of a system; systems that were not
        seen in `fit` are then judged by what is usual for all.

    cv : int, default=5
        Number of stretches of time, each of which is forecast without having been
        learnt from, to see how large errors are on new data. They are reduced to those
        of a forecaster that learnt from all rows. A system has as many stretches as it
        has four rows. If None, errors are those on the training data, which takes a
        quarter of the time, and makes p-values too small.

    residual : {"point", "signed", "area", "evidence"} or tuple of them, \
            default=('point', 'signed', 'evidence')
        What is averaged over time: the sizes of errors; errors with their sign; the
        area between readings and forecasts over ten rows, with its sign; or minus the
        logarithm of the p-value of an error. Of several, the one that is least usual
        counts. The paper has "point" or "area".

    smoothing : float, default=10.0
        Centre of mass, in rows, of the exponentially weighted mean; 0 for no mean.

    causal : bool, default=True
        Whether a score depends on no later row. If not, means are over rows on both
        sides, and levels of windows count as well: more is found, afterwards.

    level_weight : float, default=24.0
        If not `causal`, what a standard deviation beyond the usual two, of the mean or
        the spread of a window, adds to -2 log of the p-value of its sensor.

    window_size : int, default=100
        Number of rows of these windows.

    density : {"normal", "gmm", "empirical"}, default="normal"
        How the p-value of a sensor is found: from a normal distribution; from a mixture
        of them, whose number of components is chosen by BIC; or from ranks.

    combination : {"fisher", "stouffer", "simes", "cauchy"}, default="fisher"
        How the p-values of sensors become one. Fisher's sum finds weak evidence in many
        sensors, Simes' minimum strong evidence in one.

    calibration : {"pareto", "gamma", "empirical", "chi2"}, default="pareto"
        How the combined evidence becomes a p-value: ranks with a generalised Pareto
        tail; a Gamma distribution with the moments of the training data, as in the
        paper; ranks, which cannot be below 1 / (n + 1); or as if sensors were
        independent, which is wrong unless they are.

    alpha : float, default=0.001
        Rows with a smaller p-value are anomalies, if `contamination` is "auto".

    missing : {"raise", "mask"}, default="raise"
        What becomes of NaN: an error, or a reading without any part in the score. With
        `system`, a system need not have all sensors: one of which it has only NaN in
        `fit` is not scored in either case.

    n_jobs : int, default=None
        Number of systems to fit or score at the same time, as in scikit-learn.

    random_state : int, RandomState instance or None, default=None
        Controls the forecaster if that is random; pass an int for reproducible results.

    contamination : "auto" or float, default="auto"
        What sets the threshold: `alpha`, or the share of anomalies in the training
        data.

    Attributes
    ----------
    offset_ : float
        Threshold: rows with a lower score are anomalies.

    systems_ : list
        Labels of the systems, in the order of their first rows.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of columns seen during `fit`, if `X` has string names.

    See Also
    --------
    DConAD : Looks at both sides of a row, which finds more in data that are complete.

    Notes
    -----
    From the paper [1]_ are the sequence of steps, the net, the residuals "point" and
    "area", the Gaussian mixtures, Fisher's weighted sum and the Gamma distribution.

    The authors' code forecasts two rows ahead, scales test data by themselves, judges
    errors by those on the training data, and marks 50 rows on both sides of each row
    found. Here forecasts are of the next row, all that is learnt comes from `fit`,
    errors are of rows that were not learnt from, and `intervals` end where the evidence
    does. The Pareto tail, ranks, the combinations other than Fisher's, shared
    forecasters and rates of false discoveries are ours.

    A sensor that never moved in training is judged in its own units.

    References
    ----------
    .. [1] Alnegheimish, S., He, Z., Reimherr, M., Chandrayan, A., Pradhan, A. and
       D'Angelo, L. (2025). "M²AD: Multi-Sensor Multi-System Anomaly Detection through
       Global Scoring and Calibrated Thresholding". AISTATS. arXiv:2504.15225.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from skad import M2AD
    >>> rng = np.random.default_rng(0)
    >>> def readings(name):
    ...     flow = np.sin(np.arange(1000) / 8) + rng.normal(scale=0.1, size=1000)
    ...     return pd.DataFrame({"pump": name, "flow": flow, "heat": rng.random(1000)})
    >>> detector = M2AD(system="pump", forecaster=Ridge(), n_lags=20)
    >>> detector = detector.fit(pd.concat([readings("a"), readings("b")]))
    >>> new = pd.concat([readings("a"), readings("b")])
    >>> new.iloc[1600:1640, 2] += 1.0
    >>> found = detector.intervals(new)
    >>> found.system[0], int(found.start[0]), found.sensors[0][0]
    ('b', 1600, 'heat')
    """

    _parameter_constraints: dict = {
        "system": [Interval(Integral, 0, None, closed="left"), str, None],
        "covariates": ["array-like", None],
        "weights": [dict, None],
        "forecaster": [HasMethods(["fit", "predict"]), None],
        "n_lags": [Interval(Integral, 0, None, closed="left"), None],
        "share": [StrOptions({"all"}), None],
        "cv": [Interval(Integral, 2, None, closed="left"), None],
        "residual": [StrOptions(set(RESIDUALS)), tuple],
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "causal": ["boolean"],
        "level_weight": [Interval(Real, 0, None, closed="left")],
        "window_size": [Interval(Integral, 1, None, closed="left")],
        "density": [StrOptions(set(DENSITIES))],
        "combination": [StrOptions(set(COMBINATIONS))],
        "calibration": [StrOptions(set(CALIBRATIONS))],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "missing": [StrOptions({"raise", "mask"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "contamination": [
            StrOptions({"auto"}),
            *BaseDetector._parameter_constraints["contamination"],
        ],
    }

    def __init__(
        self,
        *,
        system=None,
        covariates=None,
        weights=None,
        forecaster=None,
        n_lags=None,
        share=None,
        cv=5,
        residual=("point", "signed", "evidence"),
        smoothing=10.0,
        causal=True,
        level_weight=24.0,
        window_size=100,
        density="normal",
        combination="fisher",
        calibration="pareto",
        alpha=0.001,
        missing="raise",
        n_jobs=None,
        random_state=None,
        contamination="auto",
    ):
        self.system = system
        self.covariates = covariates
        self.weights = weights
        self.forecaster = forecaster
        self.n_lags = n_lags
        self.share = share
        self.cv = cv
        self.residual = residual
        self.smoothing = smoothing
        self.causal = causal
        self.level_weight = level_weight
        self.window_size = window_size
        self.density = density
        self.combination = combination
        self.calibration = calibration
        self.alpha = alpha
        self.missing = missing
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.contamination = contamination

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    def predict_pvalues(self, X, *, groups=None):
        """Return the p-value of each row.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_columns)
            The data; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of, if a system has several.

        Returns
        -------
        pvalues : ndarray of shape (n_timesteps,)
            The share of normal rows that would be at least as unusual.
            ``score_samples`` returns the logarithms, which tell smaller ones apart.
        """
        return np.exp(self.score_samples(X, groups=groups))

    def explain(self, X, *, groups=None):
        """Return how much each sensor adds to the evidence against each row.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_columns)
            The data; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of, if a system has several.

        Returns
        -------
        contributions : ndarray of shape (n_timesteps, n_columns)
            Weight times -2 log of the p-value of a sensor, of which Fisher's statistic
            is the sum, and what its level counts if not `causal`; 0 where nothing was
            measured, and for other columns.
        """
        check_is_fitted(self)
        systems = self._validate(X, reset=False, groups=groups)
        return self._explained(systems)[1]

    def intervals(self, X, *, groups=None, alpha=None, release=None, max_gap=0):
        """Return the intervals in which a system is not as usual.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_columns)
            The data; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of, if a system has several.

        alpha : float, default=None
            An interval has a row with a p-value below it. If None, rows of an interval
            are those that `predict` calls anomalies.

        release : float, default=None
            An interval reaches as far to both sides as p-values are below it. If None,
            ten times `alpha`.

        max_gap : int, default=0
            Intervals of a series with no more rows between them become one.

        Returns
        -------
        intervals : recarray of shape (n_intervals,)
            With the fields ``system``; ``start`` and ``end``, the first and the last
            row as positions in `X`, and their number ``n_rows``; ``peak``, the
            position of the lowest p-value, ``pvalue``, and its logarithm
            ``log_pvalue``; and ``sensors``, the names of the sensors, the one with
            most evidence in the interval first.

        Raises
        ------
        ValueError
            If `alpha` is not between 0 and 1, `release` not between `alpha` and 1, or
            `max_gap` below 0.
        """
        check_is_fitted(self)
        alpha, release = self._thresholds(alpha, release)
        check_scalar(max_gap, "max_gap", Integral, min_val=0)
        systems = self._validate(X, reset=False, groups=groups)
        scores, contributions = self._explained(systems)
        rows = series_rows(systems)
        found = find_intervals(
            scores, rows, alpha=alpha, release=release, max_gap=max_gap
        )
        sensors = self._columns.sensors
        return interval_table(
            found,
            rows,
            scores,
            labels_of_rows(systems),
            contributions[:, sensors],
            self._columns.names(sensors),
        )

    def rank_systems(self, X, *, groups=None):
        """Rank systems by the evidence that something is wrong with them.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_columns)
            The data; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of, if a system has several.

        Returns
        -------
        systems : recarray of shape (n_systems,)
            The most suspicious first, with the fields ``system``; ``n_rows``;
            ``pvalue``, that of Simes for all rows of the system, and its logarithm
            ``log_pvalue``; and ``adjusted_pvalue``, by Benjamini and Hochberg: of the
            systems where it is at most q, a share of no more than q is expected to be
            sound.
        """
        check_is_fitted(self)
        systems = self._validate(X, reset=False, groups=groups)
        return system_table(self._row_scores(systems), labels_of_rows(systems))

    def score_next(self, X, state=None):
        """Score the next rows of systems, each system being one series.

        Rows that come in pieces get the scores that they would get together.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_columns)
            The next rows of any of the systems, in the order of time.

        state : dict, default=None
            What the last call returned. If None, these are the first rows.

        Returns
        -------
        scores : ndarray of shape (n_timesteps,)
            The log p-values, as of ``score_samples``.

        state : dict
            What the next call needs. It may be copied or pickled, and the one that was
            given stays as it was.

        Raises
        ------
        ValueError
            If `causal` is False.

        TypeError
            If `state` is nothing that this method returned.
        """
        check_is_fitted(self)
        if not self.causal:
            raise ValueError(
                "causal is False: a score then depends on later rows, and none can be "
                "computed as they arrive."
            )
        if not isinstance(state, dict | None):
            raise TypeError(
                f"state is {state!r}; expected what the last call returned, or None."
            )
        systems = self._validate(X, reset=False)
        state, scores = dict(state or {}), []
        for label, system in systems.items():
            model, part = self._model(label), next(system.parts())
            before = state.get(label)
            if before is None:
                before = model.start(part[0])
            found, _, state[label] = model(*part, before)
            scores.append(found)
        scores = in_order_of_rows(systems, scores)
        return self._finite(scores), state

    def _fit(self, systems):
        recipe = self._recipe()
        for system in systems.values():
            check_system(system, recipe.weights)
        self._model_of_others = None
        if self.share is None:
            models = Parallel(n_jobs=self.n_jobs)(
                delayed(fitted_alone)(system, recipe) for system in systems.values()
            )
        else:
            models, self._model_of_others = fitted_together([*systems.values()], recipe)
        self._models = dict(zip(systems, models, strict=True))
        self.systems_ = list(systems)

    def _row_scores(self, systems):
        judged = self._judged(systems, _scores)
        return self._finite(in_order_of_rows(systems, judged))

    def _threshold(self, scores):
        if self.contamination == "auto":
            return float(np.log(self.alpha))
        return super()._threshold(scores)

    def _validate(self, X, *, reset, groups=None):
        if reset:
            allow_nan = self.missing == "mask"
            columns = FleetColumns(self.system, self.covariates, allow_nan)
            systems = columns.fit_read(self, X, groups)
            self._columns = columns
            measured = {label: s.is_measured for label, s in systems.items()}
        else:
            systems = self._columns.read(self, X, groups)
            measured = {
                label: self._model(label).measured(systems[label]) for label in systems
            }
        for label, system in systems.items():
            self._columns.check_gaps(system, measured[label])
        return systems

    def _model(self, label):
        """Return the model of a system."""
        model = self._models.get(label, self._model_of_others)
        if model is None:
            raise ValueError(
                f"system: X has rows of {label!r}, of which there were none in fit; "
                f"they were of {self.systems_}. With share='all', other systems are "
                "scored as well."
            )
        return model

    def _judged(self, systems, judge):
        """Return what `judge` finds with the model of each system."""
        # Threads: models and rows are large, and their computations release the lock.
        return Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(judge)(self._model(label), system)
            for label, system in systems.items()
        )

    def _explained(self, systems):
        """Return the score of each row, and what each column adds to it."""
        found = self._judged(systems, SystemModel.judged)
        scores, terms = (
            in_order_of_rows(systems, part) for part in zip(*found, strict=True)
        )
        contributions = np.zeros((len(scores), self.n_features_in_))
        contributions[:, self._columns.sensors] = terms
        return self._finite(scores), contributions

    def _thresholds(self, alpha, release):
        if alpha is None:
            is_given = self.contamination == "auto"
            alpha = self.alpha if is_given else np.exp(self.offset_)
        check_scalar(
            alpha, "alpha", Real, min_val=0, max_val=1, include_boundaries="neither"
        )
        release = min(10 * alpha, 1) if release is None else release
        check_scalar(release, "release", Real, min_val=alpha, max_val=1)
        return alpha, release

    def _kinds(self):
        """Return the kinds of residuals."""
        kinds = (self.residual,) if isinstance(self.residual, str) else self.residual
        wrong = [kind for kind in kinds if kind not in RESIDUALS]
        if wrong or not kinds or len(set(kinds)) < len(kinds):
            raise ValueError(
                f"residual is {self.residual!r}; expected one of {RESIDUALS}, or a "
                "tuple of different ones."
            )
        return kinds

    def _recipe(self):
        regressor = self.forecaster
        regressor = LSTMRegressor() if regressor is None else clone(regressor)
        if self.random_state is not None:
            seed_nested(regressor, check_random_state(self.random_state))
        return Recipe(
            regressor,
            self.n_lags,
            self.cv,
            self._kinds(),
            self.smoothing,
            self.causal,
            self.level_weight,
            self.window_size,
            self.density,
            self.combination,
            self.calibration,
            sensor_weights(self.weights, self._columns),
        )


def _scores(model, system):
    return model.judged(system)[0]
