"""Images with the names of what they show, and with what is known of them."""

import math
import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skad._groups import group_codes
from skad._nets._clip_rows import OBJECT
from skad.metrics._pixels import as_masks


@dataclass(frozen=True)
class NamedImages:
    """Images with the names of what they show, and with what is known of them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The images, flattened.

    names : list of str
        The names, without that of any object.

    codes : ndarray of shape (n_samples,), dtype int64
        The name of each image: 0 for that of any object, 1 for the first of `names`.

    damaged : ndarray of bool of shape (n_samples,), default=None
        Whether images have a defect, if that is known.

    masks : ndarray of bool of shape (n_samples, height, width), default=None
        Where it is, if that is known.
    """

    X: np.ndarray
    names: list
    codes: np.ndarray
    damaged: np.ndarray | None = None
    masks: np.ndarray | None = None

    @property
    def labels(self):
        """The name of each image, that of any object included."""
        return np.array([OBJECT, *self.names])[self.codes]


def given_names(class_names, n_rows):
    """Return the names that were given, and the number of that of each row.

    Parameters
    ----------
    class_names : str, array-like of str of shape (n_rows,) or None
        A name for all rows, or one for each.

    n_rows : int
        The number of rows.

    Returns
    -------
    names : list of str
        The names other than "object".

    codes : ndarray of shape (n_rows,), dtype int64
        0 for "object", 1 for the first of the names, and so on.

    Raises
    ------
    ValueError
        If there is not one for each row, or if one is no text.
    """
    if class_names is None:
        class_names = OBJECT
    if isinstance(class_names, str):
        class_names = [str(class_names)] * n_rows
    if isinstance(class_names, (list, tuple)):
        # Numbers beside texts would become texts.
        class_names = np.array(class_names, dtype=object)
    codes, labels = group_codes(class_names, n_rows, "class_names")
    wrong = [x for x in labels if not isinstance(x, str) or not x.strip()]
    if wrong and n_rows:
        raise ValueError(
            f"class_names holds {wrong[0]!r}; expected a text that names what the "
            "image shows, such as 'metal'."
        )
    names = [label for label in labels if label != OBJECT]
    places = {label: i for i, label in enumerate([OBJECT, *names])}
    numbers = np.array([places[label] for label in labels], dtype=np.int64)
    return names, numbers[codes]


def given_answers(y, masks, shape, n_rows):
    """Return which images have a defect, and where, as far as that was given.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or None
        -1 for images with a defect and 1 for others; or 0 for those without, and
        other numbers for those with one.

    masks : array-like of shape (n_rows, height, width) or None
        True or 1 where there is a defect, else False or 0.

    shape : tuple of ints
        Height and width of the images.

    n_rows : int
        The number of images.

    Returns
    -------
    damaged : ndarray of bool of shape (n_rows,) or None
        Whether images have a defect; None if none has, as that teaches nothing.

    masks : ndarray of bool of shape (n_rows, height, width) or None
        Where.

    Raises
    ------
    ValueError
        If labels or masks are invalid or do not go together, or if all images have a
        defect.
    """
    if masks is not None:
        masks = np.asarray(masks)
        if masks.shape != (n_rows, *shape):
            raise ValueError(
                f"masks has shape {masks.shape}; expected {(n_rows, *shape)}, that of "
                "the images without channels."
            )
        masks = as_masks(masks)
    if y is not None:
        damaged = _damaged(y)
        check_consistent_length(np.empty(n_rows), damaged)
    elif masks is not None:
        damaged = masks.any(axis=(1, 2))
    else:
        return None, None
    if masks is not None:
        wrong = np.flatnonzero(damaged != masks.any(axis=(1, 2)))
        if len(wrong):
            state = "a defect" if damaged[wrong[0]] else "none"
            raise ValueError(
                f"y and masks do not go together: image {wrong[0]} has {state} by its "
                "label, but not by its mask."
            )
    if damaged.all():
        raise ValueError(
            "y or masks say that all images have a defect; prompts are learned from "
            "images with and without. In y, 1 stands for those without beside -1 only, "
            "else 0 does."
        )
    if not damaged.any():
        warnings.warn(
            "y or masks tell of no image with a defect: nothing is learned, prompts "
            "that are written by hand are used.",
            UserWarning,
            stacklevel=2,
        )
        return None, None
    return damaged, masks


def _damaged(y):
    """Tell which images have a defect, of which there may be several kinds."""
    y = column_or_1d(y, warn=True)
    values = y.tolist()
    wrong = [value for value in values if not _is_whole(value)]
    if wrong:
        raise ValueError(
            f"Unknown label type: y holds {wrong[0]!r}; expected -1 for images with a "
            "defect and 1 for others, or 0 for those without and other whole numbers "
            "for kinds of defects."
        )
    labels = set(values)
    if labels <= {-1, 1} and not all(value is True for value in values):
        return np.array(values) == -1
    if labels >= {-1, 1}:
        raise ValueError(
            "y has the labels -1 and 1, and others; expected -1 for images with a "
            "defect and 1 for others, or 0 for those without and other numbers for "
            "kinds of defects."
        )
    return np.array(values) != 0


def _is_whole(value):
    return isinstance(value, Real) and math.isfinite(value) and value == int(value)
