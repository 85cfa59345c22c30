"""What images show, and what is known of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.exceptions import DataConversionWarning

from skad._named_images import NamedImages, given_answers, given_names

SHAPE = (3, 4)


def masks_of(*damaged):
    masks = np.zeros((len(damaged), *SHAPE), dtype=bool)
    masks[np.array(damaged, dtype=bool), 1, 2] = True
    return masks


@pytest.mark.parametrize(
    ("class_names", "names", "codes"),
    [
        (None, [], [0, 0, 0]),
        ("object", [], [0, 0, 0]),
        ("metal", ["metal"], [1, 1, 1]),
        (np.str_("metal"), ["metal"], [1, 1, 1]),
        (["metal", "wood", "metal"], ["metal", "wood"], [1, 2, 1]),
        (["wood", "object", "metal"], ["wood", "metal"], [1, 0, 2]),
        (("object", "wood", "wood"), ["wood"], [0, 1, 1]),
        (np.array(["b", "a", "b"]), ["b", "a"], [1, 2, 1]),
        (np.array(["b", "a", "b"], dtype=object), ["b", "a"], [1, 2, 1]),
        (pd.Series(["b", "a", "b"], index=[5, 6, 7]), ["b", "a"], [1, 2, 1]),
        (pd.Categorical(["b", "a", "b"]), ["b", "a"], [1, 2, 1]),
    ],
)
def test_names_are_numbered_as_they_appear_after_that_of_any_object(
    class_names, names, codes
):
    found, numbers = given_names(class_names, 3)
    assert found == names
    assert numbers.tolist() == codes
    assert numbers.dtype == np.int64
    assert all(type(name) is str for name in found)


@given(st.lists(st.sampled_from(["object", "a", "b c", "d"])))
def test_names_can_be_told_from_their_numbers(class_names):
    names, codes = given_names(class_names, len(class_names))
    assert "object" not in names and len(set(names)) == len(names)
    images = NamedImages(np.empty((len(codes), 0)), names, codes)
    assert images.labels.tolist() == class_names
    assert set(codes.tolist()) | {0} == set(range(1 + len(names)))


def test_no_rows_have_no_names():
    for class_names in (None, "metal", []):
        names, codes = given_names(class_names, 0)
        assert names == [] and codes.shape == (0,) and codes.dtype == np.int64


@pytest.mark.parametrize(
    ("class_names", "message"),
    [
        (["metal"], r"^class_names has shape \(1,\); expected \(3,\)"),
        ([], r"^class_names has shape \(0,\); expected \(3,\)"),
        ([["a"], ["b"], ["c"]], r"^class_names has shape \(3, 1\); expected \(3,\)"),
        (5, r"^class_names has shape \(\); expected \(3,\)"),
        (b"metal", r"^class_names has shape \(\); expected \(3,\)"),
        ([1, 2, 3], "^class_names holds 1; expected a text that names what the image"),
        ([b"a", b"b", b"c"], "^class_names holds b'a'; expected a text"),
        (["metal", " ", "a"], "^class_names holds ' '; expected a text .*'metal'"),
        (["metal", 3, "a"], "^class_names holds 3; expected a text"),
        ("", "^class_names holds ''; expected a text"),
        (["metal", None, "a"], "^class_names has missing labels; expected one for"),
        (pd.Series(["a", np.nan, "b"]), "^class_names has missing labels"),
    ],
)
def test_what_names_nothing_is_refused(class_names, message):
    with pytest.raises(ValueError, match=message):
        given_names(class_names, 3)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, -1, 1], [False, True, False]),
        ([1.0, -1.0, 1.0], [False, True, False]),
        ([0, 1, 0], [False, True, False]),
        ([True, False, False], [True, False, False]),
        ([0, 1, 2], [False, True, True]),
        ([-1, 0, 0], [True, False, False]),
        ([0, 2, 0], [False, True, False]),
        ([3, 0, 1], [True, False, True]),
        ([-1, 0, -2], [True, False, True]),
        (pd.Series([1, -1, -1], index=[7, 8, 9]), [False, True, True]),
        (pd.array([0, 3, 1], dtype="Int64"), [False, True, True]),
        (np.array([1, -1, 1], dtype=np.int8), [False, True, False]),
    ],
)
def test_labels_tell_which_images_have_a_defect(y, expected):
    damaged, masks = given_answers(y, None, SHAPE, 3)
    assert masks is None
    assert damaged.dtype == bool and damaged.tolist() == expected
    damaged, masks = given_answers(y, masks_of(*expected), SHAPE, 3)
    assert damaged.tolist() == expected
    assert np.array_equal(masks, masks_of(*expected))


@given(st.lists(st.integers(0, 4), min_size=3, max_size=9))
def test_any_number_but_none_is_a_kind_of_defect(kinds):
    expected = [kind != 0 for kind in kinds]
    # Ones alone are images without a defect, beside nothing else.
    assume(len(set(kinds)) > 1 and not all(expected))
    damaged, _ = given_answers(kinds, None, SHAPE, len(kinds))
    assert damaged.tolist() == expected


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_masks_tell_by_themselves(dtype):
    where = masks_of(0, 1, 1, 0).astype(dtype)
    for form in (where, where.tolist()):
        damaged, masks = given_answers(None, form, SHAPE, 4)
        assert damaged.tolist() == [False, True, True, False]
        assert masks.dtype == bool
        assert np.array_equal(masks, where != 0)


@pytest.mark.parametrize("y", [None, [1, 1, 1], [0, 0, 0], [False] * 3])
@pytest.mark.parametrize("masks", [None, masks_of(0, 0, 0)])
def test_where_no_image_has_a_defect_nothing_is_known(y, masks):
    if y is None and masks is None:
        assert given_answers(y, masks, SHAPE, 3) == (None, None)
        return
    with pytest.warns(UserWarning, match="tell of no image with a defect: nothing is"):
        assert given_answers(y, masks, SHAPE, 3) == (None, None)


@pytest.mark.parametrize("y", [[-1, -1, -1], [1, 2, 1], [2, 2, 2], [True] * 3])
def test_images_with_a_defect_alone_are_refused(y):
    message = "^y or masks say that all images have a defect; prompts are learned from"
    with pytest.raises(ValueError, match=message):
        given_answers(y, None, SHAPE, 3)
    with pytest.raises(ValueError, match=message):
        given_answers(y, masks_of(1, 1, 1), SHAPE, 3)


def test_masks_that_are_full_are_refused():
    with pytest.raises(ValueError, match="^y or masks say that all images have"):
        given_answers(None, masks_of(1, 1, 1), SHAPE, 3)


@pytest.mark.parametrize(
    ("y", "masks", "message"),
    [
        ([1, 1, -1], masks_of(0, 1, 1), "image 1 has none by its label, but not by"),
        ([1, -1, -1], masks_of(0, 1, 0), "image 2 has a defect by its label, but not"),
        ([0, 2, 1], masks_of(1, 1, 1), "image 0 has none by its label"),
        ([1, 1, 1], masks_of(0, 0, 1), "image 2 has none by its label"),
        ([-1, 1, 1], masks_of(0, 0, 0), "image 0 has a defect by its label"),
    ],
)
def test_labels_and_masks_have_to_go_together(y, masks, message):
    with pytest.raises(ValueError, match=f"^y and masks do not go together: {message}"):
        given_answers(y, masks, SHAPE, 3)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (
            masks_of(0, 1),
            r"^masks has shape \(2, 3, 4\); expected \(3, 3, 4\), that of",
        ),
        (np.zeros((3, 4, 3)), r"^masks has shape \(3, 4, 3\); expected \(3, 3, 4\)"),
        (np.zeros((3, 3, 4, 1)), r"^masks has shape \(3, 3, 4, 1\); expected"),
        (np.zeros((3, 12)), r"^masks has shape \(3, 12\); expected \(3, 3, 4\)"),
        (np.full((3, 3, 4), 0.5), r"^masks has values such as 0\.5; expected bool"),
        (np.full((3, 3, 4), np.nan), "^masks has values such as nan; expected bool"),
        (
            255 * masks_of(0, 1, 0).astype(int),
            "^masks has values such as 255; expected",
        ),
        (np.full((3, 3, 4), "a"), "^masks has dtype <U1; expected bool, or 0 and 1"),
    ],
)
def test_what_is_no_mask_is_refused(masks, message):
    for y in (None, [0, 1, 0]):
        with pytest.raises(ValueError, match=message):
            given_answers(y, masks, SHAPE, 3)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, -1], "inconsistent numbers of samples"),
        ([], "inconsistent numbers of samples"),
        (5, "1d array"),
        ([[1, 0], [0, 1], [0, 0]], "1d array"),
        ([-1, 0, 1], "^y has the labels -1 and 1, and others; expected -1 for"),
        ([-1, 1, 2], "^y has the labels -1 and 1, and others; expected -1 for"),
        (["good", "bad", "good"], "^Unknown label type: y holds 'good'; expected -1"),
        ([0, 1, "x"], "^Unknown label type: y holds .*; expected -1 for images"),
        (np.array([0, None, 1]), "^Unknown label type: y holds None; expected"),
        ([0.0, np.nan, 1.0], "^Unknown label type: y holds nan; expected"),
        ([0.5, 1.0, 0.0], "^Unknown label type: y holds 0.5; expected"),
    ],
)
def test_what_is_no_label_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        given_answers(y, None, SHAPE, 3)


@pytest.mark.parametrize("y", [[None, 1, 0], ["a", "b", "c"]])
def test_labels_of_a_kind_that_is_unknown_are_refused(y):
    with pytest.raises(ValueError):
        given_answers(y, None, SHAPE, 3)


def test_a_column_of_labels_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        damaged, _ = given_answers([[1], [1], [-1]], None, SHAPE, 3)
    assert damaged.tolist() == [False, False, True]


def test_what_was_given_is_not_changed():
    y, masks = np.array([1, -1, 1]), masks_of(0, 1, 0)
    before = y.copy(), masks.copy()
    y.flags.writeable = masks.flags.writeable = False
    given_answers(y, masks, SHAPE, 3)
    assert np.array_equal(y, before[0]) and np.array_equal(masks, before[1])
