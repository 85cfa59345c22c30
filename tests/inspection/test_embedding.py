import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.spatial.distance import pdist
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import UnsupervisedRandomForest
from skad.datasets import make_planted_anomalies
from skad.inspection import _embedding, proximity_embedding

X, _, _ = make_planted_anomalies(300, 4, n_anomalies=15, random_state=0)
FOREST = UnsupervisedRandomForest(100, random_state=0).fit(X)


class Recorder:
    """A detector that notes the sizes of the proximities it is asked for."""

    def __init__(self):
        self.shapes = []

    def proximity(self, X, Y=None):
        Y = X if Y is None else Y
        self.shapes.append((len(X), len(Y)))
        return FOREST.proximity(X, Y)


def distances(rows):
    return np.sqrt(2 * (1 - FOREST.proximity(rows)))


def test_all_coordinates_reproduce_the_distances():
    rows = X[:120]
    embedding = proximity_embedding(FOREST, rows, n_components=120)
    assert embedding.shape == (120, 120)
    np.testing.assert_allclose(
        pairwise_distances(embedding), distances(rows), atol=1e-6
    )


@pytest.mark.parametrize("n_landmarks", [50, 1000])
def test_distances_on_the_map_are_never_larger_than_the_true_ones(n_landmarks):
    embedding = proximity_embedding(
        FOREST, X, n_components=40, n_landmarks=n_landmarks, random_state=0
    )
    on_map = pairwise_distances(embedding)
    assert (on_map <= distances(X) + 1e-9).all()
    assert on_map.max() > 0.5


def test_map_of_landmarks_resembles_the_map_of_all_rows():
    blobs, _ = make_blobs(300, 5, centers=3, cluster_std=0.5, random_state=0)
    forest = UnsupervisedRandomForest(100, max_samples=32, random_state=0).fit(blobs)
    full, few = (
        pdist(proximity_embedding(forest, blobs, n_landmarks=n, random_state=0))
        for n in (300, 100)
    )
    assert np.corrcoef(full, few)[0, 1] > 0.95


def test_neighbours_on_the_map_of_landmarks_are_alike():
    P = FOREST.proximity(X)
    few = proximity_embedding(FOREST, X, n_landmarks=100, random_state=0)
    nearest = pairwise_distances(few).argsort(axis=1)[:, 1:6]
    assert np.take_along_axis(P, nearest, axis=1).mean() > 4 * P.mean()


@pytest.mark.parametrize("n_landmarks", [20, 1000])
def test_equal_rows_land_on_the_same_point(n_landmarks):
    twice = np.vstack([X[:80], X[:80]])
    embedding = proximity_embedding(
        FOREST, twice, n_components=5, n_landmarks=n_landmarks, random_state=0
    )
    np.testing.assert_allclose(*np.split(embedding, 2), atol=1e-9)
    assert np.ptp(embedding, axis=0).min() > 0.1


def test_rows_that_are_all_equal_land_on_zero():
    embedding = proximity_embedding(FOREST, np.repeat(X[:1], 250, axis=0))
    np.testing.assert_allclose(embedding, 0, atol=1e-6)


def test_result_does_not_depend_on_the_chunks(monkeypatch):
    options = {"n_landmarks": 100, "random_state": 0}
    at_once = proximity_embedding(FOREST, X, **options)
    monkeypatch.setattr(_embedding, "_CHUNK_SIZE", 7)
    np.testing.assert_allclose(
        proximity_embedding(FOREST, X, **options), at_once, rtol=0, atol=1e-12
    )


def test_no_proximity_is_larger_than_a_chunk_times_the_landmarks(monkeypatch):
    monkeypatch.setattr(_embedding, "_CHUNK_SIZE", 32)
    recorder = Recorder()
    proximity_embedding(recorder, X, n_landmarks=50, random_state=0)
    assert recorder.shapes[0] == (50, 50)
    assert set(recorder.shapes[1:]) == {(32, 50), (300 % 32, 50)}
    assert sum(rows for rows, _ in recorder.shapes[1:]) == len(X)


def test_random_state_chooses_the_landmarks():
    first, again, other = (
        proximity_embedding(FOREST, X, n_landmarks=50, random_state=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_nothing_is_random_if_all_rows_are_landmarks():
    np.testing.assert_array_equal(
        proximity_embedding(FOREST, X, random_state=0),
        proximity_embedding(FOREST, X, n_landmarks=len(X), random_state=1),
    )


def test_farthest_landmark_of_each_coordinate_is_on_the_positive_side():
    embedding = proximity_embedding(FOREST, X, n_components=8)
    farthest = np.abs(embedding).argmax(axis=0)
    assert (embedding[farthest, np.arange(8)] > 0).all()


def test_pipeline_places_what_its_detector_sees():
    forest = UnsupervisedRandomForest(20, random_state=0)
    pipeline = make_pipeline(StandardScaler(), forest).fit(X)
    np.testing.assert_array_equal(
        proximity_embedding(pipeline, X),
        proximity_embedding(pipeline[-1], pipeline[0].transform(X)),
    )


def test_tables_with_texts_and_gaps_have_a_map():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "size": rng.normal(size=90),
            "weight": rng.normal(size=90),
            "colour": rng.choice(["red", "blue", None], 90),
        }
    )
    table.loc[::10, "size"] = np.nan
    forest = UnsupervisedRandomForest(20, random_state=0).fit(table)
    embedding = proximity_embedding(forest, table, n_landmarks=30, random_state=0)
    assert embedding.shape == (90, 2)
    assert np.isfinite(embedding).all()


def test_result_is_an_array_whatever_transformers_are_set_to_return():
    with sklearn.config_context(transform_output="pandas"):
        assert type(proximity_embedding(FOREST, X)) is np.ndarray


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (IsolationForest(), {}, TypeError, "method proximity; IsolationForest"),
        (FOREST, {"n_components": 0}, ValueError, "n_components == 0"),
        (FOREST, {"n_components": 1.5}, TypeError, "n_components must be"),
        (FOREST, {"n_landmarks": 0}, ValueError, "n_landmarks == 0"),
        (FOREST, {"n_landmarks": "all"}, TypeError, "n_landmarks must be"),
        (
            FOREST,
            {"n_components": 6, "n_landmarks": 5},
            ValueError,
            "n_components=6 must be at most the number of landmarks, 5",
        ),
        (FOREST, {"n_components": 301}, ValueError, "and X has 300 rows"),
    ],
)
def test_errors_name_the_parameter_and_the_value(estimator, options, error, message):
    with pytest.raises(error, match=message):
        proximity_embedding(estimator, X, **options)
