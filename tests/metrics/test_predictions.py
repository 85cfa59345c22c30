"""Metrics of flagged rows: by hand, by brute force, and at the edges."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.exceptions import UndefinedMetricWarning

from skad.metrics import (
    affiliation_report,
    best_f1_score,
    event_report,
    f1_at_threshold_score,
    pa_k_auc_score,
    pa_k_f1_score,
    range_f1_score,
    range_precision_score,
    range_recall_score,
)

few = settings(max_examples=60)
SCORES = [
    pa_k_auc_score,
    pa_k_f1_score,
    range_f1_score,
    range_precision_score,
    range_recall_score,
]
REPORTS = [affiliation_report, event_report]
BIASES = ["flat", "front", "middle", "back"]


@st.composite
def predictions(draw, max_size=40):
    """Draw labels with both classes, flags, and groups."""
    n = draw(st.integers(2, max_size))
    masks = []
    for _ in range(2):
        runs = draw(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1))
        mask = np.repeat([b for _, b in runs], [length for length, _ in runs])[:n]
        masks.append(np.concatenate([mask, np.zeros(n - len(mask), dtype=bool)]))
    assume(0 < masks[0].sum() < n)
    groups = draw(
        st.lists(st.integers(1, draw(st.integers(1, 3))), min_size=n, max_size=n)
    )
    return (*masks, np.array(groups))


def series_of(mask, groups):
    """Yield the rows of each series, and the runs of True in it as sets of rows."""
    for group in np.unique(groups):
        runs, previous = [], False
        for row in np.flatnonzero(groups == group):
            if mask[row] and not previous:
                runs.append([])
            if mask[row]:
                runs[-1].append(row)
            previous = mask[row]
        yield np.flatnonzero(groups == group), runs


def runs_of(mask, groups):
    return [run for _, runs in series_of(mask, groups) for run in runs]


def harmonic_mean(a, b):
    return 2 * a * b / (a + b) if a + b else 0


def brute_force_reward(ranges, hits, bias, alpha=0):
    """Mean reward of ranges, each a list of rows, for the rows of other ranges."""
    rewards = []
    for rows in ranges:
        n = len(rows)
        weight = {
            "flat": lambda i, n: 1,
            "front": lambda i, n: n - i + 1,
            "middle": lambda i, n: i if i <= n / 2 else n - i + 1,
            "back": lambda i, n: i,
        }[bias]
        weights = {row: weight(i, n) for i, row in enumerate(rows, start=1)}
        pieces = sum(bool(set(rows) & set(hit)) for hit in hits)
        found = sum(weights[row] for hit in hits for row in hit if row in weights)
        overlap = found / sum(weights.values()) / max(pieces, 1)
        rewards.append(alpha * (pieces > 0) + (1 - alpha) * overlap)
    return np.mean(rewards) if rewards else 0


def adjusted(events, flagged, k):
    flagged = flagged.copy()
    for event in events:
        if 100 * flagged[event].sum() > k * len(event):
            flagged[event] = True
    return flagged


def survival(distances, at_least):
    """Share of a fine grid of instants that is that far away."""
    return np.mean(distances >= at_least - 1e-9)


def brute_force_affiliation(events, flagged, n, step=0.05):
    """Rate the instants of a grid in one series, zone by zone."""
    grid = np.arange(step / 2, n, step)
    is_flagged = flagged[grid.astype(int)]
    gaps = [
        np.maximum(np.maximum(event[0] - grid, grid - event[-1] - 1), 0)
        for event in events
    ]
    nearest = np.argmin(gaps, axis=0)
    precisions, recalls = [], []
    for i, (event, gap) in enumerate(zip(events, gaps, strict=True)):
        zone = nearest == i
        hits = grid[zone & is_flagged]
        ratings = [survival(gap[zone], d) for d in gap[zone & is_flagged]]
        precisions += [np.mean(ratings)] if ratings else []
        inside = grid[(grid > event[0]) & (grid < event[-1] + 1)]
        ratings = []
        for x in inside if len(hits) else []:
            distance = np.abs(hits - x).min()
            ratings.append(np.mean(np.abs(grid[zone] - x) >= distance - 1e-9))
        recalls.append(np.mean(ratings) if ratings else 0)
    return precisions, recalls


@few
@given(predictions(), st.sampled_from(BIASES), st.sampled_from([0, 0.2, 1]))
def test_range_metrics_are_those_of_the_definition(prediction, bias, alpha):
    mask, flagged, groups = prediction
    events, ranges = runs_of(mask, groups), runs_of(flagged, groups)
    precision = brute_force_reward(ranges, events, bias)
    recall = brute_force_reward(events, ranges, bias, alpha)
    options = {"groups": groups, "bias": bias}
    found = range_precision_score(mask, flagged, **options)
    assert found == pytest.approx(precision)
    options["alpha"] = alpha
    assert range_recall_score(mask, flagged, **options) == pytest.approx(recall)
    expected = harmonic_mean(precision, recall)
    assert range_f1_score(mask, flagged, **options) == pytest.approx(expected)


def test_pieces_of_an_event_are_worth_less_than_a_whole():
    y = [0, 1, 1, 1, 1, 0]
    assert range_recall_score(y, [0, 1, 1, 0, 0, 0]) == 0.5
    assert range_recall_score(y, [0, 1, 0, 1, 0, 0]) == 0.25
    assert range_recall_score(y, [0, 1, 0, 1, 0, 0], alpha=0.5) == 0.625


@few
@given(predictions())
def test_events_are_counted_as_by_hand(prediction):
    mask, flagged, groups = prediction
    events, alarms = runs_of(mask, groups), runs_of(flagged, groups)
    found = [event for event in events if flagged[event].any()]
    report = event_report(mask, flagged, groups=groups)
    assert report.n_events == len(events)
    assert report.n_found == len(found)
    assert report.n_alarms == len(alarms)
    assert report.recall == pytest.approx(len(found) / len(events))
    justified = [mask[alarm].any() for alarm in alarms]
    precision = np.mean(justified) if alarms else 0
    assert report.precision == pytest.approx(precision)
    assert report.f1 == pytest.approx(harmonic_mean(precision, report.recall))
    of_rows = mask[flagged].mean() if alarms else 0
    assert report.composite_f1 == pytest.approx(harmonic_mean(of_rows, report.recall))
    assert report.flagged_fraction == pytest.approx(flagged.mean())
    delays = [np.flatnonzero(flagged[event])[0] for event in found]
    delay = np.mean(delays) if delays else np.nan
    assert report.detection_delay == pytest.approx(delay, nan_ok=True)


def test_flagging_everything_shows_in_the_flagged_fraction_only():
    y = np.repeat([0, 1, 0, 1, 0], 10)
    report = event_report(y, np.ones(50, dtype=bool))
    assert (report.f1, report.flagged_fraction, report.detection_delay) == (1, 1, 0)
    assert report.composite_f1 == pytest.approx(2 * 0.4 / 1.4)


@few
@given(predictions(), st.sampled_from([0, 20, 50, 99.5, 100]))
def test_pa_k_is_f1_of_adjusted_rows(prediction, k):
    mask, flagged, groups = prediction
    rows = adjusted(runs_of(mask, groups), flagged, k)
    expected = sklearn_metrics.f1_score(mask, rows)
    found = pa_k_f1_score(mask, flagged, k=k, groups=groups)
    assert found == pytest.approx(expected)


@few
@given(predictions())
def test_area_of_pa_k_is_its_mean_over_k(prediction):
    mask, flagged, groups = prediction
    events = runs_of(mask, groups)
    edges = np.unique([0, 100, *(100 * flagged[event].mean() for event in events)])
    values = [
        sklearn_metrics.f1_score(mask, adjusted(events, flagged, k))
        for k in (edges[1:] + edges[:-1]) / 2
    ]
    area = pa_k_auc_score(mask, flagged, groups=groups)
    assert area == pytest.approx(np.array(values) @ np.diff(edges) / 100)


def test_published_example_of_affiliation():
    # The second event of the example in the paper's Figure 2, in minutes.
    y, flagged = np.zeros(90, dtype=bool), np.zeros(90, dtype=bool)
    y[20:40] = flagged[10:30] = flagged[85:90] = True
    report = affiliation_report(y, flagged, random_state=0)
    assert report.precision == pytest.approx(0.672222222)
    assert report.recall == pytest.approx(0.944444444)


@settings(max_examples=30)
@given(predictions(max_size=25))
def test_affiliation_is_the_share_of_a_grid(prediction):
    mask, flagged, groups = prediction
    precisions, recalls = [], []
    for rows, events in series_of(mask, groups):
        events = [np.searchsorted(rows, event) for event in events]
        if events:
            of_zones = brute_force_affiliation(events, flagged[rows], len(rows))
            precisions += of_zones[0]
            recalls += of_zones[1]
        elif flagged[rows].any():
            precisions.append(0)
    report = affiliation_report(mask, flagged, groups=groups, n_repeats=1)
    expected = np.mean(precisions) if precisions else 0
    assert report.precision == pytest.approx(expected, abs=0.06)
    assert report.recall == pytest.approx(np.mean(recalls), abs=0.06)
    assert report.f1 == pytest.approx(harmonic_mean(report.precision, report.recall))


def test_affiliation_of_one_row_by_hand():
    # Zone [0, 4), event [1, 2), flag [2, 3): at a distance u of the event, the share
    # min(u, 1) + min(u, 2) + 1 of the zone's 4 rows is nearer.
    y, flagged = [0, 1, 0, 0], [0, 0, 1, 0]
    report = affiliation_report(y, flagged, n_repeats=1)
    assert report.precision == pytest.approx(1 - (1 + 2 * 0.5) / 4)
    # An instant 1 + u of the event is 1 - u away from the flag; nearer than that
    # are min(1 - u, 1 + u) + min(1 - u, 3 - u) of the 4 rows.
    assert report.recall == pytest.approx(1 - 2 * 0.5 / 4)


def test_floor_of_affiliation_is_far_from_zero():
    y = np.repeat([0, 1, 0, 1, 0], [400, 20, 300, 80, 200])
    flagged = np.random.default_rng(0).random(1000) < 0.1
    report = affiliation_report(y, flagged, random_state=1)
    assert report.random_precision == pytest.approx(0.5, abs=0.05)
    assert report.random_f1 > 0.6
    assert report.f1 == pytest.approx(report.random_f1, abs=0.05)
    assert affiliation_report(y, y, random_state=1).f1 == 1
    again = affiliation_report(y, flagged, random_state=1)
    assert again.random_f1 == report.random_f1


@pytest.mark.parametrize("metric", SCORES)
@few
@given(predictions())
def test_scores_take_any_labels_and_order_of_series(metric, prediction):
    mask, flagged, groups = prediction
    expected = metric(mask, flagged, groups=groups)
    order = np.argsort(groups, kind="stable")
    y, signs = np.where(mask, "bad", "ok")[order], np.where(flagged, -1, 1)[order]
    found = metric(y, signs, groups=groups[order], outlier_label="bad")
    assert found == pytest.approx(expected)
    assert 0 <= found <= 1


@pytest.mark.parametrize("metric", SCORES)
def test_perfect_and_empty_predictions_get_one_and_zero(metric):
    y = np.repeat([0, 1, 0, 1], 5)
    assert metric(y, y) == 1
    assert metric(y, np.zeros(20)) == 0


@pytest.mark.parametrize("report", REPORTS)
def test_perfect_and_empty_predictions_are_reported(report):
    y = np.repeat([0, 1, 0, 1], 5)
    perfect, empty = report(y, y), report(y, np.zeros(20))
    assert (perfect.precision, perfect.recall, perfect.f1) == (1, 1, 1)
    assert (empty.precision, empty.recall, empty.f1) == (0, 0, 0)


@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize("y", [[0, 0, 0], [True, True, True]])
def test_single_class_is_undefined(metric, y):
    with pytest.warns(UndefinedMetricWarning, match=metric.__name__) as caught:
        assert np.isnan(metric(y, [0, 1, 0]))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("y", [[0, 0, 0], [True, True, True]])
def test_report_of_a_single_class_is_undefined(report, y):
    with pytest.warns(UndefinedMetricWarning, match=report.__name__) as caught:
        found = report(y, [0, 1, 0])
    assert caught[0].filename == __file__
    assert np.isnan([found.precision, found.recall, found.f1]).all()


@pytest.mark.parametrize(
    ("metric", "options", "error", "message"),
    [
        (range_f1_score, {"bias": "end"}, ValueError, "bias='end' is unknown; expec"),
        (range_f1_score, {"alpha": 1.5}, ValueError, "alpha == 1.5, must be <= 1"),
        (range_recall_score, {"alpha": -1}, ValueError, "alpha == -1, must be >= 0"),
        (pa_k_f1_score, {"k": 101}, ValueError, "k == 101, must be <= 100"),
        (affiliation_report, {"n_repeats": 0}, ValueError, "n_repeats == 0, must be"),
        (event_report, {"groups": [0]}, ValueError, r"groups has shape \(1,\)"),
    ],
)
def test_bad_parameters_raise(metric, options, error, message):
    with pytest.raises(error, match=message):
        metric([0, 1, 0], [0, 1, 1], **options)


@pytest.mark.parametrize("metric", [*SCORES, *REPORTS])
def test_predictions_of_other_labels_raise(metric):
    with pytest.raises(ValueError, match="y has the labels"):
        metric([0, 1, 0], ["ok", "bad", "ok"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        metric([0, 1, 0], [0, 1])


@few
@given(predictions(), st.data())
def test_best_f1_is_the_best_over_all_thresholds(prediction, data):
    mask, _, groups = prediction
    n = len(mask)
    scores = np.array(data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n)))
    candidates = [
        sklearn_metrics.f1_score(mask, scores < threshold) for threshold in range(1, 8)
    ]
    f1, threshold = best_f1_score(mask, scores, groups=groups)
    assert f1 == pytest.approx(max(candidates))
    assert f1_at_threshold_score(mask, scores, threshold, groups=groups) == f1
    assert sklearn_metrics.f1_score(mask, scores < threshold) == pytest.approx(f1)


def test_f1_at_the_threshold_of_a_detector_is_that_of_its_labels():
    y, decisions = [0, 0, 1, 1, 1], np.array([0.5, -0.1, 0.0, -2.0, -0.3])
    expected = sklearn_metrics.f1_score(y, decisions < 0)
    assert f1_at_threshold_score(y, decisions) == pytest.approx(expected)
    assert f1_at_threshold_score(y, decisions, -9) == 0


def test_f1_of_a_single_class_is_undefined():
    with pytest.warns(UndefinedMetricWarning, match="f1_at_threshold_score"):
        assert np.isnan(f1_at_threshold_score([0, 0], [0.1, 0.2]))
    with pytest.warns(UndefinedMetricWarning, match="best_f1_score"):
        assert np.isnan(best_f1_score([0, 0], [0.1, 0.2])).all()


def test_threshold_that_is_no_number_raises():
    with pytest.raises(TypeError, match="threshold must be an instance of"):
        f1_at_threshold_score([0, 1], [0.1, 0.2], "auto")
