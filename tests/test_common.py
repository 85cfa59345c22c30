"""Every detector against every check of scikit-learn, and ours."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    estimator_checks_generator,
    parametrize_with_checks,
)

from skad import UnsupervisedRandomForest

ESTIMATORS = [
    UnsupervisedRandomForest(n_estimators=20, random_state=0),
    UnsupervisedRandomForest(n_estimators=20, similarity="breiman", random_state=0),
]
MORE_CHECKS = [
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
]
X = np.random.default_rng(0).normal(size=(120, 4))


@parametrize_with_checks(ESTIMATORS, xfail_strict=True)
def test_sklearn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_no_tag_makes_checks_vanish(estimator):
    assert len(list(estimator_checks_generator(estimator))) >= 45


@pytest.mark.parametrize("check", MORE_CHECKS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_more_of_sklearn(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_pickle_and_clone_and_jobs_keep_scores(estimator):
    scores = clone(estimator).fit(X).score_samples(X)
    again = clone(estimator).set_params(n_jobs=2).fit(X)
    np.testing.assert_array_equal(again.score_samples(X), scores)
    loaded = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(loaded.score_samples(X[::-1])[::-1], scores)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_global_random_state_untouched(estimator):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    clone(estimator).set_params(random_state=None).fit(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
