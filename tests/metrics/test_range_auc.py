"""Areas with buffers: the definition, row by row, and what follows from it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning

from skad.metrics import (
    average_precision_score,
    estimate_buffer,
    range_pr_auc_score,
    range_roc_auc_score,
    roc_auc_score,
    vus_pr_score,
    vus_roc_score,
)

# What the TSB-AD benchmark's "opt" variant gives for the series in the test below.
PUBLISHED = {
    vus_pr_score: 0.45750403039188287,
    vus_roc_score: 0.869510767638929,
    range_pr_auc_score: 0.5388002685303142,
    range_roc_auc_score: 0.9152814883753091,
}
METRICS = [range_pr_auc_score, range_roc_auc_score, vus_pr_score, vus_roc_score]
few = settings(max_examples=60)


@st.composite
def labelled_series(draw, max_size=40):
    """Draw labels with both classes, scores with ties, groups, and a buffer."""
    n = draw(st.integers(2, max_size))
    runs = draw(st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1))
    mask = np.repeat([b for _, b in runs], [length for length, _ in runs])[:n]
    mask = np.concatenate([mask, np.zeros(n - len(mask), dtype=bool)])
    assume(0 < mask.sum() < n)
    levels = draw(st.sampled_from([1, 3, 40]))
    scores = draw(st.lists(st.integers(0, levels), min_size=n, max_size=n))
    n_groups = draw(st.integers(1, 3))
    groups = draw(st.lists(st.integers(1, n_groups), min_size=n, max_size=n))
    return mask, np.array(scores), np.array(groups), draw(st.integers(0, 15))


def events_of(mask):
    """List the first and last row of each run of True."""
    rows, events = np.flatnonzero(mask), []
    for row in rows:
        if events and events[-1][1] == row - 1:
            events[-1][1] = row
        else:
            events.append([row, row])
    return events


def widen(mask, buffer):
    """Return the degrees of a series, and its widened events as sets of rows."""
    degree, widened = mask.astype(float), []
    for first, last in events_of(mask):
        around = range(first - buffer // 2, last + buffer // 2 + 1)
        for row in around:
            distance = max(first - row, row - last, 0)
            if 0 <= row < len(mask) and distance > 0:
                degree[row] += np.sqrt(1 - distance / buffer)
        # Events whose widened rows meet are one, whether the rows exist or not.
        if widened and widened[-1] & set(around):
            widened[-1] |= set(around)
        else:
            widened.append(set(around))
    return np.minimum(degree, 1), widened


def direct_areas(mask, scores, groups, buffer, n_thresholds=250):
    """Go through all thresholds and rows, as the definition reads."""
    rows = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    series = [(r, *widen(mask[r], buffer)) for r in rows]
    ranked, points = np.sort(scores), [(0, 0)]
    pr_auc = 0
    for rank in np.linspace(0, len(scores) - 1, n_thresholds).astype(int):
        flagged = scores <= ranked[rank]
        found = sum((flagged[r] * degree).sum() for r, degree, _ in series)
        positive = (mask.sum() + mask.sum() + found - flagged[mask].sum()) / 2
        touched = [
            any(flagged[r][row] for row in event if 0 <= row < len(r))
            for r, _, widened in series
            for event in widened
        ]
        recall = min(found / positive, 1) * np.mean(touched)
        pr_auc += (recall - points[-1][1]) * found / flagged.sum()
        false = (flagged.sum() - found) / (len(mask) - positive)
        points.append((false, recall))
    points = np.array([*points, (1, 1)])
    return np.trapezoid(points[:, 1], points[:, 0]), pr_auc


@few
@given(labelled_series(), st.sampled_from([2, 7, 250]))
def test_areas_with_one_buffer_are_those_of_the_definition(series, n_thresholds):
    mask, scores, groups, buffer = series
    expected = direct_areas(*series, n_thresholds)
    options = {"groups": groups, "buffer": buffer, "n_thresholds": n_thresholds}
    assert range_roc_auc_score(mask, scores, **options) == pytest.approx(expected[0])
    assert range_pr_auc_score(mask, scores, **options) == pytest.approx(expected[1])


@settings(max_examples=25)
@given(labelled_series())
def test_volumes_are_means_over_buffers(series):
    mask, scores, groups, buffer = series
    areas = [
        direct_areas(mask, scores, groups, b, n_thresholds=20)
        for b in range(buffer + 1)
    ]
    options = {"groups": groups, "buffer": buffer, "n_thresholds": 20}
    roc, pr = np.mean(areas, axis=0)
    assert vus_roc_score(mask, scores, **options) == pytest.approx(roc)
    assert vus_pr_score(mask, scores, **options) == pytest.approx(pr)


@pytest.mark.parametrize("metric", METRICS)
def test_published_values_are_reproduced(metric):
    rng = np.random.default_rng(5)
    y = np.zeros(400, dtype=int)
    y[[*range(5), *range(120, 150), *range(158, 160), *range(390, 400)]] = 1
    scores = -np.round(rng.normal(size=400) + y, 1)
    assert metric(y, scores, buffer=30) == pytest.approx(PUBLISHED[metric], rel=1e-12)


def test_small_case_by_hand():
    # Row 4 is an outlier, row 5 at distance 1 of a buffer of 2: sqrt(1 / 2).
    y, scores = [0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, -3, -2, 0, 0]
    near = np.sqrt(0.5)
    recalls = np.array([1 / 2, (1 + near) / (2 + near / 2), 1])
    precisions = np.array([1, (1 + near) / 2, (2 + 2 * near) / 8])
    expected = np.sum(np.diff(recalls, prepend=0) * precisions)
    assert range_pr_auc_score(y, scores, buffer=2) == pytest.approx(expected)


@few
@given(labelled_series())
def test_without_buffer_one_event_gives_the_usual_areas(series):
    mask, scores, _, _ = series
    assume(len(events_of(mask)) == 1)
    scores = np.argsort(np.argsort(scores, kind="stable"))
    options = {"buffer": 0, "n_thresholds": len(mask)}
    # Touched from the first outlier that is found, and recall is 0 before it.
    assert range_pr_auc_score(mask, scores, **options) == pytest.approx(
        average_precision_score(mask, scores)
    )
    assert range_roc_auc_score(mask, scores, **options) == pytest.approx(
        roc_auc_score(mask, scores)
    )


@pytest.mark.parametrize("metric", METRICS)
@few
@given(labelled_series())
def test_encodings_of_labels_agree(metric, series):
    mask, scores, _, buffer = series
    expected = metric(mask, scores, buffer=buffer)
    assert metric(np.where(mask, -1, 1), scores, buffer=buffer) == expected
    words = np.where(mask, "bad", "good")
    assert metric(words, scores, buffer=buffer, outlier_label="bad") == expected


@pytest.mark.parametrize("metric", METRICS)
@few
@given(labelled_series(), st.randoms(use_true_random=False))
def test_series_may_be_interleaved_and_named_at_will(metric, series, random):
    mask, scores, groups, buffer = series
    expected = metric(mask, scores, buffer=buffer, groups=groups)
    order = np.argsort(groups, kind="stable")
    names = np.array(["", "z", "a", "m"])[groups]
    sorted_ = metric(mask[order], scores[order], buffer=buffer, groups=names[order])
    assert sorted_ == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
@few
@given(labelled_series())
def test_only_the_order_of_scores_counts(metric, series):
    mask, scores, groups, buffer = series
    options = {"buffer": buffer, "groups": groups}
    expected = metric(mask, scores, **options)
    assert metric(mask, np.exp(scores / 9.0), **options) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_time_may_run_backwards(metric):
    rng = np.random.default_rng(0)
    y, scores = rng.random(200) < 0.1, rng.normal(size=200)
    assert metric(y[::-1], scores[::-1]) == pytest.approx(metric(y, scores))


@pytest.mark.parametrize("metric", METRICS)
def test_near_misses_count_more_with_a_buffer(metric):
    y = np.repeat([0, 1, 0], [100, 10, 100])
    late = -np.roll(y, 4).astype(float)
    assert metric(y, late, buffer=40) > metric(y, late, buffer=0)
    assert metric(y, -y, buffer=0) == 1


def test_buffers_end_where_their_series_ends():
    y = np.repeat([0, 1, 0], [10, 2, 10])
    scores = np.where(np.arange(22) >= 12, -1, 0)
    groups = np.repeat([0, 1], [12, 10])
    assert range_pr_auc_score(y, scores, buffer=20, groups=groups) < 0.5
    assert range_pr_auc_score(y, scores, buffer=20) > 0.6


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("y", [[1, 1, 1], [0, 0, 0], [True, True, True]])
def test_single_class_is_undefined(metric, y):
    with pytest.warns(UndefinedMetricWarning, match=metric.__name__) as caught:
        assert np.isnan(metric(y, [0.1, 0.2, 0.3]))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"buffer": -1}, ValueError, "buffer == -1, must be >= 0"),
        ({"buffer": 2.5}, TypeError, "buffer must be an instance of"),
        ({"n_thresholds": 1}, ValueError, "n_thresholds == 1, must be >= 2"),
        ({"groups": [1, 2]}, ValueError, r"groups has shape \(2,\); expected \(3,\)"),
        ({"groups": [[1, 2, 2]]}, ValueError, r"groups has shape \(1, 3\)"),
        ({"groups": [1, np.nan, 2]}, ValueError, "groups has missing labels"),
        ({"groups": ["a", None, "b"]}, ValueError, "groups has missing labels"),
    ],
)
def test_bad_parameters_raise(metric, options, error, message):
    with pytest.raises(error, match=message):
        metric([0, 1, 0], [0.1, 0.2, 0.3], **options)


@pytest.mark.parametrize("period", [7, 50, 300])
def test_period_is_found_in_noise(period):
    rng = np.random.default_rng(0)
    x = np.sin(2 * np.pi * np.arange(5000) / period) + rng.normal(0, 0.1, size=5000)
    assert abs(estimate_buffer(x) - period) <= 2
    assert estimate_buffer(np.column_stack([x, rng.normal(size=5000)])) == (
        estimate_buffer(x)
    )


@pytest.mark.parametrize(
    "x", [np.zeros(50), np.arange(1000.0), np.full(999, 0.1), np.ones(1)]
)
def test_series_without_a_period_get_the_default(x):
    assert estimate_buffer(x) == 125


def test_autocorrelation_is_normalised_by_the_length():
    x = np.random.default_rng(3).normal(size=500).cumsum()
    centred = x - x.mean()
    lagged = [centred[lag:] @ centred[: len(x) - lag] for lag in range(401)]
    peaks = [
        lag
        for lag in range(4, 400)
        if lagged[lag] > max(lagged[lag - 1], lagged[lag + 1])
    ]
    best = max(peaks, key=lambda lag: lagged[lag])
    assert estimate_buffer(x) == (best if 6 <= best <= 303 else 125)
