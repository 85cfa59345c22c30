"""Features from the past: what they are, and that nothing of the future is in them."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn_checks import MORE_CHECKS, in_full

from skad._kernels._history import past_moments
from skad.preprocessing import HistoryFeatures

WINDOWS = (1.5, 4, None)
COLUMNS = ["customer", "terminal", "time", "amount"]
# Few customers, terminals and times: ties and equal records are common.
NUMBERS = st.integers(0, 2)
TIMES = st.integers(0, 9)
AMOUNTS = st.floats(-1e3, 1e3).map(lambda amount: round(amount, 3)) | NUMBERS
RECORDS = st.tuples(st.sampled_from("abc"), NUMBERS, TIMES, AMOUNTS)
STREAMS = st.lists(RECORDS, min_size=1, max_size=25).map(
    lambda rows: pd.DataFrame(rows, columns=COLUMNS)
)


def make_history(**params):
    defaults = {"entities": ["customer", "terminal"], "windows": WINDOWS}
    history = HistoryFeatures("time", **(defaults | params))
    return history.set_output(transform="pandas")


def make_stream(n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer": rng.choice(list("abcdef"), n_samples),
            "terminal": rng.integers(0, 4, n_samples),
            "time": rng.integers(0, 60, n_samples) / 4,
            "amount": rng.exponential(50, n_samples),
        }
    )


ESTIMATORS = [
    HistoryFeatures(),
    HistoryFeatures(windows=(0.5, None), features=("count", "ratio"), smooth=3),
    HistoryFeatures(0, entities=[1]),
    HistoryFeatures(1, entities=[0], values=[]),
]


@parametrize_with_checks(ESTIMATORS)
def test_sklearn(estimator, check):
    in_full(check, estimator)


@pytest.mark.parametrize("name", MORE_CHECKS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_more_of_sklearn(estimator, name):
    check = getattr(estimator_checks, name)
    in_full(check, type(estimator).__name__, clone(estimator))


def mixed(own, weight, prior):
    """What is usual, by the definition: own values and a prior of some weight."""
    n, (mean, size, spread) = len(own), prior
    m2 = np.sum((own - np.mean(own)) ** 2) if n else 0.0
    mean = (np.sum(own) + weight * mean) / (n + weight)
    size = (np.sum(np.abs(own)) + weight * size) / (n + weight)
    own_spread = m2 / size**2 if size else 0.0
    return mean, size, (own_spread + weight * spread) / (n + weight)


def by_definition(X, smooth):
    """The features of every row, one row at a time."""
    rows = []
    for _, row in X.iterrows():
        past = X[X.time < row.time]
        v, everyone = row.amount, past.amount.to_numpy()
        size = np.mean(np.abs(everyone)) if len(everyone) else 0.0
        prior = (
            np.mean(everyone) if len(everyone) else v,
            size or abs(v),
            np.var(everyone) / size**2 if size else 0.0,
        )
        found = {"amount": v}
        for entity in ("customer", "terminal"):
            own = past[past[entity] == row[entity]]
            found[f"{entity}_new"] = float(len(own) == 0)
            last = own.time.max() if len(own) else X.time.min()
            found[f"{entity}_elapsed"] = row.time - last
            typical = mixed(own.amount.to_numpy(), smooth, prior)
            for window in WINDOWS:
                end, usual = "", typical
                if window:
                    end = f"_{window:g}"
                    recent = own[own.time >= row.time - window]
                    found[f"{entity}_count{end}"] = len(recent)
                    usual = mixed(recent.amount.to_numpy(), smooth, typical)
                mean, size, spread = usual
                ratio = v / size if size else 0.0
                found[f"amount_ratio_{entity}{end}"] = np.sign(v) * np.log1p(abs(ratio))
                scale = np.sqrt(spread) * size
                # What is no spread but for rounding may be none for either side.
                found[f"amount_deviation_{entity}{end}"] = (
                    (v - mean) / scale if scale > 1e-6 * size else np.nan
                )
        pair = (past.customer == row.customer) & (past.terminal == row.terminal)
        found["customer_terminal_new"] = float(not pair.any())
        rows.append(found)
    return pd.DataFrame(rows, index=X.index).astype(float)


@settings(max_examples=60)
@given(STREAMS, st.sampled_from([0.5, 1.0, 4.0]))
def test_features_are_those_of_the_definition(X, smooth):
    expected = by_definition(X, smooth)
    features = make_history(smooth=smooth).fit_transform(X)
    assert list(features) == list(expected)
    features = features.mask(expected.isna())
    assert_frame_equal(features, expected, rtol=1e-6, atol=1e-6)


@given(STREAMS, STREAMS, st.integers(0, 10))
def test_later_rows_change_nothing_of_earlier_ones(X, other, now):
    earlier = X[X.time <= now]
    if earlier.empty:
        return
    changed = pd.concat([earlier, other[other.time > now]], ignore_index=True)
    first = make_history().fit_transform(X)[(X.time <= now).to_numpy()]
    second = make_history().fit_transform(changed)[: len(earlier)]
    assert_array_equal(first, second)


@given(STREAMS, STREAMS, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(X, other, random):
    order = random.sample(range(len(X)), len(X))
    features = make_history().fit(other).transform(X)
    shuffled = make_history().fit(other[::-1]).transform(X.iloc[order])
    assert_array_equal(shuffled, features.iloc[order])


@given(STREAMS)
def test_transforming_the_training_data_changes_nothing(X):
    history = make_history().fit(X)
    features = history.transform(X)
    assert_array_equal(make_history().fit_transform(X), features)
    for start in range(0, len(X), 7):
        part = history.transform(X[start : start + 7])
        assert_array_equal(part, features[start : start + 7])


@given(STREAMS, st.integers(0, 10))
def test_a_stream_cut_in_time_gets_the_features_of_the_whole(X, now):
    before, after = X[X.time <= now], X[X.time > now]
    if before.empty or after.empty:
        return
    whole = make_history().fit_transform(X)
    second = make_history().fit(before).transform(after)
    assert_array_equal(second, whole.loc[after.index])


@given(STREAMS, st.permutations("abc"))
def test_names_of_entities_do_not_matter(X, names):
    renamed = X.assign(
        customer=X.customer.map(dict(zip("abc", names, strict=True))),
        terminal=X.terminal.map(lambda number: f"shop {-number}"),
    )
    features = make_history().fit_transform(X)
    assert_array_equal(make_history().fit_transform(renamed), features)


@given(STREAMS)
def test_the_scale_of_values_changes_no_comparison(X):
    scaled = make_history().fit_transform(X.assign(amount=8 * X.amount))
    features = make_history().fit_transform(X)
    # 8 is a power of 2: not even the rounding changes.
    assert_array_equal(scaled.drop(columns="amount"), features.drop(columns="amount"))


@given(
    st.lists(st.tuples(NUMBERS, TIMES, AMOUNTS), max_size=40),
    st.sampled_from([0.5, 3.0, np.inf]),
)
def test_kernel_gives_the_moments_of_the_rows_before(rows, window):
    rows = np.array(sorted(rows), dtype=float).reshape(-1, 3)
    group, time, value = rows.T
    moments = past_moments(group.astype(np.int64), time, value, window)
    for i, (count, mean, m2, size) in enumerate(moments):
        is_past = (group == group[i]) & (time < time[i]) & (time >= time[i] - window)
        past = value[is_past]
        assert count == past.size
        if past.size:
            assert_allclose(mean, past.mean(), atol=1e-9)
            assert_allclose(m2, np.sum((past - past.mean()) ** 2), atol=1e-6)
            assert_allclose(size, np.abs(past).mean(), atol=1e-9)


def test_an_outlier_that_left_the_window_leaves_no_trace():
    rng = np.random.default_rng(0)
    value = 1e-3 * rng.normal(size=300) + 7
    value[3] = 1e12
    group, time = np.zeros(300, dtype=np.int64), np.arange(300.0)
    moments = past_moments(group, time, value, 10.0)
    for i in (20, 150, 299):
        past = value[i - 10 : i]
        assert_allclose(moments[i, 2], np.sum((past - past.mean()) ** 2), rtol=1e-9)


def test_long_streams_keep_their_precision():
    X = make_stream(4000).assign(customer="a", terminal=0)
    X["time"] = np.arange(4000.0)
    history = make_history(entities=["customer"], windows=(1000,))
    features = history.fit_transform(X.assign(amount=X.amount + 1e9))
    recent = X.amount[2999:3999]
    mean = (1000 * recent.mean() + X.amount[:3999].mean()) / 1001
    deviation = (X.amount[3999] - mean) / recent.std(ddof=0)
    assert_allclose(features.amount_deviation_customer_1000[3999], deviation, rtol=2e-3)


def test_values_of_any_size_give_finite_features():
    X = make_stream(400).assign(customer="a")
    sizes = np.array([0, 5e-324, 1e-200, 1e-100, 1e-30, 1, 1e99])
    X["amount"] = np.random.default_rng(0).choice(np.r_[-sizes, sizes], 400)
    assert np.isfinite(make_history().fit_transform(X)).all(axis=None)
    assert np.isfinite(make_history().fit_transform(X.assign(amount=0.0))).all(
        axis=None
    )


def test_an_unusual_amount_shows_in_ratio_and_deviation_only_for_its_customer():
    X = make_stream(400).assign(amount=lambda X: X.customer.map(ord) - 90.0)
    X["amount"] *= np.random.default_rng(1).uniform(0.9, 1.1, 400)
    history = make_history().fit(X)
    probe = pd.DataFrame(
        {"customer": ["a", "f"], "terminal": 0, "time": 99.0, "amount": 12.0}
    )
    cheap, dear = history.transform(probe).to_dict("records")
    assert cheap["amount_deviation_customer"] > 3
    assert abs(dear["amount_deviation_customer"]) < 1
    assert cheap["amount_ratio_customer"] > dear["amount_ratio_customer"]
    assert_allclose(cheap["amount_ratio_terminal"], dear["amount_ratio_terminal"])


def test_unknown_entities_are_compared_with_everyone():
    X = make_stream()
    probe = pd.DataFrame(
        {"customer": ["?", "!"], "terminal": 9, "time": 99.0, "amount": 50.0}
    )
    features = make_history().fit(X).transform(probe)
    size = X.amount.mean()
    assert_allclose(features.amount_ratio_customer, np.log1p(50 / size))
    deviation = (50 - size) / X.amount.std(ddof=0)
    assert_allclose(features.amount_deviation_customer_4, deviation)
    new = features[["customer_new", "terminal_new", "customer_terminal_new"]]
    assert (new == 1).all(axis=None)
    assert (features.customer_elapsed == 99 - X.time.min()).all()


def test_first_records_of_all_are_usual():
    X = make_stream(6).assign(time=1.0)
    features = make_history().fit_transform(X)
    assert_allclose(features.amount_ratio_customer, np.log(2))
    assert (features.amount_deviation_terminal == 0).all()
    assert (features.terminal_elapsed == 0).all()


def test_features_can_be_chosen():
    whole = make_history().fit_transform(make_stream())
    for kind in ("new", "elapsed", "count", "ratio", "deviation"):
        features = make_history(features=[kind]).fit_transform(make_stream())
        names = [name for name in whole if name == "amount" or kind in name.split("_")]
        assert list(features) == names
        assert_array_equal(features, whole[names])
    assert list(make_history(features=[]).fit_transform(make_stream())) == ["amount"]


def test_all_rows_are_one_history_without_entities():
    X = make_stream()
    one = make_history(entities=["customer"], values=["amount"])
    one = one.fit_transform(X.assign(customer="a"))
    none = make_history(entities=None, values=["amount"]).fit_transform(X)
    assert_array_equal(none, one)
    assert "amount_ratio_4" in none
    assert "new" in none


def test_dates_count_in_days():
    X = make_stream()
    features = make_history().fit_transform(X)
    start = pd.Timestamp("2026-03-01")
    dates = start + pd.to_timedelta(X.time, unit="D")
    spans = (timedelta(days=1.5), np.timedelta64(4, "D"), None)
    for time in (
        dates,
        dates.dt.tz_localize("Europe/Paris", ambiguous="raise"),
        dates.astype(object),
        dates - start,
    ):
        for windows in (WINDOWS, spans):
            other = make_history(windows=windows).fit_transform(X.assign(time=time))
            assert_frame_equal(other, features, rtol=1e-9)


def test_tables_and_arrays_of_any_kind_give_the_same():
    X = make_stream()
    expected = make_history().fit_transform(X).to_numpy()
    params = {"entities": [0, 1], "windows": WINDOWS}
    history = HistoryFeatures(2, **params)
    assert_array_equal(history.fit_transform(X.to_numpy()), expected)
    numbers = X.assign(customer=X.customer.map(ord)).to_numpy(dtype=float)
    assert_array_equal(history.fit_transform(numbers), expected)
    names = history.get_feature_names_out()
    assert names[:3].tolist() == ["x3", "x0_new", "x0_elapsed"]
    for dtype in ("category", "string", object):
        table = X.astype({"customer": dtype})
        assert_array_equal(make_history().fit_transform(table), expected)
    table = X.astype({"terminal": "Int64", "amount": "Float64"})
    assert_array_equal(make_history().fit_transform(table), expected)


def test_columns_that_are_not_used_may_hold_anything():
    X = make_stream()
    history = make_history(values=["amount"])
    features = history.fit_transform(X.assign(note="?", missing=np.nan))
    assert_array_equal(features, make_history().fit_transform(X))


def test_it_works_inside_pipelines_and_column_transformers():
    X = make_stream()
    history = make_history()
    pipeline = make_pipeline(history, IsolationForest(n_estimators=5, random_state=0))
    scores = pipeline.fit(X).score_samples(X)
    assert_array_equal(pipeline.score_samples(X[50:60]), scores[50:60])
    columns = make_column_transformer(
        (history, COLUMNS), ("passthrough", ["hour"]), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    features = columns.fit_transform(X.assign(hour=X.time % 1))
    assert list(features) == [*history.fit_transform(X), "hour"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"time": "when"}, "time='when' names 'when'; the columns of X are"),
        ({"time": 4}, r"time=4 must hold names or indices of columns, from 0 to 3"),
        ({"time": None}, "'time' parameter of HistoryFeatures"),
        ({"time": "customer"}, "'customer' is given more than once in time, entities"),
        ({"entities": ["who"]}, r"entities=\['who'\] names 'who'"),
        ({"entities": [0.5]}, r"entities=\[0.5\] must hold names or indices"),
        ({"entities": [-1]}, r"entities=\[-1\] must hold names or indices"),
        ({"entities": "customer"}, "'entities' parameter of HistoryFeatures"),
        ({"values": ["amount", "amount"]}, "'amount' is given more than once"),
        ({"entities": [0], "values": ["terminal", "x"]}, "values=.* names 'x'"),
        ({"entities": ["terminal"]}, "values: column 'customer' holds strings"),
        ({"windows": 7}, "'windows' parameter of HistoryFeatures"),
        ({"windows": (0,)}, "windows holds 0; expected finite, > 0"),
        ({"windows": (np.inf,)}, "windows holds inf; expected finite, > 0"),
        ({"windows": (np.nan,)}, "windows holds nan; expected finite, > 0"),
        ({"windows": (7, 7.0)}, "windows holds 7.0 twice"),
        ({"windows": ("7D",)}, "windows holds '7D'; expected numbers or None"),
        ({"windows": (timedelta(1),)}, "expected numbers or None, or timedeltas if"),
        ({"features": ("mean",)}, "features holds 'mean'; expected some of"),
        ({"smooth": 0}, "'smooth' parameter of HistoryFeatures"),
    ],
)
def test_bad_parameter_raises(params, message):
    history = make_history().set_params(time=params.pop("time", "time"), **params)
    with pytest.raises(ValueError, match=message):
        history.fit(make_stream())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("time", np.nan, "time: column 'time' contains NaN"),
        ("time", np.inf, "time: column 'time' contains infinity"),
        ("time", "noon", "time: column 'time' holds strings; expected numbers"),
        ("time", pd.Timestamp("2026-01-01"), "held numbers in fit and holds dates now"),
        ("time", pd.NaT, "time: column 'time' contains missing dates"),
        ("amount", np.nan, "values: column 'amount' contains NaN"),
        ("amount", -np.inf, "values: column 'amount' contains infinity"),
        ("amount", 1e200, "values: column 'amount' holds numbers up to 1e[+]200"),
        ("customer", None, r"entities: column 'customer' contains missing names"),
        ("customer", np.nan, "entities: .* contains (NaN|missing names)"),
        ("customer", pd.NA, "entities: column 'customer' contains missing names"),
        ("customer", 7, "held other names in fit and holds numbers now"),
        ("terminal", np.nan, "entities: column 'terminal' contains NaN"),
        ("terminal", "shop", "held numbers in fit and holds other names now"),
    ],
)
def test_a_bad_column_raises(column, value, message):
    X = make_stream()
    history = make_history().fit(X)
    with pytest.raises(ValueError, match=message):
        history.transform(X.assign(**{column: value}))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("time", np.nan, "time: column 'time' contains NaN"),
        ("amount", np.inf, "values: column 'amount' contains infinity"),
        ("customer", None, "entities: column 'customer' contains missing names"),
        ("customer", np.nan, "entities: column 'customer' contains missing names"),
        ("customer", pd.NA, "entities: column 'customer' contains missing names"),
        ("terminal", np.nan, "entities: column 'terminal' contains NaN"),
        ("customer", 7, "must hold names of one type"),
        ("terminal", "shop", "must hold names of one type"),
        ("time", "noon", "holds strings"),
        ("amount", "much", "holds strings"),
    ],
)
def test_a_single_bad_entry_raises(column, value, message):
    X = make_stream().astype({column: object})
    X.loc[3, column] = value
    with pytest.raises(ValueError, match=message):
        make_history(values=["amount"]).fit(X)


def test_a_name_that_cannot_be_one_raises():
    X = make_stream(3)
    X["customer"] = [["a"], ["b"], ["c"]]
    with pytest.raises(TypeError, match="entities: column 'customer'"):
        make_history().fit(X)


def test_an_empty_table_raises():
    X = make_stream()
    for history, table in (
        (make_history(), X),
        (HistoryFeatures(2, entities=[0, 1]), X.to_numpy()),
    ):
        with pytest.raises(ValueError, match="0 sample"):
            history.fit(table).transform(table[:0])
        with pytest.raises(ValueError, match="0 sample"):
            history.fit(table[:0])


def test_input_is_left_alone():
    X = make_stream()
    before = X.copy()
    make_history().fit(X).transform(X)
    assert_frame_equal(X, before)
