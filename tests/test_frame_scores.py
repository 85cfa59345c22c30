"""Scores of frames, from their errors."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter1d

from skad._frame_scores import FrameScores, between_extremes, smoothed

ERRORS = np.random.default_rng(0).normal(size=(50, 3)) * [1, 2, 3] + [5, 0, -5]


def test_terms_of_the_training_frames_are_standardised():
    terms = FrameScores(ERRORS, "mean", 0, "train").terms(ERRORS)
    assert_allclose(terms.mean(axis=0), 0, atol=1e-12)
    assert_allclose(terms.std(axis=0), 1)


def test_errors_that_never_differ_are_not_blown_up():
    scores = FrameScores(np.ones((9, 3)), "mean", 0, "train")
    assert_array_equal(scores.terms(np.ones((4, 3))), 0)
    assert_allclose(scores.terms(np.full((4, 3), 1.001)), 0.1)


@pytest.mark.parametrize("place, measure", [(0, "psnr"), (1, "patch"), (2, "ssim")])
def test_a_measure_is_one_of_the_terms(place, measure):
    scores = FrameScores(ERRORS, measure, 2.0, "train")
    assert_array_equal(scores.scores(ERRORS), -scores.terms(ERRORS)[:, place])


def test_scores_relative_to_the_video_have_the_same_order():
    plain, relative = (
        FrameScores(ERRORS, "mean", 1.0, name).scores(ERRORS[:20])
        for name in ("train", "video")
    )
    assert_allclose(relative, between_extremes(plain))


VALUES = st.tuples(st.integers(1, 12), st.integers(1, 3)).flatmap(
    lambda shape: arrays(float, shape, elements=st.floats(-100, 100))
)


@given(VALUES, st.sampled_from([0.3, 1.0, 3.0]))
def test_each_column_is_smoothed_by_itself(values, sigma):
    expected = [gaussian_filter1d(v, sigma, mode="nearest") for v in values.T]
    assert_allclose(smoothed(values, sigma), np.transpose(expected), atol=1e-12)


@given(VALUES)
def test_without_a_width_values_stay_as_they_are(values):
    assert_array_equal(smoothed(values, 0), values)


@given(st.integers(1, 12), st.floats(-100, 100), st.sampled_from([0.3, 1.0, 3.0]))
def test_smoothing_keeps_what_is_constant(n_frames, value, sigma):
    values = np.full((n_frames, 2), value)
    assert_allclose(smoothed(values, sigma), values, rtol=1e-12, atol=1e-12)


def test_smoothing_spreads_a_peak_to_both_sides():
    peak = np.zeros((21, 1))
    peak[10] = 1
    found = smoothed(peak, 2.0)[:, 0]
    assert_allclose(found, found[::-1], atol=1e-15)
    assert_allclose(found.sum(), 1)
    assert found.argmax() == 10
    assert 0.15 < found[10] < 0.25  # 1 / (2 sqrt(2 pi)) = 0.199


@given(VALUES)
def test_values_between_extremes_keep_their_order(values):
    values = values[:, 0]
    assume(values.max() - values.min() > 1e-6)
    found = between_extremes(values)
    assert found.min() == 0
    assert found.max() == 1
    assert_allclose(found * np.ptp(values) + values.min(), values, atol=1e-12)


@pytest.mark.parametrize("value", [-3.5, 0.0, 7.0])
def test_equal_values_are_all_as_normal_as_can_be(value):
    assert_array_equal(between_extremes(np.full(4, value)), np.ones(4))
