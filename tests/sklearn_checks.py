"""scikit-learn's checks, so that none of them is left out unnoticed."""

from collections import Counter
from unittest import SkipTest

import pytest
from sklearn.covariance import EllipticEnvelope
from sklearn.utils.estimator_checks import estimator_checks_generator

# What the own suite of scikit-learn runs besides check_estimator.
MORE_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
]


def in_full(check, *args):
    """Run a check, which may not skip itself: that would prove nothing."""
    try:
        check(*args)
    except SkipTest as skipped:
        pytest.fail(f"skipped: {skipped}")


def missing_checks(estimator):
    """The checks of a plain detector that an estimator's tags make vanish."""
    wanted = _names(EllipticEnvelope())
    assert wanted.total() >= 47
    if estimator.__sklearn_tags__().input_tags.allow_nan:
        del wanted["check_estimators_nan_inf"]  # missing values are not an error
    return sorted((wanted - _names(estimator)).elements())


def _names(estimator):
    checks = (check for _, check in estimator_checks_generator(estimator))
    return Counter(getattr(check, "func", check).__name__ for check in checks)
