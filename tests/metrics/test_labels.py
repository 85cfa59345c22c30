"""Which of two labels means outlier."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skad.metrics import outlier_mask

OUTLIER = np.array([False, True, False, True, False])


@pytest.mark.parametrize(
    "y",
    [
        np.where(OUTLIER, -1, 1),
        np.where(OUTLIER, -1.0, 1.0),
        np.where(OUTLIER, 1, 0),
        np.where(OUTLIER, 1, 0).astype(np.uint8),
        np.where(OUTLIER, 1.0, 0.0),
        OUTLIER,
        OUTLIER.tolist(),
        OUTLIER.astype(object),
        OUTLIER[:, np.newaxis],
        pd.Series(OUTLIER, dtype="boolean"),
        pd.Series(np.where(OUTLIER, -1, 1), index=list("abcde")),
        pd.Series(np.where(OUTLIER, 1, 0), dtype="category"),
    ],
)
def test_known_pairs_of_labels(y):
    assert_array_equal(outlier_mask(y), OUTLIER)


@pytest.mark.parametrize(
    ("labels", "outlier_label"),
    [
        (("ok", "fraud"), "fraud"),
        ((1, 2), 2),
        ((0, -1), -1),
        ((-1, 1), 1),
        ((True, False), False),
        (("1", "0"), "0"),
    ],
)
def test_any_pair_with_outlier_label(labels, outlier_label):
    y = np.empty(5, dtype=object)
    y[:] = [labels[int(x)] for x in OUTLIER]
    assert_array_equal(outlier_mask(y, outlier_label=outlier_label), OUTLIER)


@pytest.mark.parametrize("dtype", ["str", "string", "category", object])
def test_string_labels_of_pandas(dtype):
    y = pd.Series(np.where(OUTLIER, "bad", "good")).astype(dtype)
    assert_array_equal(outlier_mask(y, outlier_label="bad"), OUTLIER)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, 1], False),
        ([-1, -1], True),
        ([0, 0], False),
        ([True, True], True),
        ([False, False], False),
    ],
)
def test_single_label_is_read_as_half_of_a_pair(y, expected):
    assert_array_equal(outlier_mask(y), [expected, expected])


def test_single_label_with_outlier_label():
    assert_array_equal(outlier_mask(["ok"], outlier_label="fraud"), [False])
    assert_array_equal(outlier_mask(["fraud"], outlier_label="fraud"), [True])


@pytest.mark.parametrize(
    ("y", "outlier_label", "message"),
    [
        ([1, 2], None, r"y has the labels \{1, 2\}: -1 is the outlier among \{-1, 1\}"),
        ([-1, 0], None, r"y has the labels \{-1, 0\}"),
        (["0", "1"], None, r"y has the labels \{'0', '1'\}.*pass outlier_label"),
        (["ok"], None, r"y has the labels \{'ok'\}"),
        ([-1, 0, 1], None, r"y has 3 labels: \{-1, 0, 1\}; expected 2"),
        ([-1, 0, 1], -1, "y has 3 labels"),
        (list(range(9)), None, r"\{0, 1, 2, 3, 4, \.\.\.\}"),
        (["ok", "fraud"], "fruad", "outlier_label='fruad' is not a label of y"),
        ([0.0, np.nan], None, "y has missing labels"),
        (np.array(["a", None], dtype=object), "a", "y has missing labels"),
        (pd.Series([True, pd.NA], dtype="boolean"), None, "y has missing labels"),
        ([], None, "y is empty"),
        ([[0, 1], [1, 0]], None, r"y has shape \(2, 2\); expected \(n_samples,\)"),
        (None, None, r"y has shape \(\)"),
    ],
)
def test_labels_that_cannot_be_read_raise(y, outlier_label, message):
    with pytest.raises(ValueError, match=message):
        outlier_mask(y, outlier_label=outlier_label)
