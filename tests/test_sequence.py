"""SequenceMixin by itself: what every detector of series gets."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn_checks import MORE_CHECKS, in_full, missing_checks
from torch import nn

from skad._base import BaseDetector
from skad._deep import BaseDeepDetector
from skad._nets._windows import Windows, row_means
from skad._sequence import SequenceMixin
from skad._series import rows_from_windows


class NearestWindow(SequenceMixin, BaseDetector):
    """The distance of windows from the mean window of the training data."""

    _parameter_constraints: dict = {
        **BaseDetector._parameter_constraints,
        **SequenceMixin._parameter_constraints,
    }

    def __init__(self, *, window_size=4, missing="raise", contamination=0.1):
        self.window_size = window_size
        self.missing = missing
        self.contamination = contamination

    def _fit(self, series):
        starts = series.window_starts(self.window_size_)
        self._center = series.windows(self.window_size_)[starts].mean(axis=0)

    def _score_samples(self, series):
        def errors(windows):
            return (windows - self._center) ** 2

        return -series.channel_means(
            rows_from_windows(errors, series, self.window_size_)
        )


class Net(nn.Module):
    """Compresses a window to half."""

    def __init__(self, n_channels, window_size):
        super().__init__()
        n = n_channels * window_size
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(n, (n + 1) // 2),
            nn.Linear((n + 1) // 2, n),
            nn.Unflatten(1, (window_size, n_channels)),
        )

    def forward(self, x):
        return self.layers(x)

    def errors(self, x):
        return (self(x) - x).square()


class WindowAutoencoder(SequenceMixin, BaseDeepDetector):
    """The least that a deep detector of series can be."""

    _parameter_constraints: dict = {
        **BaseDeepDetector._parameter_constraints,
        **SequenceMixin._parameter_constraints,
    }
    _criterion = nn.MSELoss

    def __init__(
        self,
        *,
        window_size=4,
        missing="raise",
        max_epochs=2,
        batch_size=32,
        lr=0.01,
        warm_start=False,
        n_iter_no_change=None,
        validation_fraction=0.1,
        device="auto",
        random_state=None,
        verbose=0,
        net_params=None,
        contamination=0.1,
    ):
        self.window_size = window_size
        self.missing = missing
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.warm_start = warm_start
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params
        self.contamination = contamination

    def _prepare(self, series):
        self._mean = series.values.mean(axis=0)
        self._scale = series.values.std(axis=0) + 1e-9

    def _net_input(self, rows):
        return (rows - self._mean) / self._scale

    def _make_module(self, series):
        return Net(series.values.shape[1], self.window_size_)

    def _rows(self, series):
        return Windows(series, self.window_size_, self._net_input)

    def _score_samples(self, series):
        errors = row_means(self.net_, self._rows(series), "errors")
        return -series.channel_means(errors)


CONTEXT = "the score of a time step depends on the steps around it"
IN_CONTEXT = ["check_methods_subset_invariance", "check_methods_sample_order_invariance"]
DETECTORS = [
    NearestWindow(window_size=1),
    NearestWindow(),
    NearestWindow(missing="interpolate"),
    WindowAutoencoder(window_size=1, random_state=0),
    WindowAutoencoder(random_state=0),
    WindowAutoencoder(missing="mask", random_state=0),
]


def expected_failed_checks(estimator):
    return dict.fromkeys(IN_CONTEXT, CONTEXT) if estimator.window_size > 1 else {}


@parametrize_with_checks(
    DETECTORS, expected_failed_checks=expected_failed_checks, xfail_strict=True
)
def test_all_checks_of_sklearn_but_the_two_of_context(estimator, check):
    in_full(check, estimator)


@pytest.mark.parametrize("name", MORE_CHECKS)
@pytest.mark.parametrize("estimator", DETECTORS, ids=str)
def test_more_checks_of_sklearn(estimator, name):
    in_full(getattr(estimator_checks, name), type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", DETECTORS, ids=str)
def test_no_check_is_missing(estimator):
    assert missing_checks(estimator) == []
