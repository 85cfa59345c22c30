"""Which of two labels means outlier."""

from numbers import Number

import numpy as np
from sklearn.utils.validation import column_or_1d

from skad._groups import is_missing

RULE = (
    "-1 is the outlier among {-1, 1}, 1 or True among {0, 1} and {False, True}; "
    "for any other pair of labels pass outlier_label"
)


def outlier_mask(y, *, outlier_label=None):
    """Tell which samples are labelled as outliers.

    Two conventions are in use. scikit-learn's outlier detectors say -1 for an
    outlier and 1 for a normal sample; most published data say 1 for an outlier
    and 0 for a normal sample. Both are recognised; any other pair of labels
    needs `outlier_label`.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: {-1, 1}, {0, 1}, bool, or any two with `outlier_label`. A single
        label is read as if the other one of its pair were absent.

    outlier_label : int, float, bool or str, default=None
        The label of the outliers. If None, it is -1 among {-1, 1} and 1 among
        {0, 1}.

    Returns
    -------
    mask : ndarray of shape (n_samples,)
        True where the sample is an outlier.

    Notes
    -----
    Labels that are all 1 do not tell the two conventions apart. They are read in
    scikit-learn's way, as normal samples, unless their type is bool.

    Examples
    --------
    >>> from skad.metrics import outlier_mask
    >>> outlier_mask([1, 1, -1])
    array([False, False,  True])
    >>> outlier_mask([0, 0, 1])
    array([False, False,  True])
    >>> outlier_mask(["ok", "ok", "fraud"], outlier_label="fraud")
    array([False, False,  True])
    """
    y = as_column(y, "y")
    labels = list(dict.fromkeys(y.tolist()))
    if not labels:
        raise ValueError("y is empty; expected a label for every sample.")
    if any(is_missing(label) for label in labels):
        raise ValueError("y has missing labels; expected a label for every sample.")
    if len(labels) > 2:
        raise ValueError(f"y has {len(labels)} labels: {_listed(labels)}; expected 2.")
    if outlier_label is None:
        outlier_label = _known_outlier_label(labels)
    elif len(labels) == 2 and outlier_label not in labels:
        raise ValueError(
            f"outlier_label={outlier_label!r} is not a label of y; "
            f"they are {_listed(labels)}."
        )
    return np.fromiter((label == outlier_label for label in y.tolist()), bool, len(y))


def as_column(values, name):
    """One value per sample, as an array; a ValueError that names it otherwise."""
    shape = np.shape(values)
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(f"{name} has shape {shape}; expected (n_samples,).")
    return column_or_1d(values)


def _known_outlier_label(labels):
    # True == 1 in Python, so that sets of bool, int and float labels compare.
    numbers = all(isinstance(label, Number) for label in labels)
    only_true = all(label is True for label in labels)
    if numbers and not only_true and set(labels) <= {-1, 1}:
        return -1
    if numbers and set(labels) <= {0, 1}:
        return 1
    raise ValueError(f"y has the labels {_listed(labels)}: {RULE}.")


def _listed(labels, n_shown=5):
    shown = ", ".join(repr(label) for label in labels[:n_shown])
    return f"{{{shown}{', ...' if len(labels) > n_shown else ''}}}"
