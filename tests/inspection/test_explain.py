import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import TransDe, UnsupervisedRandomForest
from skad.inspection import explain

X = np.random.default_rng(0).normal(size=(80, 3))


def forest():
    return UnsupervisedRandomForest(20, random_state=0)


def test_pipeline_explains_what_its_detector_sees():
    pipeline = make_pipeline(StandardScaler(), forest()).fit(X)
    scaled = pipeline[0].transform(X)
    np.testing.assert_array_equal(explain(pipeline, X), pipeline[-1].explain(scaled))


def test_pipelines_may_be_nested_or_have_one_step():
    nested = make_pipeline(StandardScaler(), make_pipeline(forest())).fit(X)
    flat = make_pipeline(StandardScaler(), forest()).fit(X)
    np.testing.assert_array_equal(explain(nested, X), explain(flat, X))


def test_error_names_the_detector_not_the_pipeline():
    pipeline = make_pipeline(StandardScaler(), IsolationForest()).fit(X)
    with pytest.raises(TypeError, match="method explain; IsolationForest has none"):
        explain(pipeline, X)


def test_what_a_detector_takes_besides_is_handed_on():
    rng = np.random.default_rng(0)
    series, groups = rng.normal(size=(200, 2)), np.repeat([0, 1], 100)
    detector = TransDe(window_size=16, patch_sizes=(4,), max_epochs=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), detector).fit(series)
    scaled = pipeline[0].transform(series)
    apart = detector.explain(scaled, groups=groups)
    np.testing.assert_array_equal(explain(pipeline, series, groups=groups), apart)
    assert not np.array_equal(explain(pipeline, series), apart)
