"""LSTMRegressor: a stack of LSTM layers that remembers the rows before."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from skad._deep import TrainingMixin
from skad._doc_link import DocLinkMixin
from skad._forecasts import number_of_lags
from skad._kernels._lstm import lstm_layer, project
from skad._nets._lstm import StretchLoss, StretchNet
from skad._nets._windows import LastWindows, Windows
from skad._series import side_by_side
from skad._series_scores import ChannelScaler, ErrorScale
from skad.forecasting._linear import LinearPart

# Rows that are computed at once: what is between the layers need not be kept for more.
_BLOCK = 4096
# Of what the linear part leaves, in usual errors: as for channels.
_FARTHEST = 10.0


class LSTMRegressor(DocLinkMixin, TrainingMixin, RegressorMixin, BaseEstimator):
    """Predict what belongs to a row from that row and all rows before it.

    Rows are time steps of one or more series. The prediction is linear in the last
    rows, by least squares, and layers of long short-term memory add to it what they
    find: they carry a state from row to row, so that it may depend on any row before,
    and on none after. It is the forecaster of a series if the targets of a row are what
    comes next. Columns need not be scaled.

    Parameters
    ----------
    hidden_size : int, default=80
        Width of the layers.

    n_layers : int, default=3
        Number of layers.

    dropout : float, default=0.2
        Probability of dropout between the layers in training.

    window_size : int, default=100
        Number of rows of the stretches that series are cut into for training; what was
        before a stretch is then not known. Predictions know all rows before.

    n_lags : int, default=None
        Number of rows, the row itself among them, that the linear part is made from. If
        None, so many that they have 400 values, or a quarter of the number of training
        rows if that is less, but 3 to 100. If 0, the linear part is the mean.

    alpha : float, default=100.0
        Penalty on the squared coefficients of the linear part.

    max_epochs : int, default=5
        Number of passes over the training data.

    batch_size : int, default=16
        Most stretches in a batch.

    lr : float, default=0.003
        Learning rate.

    n_iter_no_change : int, default=None
        Epochs without improvement on the held-out ends of series after which training
        stops, and the best weights are taken. If None, nothing is held out.

    validation_fraction : float, default=0.1
        Share of each series that is held out if `n_iter_no_change` is set.

    device : str or torch.device, default="auto"
        Where the net is trained; "auto" is a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the net and its training; pass an int for reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 the losses of every epoch.

    net_params : dict, default=None
        More parameters of the skorch net, such as `callbacks`.

    Attributes
    ----------
    window_size_ : int
        Number of rows of the stretches, no more than the longest series has.

    n_lags_ : int
        Number of rows that the linear part is made from.

    n_iter_ : int
        Number of epochs trained.

    history_ : list of dict
        Losses and seconds of each epoch.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of columns seen during `fit`, if `X` has string names.

    Notes
    -----
    The layers are trained on what the linear part leaves, which keeps them from losing
    their way where levels drift. The loss is taken at every row of a stretch, at a
    hundredth of the cost of a window for every row. Inputs further than ten standard
    deviations away are moved there.

    Predictions are computed row by row, on the processor whatever the device, and are
    to the last bit the same in whatever pieces rows arrive. The fitted regressor holds
    the weights, and neither a net nor the state of its training.

    References
    ----------
    .. [1] Hochreiter, S. and Schmidhuber, J. (1997). "Long Short-Term Memory". Neural
       Computation 9, 1735-1780. :doi:`10.1162/neco.1997.9.8.1735`

    Examples
    --------
    >>> import numpy as np
    >>> from skad.forecasting import LSTMRegressor
    >>> waves = np.sin(np.arange(1001) / np.array([[5], [9]])).T
    >>> X, y = waves[:-1], waves[1:]
    >>> regressor = LSTMRegressor(hidden_size=16, n_layers=1, lr=0.01, random_state=0)
    >>> regressor.fit(X[:800], y[:800]).score(X[800:], y[800:]) > 0.9
    True
    >>> predictions, state = regressor.predict_next(X[800:900])
    >>> predictions, state = regressor.predict_next(X[900:], state)
    >>> bool(np.all(predictions == regressor.predict(X[800:])[100:]))
    True
    """

    _parameter_constraints: dict = {
        **TrainingMixin._parameter_constraints,
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "window_size": [Interval(Integral, 1, None, closed="left")],
        "n_lags": [Interval(Integral, 0, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    _criterion = StretchLoss

    def __init__(
        self,
        *,
        hidden_size=80,
        n_layers=3,
        dropout=0.2,
        window_size=100,
        n_lags=None,
        alpha=100.0,
        max_epochs=5,
        batch_size=16,
        lr=0.003,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
    ):
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.dropout = dropout
        self.window_size = window_size
        self.n_lags = n_lags
        self.alpha = alpha
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, groups=None):
        """Fit the regressor.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_features)
            The inputs; the rows of each series in the order of time.

        y : array-like of shape (n_timesteps,) or (n_timesteps, n_outputs)
            The targets of each row.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        self : object
            The fitted regressor.
        """
        X, y = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
        # The last attributes to come back: an interrupted fit leaves nothing that
        # looks fitted.
        vars(self).pop("_layers", None)
        series, _ = side_by_side(np.column_stack([X, y]), groups)
        self.window_size_ = min(self.window_size, int(series.lengths.max()))
        self.n_lags_ = self.n_lags
        if self.n_lags is None:
            self.n_lags_ = number_of_lags(*X.shape)
        self._target_shape = y.shape[1:]
        net = self._trained(series)
        self._layers = _Layers(*net.module_.weights())
        return self

    def predict(self, X, *, groups=None):
        """Predict the targets of each row.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_features)
            The inputs; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        predictions : ndarray of shape (n_timesteps,) or (n_timesteps, n_outputs)
            The predictions.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        series, _ = side_by_side(X, groups)
        parts = [self._continued(series.values[rows])[0] for rows in series.slices()]
        return series.restored(np.concatenate(parts))

    def predict_next(self, X, state=None):
        """Predict the targets of the next rows of a series.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_features)
            The inputs of the next rows, one or more.

        state : object, default=None
            What the call for the rows before them returned. If None, they are the
            first ones of their series.

        Returns
        -------
        predictions : ndarray of shape (n_timesteps,) or (n_timesteps, n_outputs)
            The predictions, those that `predict` makes for the series as a whole.

        state : object
            What the call for the rows after them is to be given. It is small, and
            remains as it is.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self._continued(X, self._checked(state))

    def _checked(self, state):
        if state is not None and not isinstance(state, _State):
            raise TypeError(
                f"state is of type {type(state).__name__}; expected what predict_next "
                "returned for the rows before, or None."
            )
        return state

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_layers")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _prepare(self, series):
        self._scalers = [
            ChannelScaler(series.with_values(values))
            for values in self._split(series.values)
        ]
        scaled = [self._scaled(series.values[rows]) for rows in series.slices()]
        self._linear = LinearPart(scaled, self.n_lags_, self.alpha)
        errors = np.concatenate([self._errors(*pair) for pair in scaled])
        self._error_scale = ErrorScale(series, errors).scale

    def _split(self, rows):
        return np.split(rows, [self.n_features_in_], axis=1)

    def _scaled(self, rows):
        """Return the inputs and the targets of rows, standardised."""
        pairs = zip(self._scalers, self._split(rows), strict=True)
        return [scaler(values).astype(np.float32) for scaler, values in pairs]

    def _errors(self, inputs, targets):
        """Return what the linear part leaves of the targets of a whole series."""
        return targets - self._linear(inputs, self._linear.before(inputs[0]))[0]

    def _net_input(self, rows):
        inputs, targets = self._scaled(rows)
        errors = self._errors(inputs, targets) / self._error_scale
        return np.hstack([inputs, np.clip(errors, -_FARTHEST, _FARTHEST)])

    def _make_module(self, series):
        n_outputs = series.values.shape[1] - self.n_features_in_
        return StretchNet(
            self.n_features_in_,
            n_outputs,
            self.hidden_size,
            self.n_layers,
            self.dropout,
        )

    def _rows(self, series):
        """Return stretches, which overlap by half."""
        size = self.window_size_
        series = series.preceded(np.maximum(size - series.lengths, 0))
        return Windows(series, size, self._net_input, stride=max(size // 2, 1))

    def _valid_split(self, seed):
        return LastWindows(self.validation_fraction)

    def _continued(self, X, state=None):
        """Return the predictions for the rows after a state, and the new state."""
        of_inputs, of_targets = self._scalers
        found = []
        for start in range(0, len(X), _BLOCK):
            rows = of_inputs(X[start : start + _BLOCK]).astype(np.float32)
            state = self._start(rows[0]) if state is None else state
            linear, before = self._linear(rows, state.before)
            added, memory = self._layers(rows, state.memory)
            state = _State(before, memory)
            predictions = linear + self._error_scale * added
            found.append(predictions * of_targets.scale + of_targets.mean)
        return np.concatenate(found).reshape(len(X), *self._target_shape), state

    def _start(self, row):
        """Return the state in which a row has been there for long."""
        rows = np.repeat(row[np.newaxis], self.window_size_, axis=0)
        _, memory = self._layers(rows, self._layers.nothing())
        return _State(self._linear.before(row), memory)


class _State(NamedTuple):
    """What was before the next rows of a series.

    Parameters
    ----------
    before : ndarray of shape (n_lags - 1, n_inputs)
        The last rows, standardised.

    memory : ndarray of shape (n_layers, 2, hidden_size)
        What the layers remember.
    """

    before: np.ndarray
    memory: np.ndarray


class _Layers:
    """The layers of a trained net, without what trains it.

    Parameters
    ----------
    layers, output
        As `StretchNet.weights` returns them.
    """

    def __init__(self, layers, output):
        self._layers = layers
        self._output = output

    def nothing(self):
        """Return what the layers remember where a stretch for training begins."""
        shape = (len(self._layers), 2, len(self._output[0]))
        return np.zeros(shape, dtype=np.float32)

    def __call__(self, rows, memory):
        """Return outputs for the next rows, and what is remembered after them."""
        memory = memory.copy()
        for layer, (hidden, cell) in zip(self._layers, memory, strict=True):
            rows = lstm_layer(rows, *layer, hidden, cell)
        return project(rows, *self._output), memory
