"""GenCLIP: images of categories that were never seen, by what a CLIP knows of words."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skad._clip_backbone import ClipMixin
from skad._deep import BaseDeepDetector
from skad._image import (
    ImageMixin,
    check_colors,
    checked_pixel_range,
    to_size,
)
from skad._named_images import NamedImages, given_answers, given_names
from skad._nets._genclip import LearnedPrompts, PromptNet, WrittenPrompts
from skad._nets._prompts import Prompts
from skad._nets._pyramids import Given
from skad._prompt_files import SHAPING, PromptFilesMixin
from skad._reference_images import ReferenceImagesMixin


class GenCLIP(
    PromptFilesMixin, ReferenceImagesMixin, ClipMixin, ImageMixin, BaseDeepDetector
):
    """Detect defects in images of categories that were never seen, by words.

    A CLIP, a net that knows images and texts and is not trained any more, compares an
    image and its patches with texts about good and damaged things. The texts are
    prompts whose tokens are learned, on images of other categories with and without
    defects: tokens that are the same for all images, the general query prompt, and
    tokens that each of several layers of the CLIP adds for the image at hand. What was
    learned serves for any category: only its name is new, and that may be left out.

    Without labels nothing is learned, and the texts are written by hand; without a
    `backbone` a small CLIP is trained on simulated surfaces, which serves to try things
    out.

    `X` may have the shape (n_samples, height, width), (n_samples, height, width,
    n_channels), or (n_samples, n_features) with flattened images, grey or with three
    channels.

    Read more in the :ref:`User Guide <genclip>`.

    Parameters
    ----------
    backbone : module, callable, str or path, default=None
        The CLIP. A folder or a name ("owner/name") of one of Hugging Face, which takes
        the extra "vision"; a torch module, such as :func:`skad.vision.train_clip`
        returns; or a callable that returns one. If None, a small one that is trained
        on simulated surfaces and their captions. Clones share it.

    backbone_epochs : int, default=30
        Number of passes over these that such a small one is trained for.

    image_shape : tuple of int, default=None
        Height and width, and number of channels if there is more than one, of the
        images in flattened rows. If None, rows are taken as square images of one
        channel, or as strips of height 1 if they cannot be squares.

    image_size : int, default=None
        Height and width that the CLIP sees, a multiple of the size of its patches; all
        images are resized to it. If None, what it was trained with.

    pixel_range : tuple of two floats, default=None
        The values of black and white in `X`, such as (0, 1). If None, (0, 255) for
        images of uint8, else the least and the greatest value of those in `fit`.

    layers : tuple of int, default=None
        The layers of the CLIP whose patches are looked at, counted from 1, the last one
        among them. If None, four of them, at equal distances.

    n_query_tokens : int, default=12
        Number of tokens of the general query prompt, for each of good and damaged.

    n_vision_tokens : int, default=2
        Number of tokens that each layer adds for an image; 0 for none.

    vision_prompts : {"layerwise", "joint"}, default="layerwise"
        Whether these stand in a prompt for each layer, or all in one.

    branch_weight : float, default=0.5
        How much the prompts with tokens of the image count, against those without.

    query_loss_weight : float, default=1.0
        Weight of the loss of the prompts without tokens of the image.

    image_loss_weight : float, default=1.0
        Weight of the loss of images as wholes, against that of their pixels.

    class_name_filter : {"hard", "soft"} or None, default="hard"
        Whether names of classes that the CLIP does not take the image for are replaced
        by "object", count in part, or count like others.

    class_name_margin : float, default=0.0
        By how much an image has to be more like one of its class than like an object,
        as a cosine, for the name to count.

    temperature : float, default=0.07
        What cosines are divided by.

    smoothing : float, default=0.0078125
        Standard deviation of the Gaussian that smooths maps, as a share of the size
        that the CLIP sees.

    top_fraction : float, default=0.01
        Share of the pixels whose mean anomaly counts for the image: those with the
        highest.

    map_weight : float, default=0.5
        How much these count, against the image as a whole.

    cache_size : float, default=1024
        Megabytes in which what the CLIP sees in training images is kept. Those beyond
        it pass through the CLIP in every epoch.

    max_epochs : int, default=15
        Number of passes over the training data that prompts are trained for.

    batch_size : int, default=8
        Most images in a batch.

    lr : float, default=0.001
        Highest learning rate, after a fifth of the training.

    warm_start : bool, default=False
        Whether `fit` trains the prompts of the last `fit` for `max_epochs` more epochs,
        with the same CLIP; what prompts and maps are like then stays as it was.

    n_iter_no_change : int, default=None
        Epochs without improvement on held-out images after which training stops, and
        the best prompts are taken. If None, nothing is held out.

    validation_fraction : float, default=0.1
        Share of the training data that is held out if `n_iter_no_change` is set.

    device : str or torch.device, default="auto"
        Where the nets are; "auto" is a GPU if there is one.

    random_state : int, RandomState instance or None, default=None
        Controls the prompts and their training, and that of a CLIP that is trained
        here; pass an int for reproducible results.

    verbose : int, default=0
        1 shows a progress bar, 2 the losses of every epoch.

    net_params : dict, default=None
        More parameters of the skorch net of the prompts, such as `callbacks`.

    contamination : float, default=0.1
        Share of the training images that the threshold takes for anomalies; of those
        without a defect, if it is known which these are.

    Attributes
    ----------
    offset_ : float
        Threshold: images with a lower score are anomalies.

    layers_ : tuple of ints
        The layers whose patches are looked at.

    query_prompts_ : ndarray of shape (2, n_query_tokens, text_width) or None
        The general query prompt, for good and for damaged. None if prompts are written
        by hand.

    net_ : PromptNet
        The prompts, and what puts patches beside them.

    n_iter_ : int
        Number of epochs that the prompts were trained for.

    history_ : list of dict
        Losses and seconds of each of these epochs.

    image_shape_ : tuple of three ints
        Height, width and number of channels of an image.

    image_size_ : tuple of two ints
        Height and width that the CLIP sees.

    n_features_in_ : int
        Number of features seen during `fit`, the values of an image.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if `X` has string names.

    See Also
    --------
    MDDNet : Learns from normal images of the categories that it is to score.
    skad.vision.train_clip : Trains a small CLIP on images and captions.

    Notes
    -----
    The general query prompt, prompts with tokens of several layers, focal and Dice
    losses, two branches and the filter of class names are the paper's [1]_. Its sizes
    and equations are not all known; where they were not, they follow its relatives
    [2]_ [3]_, and the user guide says which. Ours are: a loss for the prompts without
    tokens of the image, and one for images as wholes; a filter that decides for each
    image by itself, so that a score does not depend on the company; and the layer
    normalisation of patches.

    The pickle of a detector holds a CLIP that was trained here, but not weights that
    `backbone` can be loaded from again: this is done at first use, and an error if they
    are others by then.

    References
    ----------
    .. [1] "GenCLIP: Generalizing CLIP Prompts for Zero-shot Anomaly Detection" (2025).
       arXiv:2504.14919.

    .. [2] Zhou, Q. et al. (2024). "AnomalyCLIP: Object-agnostic Prompt Learning for
       Zero-shot Anomaly Detection". ICLR. arXiv:2310.18961.

    .. [3] Qu, Z. et al. (2024). "VCP-CLIP: A Visual Context Prompting Model for
       Zero-Shot Anomaly Segmentation". ECCV. arXiv:2407.12276.

    Examples
    --------
    >>> from skad import GenCLIP
    >>> from skad.datasets import make_captioned_surfaces, make_surfaces
    >>> from skad.vision import train_clip
    >>> images, captions = make_captioned_surfaces(60, size=32, random_state=0)
    >>> clip = train_clip(images, captions, image_size=32, max_epochs=1, random_state=0)
    >>> X, y, masks, kinds = make_surfaces(20, 10, size=32, random_state=0)
    >>> detector = GenCLIP(clip, max_epochs=2, random_state=0)
    >>> detector = detector.fit(X, y, masks=masks)
    >>> detector.score_samples(X, class_names="metal").shape
    (30,)
    >>> detector.anomaly_map(X).shape
    (30, 32, 32)
    """

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        **ImageMixin._parameter_constraints,
        **ClipMixin._parameter_constraints,
        "backbone_epochs": [Interval(Integral, 1, None, closed="left")],
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "pixel_range": ["array-like", None],
        "layers": ["array-like", None],
        "n_query_tokens": [Interval(Integral, 1, None, closed="left")],
        "n_vision_tokens": [Interval(Integral, 0, None, closed="left")],
        "vision_prompts": [StrOptions({"layerwise", "joint"})],
        "branch_weight": [Interval(Real, 0, 1, closed="both")],
        "query_loss_weight": [Interval(Real, 0, None, closed="left")],
        "image_loss_weight": [Interval(Real, 0, None, closed="left")],
        "class_name_filter": [StrOptions({"hard", "soft"}), None],
        "class_name_margin": [Interval(Real, -2, 2, closed="both")],
        "temperature": [Interval(Real, 1e-6, None, closed="left")],
        "smoothing": [Interval(Real, 0, 1, closed="left")],
        "top_fraction": [Interval(Real, 0, 1, closed="right")],
        "map_weight": [Interval(Real, 0, 1, closed="both")],
        "cache_size": [Interval(Real, 0, None, closed="both")],
    }

    _net_cls = PromptNet
    _criterion = Given

    def __init__(
        self,
        backbone=None,
        *,
        backbone_epochs=30,
        image_shape=None,
        image_size=None,
        pixel_range=None,
        layers=None,
        n_query_tokens=12,
        n_vision_tokens=2,
        vision_prompts="layerwise",
        branch_weight=0.5,
        query_loss_weight=1.0,
        image_loss_weight=1.0,
        class_name_filter="hard",
        class_name_margin=0.0,
        temperature=0.07,
        smoothing=1 / 128,
        top_fraction=0.01,
        map_weight=0.5,
        cache_size=1024,
        max_epochs=15,
        batch_size=8,
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
        self.backbone = backbone
        self.backbone_epochs = backbone_epochs
        self.image_shape = image_shape
        self.image_size = image_size
        self.pixel_range = pixel_range
        self.layers = layers
        self.n_query_tokens = n_query_tokens
        self.n_vision_tokens = n_vision_tokens
        self.vision_prompts = vision_prompts
        self.branch_weight = branch_weight
        self.query_loss_weight = query_loss_weight
        self.image_loss_weight = image_loss_weight
        self.class_name_filter = class_name_filter
        self.class_name_margin = class_name_margin
        self.temperature = temperature
        self.smoothing = smoothing
        self.top_fraction = top_fraction
        self.map_weight = map_weight
        self.cache_size = cache_size
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

    def fit(self, X, y=None, *, masks=None, class_names=None):
        """Learn prompts from labelled images, and set the threshold.

        Parameters
        ----------
        X : array-like of images
            The images, in any of the shapes that the class takes. They need not be of
            the categories that are to be scored.

        y : array-like of shape (n_samples,), default=None
            -1 for images with a defect and 1 for others; or 0 for images without, and
            other numbers for those with one, such as a number for each kind of defect.
            If None, `masks` tell. Without either, or where no image has a defect,
            nothing is learned, and prompts that are written by hand are used.

        masks : array-like of shape (n_samples, height, width), default=None
            Where defects are: True or 1, else False or 0. Without them maps are learned
            from `y` alone, and are worse.

        class_names : str or array-like of str of shape (n_samples,), default=None
            What the images show, such as "metal": one name for all, or one for each. If
            None, "object".

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError
            If labels, masks or names are invalid or do not go together; if all images
            have a defect; if images have neither one nor three channels; or if a
            parameter is invalid.
        """
        self._fit_scores(X, y=y, masks=masks, class_names=class_names)
        return self

    def fit_predict(self, X, y=None, *, masks=None, class_names=None):
        """Fit the detector and label the training data, which are scored once.

        Parameters
        ----------
        X : array-like of images
            The images.

        y : array-like of shape (n_samples,), default=None
            Which of them have a defect, as in :meth:`fit`.

        masks : array-like of shape (n_samples, height, width), default=None
            Where defects are.

        class_names : str or array-like of str of shape (n_samples,), default=None
            What the images show.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal samples, -1 for anomalies; the same as of ``fit`` and then
            ``predict``.
        """
        return self._fit_labels(X, y=y, masks=masks, class_names=class_names)

    def score_samples(self, X, *, class_names=None):
        """Score images; the higher, the more normal.

        Parameters
        ----------
        X : array-like of images
            The images, of any categories.

        class_names : str or array-like of str of shape (n_samples,), default=None
            What they show, as in :meth:`fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the probability of a defect, as a mean of that of the image and of
            that of its most anomalous pixels; without a memory between -1 and 0.
        """
        return self._scores(X, class_names=class_names)

    def decision_function(self, X, *, class_names=None):
        """Score images relative to the threshold; negative means anomalous.

        Parameters
        ----------
        X : array-like of images
            The images, of any categories.

        class_names : str or array-like of str of shape (n_samples,), default=None
            What they show, as in :meth:`fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self._decisions(X, class_names=class_names)

    def predict(self, X, *, class_names=None):
        """Label images as normal or anomalous.

        Parameters
        ----------
        X : array-like of images
            The images, of any categories.

        class_names : str or array-like of str of shape (n_samples,), default=None
            What they show, as in :meth:`fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            +1 for normal images, -1 for anomalies.
        """
        return self._labels(X, class_names=class_names)

    def anomaly_map(self, X, *, class_names=None):
        """Return where images are anomalous.

        Parameters
        ----------
        X : array-like of images
            The images, of any categories.

        class_names : str or array-like of str of shape (n_samples,), default=None
            What they show, as in :meth:`fit`.

        Returns
        -------
        maps : ndarray of shape (n_samples, height, width)
            Probabilities that pixels are damaged, as a mean over layers and branches;
            with a memory, distances from normal patches are added.
        """
        check_is_fitted(self)
        data = self._validate(X, reset=False, class_names=class_names)
        rows = self._rows(data, self._memory(data))
        return to_size(self.net_.evaluate(rows, "anomaly_map"), self.image_shape_[:2])

    def class_name_weights(self, X, *, class_names):
        """Return how much the names of what images show count.

        Parameters
        ----------
        X : array-like of images
            The images.

        class_names : str or array-like of str of shape (n_samples,)
            What they show.

        Returns
        -------
        weights : ndarray of shape (n_samples,)
            1 where the name counts, 0 where "object" takes its place. With
            ``class_name_filter="soft"`` between them: without a margin, the probability
            by the CLIP that an image is one of that name rather than of an object.
        """
        check_is_fitted(self)
        data = self._validate(X, reset=False, class_names=class_names)
        return self.net_.evaluate(self._rows(data), "name_weights")

    def _fit_scores(self, X, **context):
        try:
            return super()._fit_scores(X, **context)
        finally:
            # It holds what the CLIP saw in all images.
            self._training = None

    def _validate(self, X, *, reset, y=None, masks=None, class_names=None):
        X = super()._validate(X, reset=reset)
        names, codes = given_names(class_names, len(X))
        damaged, masks = given_answers(y, masks, self.image_shape_[:2], len(X))
        return NamedImages(X, names, codes, damaged, masks)

    def _goes_on(self):
        return super()._goes_on() and self.query_prompts_ is not None

    def _fit(self, data):
        self._references, self._training = None, None
        if self._goes_on() and data.damaged is not None:
            self._clip_device = self.net_.device
            self._connected_clip()
        else:
            vars(self).pop("net_", None)
        if data.damaged is None:
            self.net_ = self._untrained(data)
        else:
            super()._fit(data)
        self._set_query_prompts()

    def _set_query_prompts(self):
        prompts = getattr(self.net_.module_, "prompts", None)
        self.query_prompts_ = None
        if prompts is not None:
            self.query_prompts_ = prompts.query.detach().cpu().numpy().copy()

    def _threshold(self, scores):
        # Those of images with a defect tell nothing about false alarms.
        if self._training is not None:
            scores = scores[~self._training.damaged.numpy()]
        return super()._threshold(scores)

    def _score_samples(self, data):
        rows = self._rows(data, self._memory(data))
        if self._training is not None:
            rows.share(self._training)
        return -self.net_.evaluate(rows)

    def _prepare(self, data):
        check_colors(self.image_shape_, "GenCLIP")
        is_bytes = data.X.dtype == np.uint8 and self.pixel_range is None
        self._range = checked_pixel_range(
            (0, 255) if is_bytes else self.pixel_range, data.X
        )
        self._begin_with_clip()

    def _make_module(self, data):
        clip = self._get_teacher()
        settings = {
            "size": self.image_size_,
            "patch_size": clip.patch_size,
            "temperature": self.temperature,
            "smoothing": self.smoothing * max(self.image_size_),
            "top_fraction": self.top_fraction,
            "map_weight": self.map_weight,
        }
        if data is not None and data.damaged is None:
            module = WrittenPrompts(**settings)
        else:
            module = self._learned_prompts(settings)
        module.hold(clip)
        return module

    def _learned_prompts(self, settings):
        widths, n_layers = self._widths, len(self.layers_)
        prompts = Prompts(
            widths.text,
            widths.image,
            n_layers,
            self.n_query_tokens,
            self.n_vision_tokens,
            joint=self.vision_prompts == "joint",
        )
        # Parameters may be set to something else afterwards.
        self._made_with = {name: getattr(self, name) for name in SHAPING}
        self._n_prompt_tokens = prompts.n_tokens
        return LearnedPrompts(
            prompts,
            widths.image,
            widths.both,
            n_layers,
            branch_weight=self.branch_weight,
            query_loss_weight=self.query_loss_weight,
            image_loss_weight=self.image_loss_weight,
            **settings,
        )
