"""OutlierKFold and InlierKFold: outliers in every test fold, and where they train."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate

from skad.metrics import outlier_mask, outlier_scorer
from skad.model_selection import InlierKFold, OutlierKFold

SPLITTERS = [OutlierKFold, InlierKFold]
LABELS = st.sampled_from([(1, -1), (0, 1), (False, True), ("fine", "bad"), (7, 3)])


@st.composite
def splits(draw):
    """Draw a splitter of either kind, labels in any order, and which are outliers."""
    n_splits = draw(st.integers(2, 5))
    counts = [draw(st.integers(n_splits, 15)) for _ in range(2)]
    inlier, outlier = draw(LABELS)
    named = outlier if inlier in ("fine", 7) else None
    is_outlier = np.repeat([False, True], counts)
    np.random.default_rng(draw(st.integers(0, 99))).shuffle(is_outlier)
    y = np.where(is_outlier, outlier, inlier)
    cls, seed = draw(st.sampled_from(SPLITTERS)), draw(st.integers(0, 99))
    return cls(n_splits, outlier_label=named, random_state=seed), y, is_outlier


@given(splits())
def test_every_row_is_tested_once_beside_outliers_and_inliers(case):
    splitter, y, is_outlier = case
    folds = list(splitter.split(np.zeros((len(y), 1)), y))
    assert len(folds) == splitter.get_n_splits() == splitter.n_splits
    tested = np.concatenate([test for _, test in folds])
    assert_array_equal(np.sort(tested), np.arange(len(y)))
    share = is_outlier.sum() / splitter.n_splits
    for train, test in folds:
        assert abs(is_outlier[test].sum() - share) < 1
        assert 0 < is_outlier[test].sum() < len(test)
        assert np.all(np.diff(train) > 0) and np.all(np.diff(test) > 0)


@given(splits())
def test_what_is_not_tested_trains_without_outliers_if_asked(case):
    splitter, y, is_outlier = case
    for train, test in splitter.split(np.zeros((len(y), 1)), y):
        rest = np.setdiff1d(np.arange(len(y)), test)
        if isinstance(splitter, InlierKFold):
            rest = rest[~is_outlier[rest]]
        assert_array_equal(train, rest)


@pytest.mark.parametrize("cls", SPLITTERS)
def test_a_seed_gives_the_same_folds_and_another_one_others(cls):
    y = np.where(np.arange(60) < 10, -1, 1)

    def folds(seed):
        return [test.tolist() for _, test in cls(random_state=seed).split(y, y)]

    assert folds(0) == folds(0) != folds(1)
    consecutive = [list(range(2 * k, 2 * k + 2)) for k in range(5)]
    assert [[row for row in fold if row < 10] for fold in folds(0)] != consecutive


@pytest.mark.parametrize("cls", SPLITTERS)
def test_too_few_of_a_kind_are_counted(cls):
    X = np.zeros((20, 1))
    for n_outliers in (0, 4):
        y = np.where(np.arange(20) < n_outliers, -1, 1)
        message = f"as many outliers.* y has {n_outliers} among 20 rows"
        with pytest.raises(ValueError, match=message):
            next(cls(5).split(X, y))
    with pytest.raises(ValueError, match="as many inliers.* y has 2 among 20 rows"):
        next(cls(5).split(X, np.where(np.arange(20) < 18, -1, 1)))


@pytest.mark.parametrize("cls", SPLITTERS)
@pytest.mark.parametrize(
    ("n_splits", "y", "error", "message"),
    [
        (1, [1, -1] * 5, ValueError, "n_splits"),
        (2.0, [1, -1] * 5, TypeError, "n_splits"),
        (2, None, ValueError, "KFold needs the labels y; got None"),
        (2, [1, 2] * 5, ValueError, "outlier_label"),
        (2, [1, -1] * 4, ValueError, "inconsistent numbers of samples"),
    ],
)
def test_wrong_input_is_named(cls, n_splits, y, error, message):
    with pytest.raises(error, match=message):
        next(cls(n_splits).split(np.zeros((10, 1)), y))


@pytest.mark.parametrize("cls", SPLITTERS)
def test_it_shows_its_parameters(cls):
    expected = f"{cls.__name__}(n_splits=3, outlier_label='bad', random_state=0)"
    assert repr(cls(3, outlier_label="bad", random_state=0)) == expected


rng = np.random.default_rng(0)
X = np.vstack([rng.normal(size=(90, 2)), rng.normal(9, 1, size=(10, 2))])
Y = np.repeat(["ok", "bad"], [90, 10])


@pytest.mark.parametrize("cls", SPLITTERS)
@pytest.mark.parametrize("routing", [False, True])
def test_it_serves_searches_and_other_tools(cls, routing):
    detector = IsolationForest(n_estimators=5, random_state=0)
    how = {
        "cv": cls(3, outlier_label="bad", random_state=0),
        "scoring": outlier_scorer("roc_auc", outlier_label="bad"),
    }
    with config_context(enable_metadata_routing=routing):
        search = GridSearchCV(detector, {"max_features": [1, 2]}, **how).fit(X, Y)
        assert search.best_score_ > 0.9
        scored = cross_validate(detector, X, Y, **how, return_indices=True)
        predicted = cross_val_predict(detector, X, Y, cv=how["cv"])
    trained = np.concatenate(scored["indices"]["train"])
    has_outliers = outlier_mask(Y[trained], outlier_label="bad").any()
    assert has_outliers == (cls is OutlierKFold)
    assert predicted[Y == "ok"].mean() > predicted[Y == "bad"].mean()
