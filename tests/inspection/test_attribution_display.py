import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skad import UnsupervisedRandomForest
from skad.inspection import AttributionDisplay

X = np.random.default_rng(0).normal(size=(100, 5))
X[7] = [0, 9, 0, -5, 0]
SMALL = UnsupervisedRandomForest(20, random_state=0)
FOREST = UnsupervisedRandomForest(50, random_state=0).fit(X)


def names(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def values(display):
    return [label.get_text() for label in display.values_axis_.get_yticklabels()]


def lengths(bars):
    return [bar.get_width() for bar in bars]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "amount": rng.lognormal(8, 1, 120),
            "country": pd.Categorical(rng.choice(["ES", "PT", "PT"], 120)),
            "age": pd.array(rng.integers(18, 90, 120), dtype="Int64"),
            "online": rng.random(120) < 0.8,
            "note": rng.choice(["x", None], 120),
        }
    )
    table.loc[5, "amount"] = 9.3e7
    table.loc[5, ["age", "note"]] = None
    return table


def test_bars_are_the_attributions_the_largest_first():
    display = AttributionDisplay.from_estimator(FOREST, X, row=7)
    attributions = FOREST.explain(X[[7]])[0]
    order = np.argsort(-attributions)
    np.testing.assert_array_equal(lengths(display.bars_), attributions[order])
    assert names(display) == [f"x{i}" for i in order]
    planted = zip(names(display)[:2], values(display)[:2], strict=True)
    assert set(planted) == {("x1", "9"), ("x3", "-5")}


def test_largest_bar_is_at_the_top():
    display = AttributionDisplay.from_estimator(FOREST, X, row=7)
    display.figure_.draw_without_rendering()
    heights = [bar.get_window_extent().y0 for bar in display.bars_]
    assert heights == sorted(heights, reverse=True)


def test_row_counts_from_either_end():
    first, last = (
        AttributionDisplay.from_estimator(FOREST, X, row=row) for row in (7, -93)
    )
    assert lengths(first.bars_) == lengths(last.bars_)
    assert values(first) == values(last)


def test_n_features_limits_the_bars_and_says_what_they_leave_out():
    display = AttributionDisplay.from_estimator(FOREST, X, row=7, n_features=2)
    attributions = np.sort(FOREST.explain(X[[7]])[0])
    share = attributions[-2:].sum() / attributions.sum()
    assert len(display.bars_) == len(names(display)) == len(values(display)) == 2
    assert f"({share:.0%} of the sum in these 2" in display.ax_.get_xlabel()
    assert display.plot(n_features=99).ax_.get_xlabel() == "attribution"
    assert len(display.bars_) == 5


def test_grey_bars_are_the_mean_of_the_reference_rows():
    display = AttributionDisplay.from_estimator(FOREST, X, row=7, reference=X[:50])
    order = np.argsort(-FOREST.explain(X[[7]])[0])
    np.testing.assert_array_equal(
        lengths(display.reference_bars_), FOREST.explain(X[:50]).mean(axis=0)[order]
    )
    low, high = np.quantile(X[:50, 1], [0.25, 0.75])
    shown = dict(zip(names(display), values(display), strict=True))
    assert shown["x1"] == f"9 ({low:.4g} to {high:.4g})"


def test_legend_hides_no_bar():
    display = AttributionDisplay.from_estimator(FOREST, X, row=7, reference=X)
    display.figure_.draw_without_rendering()
    lowest = min(bar.get_window_extent().y0 for bar in display.bars_)
    assert display.ax_.get_legend().get_window_extent().y1 < lowest


def test_tables_with_texts_and_gaps_show_names_and_values(table):
    forest = SMALL.fit(table)
    display = AttributionDisplay.from_estimator(forest, table, row=5, reference=table)
    shown = dict(zip(names(display), values(display), strict=True))
    assert shown["amount"].startswith("93,000,000 (")
    assert shown["age"].startswith("missing (") and " to " in shown["age"]
    assert shown["country"] == f"{table['country'].iloc[5]} (PT)"
    assert shown["online"] == f"{table['online'].iloc[5]} (True)"
    assert shown["note"] == "missing (x)"


