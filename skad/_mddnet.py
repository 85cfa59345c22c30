"""MDD-Net: images of many categories, by what two decoders disagree about."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skad._backbone import BackboneMixin
from skad._categories import Clusters, given_categories
from skad._deep import BaseDeepDetector, chosen_device
from skad._image import (
    ImageMixin,
    check_colors,
    checked_pixel_range,
    checked_shape,
    resized,
    some_rows,
    to_size,
)
from skad._nets._feature_rows import DefectRows, FeatureRows, pooled
from skad._nets._mddnet import MemoryNet, TwoDecoders
from skad._nets._pyramids import Given
from skad._nets._rows import Rows
from skad._self_teacher import TeacherTraining


class MDDNet(
    BackboneMixin,
    ImageMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseDeepDetector,
):
    """Detect anomalous images of many categories with one model, and show where.

    A teacher, a net that is not trained any more, turns images into maps of features.
    Two decoders see its maps of images with synthetic defects: the restoration decoder
    learns the maps of the same images without them, with the help of a memory of what
    normal codes of each category are like; the identity decoder learns the maps as they
    are. Where an image is anomalous, the teacher and the restoration disagree, and so
    do the two decoders. Meant for surfaces and objects in which anomalies are local;
    scans of organs are for :class:`BayesianVAE`.

    `X` may have the shape (n_samples, height, width), (n_samples, height, width,
    n_channels), or (n_samples, n_features) with flattened images, grey or with three
    channels. It should hold normal images only.

    **y is no anomaly flag here.** It is the category of each normal image, such as
    "screw" or "cable"; see :meth:`fit`.

    Read more in the :ref:`User Guide <mddnet>`.

    Parameters
    ----------
    backbone : module, callable, str or path, default=None
        The teacher. If None, a small net that learns to find synthetic defects in the
        training images. Else a torch module that turns images of shape (n_samples, 3,
        height, width) into a list of maps, fine ones first; a callable that returns
        one; a file with the weights of a ResNet in the common layout (.pth,
        .safetensors); or a folder or name ("owner/name") of a vision model of Hugging
        Face, which takes the extra "vision". Clones share it.

    channels : tuple of int, default=(16, 32, 64)
        Channels of the teacher that is trained here, after each halving of the size.

    backbone_epochs : int, default=100
        Number of passes over the training data that such a teacher is trained for.

    image_shape : tuple of int, default=None
        Height and width, and number of channels if there is more than one, of the
        images in flattened rows. If None, rows are taken as square images of one
        channel, or as strips of height 1 if they cannot be squares.

    image_size : int, default=96
        Height and width that the teacher sees, at most: images are resized, maps come
        back at the size of the images.

    pixel_range : tuple of two floats, default=None
        The values of black and white in `X`, such as (0, 255). If None, the least and
        the greatest value of the training images.

    n_clusters : int or "auto", default="auto"
        Number of categories if `y` is not given; they are found by k-means on the
        teacher's features. "auto" takes the number of up to ten that has the highest
        silhouette, or one category if all are below 0.2.

    restoration_path : {"multiscale", "bottleneck"}, default="multiscale"
        What the restoration decoder sees: the teacher's maps at half their width as
        well as the code, or the code alone.

    identity_path : {"multiscale", "bottleneck"} or None, default="multiscale"
        What the identity decoder sees. None for no such decoder.

    memory_size : int, default=16
        Number of prototypes that the memory has for each category; 0 for no memory.

    loss_weights : tuple of four floats, default=(1, 1, 1, 0.1)
        Weights of the losses: of the restoration, of the identity, of the discrepancy
        between both, and of the category that the memory tells.

    defect_probability : float, default=0.8
        Probability that an image gets a synthetic defect in training.

    augment : bool, default=True
        Whether the nets train on images that are mirrored, left and right, and top and
        bottom. Not for images in which sides matter, such as digits.

    fusion : {"sum", "product"}, default="sum"
        How the two discrepancies become one map.

    smoothing : float, default=0.015625
        Standard deviation of the Gaussian that smooths maps, as a share of the longer
        side of what the teacher sees.

    top_fraction : float, default=0.001
        Share of the pixels whose mean anomaly is the image's: those with the highest.

    max_epochs : int, default=100
        Number of passes over the training data that the decoders are trained for.

    batch_size : int, default=8
        Most images in a batch. With few images smaller ones are better: it is the
        number of steps that matters.

    lr : float, default=0.004
        Highest learning rate, after a fifth of the training.

    warm_start : bool, default=False
        Whether `fit` trains the decoders of the last `fit` for `max_epochs` more
        epochs, with the same teacher and categories.

    n_iter_no_change : int, default=None
        Epochs without improvement on held-out images, with synthetic defects, after
        which training stops, and the best weights are taken. If None, nothing is held
        out.

    validation_fraction : float, default=0.1
        Share of the training data that is held out if `n_iter_no_change` is set.

    device : str or torch.device, default="auto"
        Where the nets are; "auto" is a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the nets, their training, and the categories; pass an int for
        reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 the losses of every epoch.

    net_params : dict, default=None
        More parameters of the skorch net of the decoders, such as `callbacks`.

    contamination : float, default=0.1
        Share of anomalies in the training data, which sets the threshold.

    Attributes
    ----------
    offset_ : float
        Threshold: images with a lower score are anomalies.

    classes_ : ndarray of shape (n_classes,)
        The categories, or the numbers of clusters if `y` was not given.

    memory_ : list of ndarray of shape (n_prototypes, n_values)
        The prototypes of each category that are in use. Only with a memory.

    net_ : DetectorNet
        The trained decoders.

    n_iter_ : int
        Number of epochs that the decoders were trained for.

    history_ : list of dict
        Losses and seconds of each of these epochs.

    image_shape_ : tuple of three ints
        Height, width and number of channels of an image.

    image_size_ : tuple of two ints
        Height and width that the teacher sees.

    n_features_in_ : int
        Number of features seen during `fit`, the values of an image.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if `X` has string names.

    See Also
    --------
    BayesianVAE : For scans of one kind of object; says how certain it is.

    Notes
    -----
    The two decoders, their three losses, the memory of categories and the fusion of two
    discrepancies are the paper's [1]_. Its sizes, the equations of the memory and the
    operator of the fusion are not known. Ours are: the blocks of the nets; prototypes
    that follow the means of normal codes, without gradients, and of which those that
    lose their codes begin anew; the decoders' view of the teacher's maps; angles at
    each place instead of one for a whole image; discrepancies standardised around each
    place by those of training images; and the teacher that is trained here. The
    restoration from a narrow code, which ``restoration_path="bottleneck"`` leaves
    alone, is that of reverse distillation [2]_. Defects have the shapes of Perlin noise
    and strips, and are filled from the training images alone.

    The pickle of a detector holds a teacher that was trained here, but not weights that
    `backbone` can be loaded from again: this is done at first use, and an error if they
    are others by then.

    References
    ----------
    .. [1] "Memory-Augmented Dual-Decoder Networks for Multi-Class Unsupervised Anomaly
       Detection" (2025). arXiv:2504.14884.

    .. [2] Deng, H. and Li, X. (2022). "Anomaly Detection via Reverse Distillation from
       One-Class Embedding". CVPR. arXiv:2201.10703.

    Examples
    --------
    >>> from skad import MDDNet
    >>> from skad.datasets import make_surfaces
    >>> X, y, masks, categories = make_surfaces(60, 10, size=32, random_state=0)
    >>> detector = MDDNet(backbone_epochs=2, max_epochs=3, random_state=0)
    >>> detector = detector.fit(X[y == 1], categories[y == 1])
    >>> detector.score_samples(X).shape
    (70,)
    >>> detector.anomaly_map(X).shape
    (70, 32, 32)
    >>> detector.transform(X).shape
    (70, 3)
    """

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        **ImageMixin._parameter_constraints,
        **BackboneMixin._parameter_constraints,
        "channels": ["array-like"],
        "backbone_epochs": [Interval(Integral, 1, None, closed="left")],
        "image_size": [Interval(Integral, 1, None, closed="left")],
        "pixel_range": ["array-like", None],
        "n_clusters": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "restoration_path": [StrOptions({"multiscale", "bottleneck"})],
        "identity_path": [StrOptions({"multiscale", "bottleneck"}), None],
        "memory_size": [Interval(Integral, 0, None, closed="left")],
        "loss_weights": ["array-like"],
        "defect_probability": [Interval(Real, 0, 1, closed="both")],
        "augment": ["boolean"],
        "fusion": [StrOptions({"sum", "product"})],
        "smoothing": [Interval(Real, 0, 1, closed="left")],
        "top_fraction": [Interval(Real, 0, 1, closed="right")],
    }

    _net_cls = MemoryNet
    _criterion = Given

    def __init__(
        self,
        backbone=None,
        *,
        channels=(16, 32, 64),
        backbone_epochs=100,
        image_shape=None,
        image_size=96,
        pixel_range=None,
        n_clusters="auto",
        restoration_path="multiscale",
        identity_path="multiscale",
        memory_size=16,
        loss_weights=(1, 1, 1, 0.1),
        defect_probability=0.8,
        augment=True,
        fusion="sum",
        smoothing=1 / 64,
        top_fraction=0.001,
        max_epochs=100,
        batch_size=8,
        lr=0.004,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.backbone = backbone
        self.channels = channels
        self.backbone_epochs = backbone_epochs
        self.image_shape = image_shape
        self.image_size = image_size
        self.pixel_range = pixel_range
        self.n_clusters = n_clusters
        self.restoration_path = restoration_path
        self.identity_path = identity_path
        self.memory_size = memory_size
        self.loss_weights = loss_weights
        self.defect_probability = defect_probability
        self.augment = augment
        self.fusion = fusion
        self.smoothing = smoothing
        self.top_fraction = top_fraction
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

    def fit(self, X, y=None):
        """Fit the detector to normal images and set its threshold.

        Parameters
        ----------
        X : array-like of images
            Normal images, in any of the shapes that the class takes.

        y : array-like of shape (n_samples,), default=None
            The category of each image: integers or strings. **Not** whether it is an
            anomaly: labels -1 and 1, which say that, are not used, as in other
            detectors, and all images are learned as normal ones. If None, or with such
            labels, categories are found by k-means.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If `y` has missing or boolean labels, or mixes strings and numbers; if
            images have neither one nor three channels; or if a parameter is invalid.
        """
        self._fit_scores(X, y=y)
        return self

    def fit_predict(self, X, y=None):
        """Fit the detector and label the training data, which are scored once.

        Parameters
        ----------
        X : array-like of images
            Normal images, of which some may not be.

        y : array-like of shape (n_samples,), default=None
            The category of each image, as in :meth:`fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal samples, -1 for anomalies; the same as of
            ``fit(X, y).predict(X)``.
        """
        return self._fit_labels(X, y=y)

    def anomaly_map(self, X):
        """Return where images are anomalous.

        Parameters
        ----------
        X : array-like of images
            The images.

        Returns
        -------
        maps : ndarray of shape (n_samples, height, width)
            The fused discrepancies around each pixel, high where it is anomalous. With
            ``fusion="sum"`` they are sums of standardised ones, one for each signal and
            level: about 0 is usual for the place.
        """
        maps = self._evaluate(X, "anomaly_map")
        return to_size(maps, self.image_shape_[:2])

    def explain(self, X):
        """Return the anomaly map, divided among the channels of the images.

        Parameters
        ----------
        X : array-like of images
            The images.

        Returns
        -------
        attributions : ndarray of the shape of X
            The same part of the map for every channel: the teacher mixes them.
        """
        maps = self.anomaly_map(X)[..., np.newaxis]
        n_channels = self.image_shape_[2]
        return np.repeat(maps / n_channels, n_channels, axis=-1).reshape(np.shape(X))

    def transform(self, X):
        """Return how likely images belong to each category.

        Parameters
        ----------
        X : array-like of images
            The images.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            What the memory's prototypes of each category weigh for an image, as a mean
            over its places; rows sum to one.

        Raises
        ------
        ValueError
            If there is no memory.
        """
        check_is_fitted(self)
        if self.net_.module_.memory is None:
            raise ValueError(
                "memory_size is 0; transform asks the memory, which takes at least 1."
            )
        return self._evaluate(X, "posterior")

    def _validate(self, X, *, reset, y=None):
        X = super()._validate(X, reset=reset)
        if reset:
            self._given = given_categories(y, len(X))
            if self._goes_on():
                self._check_known()
        return X

    def _fit(self, X):
        super()._fit(X)
        # Labels of the training data are not part of what was learned.
        del self._given
        signals = self.net_.evaluate(self._rows(some_rows(X)), "signals")
        module = self.net_.module_
        module.calibrate({k: torch.from_numpy(v) for k, v in signals.items()})
        if module.memory is not None:
            self.memory_ = module.memory.kept()

    def _prepare(self, X):
        check_colors(self.image_shape_, "MDDNet")
        self._range = checked_pixel_range(self.pixel_range, X)
        self.image_size_ = tuple(
            min(side, self.image_size) for side in self.image_shape_[:2]
        )
        self._set_teacher(self._own_teacher(X) if self.backbone is None else None)
        if self._given is None:
            rng = check_random_state(self.random_state)
            self._clusters = Clusters(self.n_clusters).fit(self._pooled(X), rng)
            self.classes_ = np.arange(self._clusters.n_clusters_)
        else:
            self._clusters = None
            self.classes_ = np.unique(self._given)

    def _own_teacher(self, X):
        channels = checked_shape(self.channels, "channels", range(1, 9))
        training = TeacherTraining(
            channels,
            self.defect_probability,
            self.augment,
            max_epochs=self.backbone_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            device=self.device,
            random_state=self.random_state,
            verbose=self.verbose,
        )
        return training.fit_teacher(self._image_rows(X))

    def _make_module(self, X):
        teacher = self._get_teacher()
        levels = teacher.describe(self.image_shape_[2], self.image_size_)
        net = TwoDecoders(
            levels,
            self.image_size_,
            len(self.classes_),
            memory_size=self.memory_size,
            restoration_path=self.restoration_path,
            identity_path=self.identity_path,
            fusion=self.fusion,
            smoothing=self.smoothing * max(self.image_size_),
            top_fraction=self.top_fraction,
            loss_weights=self._checked_loss_weights(),
        )
        return net.to(memory_format=torch.channels_last)

    def _checked_loss_weights(self):
        weights = tuple(self.loss_weights)
        valid = all(isinstance(w, Real) and 0 <= w < np.inf for w in weights)
        if len(weights) != 4 or not valid:
            raise ValueError(
                f"loss_weights is {self.loss_weights!r}; expected four numbers, none "
                "below 0."
            )
        return weights

    def _training_rows(self, X):
        rows = DefectRows(
            *self._teaching(X),
            torch.as_tensor(self._codes(X)),
            probability=self.defect_probability,
            augment=self.augment,
        )
        return rows.cache(self.batch_size)

    def _codes(self, X):
        """Return the number of the category of each row."""
        if self._given is None and self._clusters is not None:
            return self._clusters.predict(self._pooled(X)).astype(np.int64)
        return np.searchsorted(self.classes_, self._given)

    def _check_known(self):
        """Check that training goes on with the categories that it began with."""
        if self._given is None and self._clusters is not None:
            return
        known = np.isin(self._given, self.classes_)
        if self._given is None or not known.all():
            wrong = "None" if self._given is None else repr(self._given[~known][0])
            raise ValueError(
                f"y is or holds {wrong}; with warm_start=True it may hold what it held "
                f"in the first fit: {', '.join(map(repr, self.classes_.tolist()))}."
            )

    def _pooled(self, X):
        return pooled(self._rows(X), self.batch_size)

    def _rows(self, X):
        return FeatureRows(*self._teaching(X))

    def _teaching(self, X):
        device = (
            self.net_.device if hasattr(self, "net_") else chosen_device(self.device)
        )
        return self._image_rows(X), self._get_teacher(), device

    def _image_rows(self, X):
        return Rows(X, self._net_input)

    def _net_input(self, rows):
        low, high = self._range
        return (resized(self._images(rows), self.image_size_) - low) / (high - low)

    def _evaluate(self, X, method):
        check_is_fitted(self)
        return self.net_.evaluate(self._rows(self._validate(X, reset=False)), method)

    @property
    def _n_features_out(self):
        return len(self.classes_)
