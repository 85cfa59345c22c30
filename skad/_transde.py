"""TransDe: time steps where two views of a window, by its patches, differ."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skad._deep import BaseDeepDetector
from skad._nets._transde import ComparedViews, ContrastedMaps, MeanLoss
from skad._nets._windows import LastWindows, Windows, row_means
from skad._sequence import SequenceMixin
from skad._series import rows_from_windows
from skad._series_scores import (
    ChannelScaler,
    ChannelScoresMixin,
    ErrorScale,
    WindowLevel,
    smoothed,
)
from skad._trend import causal_trend, smoother

# Windows that the closed form is computed from.
_N_CLOSED_FORM = 2048


class TransDe(ChannelScoresMixin, SequenceMixin, BaseDeepDetector):
    """Detect anomalous time steps by two views of windows, by their patches.

    A window is cut into patches of a few rows and all channels. The view from inside
    is what is left of a patch after it went through an embedding of few values; the
    view from outside is what the other patches of the window let expect of that
    embedding. On normal data both say the same. Where a patch cannot be embedded, or
    the views differ, something is unusual: a spike, a broken correlation, a shape that
    does not belong here. What both views can follow, an unusual level or noise, is
    added from statistics of the Hodrick-Prescott trend and of what the trend leaves.

    Channels may have any scale. The score of a row uses the rows around it, before and
    after, unless `causal` is set.

    With ``variant="released"`` it is the method as its authors released it, whose
    score is not one of abnormality: see Notes.

    Read more in the :ref:`User Guide <transde>`.

    Parameters
    ----------
    window_size : int, default=50
        Number of rows of a window. If a series of the training data is shorter, it is
        the length of that.

    variant : {"corrected", "released"}, default="corrected"
        Whether views are compared, as above, or maps of attention, as in the released
        code. That uses neither `smoothing`, `level_weight`, `causal` nor `stride`.

    patch_sizes : tuple of int, default=(5,)
        Numbers of rows of a patch; with several, errors are averaged. One that does
        not divide the window, or is more than half of it, is lowered to the next that
        does.

    d_model : int, default=64
        Values of the embedding of a patch, at most: no more are used than explain
        99.9 % of the variance of patches. With "released" exactly so many.

    n_layers : int, default=3
        Number of maps of attention, in parallel.

    penalty : float, default=10.0
        How smooth the trend is: how much its second differences cost.

    smoothing : int, default=20
        Number of rows over which errors are averaged; no more than a window has.

    level_weight : float, default=1.0
        Weight of the statistics of trend and residual in the score, that of the
        errors being 1.

    causal : bool, default=False
        Whether the score of a row is made from the rows up to it, as it has to be
        where rows are scored while they arrive. The first rows of a series, before
        there is a window, then get the score of normal ones.

    max_windows : int, default=2048
        About how many windows the net is trained on, evenly spaced; more if the
        series are so long that windows would leave out rows.

    stride : int, default=4
        Distance of the windows of which the errors of a row are the mean; not used
        with `causal`, where all are taken.

    missing : {"raise", "interpolate", "mask"}, default="raise"
        What happens to NaN: an error, interpolation in time, or that as well, and
        what was missing adds nothing to the score.

    max_epochs : int, default=8
        Number of passes over the training windows. All but the attention has a closed
        form, so that few are needed.

    batch_size : int, default=64
        Windows per step of the training, and of scoring.

    lr : float, default=0.001
        Learning rate.

    warm_start : bool, default=False
        Whether `fit` continues the training of the last fit.

    n_iter_no_change : int, default=None
        Stop when the loss on held-out windows has not improved for this many epochs,
        and keep the best weights. None: never.

    validation_fraction : float, default=0.1
        Share of each series, at its end, that is held out if `n_iter_no_change` is
        given.

    device : str or torch.device, default="auto"
        Where to compute; "auto" takes a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the start of the attention and the order of the training; pass an int
        for reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 a line per epoch.

    net_params : dict, default=None
        More parameters of the skorch net, such as ``callbacks``.

    contamination : float, default=0.1
        Share of anomalies in the training data, which sets the threshold.

    Attributes
    ----------
    offset_ : float
        Threshold: rows with a lower score are anomalies.

    window_size_ : int
        The number of rows of a window.

    patch_sizes_ : list of int
        The sizes of patches, ascending.

    net_ : DetectorNet
        The trained net.

    n_iter_ : int
        Number of epochs trained.

    history_ : list of dict
        Losses and seconds of each epoch.

    n_features_in_ : int
        Number of channels.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of channels, if `X` has string names.

    Notes
    -----
    The paper splits windows that were normalised one by one into trend and residual,
    cuts each channel by itself, and compares maps of attention among patches with
    maps of attention among positions in a patch, written at the size of the window.
    Such a divergence is the sum of a function of the one map and a function of the
    other: neither is compared with anything but the uniform distribution, and no map
    at that size is needed to compute it. The released loss is the difference of two
    equal numbers, so that its value is always 0; its gradient is not. The released
    score has the opposite sign of the idea, and is a softmax over each window, which
    makes windows incomparable. What is compared here are reconstructions instead:
    joint patches of all channels, closed forms, the level and the calibration of
    errors are ours; patches, two views, attention, contrast and decomposition are the
    paper's.

    Differences of "released" from the code: the last, incomplete window is scored as
    well, from the last rows that make a full one; rows that two windows hold get the
    mean. The learning rate stays the same in all epochs. Windows are evenly spaced
    instead of one for each row. Channels are standardised and values beyond ten
    standard deviations are moved there.

    References
    ----------
    .. [1] Zhang, W. and Luo, C. (2025). "Decomposition-based multi-scale transformer
       framework for time series anomaly detection". Neural Networks.
       :doi:`10.1016/j.neunet.2025.107399`.

    .. [2] Yang, Y. et al. (2023). "DCdetector: Dual Attention Contrastive
       Representation Learning for Time Series Anomaly Detection". KDD.
       :doi:`10.1145/3580305.3599295`.

    .. [3] Hodrick, R. J. and Prescott, E. C. (1997). "Postwar U.S. Business Cycles:
       An Empirical Investigation". Journal of Money, Credit and Banking 29 (1).
       :doi:`10.2307/2953682`.

    Examples
    --------
    >>> import numpy as np
    >>> from skad import TransDe
    >>> time = np.arange(600)[:, np.newaxis]
    >>> X = np.sin(time / [5, 7, 11])
    >>> detector = TransDe(window_size=30, random_state=0).fit(X[:400])
    >>> X[500:505, 1] += 2
    >>> int(detector.score_samples(X[400:]).argmin()) in range(95, 110)
    True
    >>> int(detector.explain(X[400:])[102].argmax())
    1
    """

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        **SequenceMixin._parameter_constraints,
        "variant": [StrOptions({"corrected", "released"})],
        "patch_sizes": ["array-like"],
        "d_model": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "smoothing": [Interval(Integral, 1, None, closed="left")],
        "level_weight": [Interval(Real, 0, None, closed="left")],
        "causal": ["boolean"],
        "max_windows": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
    }

    _criterion = MeanLoss

    def __init__(
        self,
        *,
        window_size=50,
        variant="corrected",
        patch_sizes=(5,),
        d_model=64,
        n_layers=3,
        penalty=10.0,
        smoothing=20,
        level_weight=1.0,
        causal=False,
        max_windows=2048,
        stride=4,
        missing="raise",
        max_epochs=8,
        batch_size=64,
        lr=0.001,
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
        self.variant = variant
        self.patch_sizes = patch_sizes
        self.d_model = d_model
        self.n_layers = n_layers
        self.penalty = penalty
        self.smoothing = smoothing
        self.level_weight = level_weight
        self.causal = causal
        self.max_windows = max_windows
        self.stride = stride
        self.missing = missing
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

    def decompose(self, X, *, groups=None):
        """Return the trend of each channel, and what is left.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_channels)
            The data; the rows of each series in the order of time.

        groups : array-like of shape (n_timesteps,), default=None
            The series that each row is of. If None, all rows are of one.

        Returns
        -------
        trend : ndarray of shape (n_timesteps, n_channels)
            The mean of the Hodrick-Prescott trends of the windows that hold a row;
            with ``causal`` that of the window that ends at it.

        residual : ndarray of shape (n_timesteps, n_channels)
            The data less the trend.
        """
        check_is_fitted(self)
        series = self._validate(X, reset=False, groups=groups)
        trend, residual = self._decomposed(series)
        return series.restored(trend.values), series.restored(residual.values)

    def _prepare(self, series):
        self.patch_sizes_ = _fitting(self.patch_sizes, self.window_size_)
        self._scaler = ChannelScaler(series)

    def _make_module(self, series):
        sizes = self.patch_sizes_, self.d_model, self.n_layers
        if self.variant == "released":
            matrix = smoother(self.window_size_, self.penalty)
            return ContrastedMaps(*sizes, torch.tensor(matrix, dtype=torch.float32))
        windows = self._rows(series)
        some = np.linspace(0, len(windows) - 1, min(len(windows), _N_CLOSED_FORM))
        return ComparedViews(windows[some.astype(int)], *sizes)

    def _fit(self, series):
        super()._fit(series)
        if self.variant == "released":
            return
        errors = self._errors(series)
        self._scales = {name: ErrorScale(series, e) for name, e in errors.items()}
        parts = self._decomposed(self._scaler.scaled(series))
        # A residual that is small beside its channel has unusual levels as well.
        self._part_scalers = [ChannelScaler(part) for part in parts]
        # The windows that hold a row reach over so many rows.
        length = 2 * self.window_size_ - 1
        self._levels = [WindowLevel(p, length) for p in self._parts(series)]

    def _net_input(self, rows):
        return self._scaler(rows)

    def _rows(self, series):
        """Return the windows for training."""
        stride = min(self.window_size_, max(1, len(series) // self.max_windows))
        return Windows(series, self.window_size_, self._net_input, stride)

    def _valid_split(self, seed):
        return LastWindows(self.validation_fraction)

    def _score_samples(self, series):
        if self.variant == "corrected":
            return -self._contributions(series).sum(axis=1)
        size = self.window_size_
        windows = Windows(series, size, self._net_input, stride=size)
        return -row_means(self.net_, windows)

    def _contributions(self, series):
        """Return what each channel adds to the abnormality of each row."""
        errors = self._errors(series)
        squares = [(e / self._scales[name].scale) ** 2 for name, e in errors.items()]
        excess = np.maximum(np.sqrt(np.mean(squares, axis=0)) - 1, 0)
        excess = series.channel_shares(excess)
        n_rows = min(self.smoothing, self.window_size_)
        excess = smoothed(series, excess, n_rows, causal=self.causal)
        levels = zip(self._levels, self._parts(series), strict=True)
        level = np.mean([e.excess(p, causal=self.causal) for e, p in levels], axis=0)
        return excess + self.level_weight * series.channel_shares(level)

    def _parts(self, series):
        """Return trend and residual, both standardised."""
        parts = self._decomposed(self._scaler.scaled(series))
        pairs = zip(self._part_scalers, parts, strict=True)
        return [scaler.scaled(part) for scaler, part in pairs]

    def _decomposed(self, series):
        """Return trend and residual as Series."""
        size = self.window_size_
        if self.causal:
            parts = [series.values[rows] for rows in series.slices()]
            parts = [causal_trend(part, size, self.penalty) for part in parts]
            trend = np.concatenate(parts)
        else:
            matrix = smoother(size, self.penalty)
            trend = rows_from_windows(matrix.__matmul__, series, size)
        return [series.with_values(values) for values in (trend, series.values - trend)]

    def _errors(self, series):
        """Return the root mean squares of the net's errors for each row and channel."""
        size = self.window_size_
        if not self.causal:
            stride = min(self.stride, size)
            windows = Windows(series, size, self._net_input, stride)
            squares = row_means(self.net_, windows, "squared_errors")
            return {name: np.sqrt(e) for name, e in squares.items()}
        windows = Windows(series, size, self._net_input)
        squares = self.net_.evaluate(windows, "last_squared_errors")
        # Before there is a window there is nothing to judge by.
        errors = {name: np.zeros(series.values.shape) for name in squares}
        for name, e in squares.items():
            errors[name][windows.starts + size - 1] = np.sqrt(e)
        return errors


def _fitting(sizes, length):
    """Return sizes of patches that divide windows, of which these hold two or more."""
    sizes = np.asarray(sizes)
    if (
        sizes.ndim != 1
        or not sizes.size
        or sizes.dtype.kind not in "iu"
        or min(sizes) < 1
    ):
        raise ValueError(
            f"patch_sizes is {sizes.tolist()!r}; it must hold one or more integers of "
            "at least 1."
        )
    most = max(1, length // 2)
    divisors = [d for d in range(1, most + 1) if length % d == 0]
    return sorted({max(d for d in divisors if d <= size) for size in sizes.tolist()})
