"""DConAD: differences of series, and the contrast of two views of them."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skad._deep import BaseDeepDetector
from skad._forecasts import number_of_lags
from skad._nets._dconad import ReleasedNet, TwoViews, ViewsLoss
from skad._nets._windows import LastWindows, Windows, row_means
from skad._sequence import SequenceMixin
from skad._series_scores import (
    ChannelScaler,
    ChannelScoresMixin,
    ErrorScale,
    Levels,
    smoothed,
)


class DConAD(ChannelScoresMixin, SequenceMixin, BaseDeepDetector):
    """Detect time steps whose change the two views of a series did not expect.

    A series is seen as its values and as its differences. Each view forecasts by how
    much every channel changes next, from rows before it only. A time step is anomalous
    where the forecast fails, where the two views disagree, that is where channels stand
    to each other as they do not usually do, and where level or spread of a window are
    unusual. Channels need not be scaled.

    Read more in the :ref:`User Guide <dconad>`.

    Parameters
    ----------
    window_size : int, default=100
        Number of rows of a window: level and spread are those of so many rows, and
        forecasts look no further back. If the shortest series has fewer, `fit` warns
        and takes these.

    missing : {"raise", "interpolate", "mask"}, default="raise"
        What becomes of NaN: an error, the value between its neighbours in time, or that
        value without any part in the score.

    variant : {"corrected", "released"}, default="corrected"
        "released" trains and scores as the code of the paper's authors does, for
        comparisons; see Notes. It needs no more than `window_size`, `d_model`,
        `n_heads`, `dropout` and the parameters of training.

    n_lags : int, default=None
        Number of differences that a forecast is made from, at most two less than a
        window has rows. If None, so many that all channels give 400 of them, or a
        quarter of the number of training rows if that is less, but 3 to 100.

    alpha : float, default=10.0
        Penalty on the squared coefficients of the linear forecasts.

    contrast_weight : float, default=0.25
        Weight of the disagreement of the views in the score, that of the error being 1.

    level_weight : float, default=1.5
        Weight of the level and spread of windows in the score.

    smoothing : int, default=20
        Number of rows that errors are averaged over, at most those of a window.

    causal : bool, default=False
        Whether a score depends on no later row: averages are then taken over the rows
        before a row instead of those on both sides. It costs accuracy.

    d_model : int, default=256
        Width of the net.

    n_heads : int, default=4
        Number of attention heads of the released net, a divisor of `d_model`.

    dropout : float, default=0.2
        Probability of dropout in training.

    max_windows : int, default=8192
        Most windows to train on, evenly spread over the training data.

    max_epochs : int, default=10
        Number of passes over the training data.

    batch_size : int, default=256
        Most windows in a batch.

    lr : float, default=0.003
        Learning rate.

    warm_start : bool, default=False
        Whether `fit` trains the net of the last `fit` for `max_epochs` more epochs.

    n_iter_no_change : int, default=None
        Epochs without improvement on the held-out ends of series after which training
        stops, and the best weights are taken. If None, nothing is held out.

    validation_fraction : float, default=0.1
        Share of each series that is held out if `n_iter_no_change` is set.

    device : str or torch.device, default="auto"
        Where the net is; "auto" is a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the net and its training; pass an int for reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 the losses of every epoch.

    net_params : dict, default=None
        More parameters of the skorch net, such as `callbacks`.

    contamination : float, default=0.1
        Share of anomalies in the training data, which sets the threshold.

    Attributes
    ----------
    offset_ : float
        Threshold: time steps with a lower score are anomalies.

    window_size_ : int
        Number of rows of a window in use.

    n_lags_ : int
        Number of differences in use. Not with the released variant.

    net_ : DetectorNet
        The trained net.

    n_iter_ : int
        Number of epochs trained.

    history_ : list of dict
        Losses and seconds of each epoch.

    n_features_in_ : int
        Number of channels seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of channels seen during `fit`, if `X` has string names.

    See Also
    --------
    GANVAE : For tables.

    Notes
    -----
    From the paper are the two views, of values and of differences, one embedding for
    both, and their contrast as a score. The forecasts, the comparison in the units of
    the channels instead of by divergences of features, and the level are ours. The
    forecasts are linear by least squares, and a net adds to them what it finds; the
    linear part does most of the work.

    The released code maximises one side of a divergence and minimises the other, so
    that its loss is always 0; it scores by a softmax over each window of the negative
    divergence, which makes some row of every window anomalous, whatever the data; and
    it calls rows anomalous whose views agree. "released" does the same, except that
    the last rows of a series, fewer than a window, are scored as well, values further
    than ten standard deviations away are moved there, and the learning rate stays.
    There is no `explain` then.

    References
    ----------
    .. [1] Zhang et al. (2025). "DConAD: A Differencing-based Contrastive Representation
       Learning Framework for Time Series Anomaly Detection". arXiv:2504.14204.

    .. [2] Engle, R. F. and Granger, C. W. J. (1987). "Co-Integration and Error
       Correction: Representation, Estimation, and Testing". Econometrica 55, 251-276.
       :doi:`10.2307/1913236`

    Examples
    --------
    >>> import numpy as np
    >>> from skad import DConAD
    >>> rng = np.random.default_rng(0)
    >>> phase = np.arange(900) / 5
    >>> X = np.c_[np.sin(phase), np.cos(phase)] + rng.normal(scale=0.1, size=(900, 2))
    >>> detector = DConAD(window_size=50, random_state=0).fit(X[:600])
    >>> stuck = X[600:].copy()
    >>> stuck[120:140, 1] = stuck[120, 1]
    >>> int(detector.score_samples(stuck).argmin()) in range(120, 140)
    True
    >>> int(detector.explain(stuck)[120:140].mean(axis=0).argmax())
    1
    """

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        **SequenceMixin._parameter_constraints,
        "variant": [StrOptions({"corrected", "released"})],
        "n_lags": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "contrast_weight": [Interval(Real, 0, None, closed="left")],
        "level_weight": [Interval(Real, 0, None, closed="left")],
        "smoothing": [Interval(Integral, 1, None, closed="left")],
        "causal": ["boolean"],
        "d_model": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_windows": [Interval(Integral, 1, None, closed="left")],
    }

    _criterion = ViewsLoss

    def __init__(
        self,
        *,
        window_size=100,
        missing="raise",
        variant="corrected",
        n_lags=None,
        alpha=10.0,
        contrast_weight=0.25,
        level_weight=1.5,
        smoothing=20,
        causal=False,
        d_model=256,
        n_heads=4,
        dropout=0.2,
        max_windows=8192,
        max_epochs=10,
        batch_size=256,
        lr=0.003,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.window_size = window_size
        self.missing = missing
        self.variant = variant
        self.n_lags = n_lags
        self.alpha = alpha
        self.contrast_weight = contrast_weight
        self.level_weight = level_weight
        self.smoothing = smoothing
        self.causal = causal
        self.d_model = d_model
        self.n_heads = n_heads
        self.dropout = dropout
        self.max_windows = max_windows
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params
        self.contamination = contamination

    def _fit(self, series):
        if self.variant == "released" and self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads={self.n_heads} must divide d_model={self.d_model}."
            )
        super()._fit(series)
        if self.variant == "corrected":
            errors = self._errors(series)
            self._scales = {
                name: ErrorScale(series, error) for name, error in errors.items()
            }

    def _prepare(self, series):
        self._scaler = ChannelScaler(series)
        if self.variant == "corrected":
            self._levels = Levels(self._scaler.scaled(series), self.window_size_)
            self.n_lags_ = self._number_of_lags(series)

    def _number_of_lags(self, series):
        n_lags = self.n_lags
        if n_lags is None:
            n_lags = number_of_lags(*series.values.shape)
        # The forecast row and the one before it are in the window as well.
        return max(min(n_lags, self.window_size_ - 2), 1)

    def _net_input(self, rows):
        return self._scaler(rows)

    def _make_module(self, series):
        n_channels = series.values.shape[1]
        if self.variant == "released":
            return ReleasedNet(
                n_channels,
                self.window_size_,
                self.d_model,
                self.n_heads,
                self.dropout,
            )
        net = TwoViews(n_channels, self.n_lags_, self.d_model, self.dropout)
        net.solve(self._rows(series)[:], self.alpha)
        return net

    def _valid_split(self, seed):
        return LastWindows(self.validation_fraction)

    def _rows(self, series):
        """Return the windows for training, which need not hold every row."""
        return self._windows(series, stride=-(-len(series) // self.max_windows))

    def _windows(self, series, stride=1):
        if self.variant == "released":
            return Windows(series, self.window_size_, self._net_input, stride)
        # One that ends at each row: the forecast knows nothing that comes later.
        n_rows = min(self.window_size_, self.n_lags_ + 2)
        series = series.preceded(np.full(len(series.lengths), n_rows - 1))
        return Windows(series, n_rows, self._net_input, stride)

    def _score_samples(self, series):
        if self.variant == "released":
            windows = self._windows(series, stride=self.window_size_)
            return -row_means(self.net_, windows)
        return -self._contributions(series).sum(axis=1)

    def _contributions(self, series):
        # No smoothing beyond a window: what it holds is all that a row may depend on.
        excess = series.channel_shares(self._excess(series))
        n_rows = min(self.smoothing, self.window_size_)
        level = self._levels.excess(self._scaler.scaled(series), causal=self.causal)
        return smoothed(
            series, excess, n_rows, causal=self.causal
        ) + self.level_weight * series.channel_shares(level)

    def _excess(self, series):
        excess = {
            name: self._scales[name].excess(error)
            for name, error in self._errors(series).items()
        }
        return excess["error"] + self.contrast_weight * excess["contrast"]

    def _errors(self, series):
        return self.net_.evaluate(self._windows(series), "errors")
