"""Images with what is anomalous in them laid over."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_array
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_scalar

from skad.inspection._pipeline import require, unwrap

# Share of the values of all maps up to which they are clear, and of the values of the
# most anomalous map from which on they have the strongest colour.
_CLEAR, _STRONGEST = 0.5, 0.995
# How bright images are drawn under the maps, which stand out then, in print as well.
_BRIGHTNESS = 0.75
# Inches of the longer side of an image.
_SIDE = 1.9


class AnomalyMapDisplay:
    """Images in a grid, with their anomaly maps laid over.

    The more anomalous a place, the brighter and the less transparent is the colour
    over it; all images have the same scale. It starts at the median of all maps, below
    which nothing is laid over, and ends at what one in 200 values of the most anomalous
    map exceeds. Draw normal images together with anomalous ones: alone, the highest
    values of normal images would have the strongest colour. Images are drawn a little
    darker than they are. Use `from_estimator` or `from_maps` to create one.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, n_channels)
        The images. Three channels are red, green and blue; of any other number, the
        mean is drawn in grey.

    maps : ndarray of shape (n_samples, height, width)
        Anomaly maps; the higher, the more anomalous.

    masks : ndarray of shape (n_samples, height, width), default=None
        Where the images are known to be anomalous; drawn as an outline.

    titles : sequence of length n_samples, default=None
        What is written above each image.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The images.

    maps_ : list of matplotlib AxesImage
        The maps over them.

    outlines_ : list of matplotlib QuadContourSet or None
        The outline of each mask, None for those that are empty; an empty list without
        masks.

    colorbar_ : matplotlib Colorbar
        The scale of the maps.

    axes_ : ndarray of shape (n_samples,)
        Axes with an image each.

    figure_ : matplotlib Figure
        Figure that contains them.

    See Also
    --------
    skad.BayesianVAE : Detector of anomalous images with such maps.
    AttributionDisplay : The reasons for the score of a row of a table.

    Examples
    --------
    >>> from skad import BayesianVAE
    >>> from skad.datasets import make_brain_phantom
    >>> from skad.inspection import AnomalyMapDisplay
    >>> X, y, masks = make_brain_phantom(20, 3, size=16, random_state=0)
    >>> detector = BayesianVAE(max_epochs=1, random_state=0).fit(X[:18])
    >>> display = AnomalyMapDisplay.from_estimator(detector, X[18:], masks=masks[18:])
    >>> len(display.axes_)
    5
    """

    def __init__(self, *, images, maps, masks=None, titles=None):
        self.images = images
        self.maps = maps
        self.masks = masks
        self.titles = titles

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        masks=None,
        titles=None,
        n_columns=5,
        axes=None,
        **kwargs,
    ):
        """Draw images and where a detector finds them anomalous.

        Through a pipeline, images are those that the detector sees.

        Parameters
        ----------
        estimator : estimator
            A fitted detector with ``anomaly_map``, or a pipeline that ends in one.

        X : array-like of images
            The images, in any of the shapes that the detector takes.

        masks : array-like of shape (n_samples, height, width), default=None
            Where the images are known to be anomalous.

        titles : sequence of length n_samples, default=None
            What is written above each image. If None, its score, and whether that is
            below the threshold ``offset_``, if the detector has them.

        n_columns : int, default=5
            Most images beside one another in a new figure.

        axes : array-like of matplotlib Axes, default=None
            Axes to draw on, one for each image; those of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow` for the maps, such as ``vmin``
            and ``vmax``, the ends of the scale.

        Returns
        -------
        display : AnomalyMapDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the detector has no ``anomaly_map``.
        ValueError
            If `masks`, `titles` or `axes` do not go with the images.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        require(estimator, "anomaly_map")
        detector, X = unwrap(estimator, X, "anomaly_map")
        maps = detector.anomaly_map(X)
        return cls.from_maps(
            X,
            maps,
            masks=masks,
            titles=_scores(detector, X) if titles is None else titles,
            n_columns=n_columns,
            axes=axes,
            **kwargs,
        )

    @classmethod
    def from_maps(
        cls, X, maps, *, masks=None, titles=None, n_columns=5, axes=None, **kwargs
    ):
        """Draw given images and maps.

        Parameters
        ----------
        X : array-like of images
            The images, of shape (n_samples, height, width), (n_samples, height, width,
            n_channels) or, flattened, (n_samples, n_features).

        maps : array-like of shape (n_samples, height, width)
            Anomaly maps; the higher, the more anomalous.

        masks : array-like of shape (n_samples, height, width), default=None
            Where the images are known to be anomalous.

        titles : sequence of length n_samples, default=None
            What is written above each image.

        n_columns : int, default=5
            Most images beside one another in a new figure.

        axes : array-like of matplotlib Axes, default=None
            Axes to draw on, one for each image; those of a new figure if None.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow` for the maps, such as ``vmin``
            and ``vmax``, the ends of the scale.

        Returns
        -------
        display : AnomalyMapDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If shapes or lengths do not go together, or a value is not finite.
        """
        check_matplotlib_support(f"{cls.__name__}.from_maps")
        maps = _checked(maps, "maps")
        if maps.ndim != 3:
            raise ValueError(
                f"maps has the shape {maps.shape}; expected (n_samples, height, width)."
            )
        if masks is not None:
            masks = np.asarray(masks)
            if masks.shape != maps.shape:
                raise ValueError(
                    f"masks has the shape {masks.shape}; expected that of the maps, "
                    f"{maps.shape}."
                )
            masks = masks != 0
        if titles is not None and len(titles) != len(maps):
            raise ValueError(
                f"titles holds {len(titles)} texts for {len(maps)} images."
            )
        display = cls(
            images=_images(X, maps.shape), maps=maps, masks=masks, titles=titles
        )
        return display.plot(axes, n_columns=n_columns, **kwargs)

    def plot(self, axes=None, *, n_columns=5, **kwargs):
        """Draw the images and the maps.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Axes to draw on, one for each image; those of a new figure if None.

        n_columns : int, default=5
            Most images beside one another in a new figure.

        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow` for the maps, such as ``vmin``
            and ``vmax``, the ends of the scale.

        Returns
        -------
        display : AnomalyMapDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `n_columns` is not an integer.
        ValueError
            If `n_columns` is less than 1, or `axes` are not one for each image.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        check_scalar(n_columns, "n_columns", Integral, min_val=1)
        n_images = len(self.maps)
        self.axes_ = (
            _grid(self.maps.shape, n_columns) if axes is None else np.ravel(axes)
        )
        if len(self.axes_) != n_images:
            raise ValueError(
                f"axes holds {len(self.axes_)} matplotlib Axes for {n_images} images."
            )
        self.figure_ = self.axes_[0].figure
        self.images_ = [
            ax.imshow(_BRIGHTNESS * image, cmap="gray", vmin=0, vmax=1)
            for ax, image in zip(self.axes_, _drawn(self.images), strict=True)
        ]
        low, high = _scale(self.maps)
        style = {"cmap": _colors(), "vmin": low, "vmax": high, **kwargs}
        self.maps_ = [
            ax.imshow(values, **style)
            for ax, values in zip(self.axes_, self.maps, strict=True)
        ]
        self.outlines_ = []
        if self.masks is not None:
            self.outlines_ = list(map(_outline, self.axes_, self.masks))
        self._write()
        return self

    def _write(self):
        label = "anomaly map"
        if any(outline is not None for outline in self.outlines_):
            label += "\n(line: known anomaly)"
        self.colorbar_ = self.figure_.colorbar(
            self.maps_[0], ax=list(self.axes_), label=label, extend="max", pad=0.02
        )
        # As over a dark image: the colours are transparent.
        self.colorbar_.ax.set_facecolor("0.2")
        titles = [""] * len(self.axes_) if self.titles is None else self.titles
        for ax, title in zip(self.axes_, titles, strict=True):
            ax.set_axis_off()
            ax.set_title(title, fontsize="small", parse_math=False)


def _scores(detector, X):
    """Return the scores of images as texts, or None if the detector has none."""
    if not hasattr(detector, "score_samples"):
        return None
    scores, offset = detector.score_samples(X), getattr(detector, "offset_", -np.inf)
    return [
        f"score {score:.3g}" + (", flagged" if score < offset else "")
        for score in scores
    ]


def _checked(values, name):
    return check_array(
        values, dtype="numeric", ensure_2d=False, allow_nd=True, input_name=name
    )


def _images(X, shape):
    """Return images with channels that have the sizes of their maps."""
    X = _checked(X, "X")
    n_values = np.prod(shape[1:])
    if X.ndim == 2 and len(X) == shape[0] and X.shape[1] % n_values == 0:
        return X.reshape(*shape, -1)
    if X.ndim not in (3, 4) or X.shape[:3] != shape:
        raise ValueError(
            f"X has the shape {X.shape}, which does not go with maps of shape {shape}."
        )
    return X.reshape(*shape, -1)


def _drawn(images):
    """Return images from 0 to 1, of shape (..., 3) if they are in colour."""
    low, high = images.min(), images.max()
    if images.dtype == np.uint8:
        low, high = 0, 255
    elif 0 <= low and high <= 1:
        low, high = 0, 1
    images = (images.astype(float) - low) / (float(high) - low or 1)
    return images if images.shape[-1] == 3 else images.mean(axis=-1)


def _scale(maps):
    low = np.quantile(maps, _CLEAR)
    high = np.quantile(maps, _STRONGEST, axis=(1, 2)).max()
    return low, high if high > low else low + 1


def _colors():
    """Return colours from clear to opaque, brighter and brighter."""
    import matplotlib as mpl

    colors = mpl.colormaps["inferno"](np.linspace(0.35, 1, 256))
    colors[:, 3] = np.linspace(0, 0.9, 256)
    return mpl.colors.ListedColormap(colors)


def _grid(shape, n_columns):
    """Return axes of a new figure, one for each of the maps."""
    import matplotlib.pyplot as plt

    n_images, height, width = shape
    n_columns = min(n_columns, n_images)
    n_rows = -(-n_images // n_columns)
    longer = max(height, width)
    # Room for the titles, and for the colour bar and what is written beside it.
    figsize = (
        n_columns * max(_SIDE * width / longer, 1.5) + 1.2,
        max(n_rows * (_SIDE * height / longer + 0.25), 2.0),
    )
    _, axes = plt.subplots(
        n_rows, n_columns, squeeze=False, figsize=figsize, layout="constrained"
    )
    for ax in axes.flat[n_images:]:
        ax.remove()
    return axes.ravel()[:n_images]


def _outline(ax, mask):
    """Draw the outline of a mask; return None if it is empty."""
    from matplotlib.patheffects import withStroke

    if not mask.any():
        return None
    # Closed also where it touches the border.
    mask = np.pad(mask, 1)
    y, x = (np.arange(-1, side - 1) for side in mask.shape)
    limits = ax.get_xlim(), ax.get_ylim()
    # Dark and bright: visible on anything.
    outline = ax.contour(x, y, mask, [0.5], colors="white", linewidths=1)
    outline.set_path_effects([withStroke(linewidth=2.2, foreground="0.15")])
    ax.set(xlim=limits[0], ylim=limits[1])
    return outline
