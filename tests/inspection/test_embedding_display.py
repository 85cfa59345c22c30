import numpy as np
import pytest
from matplotlib.colors import to_rgba
from scipy.stats import rankdata
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import UnsupervisedRandomForest
from skad.datasets import make_planted_anomalies
from skad.inspection import EmbeddingDisplay, proximity_embedding

X, Y, _ = make_planted_anomalies(150, n_anomalies=9, random_state=0)
FOREST = UnsupervisedRandomForest(50, random_state=0).fit(X)
MAP = proximity_embedding(FOREST, X)
FLAGGED = FOREST.predict(X) == -1


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_points_are_the_map_the_strangest_on_top():
    display = EmbeddingDisplay.from_estimator(FOREST, X)
    scores = FOREST.score_samples(X)
    order = np.argsort(-scores, kind="stable")
    (points,) = display.points_
    np.testing.assert_array_equal(points.get_offsets(), MAP[order])
    np.testing.assert_array_equal(points.get_array(), rankdata(scores)[order])
    assert display.colorbar_.mappable is points


def test_rings_mark_the_flagged_rows():
    display = EmbeddingDisplay.from_estimator(FOREST, X)
    np.testing.assert_array_equal(display.rings_.get_offsets(), MAP[FLAGGED])
    assert labels(display) == ["15 flagged"]


@pytest.mark.parametrize(
    ("y", "options"),
    [(Y, {}), (np.where(Y == -1, "bad", "ok"), {"outlier_label": "bad"})],
)
def test_labels_are_drawn_apart(y, options):
    display = EmbeddingDisplay.from_estimator(FOREST, X, y, **options)
    normal, anomalies = display.points_
    np.testing.assert_array_equal(normal.get_offsets(), MAP[Y == 1])
    np.testing.assert_array_equal(anomalies.get_offsets(), MAP[Y == -1])
    assert labels(display) == ["141 normal rows", "9 anomalies", "15 flagged"]
    assert display.colorbar_ is None


def test_groups_differ_in_colour_lightness_and_shape():
    display = EmbeddingDisplay.from_estimator(FOREST, X, Y)
    colours = [points.get_facecolor()[0, :3] for points in display.points_]
    lightness = np.array(colours) @ [0.2126, 0.7152, 0.0722]
    assert abs(np.diff(lightness)).item() > 0.1
    shapes = [points.get_paths()[0].vertices for points in display.points_]
    assert shapes[0].shape != shapes[1].shape


def test_a_group_without_rows_is_left_out():
    display = EmbeddingDisplay.from_estimator(FOREST, X, np.zeros(150))
    assert labels(display) == ["150 normal rows", "15 flagged"]


def test_both_coordinates_have_the_same_scale():
    display = EmbeddingDisplay.from_estimator(FOREST, X)
    display.figure_.draw_without_rendering()
    zero, one = display.ax_.transData.transform([[0, 0], [1, 1]])
    assert np.diff(one - zero) == pytest.approx(0, abs=1e-6)


def test_landmarks_are_passed_on():
    options = {"n_landmarks": 20, "random_state": 3}
    display = EmbeddingDisplay.from_estimator(FOREST, X, **options)
    np.testing.assert_array_equal(
        display.embedding, proximity_embedding(FOREST, X, **options)
    )


def test_pipeline_is_drawn_as_its_detector_sees_the_rows():
    pipeline = make_pipeline(
        StandardScaler(), UnsupervisedRandomForest(20, random_state=0)
    ).fit(X)
    display = EmbeddingDisplay.from_estimator(pipeline, X)
    np.testing.assert_array_equal(display.scores, pipeline.score_samples(X))
    np.testing.assert_array_equal(display.embedding, proximity_embedding(pipeline, X))


def test_coordinates_alone_make_a_plain_map():
    display = EmbeddingDisplay(embedding=MAP).plot(color="black")
    assert display.colorbar_ is display.rings_ is display.ax_.get_legend() is None
    np.testing.assert_array_equal(display.points_[0].get_offsets(), MAP)
    assert tuple(display.points_[0].get_facecolor()[0]) == to_rgba("black")


@pytest.mark.parametrize("empty", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_legend_stands_where_no_rows_are(empty):
    corners = [c for c in [(0, 0), (0, 1), (1, 0), (1, 1)] if c != empty]
    display = EmbeddingDisplay(
        embedding=np.array(corners, dtype=float), flagged=np.ones(3, dtype=bool)
    ).plot()
    display.figure_.draw_without_rendering()
    legend = display.ax_.get_legend().get_window_extent()
    centre = display.ax_.transAxes.inverted().transform(
        [(legend.x0 + legend.x1) / 2, (legend.y0 + legend.y1) / 2]
    )
    np.testing.assert_array_equal(centre > 0.5, np.array(empty) == 1)


@pytest.mark.parametrize(
    ("y", "message"),
    [(np.zeros(149), "inconsistent numbers"), (np.arange(150), "y has 150 labels")],
)
def test_labels_that_do_not_fit_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_estimator(FOREST, X, y)


def test_detector_without_proximity_is_refused():
    detector = LocalOutlierFactor(novelty=True).fit(X)
    with pytest.raises(TypeError, match="proximity; LocalOutlierFactor has none"):
        EmbeddingDisplay.from_estimator(detector, X)