def test_index_of_a_table_does_not_matter(table):
    forest = SMALL.fit(table)
    turned = table.set_index(np.arange(120)[::-1])
    display = AttributionDisplay.from_estimator(forest, turned, row=5)
    assert "93,000,000" in values(display)


def test_reference_without_any_value_is_missing(table):
    forest = SMALL.fit(table)
    reference = table[table["note"].isna()]
    display = AttributionDisplay.from_estimator(
        forest, table, row=5, reference=reference
    )
    shown = dict(zip(names(display), values(display), strict=True))
    assert shown["note"] == "missing (missing)"


def test_rows_may_be_lists():
    display = AttributionDisplay.from_estimator(
        FOREST, X.tolist(), row=7, reference=X.tolist()
    )
    shown = dict(zip(names(display), values(display), strict=True))
    assert shown["x1"].startswith("9 (")


@pytest.mark.parametrize(
    ("transformers", "expected"),
    [
        ([StandardScaler()], ["a", "b", "c", "d", "e"]),
        ([StandardScaler(), PCA(2)], ["pca0", "pca1"]),
        ([FunctionTransformer(np.asarray)], ["x0", "x1", "x2", "x3", "x4"]),
        ([FunctionTransformer()], ["a", "b", "c", "d", "e"]),
        ([], ["a", "b", "c", "d", "e"]),
    ],
)
def test_features_of_a_pipeline_are_those_its_detector_sees(transformers, expected):
    frame = pd.DataFrame(X, columns=list("abcde"))
    pipeline = make_pipeline(*transformers, SMALL).fit(frame)
    display = AttributionDisplay.from_estimator(pipeline, frame, row=7)
    assert sorted(names(display)) == expected
    seen = np.asarray(pipeline[:-1].transform(frame.iloc[[7]]) if transformers else X)
    shown = dict(zip(names(display), values(display), strict=True))
    row = seen[7] if len(seen) > 1 else seen[0]
    assert [shown[name] for name in expected] == [f"{value:.4g}" for value in row]


def test_names_pass_through_nested_pipelines():
    inner = make_pipeline(StandardScaler(), SMALL)
    pipeline = make_pipeline(PCA(2), inner).fit(X)
    display = AttributionDisplay.from_estimator(pipeline, X)
    assert sorted(names(display)) == ["pca0", "pca1"]


def test_long_names_keep_both_ends_and_dollars_stay_dollars():
    long = "temperature of the reactor, " + "very " * 20 + "long, outlet 1"
    display = AttributionDisplay(
        attributions=np.array([0.2, 0.1]),
        feature_names=[long, "in $, not in \\frac{$"],
        values=["two\nlines", 0.5],
    ).plot()
    display.figure_.draw_without_rendering()
    shortened, dollars = names(display)
    assert len(shortened) == 32
    assert shortened.startswith("temperature") and shortened.endswith("outlet 1")
    assert dollars == "in $, not in \\frac{$"
    assert values(display) == ["two lines", "0.5"]


def test_row_without_any_reason_is_drawn():
    constant = np.ones((20, 2))
    forest = SMALL.fit(constant)
    display = AttributionDisplay.from_estimator(forest, constant, n_features=1)
    assert lengths(display.bars_) == [0]
    assert display.ax_.get_xlabel() == "attribution"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"row": 100}, ValueError, "row == 100, must be <= 99"),
        ({"row": -101}, ValueError, "row == -101, must be >= -100"),
        ({"row": "first"}, TypeError, "row must be an instance of"),
        ({"n_features": 0}, ValueError, "n_features == 0, must be >= 1"),
        ({"n_features": 2.5}, TypeError, "n_features must be an instance of"),
    ],
)
def test_errors_name_the_parameter_and_the_value(options, error, message):
    with pytest.raises(error, match=message):
        AttributionDisplay.from_estimator(FOREST, X, **options)


def test_detector_without_attributions_is_refused():
    detector = IsolationForest(n_estimators=5).fit(X)
    with pytest.raises(TypeError, match="method explain; IsolationForest has none"):
        AttributionDisplay.from_estimator(detector, X)
