"""Metrics of rankings: their sign, their labels and what they are equal to."""

import warnings
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.exceptions import UndefinedMetricWarning

from skad.metrics import (
    average_precision_score,
    precision_at_n_score,
    roc_auc_score,
)

METRICS = [average_precision_score, precision_at_n_score, roc_auc_score]
WEIGHTED = [average_precision_score, roc_auc_score]
few = settings(max_examples=25)  # a call of scikit-learn's metrics takes milliseconds


@st.composite
def rankings(draw, max_size=30):
    """Draw a mask of outliers with both classes, and scores with ties."""
    n = draw(st.integers(2, max_size))
    mask = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    assume(0 < sum(mask) < n)
    scores = draw(st.lists(st.integers(-8, 8), min_size=n, max_size=n))
    return np.array(mask), np.array(scores)


def brute_force_auc(is_outlier, scores):
    """Count the pairs of an outlier and a normal sample that are in order."""
    pairs = list(product(scores[is_outlier], scores[~is_outlier]))
    return np.mean([(a < b) + (a == b) / 2 for a, b in pairs])


def brute_force_precision(is_outlier, scores, n):
    """Average the precision over all orders of the samples."""
    precisions = []
    for order in permutations(range(len(scores))):
        order = np.array(order)
        first = order[np.argsort(scores[order], kind="stable")[:n]]
        precisions.append(is_outlier[first].mean())
    return np.mean(precisions)


@pytest.mark.parametrize("metric", METRICS)
def test_low_scores_are_outliers(metric):
    y, scores = [1, 1, 1, -1], np.array([0.3, 0.2, 0.1, -0.5])
    assert metric(y, scores) == 1
    assert metric(y, -scores) < 0.5


@pytest.mark.parametrize("metric", METRICS)
@few
@given(rankings())
def test_label_encodings_agree(metric, ranking):
    mask, scores = ranking
    expected = metric(mask, scores)
    assert metric(np.where(mask, 1, 0), scores) == expected
    assert metric(np.where(mask, -1, 1), scores) == expected
    words = np.where(mask, "fraud", "ok")
    assert metric(words, scores, outlier_label="fraud") == expected
    assert metric(~mask, scores, outlier_label=False) == expected


@pytest.mark.parametrize("metric", METRICS)
@few
@given(rankings())
def test_only_the_order_of_scores_counts(metric, ranking):
    mask, scores = ranking
    expected = metric(mask, scores)
    assert metric(mask, np.exp(scores / 4.0)) == expected
    assert metric(mask, 3 * scores - 7) == expected


@pytest.mark.parametrize("metric", METRICS)
@few
@given(rankings(), st.randoms(use_true_random=False))
def test_order_of_samples_does_not_count(metric, ranking, random):
    mask, scores = ranking
    order = list(range(len(mask)))
    random.shuffle(order)
    assert metric(mask[order], scores[order]) == pytest.approx(metric(mask, scores))


@pytest.mark.parametrize("metric", METRICS)
@few
@given(rankings())
def test_metrics_lie_between_zero_and_one(metric, ranking):
    assert 0 <= metric(*ranking) <= 1


@few
@given(rankings())
def test_roc_auc_is_the_share_of_ordered_pairs(ranking):
    assert roc_auc_score(*ranking) == pytest.approx(brute_force_auc(*ranking))


@few
@given(rankings())
def test_roc_auc_of_the_other_sign_is_the_rest(ranking):
    mask, scores = ranking
    total = roc_auc_score(mask, scores) + roc_auc_score(mask, -scores)
    assert total == pytest.approx(1)


@few
@given(rankings())
def test_average_precision_is_sklearns_for_abnormality(ranking):
    mask, scores = ranking
    expected = sklearn_metrics.average_precision_score(mask, -scores)
    assert average_precision_score(mask, scores) == pytest.approx(expected)


@few
@given(rankings(max_size=6), st.data())
def test_precision_at_n_is_expected_under_random_breaking_of_ties(ranking, data):
    n = data.draw(st.integers(1, len(ranking[0])))
    expected = brute_force_precision(*ranking, n)
    assert precision_at_n_score(*ranking, n=n) == pytest.approx(expected)


@few
@given(rankings())
def test_precision_at_n_takes_the_number_of_outliers(ranking):
    mask, _ = ranking
    expected = precision_at_n_score(*ranking, n=int(mask.sum()))
    assert precision_at_n_score(*ranking) == expected


@pytest.mark.parametrize(
    ("metric", "chance"), [(roc_auc_score, 0.5), *((m, 0.25) for m in METRICS[:2])]
)
def test_constant_scores_get_the_level_of_chance(metric, chance):
    assert metric([0, 0, 0, 1], np.ones(4)) == chance


@pytest.mark.parametrize("metric", WEIGHTED)
def test_sample_weight_is_like_repetition(metric):
    rng = np.random.default_rng(0)
    y, scores, repeats = (
        rng.random(40) < 0.3,
        rng.normal(size=40),
        rng.integers(4, size=40),
    )
    weighted = metric(y, scores, sample_weight=repeats)
    assert weighted == pytest.approx(metric(y.repeat(repeats), scores.repeat(repeats)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("y", [[1, 1], [-1, -1], [0, 0], [True, True], [False, False]])
def test_single_class_is_undefined(metric, y):
    with pytest.warns(UndefinedMetricWarning, match="y_true has a single class"):
        assert np.isnan(metric(y, [0.1, 0.2]))


def test_single_class_is_treated_as_in_sklearn():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert np.isnan(sklearn_metrics.roc_auc_score([0, 0], [0.1, 0.2]))
    assert caught[0].category is UndefinedMetricWarning


@pytest.mark.parametrize("metric", METRICS)
def test_unsigned_scores_are_not_wrapped_around(metric):
    assert metric([0, 0, 1], np.array([9, 5, 0], dtype=np.uint8)) == 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("y_true", "scores", "message"),
    [
        ([0, 1], [0.1, np.nan], "Input scores contains NaN"),
        ([0, 1], [0.1, np.inf], "scores contains infinity"),
        ([0, 1], [0.1, 1j], "Complex data not supported"),
        ([0, 1], ["0.1", "0.2"], "scores has dtype <U3; expected real numbers"),
        ([0, 1], [[0.1, 0.2], [0.3, 0.4]], r"scores has shape \(2, 2\)"),
        ([[0, 1], [1, 0]], [0.1, 0.2], r"y_true has shape \(2, 2\)"),
        (None, [0.1, 0.2], r"y_true has shape \(\)"),
        ([0, 1], [0.1], "inconsistent numbers of samples"),
        ([1, 2], [0.1, 0.2], "pass outlier_label"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "y has 3 labels"),
    ],
)
def test_bad_input_raises(metric, y_true, scores, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, scores)


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, ValueError, "n == 0, must be >= 1"),
        (4, ValueError, "n == 4, must be <= 3"),
        (1.5, TypeError, "n must be an instance of"),
    ],
)
def test_bad_n_raises(n, error, message):
    with pytest.raises(error, match=message):
        precision_at_n_score([0, 0, 1], [0.3, 0.2, 0.1], n=n)
