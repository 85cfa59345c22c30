"""Which columns are categories, what their codes are, where uniform rows lie."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skad import UnsupervisedRandomForest
from skad._columns import MixedColumns, column_support

NUMBERS = np.zeros(1, dtype=int)


def support_of(values):
    return column_support(np.array(values, dtype=float)[:, np.newaxis], NUMBERS)


@pytest.mark.parametrize(
    ("values", "low", "high", "step"),
    [
        ([0, 1, 2, 5] * 3, -0.5, 5.5, 1),
        ([10, 30, 70, np.nan] * 3, 0, 80, 20),
        ([False, True] * 5, -0.5, 1.5, 1),
        ([0.1, 0.4, 0.7] * 5, -0.05, 0.85, 0.3),
        ([0, 0.1, 3.14159] * 5, 0, 3.14159, 0),
        ([0, 1e-300, 1] * 5, -0.5, 1.5, 1),
        ([0, 2, 5] * 5, -0.5, 5.5, 1),
        (np.random.default_rng(0).normal(size=30).tolist() + [-9, 9], -9, 9, 0),
    ],
)
def test_a_grid_is_told_from_a_continuous_column(values, low, high, step):
    support = support_of(values)
    np.testing.assert_allclose(
        [support.low[0], support.high[0], support.step[0]],
        [low, high, step],
        atol=1e-12,
    )


def test_a_constant_column_has_no_width():
    support = support_of([7.0] * 9)
    assert support.low == support.high == 7 and support.step == 0


@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    cells=st.lists(st.integers(0, 30), min_size=2, max_size=8, unique=True),
)
def test_an_affine_image_of_integers_is_a_grid(scale, shift, cells):
    values = np.resize(shift + scale * np.array(cells, dtype=float), 40)
    support = support_of(values)
    steps = (values - support.low) / support.step
    np.testing.assert_allclose(steps - np.floor(steps), 0.5, atol=1e-3)


def test_a_range_that_float64_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="range -1e.308 to 1e.308 in column 0"):
        support_of([-1e308, 0.1, 1e308])


TABLE = pd.DataFrame(
    {
        "size": [1.5, 2.5, np.nan, 4.5] * 5,
        "colour": ["red", "blue", "red", None] * 5,
        "ok": [True, False] * 10,
    }
)


@pytest.mark.parametrize(
    ("categorical_features", "expected"),
    [
        ("from_dtype", [False, True, False]),
        (["colour"], [False, True, False]),
        ([1, 2], [False, True, True]),
        ([False, True, True], [False, True, True]),
        ([], [False, False, False]),
    ],
)
def test_categories_are_chosen_by_type_name_index_or_mask(
    categorical_features, expected
):
    X = (
        TABLE
        if any(expected)
        else TABLE[["size", "ok", "ok"]].set_axis(list("abc"), axis=1)
    )
    forest = UnsupervisedRandomForest(5, categorical_features=categorical_features)
    columns = MixedColumns(categorical_features)
    matrix = columns.fit_validate(forest, X)
    np.testing.assert_array_equal(columns.is_categorical, expected)
    assert matrix.shape == (20, 3) and matrix.dtype == np.float64


def test_codes_have_a_place_for_missing_and_for_unseen_categories():
    forest = UnsupervisedRandomForest(5)
    columns = MixedColumns("from_dtype")
    matrix = columns.fit_validate(forest, TABLE)
    assert matrix[:4, 1].tolist()[:3] == [1, 0, 1] and np.isnan(matrix[3, 1])
    new = columns.validate(forest, TABLE.head(1).assign(colour="green"))
    assert new[0, 1] == 2 and columns.n_levels().tolist() == [0, 3, 0]
    assert columns.original(1, 0.0) == "blue" and columns.original(0, 2.5) == 2.5


@pytest.mark.parametrize(
    ("categorical_features", "message"),
    [
        (["weight"], "names 'weight'; the columns of X are"),
        ([True], "a mask of 1 entries; X has 3 columns"),
        ([3], r"categorical_features=\[3\] must hold indices of columns, .* 0 to 2"),
        ([-1], "must hold indices of columns"),
        ([0.5], "must hold indices of columns"),
        ([[0, 1]], "must be a list"),
    ],
)
def test_categories_that_are_not_columns_are_refused(categorical_features, message):
    forest = UnsupervisedRandomForest(5, categorical_features=categorical_features)
    with pytest.raises(ValueError, match=message):
        forest.fit(TABLE)


def test_names_of_an_array_are_refused():
    forest = UnsupervisedRandomForest(5, categorical_features=["a"])
    with pytest.raises(ValueError, match="without names"):
        forest.fit(np.zeros((9, 2)))


def test_text_in_an_array_is_refused_unless_it_is_said_to_be_categories():
    X = TABLE.to_numpy(object)
    with pytest.raises(ValueError, match="could not convert string to float"):
        UnsupervisedRandomForest(5).fit(X)
    forest = UnsupervisedRandomForest(5, categorical_features=[1]).fit(X)
    assert forest.score_samples(X).shape == (20,)


def test_a_column_without_any_value_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"no value at all in the columns \['size'\]"):
        UnsupervisedRandomForest(5).fit(TABLE.assign(size=np.nan))


def test_columns_in_another_order_or_number_are_refused():
    forest = UnsupervisedRandomForest(5, random_state=0).fit(TABLE)
    with pytest.raises(ValueError, match="feature names should match"):
        forest.score_samples(TABLE[["colour", "size", "ok"]])
    with pytest.raises(ValueError, match="feature names should match"):
        forest.score_samples(TABLE[["size", "colour"]])
    with pytest.raises(ValueError, match="infinity"):
        forest.score_samples(TABLE.assign(size=np.inf))


@pytest.mark.parametrize("splitter", ["random", "best"])
def test_a_table_of_categories_alone_is_scored(splitter):
    table = pd.DataFrame({"a": ["x", "y"] * 50, "b": list("pqrst") * 20})
    table.loc[0, "b"] = "u"
    forest = UnsupervisedRandomForest(50, splitter=splitter, random_state=0).fit(table)
    assert forest.score_samples(table).argmin() == 0
    assert forest.explain(table.head(1)).argmax() == 1
