import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skad import UnsupervisedRandomForest
from skad.datasets import make_planted_anomalies
from skad.inspection import ScoreDistributionDisplay

X, Y, _ = make_planted_anomalies(400, n_anomalies=5, random_state=0)
FOREST = UnsupervisedRandomForest(20, random_state=0).fit(X)
SCORES = FOREST.score_samples(X)


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_bars_count_the_rows_in_each_bin():
    display = ScoreDistributionDisplay.from_estimator(FOREST, X, bins=12)
    counts, edges = np.histogram(SCORES, 12)
    values, drawn_edges, _ = display.bars_[0].get_data()
    np.testing.assert_array_equal(values, counts)
    np.testing.assert_array_equal(drawn_edges, edges)
    assert labels(display) == ["400 rows, 40 of them flagged", "threshold"]


def test_line_stands_at_the_threshold():
    display = ScoreDistributionDisplay.from_estimator(FOREST, X)
    assert set(display.line_.get_xdata()) == {FOREST.offset_}


def test_few_anomalies_are_as_visible_as_many_normal_rows():
    display = ScoreDistributionDisplay.from_estimator(FOREST, X, Y)
    for bars, label in zip(display.bars_, (1, -1), strict=True):
        scores = SCORES[Y == label]
        values, edges, _ = bars.get_data()
        np.testing.assert_allclose(values, np.histogram(scores, edges)[0] / len(scores))
    axis_top = display.ax_.get_ylim()[1]
    assert display.bars_[1].get_data().values.max() > 0.2 * axis_top


def test_legend_says_how_many_of_each_group_are_flagged():
    display = ScoreDistributionDisplay.from_estimator(FOREST, X, Y)
    flagged = FOREST.predict(X) == -1
    found, false = flagged[Y == -1].sum(), flagged[Y == 1].sum()
    assert labels(display) == [
        f"395 normal rows, {false} of them flagged",
        f"5 anomalies, {found} of them flagged",
        "threshold",
    ]


def test_legend_hides_neither_bars_nor_line():
    display = ScoreDistributionDisplay.from_estimator(FOREST, X, Y)
    display.figure_.draw_without_rendering()
    legend = display.ax_.get_legend().get_window_extent()
    tops = [bars.get_window_extent().y1 for bars in display.bars_]
    assert legend.y0 > max(*tops, display.line_.get_window_extent().y1)


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (np.where(Y == -1, 1, 0), {}),
        (Y == -1, {}),
        (np.where(Y == -1, "fraud", "ok"), {"outlier_label": "fraud"}),
    ],
)
def test_any_two_labels_are_understood(y, options):
    display = ScoreDistributionDisplay.from_predictions(SCORES, y, **options)
    np.testing.assert_array_equal(display.is_outlier, Y == -1)
    assert labels(display) == ["395 normal rows", "5 anomalies"]


def test_a_single_label_makes_a_single_group():
    display = ScoreDistributionDisplay.from_predictions(SCORES, np.zeros(400))
    assert labels(display) == ["400 normal rows"]


@pytest.mark.parametrize(
    "detector",
    [UnsupervisedRandomForest(20), IsolationForest(contamination=0.1), OneClassSVM()],
)
def test_threshold_through_a_pipeline_is_that_of_its_detector(detector):
    pipeline = make_pipeline(StandardScaler(), detector).fit(X)
    display = ScoreDistributionDisplay.from_estimator(pipeline, X)
    flagged = (pipeline.predict(X) == -1).sum()
    assert isinstance(display.offset, float)
    assert labels(display)[0] == f"400 rows, {flagged} of them flagged"


def test_estimator_without_a_threshold_has_no_line():
    display = ScoreDistributionDisplay.from_estimator(KernelDensity().fit(X), X)
    assert display.line_ is None
    assert labels(display) == ["400 rows"]


def test_equal_scores_are_drawn():
    display = ScoreDistributionDisplay.from_predictions(np.ones(9), offset=1.0)
    assert display.bars_[0].get_data().values.sum() == 9
    assert labels(display)[0] == "9 rows, 0 of them flagged"


@pytest.mark.parametrize(
    ("scores", "y", "message"),
    [
        ([0.1, np.nan], None, "scores contains NaN"),
        ([0.1, np.inf], None, "scores contains infinity"),
        ([[0.1, 0.2], [0.3, 0.4]], None, "should be a 1d array"),
        ([0.1, 0.2], [0, 1, 1], "inconsistent numbers of samples"),
        ([0.1, 0.2, 0.3], [0, 1, 2], "y has 3 labels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(scores, y, message):
    with pytest.raises(ValueError, match=message):
        ScoreDistributionDisplay.from_predictions(scores, y)


def test_estimator_without_scores_is_refused():
    pipeline = make_pipeline(StandardScaler(), KMeans(2))
    with pytest.raises(TypeError, match="score_samples; KMeans has none"):
        ScoreDistributionDisplay.from_estimator(pipeline, X)
