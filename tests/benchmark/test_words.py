"""Numbers, names and messages as they are shown."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skad.benchmark._words import (
    above_chance,
    breakable,
    grouped,
    parameters,
    probability,
    seconds,
    shape,
)


def test_messages_about_many_data_sets_are_one_line():
    messages = pd.DataFrame(
        {
            "detector": "fails",
            "dataset": list("abcdef"),
            "error": "no",
            "n_runs": 2,
        }
    )
    assert grouped(messages, "error") == [
        {
            "detector": "fails",
            "message": "no",
            "datasets": "a, b, c, d and 2 more",
            "n_runs": 12,
        }
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00000"), (0.00123, "0.0012"), (0.5, "0.50"), (12.34, "12"), (np.nan, "–")],
)
def test_seconds_have_two_digits(value, text):
    assert seconds(value) == text


def test_long_names_break_at_their_words():
    assert breakable("UnsupervisedRandomForest") == ["Unsupervised", "Random", "Forest"]
    assert breakable("KNN") == ["KNN"]
    assert "".join(breakable("k-NN (scaled)")) == "k-NN (scaled)"


@pytest.mark.parametrize(
    ("value", "measure", "length"),
    [
        (0.75, "auroc", 50),
        (0.3, "auroc", 0),
        (1, "auroc", 100),
        (0.75, "vus_pr", 75),
        (np.nan, "vus_pr", 0),
    ],
)
def test_bars_begin_at_chance(value, measure, length):
    assert above_chance(value, measure) == length


def test_small_p_values_are_not_zero():
    assert probability(0.0312) == "= 0.031"
    assert probability(1e-9) == "< 0.001"


def test_functions_are_shown_by_their_names():
    detector = make_pipeline(FunctionTransformer(breakable), IsolationForest())
    text = parameters(detector)
    assert "FunctionTransformer(func=breakable)" in text
    assert "\n" not in text


def test_shapes_are_written_as_products():
    assert [shape(lengths) for lengths in ((13,), (48, 48, 3))] == ["13", "48 × 48 × 3"]
