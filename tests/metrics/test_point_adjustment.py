"""Point adjustment, and what it gives to scores without content."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.exceptions import UndefinedMetricWarning

from skad.metrics import best_f1_score, pa_k_f1_score, point_adjusted_report

few = settings(max_examples=60)
Y = np.repeat([0, 1, 0, 1, 0], [900, 300, 700, 150, 950])


@st.composite
def labelled_series(draw, max_size=30):
    """Draw labels with both classes, scores with ties, and groups."""
    n = draw(st.integers(2, max_size))
    mask = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(0 < mask.sum() < n)
    scores = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    groups = draw(st.lists(st.integers(1, 2), min_size=n, max_size=n))
    return mask, np.array(scores), np.array(groups)


@few
@given(labelled_series())
def test_best_adjusted_f1_is_the_best_of_all_thresholds(series):
    mask, scores, groups = series
    candidates = [
        pa_k_f1_score(mask, scores < threshold, k=0, groups=groups)
        for threshold in range(1, 7)
    ]
    report = point_adjusted_report(mask, scores, groups=groups, n_repeats=1)
    assert report.f1 == pytest.approx(max(candidates))
    flagged = scores < report.threshold
    found = pa_k_f1_score(mask, flagged, k=0, groups=groups)
    assert found == pytest.approx(report.f1)


@few
@given(labelled_series(), st.integers(1, 12))
def test_clock_is_the_mean_over_its_phases(series, period):
    mask, scores, groups = series
    place = np.zeros(len(mask), dtype=int)
    for group in np.unique(groups):
        place[groups == group] = np.arange(np.sum(groups == group))
    expected = np.mean(
        [
            pa_k_f1_score(mask, place % period == phase, k=0, groups=groups)
            for phase in range(period)
        ]
    )
    report = point_adjusted_report(
        mask, scores, groups=groups, period=period, n_repeats=1
    )
    assert report.clock_f1 == pytest.approx(expected)


def test_scores_without_content_get_a_high_value_and_a_good_one_little_more():
    report = point_adjusted_report(Y, -Y, random_state=0)
    assert report.f1 == 1
    assert report.random_f1 > 0.9
    assert report.clock_f1 > 0.9
    noise = np.random.default_rng(0).normal(size=len(Y))
    assert best_f1_score(Y, noise)[0] < 0.3


def test_random_value_is_that_of_random_scores():
    rng = np.random.default_rng(1)
    report = point_adjusted_report(Y, rng.normal(size=len(Y)), random_state=0)
    values = [
        point_adjusted_report(Y, rng.normal(size=len(Y)), n_repeats=1).f1
        for _ in range(20)
    ]
    assert report.random_f1 == pytest.approx(np.mean(values), abs=0.03)
    again = point_adjusted_report(Y, Y, random_state=0)
    assert again.random_f1 == report.random_f1


def test_without_events_longer_than_a_row_nothing_is_adjusted():
    y = np.tile([0, 0, 0, 1], 25)
    scores = np.random.default_rng(0).normal(size=100)
    report = point_adjusted_report(y, scores, period=4, random_state=0)
    assert report.f1 == best_f1_score(y, scores)[0]
    assert report.clock_f1 == pytest.approx(1 / 4)


def test_labels_of_other_kinds_are_understood():
    scores = np.random.default_rng(0).normal(size=len(Y))
    report = point_adjusted_report(Y, scores, random_state=0)
    words = np.where(Y, "bad", "ok")
    named = point_adjusted_report(words, scores, random_state=0, outlier_label="bad")
    assert report == named
    expected = sklearn_metrics.f1_score(Y, scores < best_f1_score(Y, scores)[1])
    assert report.f1 > expected


def test_single_class_is_undefined():
    with pytest.warns(UndefinedMetricWarning, match="point_adjusted_report") as caught:
        report = point_adjusted_report([0, 0, 0], [0.1, 0.2, 0.3])
    assert caught[0].filename == __file__
    assert np.isnan(list(report.values())).all()


@pytest.mark.parametrize("name", ["period", "n_repeats"])
def test_bad_parameters_raise(name):
    with pytest.raises(ValueError, match=f"{name} == 0, must be >= 1"):
        point_adjusted_report([0, 1, 0], [0.1, 0.2, 0.3], **{name: 0})
    with pytest.raises(TypeError, match=f"{name} must be an instance of"):
        point_adjusted_report([0, 1, 0], [0.1, 0.2, 0.3], **{name: 1.5})
