"""Labels of groups become numbers."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skad._groups import group_codes

LABELS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=40)


@given(LABELS)
def test_codes_stand_for_labels_in_the_order_of_appearance(labels):
    codes, found = group_codes(labels, len(labels))
    assert [found[code] for code in codes] == labels
    assert found == list(dict.fromkeys(labels))


@pytest.mark.parametrize(
    "groups",
    [
        [7, 7, 3, 7],
        ["b", "b", "a", "b"],
        np.array(["b", "b", "a", "b"], dtype=object),
        np.array(["2020-01-02", "2020-01-02", "2020-01-01", "2020-01-02"], "M8[ns]"),
        [date(2020, 1, 2), date(2020, 1, 2), date(2020, 1, 1), date(2020, 1, 2)],
        pd.Series(["b", "b", "a", "b"], dtype="category", index=[3, 2, 1, 0]),
        pd.Series([7, 7, 3, 7], dtype="Int64"),
        pd.Series(["b", "b", "a", "b"], dtype="string"),
        np.array([1, 1, "a", 1], dtype=object),
        [True, True, False, True],
    ],
    ids=str,
)
def test_labels_may_be_of_any_type(groups):
    assert group_codes(groups, 4)[0].tolist() == [0, 0, 1, 0]


def test_without_labels_there_is_one_group():
    codes, labels = group_codes(None, 3)
    assert codes.tolist() == [0, 0, 0]
    assert labels == [None]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], r"groups has shape \(2,\); expected \(3,\)"),
        ([[1], [2], [3]], r"groups has shape \(3, 1\)"),
        ("abc", r"groups has shape \(\)"),
        ([1, np.nan, 2], "groups has missing labels"),
        (["a", None, "b"], "groups has missing labels"),
        (np.array(["2020", "NaT", "2021"], "M8[ns]"), "groups has missing labels"),
        (pd.Series([1, None, 2], dtype="Int64"), "groups has missing labels"),
    ],
    ids=str,
)
def test_wrong_labels_are_named(groups, message):
    with pytest.raises(ValueError, match=message):
        group_codes(groups, 3)
