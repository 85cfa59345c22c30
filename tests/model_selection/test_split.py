"""TimeOrderedSplit: the past trains, the future tests, in every series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import (
    GridSearchCV,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad.metrics import get_scorer
from skad.model_selection import TimeOrderedSplit

PARAMETERS = st.fixed_dictionaries(
    {
        "n_splits": st.integers(2, 4),
        "max_train_size": st.none() | st.integers(1, 9),
        "test_size": st.none() | st.integers(1, 4),
        "gap": st.integers(0, 3),
    }
)


@given(PARAMETERS, st.integers(20, 40))
def test_of_one_series_it_is_scikit_learns(parameters, n_rows):
    X = np.zeros((n_rows, 1))
    expected = list(TimeSeriesSplit(**parameters).split(X))
    for groups in (None, ["a"] * n_rows):
        found = list(TimeOrderedSplit(**parameters).split(X, groups=groups))
        assert len(found) == TimeOrderedSplit(**parameters).get_n_splits()
        for ours, theirs in zip(found, expected, strict=True):
            assert_array_equal(ours[0], theirs[0])
            assert_array_equal(ours[1], theirs[1])


@given(
    PARAMETERS, st.lists(st.integers(20, 40), min_size=1, max_size=3), st.integers(0, 9)
)
def test_every_series_is_split_as_if_it_were_alone(parameters, lengths, seed):
    groups = np.repeat(np.arange(len(lengths)), lengths)
    np.random.default_rng(seed).shuffle(groups)
    X = np.zeros((len(groups), 1))
    folds = list(TimeOrderedSplit(**parameters).split(X, groups=groups))
    for group in range(len(lengths)):
        rows = np.flatnonzero(groups == group)
        alone = TimeSeriesSplit(**parameters).split(X[rows])
        for fold, expected in zip(folds, alone, strict=True):
            for side, expected_side in zip(fold, expected, strict=True):
                assert np.all(np.diff(side) > 0)
                ours = side[groups[side] == group]
                assert_array_equal(ours, rows[expected_side])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_splits": 5}, r"1 of 2 series have: group 'b' has 4\."),
        ({"n_splits": 2, "test_size": 2}, r"1 of 2 series have: group 'b' has 4\."),
        ({"n_splits": 2, "gap": 6}, r"gap=6 .* 2 of 2 series have: group 'a' has 8\."),
    ],
)
def test_short_series_are_named_with_their_length(parameters, message):
    groups = np.repeat(["a", "b"], [8, 4])
    with pytest.raises(ValueError, match=message):
        next(TimeOrderedSplit(**parameters).split(np.zeros((12, 1)), groups=groups))


def test_rows_that_are_too_few_are_counted():
    with pytest.raises(ValueError, match=r"1 of 1 series have: X has 5\."):
        next(TimeOrderedSplit().split(np.zeros((5, 1))))


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"n_splits": 1}, ValueError),
        ({"n_splits": 2.0}, TypeError),
        ({"test_size": 0}, ValueError),
        ({"max_train_size": 0}, ValueError),
        ({"gap": -1}, ValueError),
    ],
)
def test_wrong_parameters_are_named(parameters, error):
    with pytest.raises(error, match=next(iter(parameters))):
        next(TimeOrderedSplit(**parameters).split(np.zeros((50, 1))))


def test_wrong_groups_are_named():
    with pytest.raises(ValueError, match=r"groups has shape \(3,\); expected \(50,\)"):
        next(TimeOrderedSplit().split(np.zeros((50, 1)), groups=[1, 2, 3]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(TimeOrderedSplit().split(np.zeros((50, 1)), np.zeros(3)))


def test_it_shows_its_parameters():
    shown = repr(TimeOrderedSplit(3, gap=2))
    assert (
        shown
        == "TimeOrderedSplit(gap=2, max_train_size=None, n_splits=3, test_size=None)"
    )


rng = np.random.default_rng(0)
X = rng.normal(size=(120, 2))
X[5::10] += 9
Y = np.where(np.arange(120) % 10 == 5, -1, 1)
GROUPS = np.arange(120) % 2


@pytest.mark.parametrize("routing", [False, True])
def test_it_gets_groups_in_a_search(routing):
    class Watched(TimeOrderedSplit):
        """Remembers the groups it was given."""

        def split(self, X, y=None, groups=None):
            seen.append(groups)
            return super().split(X, y, groups)

    seen = []
    pipeline = make_pipeline(
        StandardScaler(), IsolationForest(n_estimators=10, random_state=0)
    )
    search = GridSearchCV(
        pipeline,
        {"isolationforest__max_features": [1, 2]},
        scoring=get_scorer("roc_auc"),
        cv=Watched(3),
    )
    with config_context(enable_metadata_routing=routing):
        assert search.fit(X, Y, groups=GROUPS).best_score_ > 0.9
        how = {"params": {"groups": GROUPS}} if routing else {"groups": GROUPS}
        scorer = get_scorer("roc_auc")
        scored = cross_validate(
            clone(pipeline), X, Y, cv=Watched(3), scoring=scorer, **how
        )
    assert scored["test_score"].shape == (3,)
    for groups in seen:
        assert_array_equal(groups, GROUPS)
    assert len(seen) == 2
