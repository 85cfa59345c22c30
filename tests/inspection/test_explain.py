import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import UnsupervisedRandomForest
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
