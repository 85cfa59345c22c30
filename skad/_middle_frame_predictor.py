"""Bidirectional prediction of middle frames: what a video should have shown."""

from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skad._deep import BaseDeepDetector
from skad._frame_scores import TERMS, FrameScores
from skad._image import (
    ImageMixin,
    check_colors,
    checked_pixel_range,
    checked_shape,
    resized,
    to_size,
)
from skad._nets._clips import Clips, WholeVideos, predictions
from skad._nets._frame_errors import FrameLoss
from skad._nets._middle_frames import MiddleFrameNet
from skad._nets._pyramids import ScheduledNet
from skad._nets._rows import Rows
from skad._sequence import GroupsMixin
from skad._video import ClipShape, Videos, with_ends

_PRESETS = {
    "small": {
        "image_size": 96,
        "channels": (8, 16, 32),
        "n_layers": 1,
        "n_heads": 4,
        "kernel_size": 3,
    },
    "paper": {
        "image_size": 256,
        "channels": (16, 32, 64),
        "n_layers": 5,
        "n_heads": 8,
        "kernel_size": 5,
    },
}
# Clips from which it is learned what errors are usual in each place.
_N_REFERENCE = 256
# Patches are so small a part of the shorter side.
_N_PATCHES = 16


class MiddleFramePredictor(GroupsMixin, ImageMixin, BaseDeepDetector):
    """Detect anomalous frames of videos by predicting them from both sides.

    A net learns from normal videos to predict the middle frames of short clips: from
    frames before them and, time turned around, from frames after them. What it cannot
    predict, an unusual object or an unusual movement, makes a frame anomalous. Meant
    for cameras that do not move. What does not change from frame to frame is predicted
    well, unless with ``residual=False``: a bag that was left is noticed as it comes,
    and a camera that is covered or whose picture is frozen scores as very normal.

    `X` holds frames, those of each video in the order of time, in the shape (n_frames,
    height, width), (n_frames, height, width, n_channels), or (n_frames, n_features)
    with flattened frames; ``groups`` says which frames are of which video. A frame is a
    time step, and a video a series. Arrays that are mapped from a file are read clip by
    clip, and may be larger than memory, unless columns of pixels were left out, which
    makes a copy; :func:`skad.datasets.load_frames` makes such files.

    Read more in the :ref:`User Guide <middle_frame>`.

    Parameters
    ----------
    preset : {"small", "paper"}, default="small"
        What is taken for `image_size`, `channels`, `n_layers`, `n_heads` and
        `kernel_size` where they are None. "small": 96, (8, 16, 32), 1, 4 and 3, which
        trains on a processor. "paper": 256, (16, 32, 64), 5, 8 and 5, the paper's,
        which wants a GPU.

    image_shape : tuple of int, default=None
        Height and width, and number of channels if there is more than one, of the
        frames in flattened rows. If None, rows are taken as square images of one
        channel, or as strips of height 1 if they cannot be squares.

    image_size : int, default=None
        The longer side of the frames that the net sees, at most: larger frames are
        resized, maps come back at the size of the frames.

    pixel_range : tuple of two numbers, default=None
        The values of black and white. If None, the lowest and the highest of the
        training data.

    n_context : int, default=3
        Number of frames that a clip has on each side of those in its middle.

    n_target : int, default=3
        Number of frames in its middle, which are predicted: an odd number. Only the one
        in the very middle is predicted to score it. With one alone the ConvLSTMs have
        a single step, and remember nothing.

    stride : int, default=3
        Distance of the frames of a clip: 1 takes every frame of the video.

    channels : tuple of int, default=None
        Maps of each stage of the frame encoder; all stages but the first halve the
        size. The transformer sees the last ones.

    n_layers : int, default=None
        Layers of the transformer's encoder and of each of its two decoders; 0 for no
        transformer.

    n_heads : int, default=None
        Heads of its attention, which must divide the last of `channels`.

    bridge : bool, default=True
        Whether ConvLSTMs carry maps at the size of the frame past the transformer.

    residual : bool, default=True
        Whether the net predicts by what a frame differs from the mean of the frame
        before it and the frame after it in the clip, instead of the frame itself. What
        stands still is then always as predicted, however unusual. With one direction
        only, it is one of the two frames.

    kernel_size : int, default=None
        Height and width of the convolutions of the ConvLSTMs, an odd number.

    dropout : float, default=0.1
        Probability that a value in the transformer is dropped in training.

    merge_weight : float, default=0.85
        Weight of what was predicted from the frames before; the rest is that of the
        other direction. At 1 and at 0 there is only one direction.

    loss_alpha : float, default=0.5
        Weight of the structural dissimilarity in the loss; the rest is that of the
        absolute error.

    measure : {"mean", "psnr", "patch", "ssim"}, default="mean"
        The error that makes the score, one of :meth:`score_terms`, or their mean.

    patch_size : int, default=None
        Height and width of the patches of "patch" and "ssim", in pixels that the net
        sees. If None, a sixteenth of the shorter side.

    smoothing : float, default=3.0
        Standard deviation, in frames, of the Gaussian that smooths scores in time; 0
        for none.

    normalization : {"train", "video"}, default="train"
        What scores are relative to: the training frames, or the lowest and the highest
        score of the same video, which makes them depend on all of its frames. A video
        without anomalies then has low scores as well.

    max_clips : int, default=512
        Most clips to train on in an epoch, which begin evenly spaced over all videos.

    max_epochs : int, default=10
        Number of passes over these clips.

    batch_size : int, default=4
        Most clips in a batch, in training and in scoring.

    lr : float, default=0.002
        Learning rate at its highest: it rises at first, and falls to 0 in the end.

    warm_start : bool, default=False
        Whether `fit` trains the net of the last `fit` for `max_epochs` more epochs.

    n_iter_no_change : int, default=None
        Epochs without improvement on held-out videos after which training stops, and
        the best weights are taken. If None, nothing is held out.

    validation_fraction : float, default=0.1
        Share of the videos, at least one, that is held out if `n_iter_no_change` is
        set.

    device : str or torch.device, default="auto"
        Where the net is; "auto" is a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the net and its training; pass an int for reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 the losses of every epoch.

    net_params : dict, default=None
        More parameters of the skorch net, such as ``{"autocast": torch.bfloat16}``,
        with which training is often faster.

    contamination : float, default=0.1
        Share of anomalies in the training data, which sets the threshold.

    Attributes
    ----------
    offset_ : float
        Threshold: frames with a lower score are anomalies.

    net_ : DetectorNet
        The trained net.

    n_iter_ : int
        Number of epochs trained.

    history_ : list of dict
        Losses and seconds of each epoch.

    image_shape_ : tuple of three ints
        Height, width and number of channels of a frame.

    image_size_ : tuple of two ints
        Height and width that the net sees.

    stride_ : int
        Distance of the frames of a clip: `stride`, or less if no video is long enough.

    n_features_in_ : int
        Number of features seen during `fit`, the values of a frame.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if `X` has string names.

    See Also
    --------
    BayesianVAE : For single images.
    skad.datasets.load_frames : Reads videos and folders of images.

    Notes
    -----
    The frame encoder, the transformer whose attention is among whole maps of a head,
    the two ConvLSTMs of each direction, the merge, the clips and the loss are the
    paper's [1]_. Each frame in the middle is predicted from the true one before it,
    also when it is scored.

    Ours are: group instead of batch normalisation, so that a score depends on no other
    clip; only the causal mask, where the released code also masks frames that have a
    white corner; absolute errors in the loss that are not blurred, as the blur leaves
    corners to chance; validation by whole videos; the prediction of differences,
    ``residual``; and the small preset. The paper's score is not known. Here a frame is
    compared with the prediction from the one clip that has it in its very middle. The
    first frames of a video and the last ones, 12 by default, are in the middle of none,
    and have the errors of the nearest frame that is.

    Without a transformer the coarse maps of the known frames are enlarged as they are.

    References
    ----------
    .. [1] Shen, G., Ouyang, Y., Lu, J., Yang, Y. and Sanchez, V. (2024). "Advancing
       Video Anomaly Detection: A Bi-Directional Hybrid Framework for Enhanced Single-
       and Multi-Task Approaches". IEEE Transactions on Image Processing 33.
       :doi:`10.1109/TIP.2024.3512369`.

    Examples
    --------
    >>> from skad import MiddleFramePredictor
    >>> from skad.datasets import make_moving_digits
    >>> X, y, groups, _ = make_moving_digits(4, 40, size=16, random_state=0)
    >>> detector = MiddleFramePredictor(channels=(4, 8), max_epochs=2, random_state=0)
    >>> normal = groups < 2
    >>> detector = detector.fit(X[normal], groups=groups[normal])
    >>> detector.score_samples(X, groups=groups).shape
    (160,)
    >>> detector.anomaly_map(X, groups=groups).shape
    (160, 16, 16)
    """

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        **ImageMixin._parameter_constraints,
        "preset": [StrOptions(set(_PRESETS))],
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "channels": ["array-like", None],
        "n_layers": [Interval(Integral, 0, None, closed="left"), None],
        "n_heads": [Interval(Integral, 1, None, closed="left"), None],
        "bridge": ["boolean"],
        "residual": ["boolean"],
        "kernel_size": [Interval(Integral, 1, None, closed="left"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "pixel_range": ["array-like", None],
        "n_context": [Interval(Integral, 1, None, closed="left")],
        "n_target": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "max_clips": [Interval(Integral, 1, None, closed="left")],
        "merge_weight": [Interval(Real, 0, 1, closed="both")],
        "loss_alpha": [Interval(Real, 0, 1, closed="both")],
        "measure": [StrOptions({"mean", *TERMS})],
        "patch_size": [Interval(Integral, 1, None, closed="left"), None],
        "smoothing": [Interval(Real, 0, None, closed="left")],
        "normalization": [StrOptions({"train", "video"})],
    }

    _net_cls = ScheduledNet

    def __init__(
        self,
        *,
        preset="small",
        image_shape=None,
        image_size=None,
        pixel_range=None,
        n_context=3,
        n_target=3,
        stride=3,
        channels=None,
        n_layers=None,
        n_heads=None,
        bridge=True,
        residual=True,
        kernel_size=None,
        dropout=0.1,
        merge_weight=0.85,
        loss_alpha=0.5,
        measure="mean",
        patch_size=None,
        smoothing=3.0,
        normalization="train",
        max_clips=512,
        max_epochs=10,
        batch_size=4,
        lr=0.002,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.preset = preset
        self.image_shape = image_shape
        self.image_size = image_size
        self.pixel_range = pixel_range
        self.n_context = n_context
        self.n_target = n_target
        self.stride = stride
        self.channels = channels
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.bridge = bridge
        self.residual = residual
        self.kernel_size = kernel_size
        self.dropout = dropout
        self.merge_weight = merge_weight
        self.loss_alpha = loss_alpha
        self.measure = measure
        self.patch_size = patch_size
        self.smoothing = smoothing
        self.normalization = normalization
        self.max_clips = max_clips
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

    def score_terms(self, X, *, groups=None):
        """Return the parts of the score.

        Parameters
        ----------
        X : array-like of frames
            The frames, those of each video in the order of time.

        groups : array-like of shape (n_frames,), default=None
            The video that each frame is of. If None, all frames are of one.

        Returns
        -------
        terms : dict of str to ndarray of shape (n_frames,)
            Logarithms of errors, less their mean over the training frames, divided by
            their standard deviation there, and smoothed in time: 0 is usual, 3 is
            strange. "psnr": the mean squared error, that is, the peak signal-to-noise
            ratio with the sign turned. "patch": the error of the patch where it is, for
            its place, the highest. "ssim": one minus the structural similarity, of the
            patch where that is lowest.
        """
        videos = self._validated(X, groups)
        errors = self._errors(videos)
        terms = videos.restored(map(self._scores_of.terms, errors))
        return dict(zip(TERMS, terms.T, strict=True))

    def anomaly_map(self, X, *, groups=None):
        """Return how much each pixel differs from what was predicted.

        Parameters
        ----------
        X : array-like of frames
            The frames, those of each video in the order of time.

        groups : array-like of shape (n_frames,), default=None
            The video that each frame is of. If None, all frames are of one.

        Returns
        -------
        maps : ndarray of shape (n_frames, height, width)
            Absolute errors in the units of `X`, as means over the channels, in float64.
            Frames without a prediction have the map of the nearest one that has.

        Notes
        -----
        `X` must be whole stretches of video: choose frames from the result.
        """
        maps = self._found(X, groups, lambda b: (b.predicted - b.frames).abs().mean(1))
        low, high = self._range
        return (high - low) * to_size(maps, self.image_shape_[:2])

    def predict_frames(self, X, *, groups=None):
        """Return the frames that were expected.

        Parameters
        ----------
        X : array-like of frames
            The frames, those of each video in the order of time.

        groups : array-like of shape (n_frames,), default=None
            The video that each frame is of. If None, all frames are of one.

        Returns
        -------
        frames : ndarray of the shape of X
            The predicted frames, as float64; as smooth as the net's `image_size_` makes
            them, and some values a little outside of `pixel_range`. Frames without a
            prediction get the nearest one.

        Notes
        -----
        `X` must be whole stretches of video: choose frames from the result.
        """
        frames = self._found(X, groups, lambda block: block.predicted)
        low, high = self._range
        frames = low + (high - low) * to_size(frames, self.image_shape_[:2])
        return np.moveaxis(frames, 1, -1).reshape(np.shape(X))

    def _validate(self, X, *, reset, groups=None):
        videos = Videos.from_groups(super()._validate(X, reset=reset), groups)
        if reset and not self._goes_on():
            # A list of videos looks like frames of many colours.
            check_colors(self.image_shape_, "MiddleFramePredictor")
            self._shape = ClipShape.fitting(
                self.n_context, self.n_target, self.stride, videos.longest
            )
            self.stride_ = self._shape.stride
        return videos.padded(self._shape.length)

    def _validated(self, X, groups):
        check_is_fitted(self)
        return self._validate(X, reset=False, groups=groups)

    def _prepare(self, videos):
        self._range = checked_pixel_range(self.pixel_range, videos.X)
        sides = np.array(self.image_shape_[:2])
        scale = min(1, self._size_of("image_size") / sides.max())
        self.image_size_ = tuple(map(int, np.maximum(1, np.round(scale * sides))))

    def _make_module(self, videos):
        channels = checked_shape(self._size_of("channels"), "channels", range(1, 9))
        n_layers, n_heads = self._size_of("n_layers"), self._size_of("n_heads")
        if n_layers and channels[-1] % n_heads:
            raise ValueError(
                f"n_heads is {n_heads}; it must divide the last of channels, which is "
                f"{channels[-1]}."
            )
        _check_odd(self.n_target, "n_target")
        kernel_size = self._size_of("kernel_size")
        _check_odd(kernel_size, "kernel_size")
        patch_size = self.patch_size
        if patch_size is None:
            patch_size = max(1, round(min(self.image_size_) / _N_PATCHES))
        return MiddleFrameNet(
            self.image_shape_[2],
            channels,
            n_context=self.n_context,
            n_target=self.n_target,
            n_layers=n_layers,
            n_heads=n_heads,
            dropout=self.dropout,
            bridge=self.bridge,
            kernel_size=kernel_size,
            merge_weight=self.merge_weight,
            residual=self.residual,
            patch_size=patch_size,
        )

    def _size_of(self, name):
        """Return the size that a parameter, or else the preset, says."""
        value = getattr(self, name)
        return _PRESETS[self.preset][name] if value is None else value

    @property
    def _criterion(self):
        return partial(FrameLoss, self.loss_alpha)

    def _valid_split(self, seed):
        return WholeVideos(self.validation_fraction, seed)

    def _rows(self, videos, max_clips=None):
        places, of_video = videos.clips(self._shape, max_clips or self.max_clips)
        frames = Rows(videos.X, self._net_input, keep=False)
        return Clips(frames, places, of_video)

    def _net_input(self, rows):
        low, high = self._range
        return (resized(self._images(rows), self.image_size_) - low) / (high - low)

    def _fit(self, videos):
        super()._fit(videos)
        clips = self._rows(videos, _N_REFERENCE)
        patches = self.net_.evaluate(clips, "patch_errors", self.net_.batch_size)
        self.net_.module_.errors.learn(torch.from_numpy(patches))
        videos.errors = list(self._errors(videos))
        # Each frame once, however often it was repeated.
        errors = videos.restored(videos.errors)
        how = self.measure, self.smoothing, self.normalization
        self._scores_of = FrameScores(errors, *how)

    def _score_samples(self, videos):
        errors = videos.errors or self._errors(videos)
        return videos.restored(map(self._scores_of.scores, errors))

    def _errors(self, videos):
        errors = self.net_.module_.errors
        return self._of_videos(videos, lambda b: errors(b.predicted, b.frames))

    def _found(self, X, groups, function):
        videos = self._validated(X, groups)
        return videos.restored(self._of_videos(videos, function))

    def _of_videos(self, videos, function):
        """Yield what a function of predicted frames returns for those of each video."""
        frames = Rows(videos.X, self._net_input, keep=False)
        for rows in videos.rows:
            blocks = predictions(self.net_, frames, rows, self._shape)
            found = [function(block).cpu().double().numpy() for block in blocks]
            yield with_ends(np.concatenate(found), self._shape.margin)


def _check_odd(value, name):
    if not value % 2:
        raise ValueError(f"{name} is {value}; it must be odd.")
