"""The hourly load of radio cells with crowds and faults."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.spatial.distance import cdist

from skad.datasets import make_radio_network

KINDS = ["drop", "shift", "stuck", "decoupled"]
HOUR = pd.Timedelta("1h")


def pivoted(X, name):
    return X.pivot(index="time", columns="cell", values=name)


def unusual(X):
    """Return by what factor load is above that of the cell's usual hour of the week."""
    load = np.log(pivoted(X, "load"))
    return load - load.groupby([load.index.day_of_week, load.index.hour]).transform(
        "median"
    )


@given(
    st.integers(2, 20),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(0, 2),
    st.floats(0, 0.9),
    st.integers(0, 1000),
)
@settings(max_examples=30)
def test_a_network_is_what_is_asked_for(
    n_cells, n_train, n_test, n_crowds, n_faults, missing, seed
):
    X_train, X_test, y_test, events = make_radio_network(
        n_cells,
        n_train,
        n_test,
        n_crowds=n_crowds,
        n_faults=n_faults,
        missing=missing,
        random_state=seed,
    )
    for X, n_days in ((X_train, n_train), (X_test, n_test)):
        n_rows = 24 * n_days * n_cells
        assert len(X) == n_rows - int(missing * n_rows)
        assert list(X) == ["cell", "time", "x", "y", "type", "load", "users"]
        assert_array_equal(X.index, np.arange(len(X)))
        assert not X.duplicated(["cell", "time"]).any()
        assert_frame_equal(X, X.sort_values(["time", "cell"]))
        assert X["load"].between(0, 1, inclusive="neither").all()
        assert (X["users"] > 0).all()
    assert X_train["time"].dtype == "datetime64[ns]"
    split = pd.Timestamp("2024-01-01") + pd.Timedelta(days=n_train)
    end = split + pd.Timedelta(days=n_test)
    assert (X_train["time"] < split).all()
    assert X_test["time"].between(split, end, inclusive="left").all()
    assert events["kind"].eq("crowd").sum() == n_crowds
    assert len(events) == n_crowds + n_faults
    assert events["start"].is_monotonic_increasing
    assert (events["stop"] <= end).all()
    assert (events["start"] >= split)[events["kind"] != "crowd"].all()
    expected = np.ones(len(X_test), dtype=int)
    for event in events[events["kind"] != "crowd"].itertuples():
        during = (X_test["time"] >= event.start) & (X_test["time"] < event.stop)
        assert np.all(expected[during & (X_test["cell"] == event.cell)] == 1)
        expected[during & (X_test["cell"] == event.cell)] = -1
    assert_array_equal(y_test, expected)


def test_every_cell_has_a_row_for_every_hour_a_place_and_a_type():
    X_train, X_test, _, _ = make_radio_network(random_state=0)
    X = pd.concat([X_train, X_test])
    hours = pd.date_range("2024-01-01", periods=28 * 24, freq="h")
    table = pivoted(X, "load")
    assert_array_equal(table.index, hours)
    assert table.notna().all(axis=None)
    assert list(table) == [f"cell {i:02d}" for i in range(60)]
    cells = X.drop_duplicates(["cell", "x", "y", "type"])
    assert len(cells) == 60
    assert set(cells["type"]) == {"macro", "street", "indoor"}
    assert cells[["x", "y"]].min(axis=None) >= 0
    assert cells[["x", "y"]].max(axis=None) <= np.sqrt(60)


def test_users_go_with_load():
    X, _, _, _ = make_radio_network(random_state=0)
    load, users = pivoted(X, "load"), pivoted(X, "users")
    assert load.corrwith(users).min() > 0.9


def test_days_follow_the_hour_and_weekends_differ_most_where_offices_are():
    X, _, _, _ = make_radio_network(n_crowds=0, n_faults=0, random_state=0)
    load = pivoted(X, "load")
    is_weekend = load.index.day_of_week >= 5
    hourly = load[~is_weekend].groupby(load.index[~is_weekend].hour).mean()
    assert (hourly.loc[3] < 0.5 * hourly.max()).all()
    rests = load[~is_weekend].mean() / load[is_weekend].mean()
    assert rests.max() > 1.5
    assert rests.min() < 1.1
    office_like = hourly.loc[11] / hourly.loc[20]
    assert np.corrcoef(np.log(office_like), np.log(rests))[0, 1] > 0.8


def test_types_have_levels_and_reactions_of_their_own():
    X, _, _, _ = make_radio_network(200, n_crowds=0, n_faults=0, random_state=0)
    by_type = X.groupby("type")["load"]
    level = by_type.quantile(0.9)
    assert level["macro"] > level["street"] > level["indoor"]
    contrast = level / by_type.quantile(0.1)
    assert contrast["macro"] < contrast["street"] < contrast["indoor"]


def test_neighbors_resemble_one_another_more_than_cells_far_away():
    X, _, _, _ = make_radio_network(n_crowds=0, n_faults=0, random_state=0)
    correlation = unusual(X).corr().to_numpy()
    place = X.drop_duplicates("cell")[["x", "y"]]
    distance = cdist(place, place)
    near = correlation[(distance > 0) & (distance < 1)].mean()
    far = correlation[distance > 5].mean()
    assert near > 0.6
    assert abs(far) < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_raises_the_cells_that_it_is_said_to_raise(seed):
    X_train, X_test, _, events = make_radio_network(
        n_crowds=4, n_faults=0, random_state=seed
    )
    X = pd.concat([X_train, X_test])
    raised = unusual(X)
    place = X.drop_duplicates("cell").set_index("cell")[["x", "y"]]
    for crowd in events.itertuples():
        assert 3 <= (crowd.stop - crowd.start) / HOUR <= 8
        during = raised[(raised.index >= crowd.start) & (raised.index < crowd.stop)]
        is_concerned = during.columns.isin(crowd.cells)
        within = during.loc[:, is_concerned].mean(axis=None)
        assert within > during.loc[:, ~is_concerned].mean(axis=None) + 0.2
        distance = np.hypot(place["x"] - crowd.x, place["y"] - crowd.y)
        assert crowd.cell == distance.idxmin()
        assert crowd.cell in crowd.cells


def test_both_parts_have_their_share_of_crowds():
    _, X_test, _, events = make_radio_network(n_crowds=21, random_state=0)
    crowds = events[events["kind"] == "crowd"]
    split = X_test["time"].min()
    assert (crowds["start"] >= split).sum() == 6  # a quarter, rounded up
    assert not ((crowds["start"] < split) & (crowds["stop"] > split)).any()


@pytest.fixture(scope="module")
def faults():
    """Return a dict: of each kind, what is shown, would be and was before, by fault."""
    _, X, _, events = make_radio_network(n_faults=20, random_state=0)
    X_train, clean, _, _ = make_radio_network(n_faults=0, random_state=0)
    found = {kind: [] for kind in KINDS}
    for fault in events[events["kind"] != "crowd"].itertuples():
        shown, usual = (
            table.loc[table["cell"] == fault.cell].set_index("time")[["load", "users"]]
            for table in (X, pd.concat([X_train, clean]))
        )
        when = slice(fault.start, fault.stop - HOUR)
        found[fault.kind].append(
            (shown[when].to_numpy(), usual[when].to_numpy(), usual, fault)
        )
    return found


def test_faults_change_nothing_but_their_rows():
    X_train, X, y, events = make_radio_network(n_faults=20, random_state=0)
    same, clean, _, _ = make_radio_network(n_faults=0, random_state=0)
    assert_frame_equal(X_train, same)
    columns = ["load", "users"]
    assert_array_equal((X[columns] != clean[columns]).any(axis=1), y == -1)
    faults = events[events["kind"] != "crowd"]
    assert ((faults["stop"] - faults["start"]) / HOUR).between(6, 16).all()
    assert faults["kind"].value_counts().to_dict() == dict.fromkeys(KINDS, 5)
    assert faults["cells"].tolist() == [(cell,) for cell in faults["cell"]]
    assert faults[["x", "y"]].isna().all(axis=None)


def test_drop_leaves_little_of_load_and_users(faults):
    for shown, usual, _, _ in faults["drop"]:
        left = shown[:, 1] / usual[:, 1]
        assert_allclose(left, left[0])
        assert 0 < left[0] < 0.1
        assert np.all(shown[:, 0] < 0.2 * usual[:, 0])


def test_shift_is_a_factor_of_the_offered_load(faults):
    for shown, usual, _, _ in faults["shift"]:
        assert_array_equal(shown[:, 1], usual[:, 1])
        factor = np.log1p(-shown[:, 0]) / np.log1p(-usual[:, 0])
        assert_allclose(factor, factor[0])
        assert 1.5 <= max(factor[0], 1 / factor[0]) <= 2.5


def test_stuck_repeats_the_hour_before_it(faults):
    for shown, _, series, fault in faults["stuck"]:
        last = series.loc[fault.start - HOUR]
        assert_array_equal(shown, np.tile(last, (len(shown), 1)))


def test_decoupled_shows_another_time_of_the_cell(faults):
    for shown, usual, series, _ in faults["decoupled"]:
        stretches = np.lib.stride_tricks.sliding_window_view(series, shown.shape)[:, 0]
        assert (stretches == shown).all(axis=(1, 2)).sum() == 1
        assert np.all(shown != usual)


def test_data_are_determined_by_the_seed():
    first, again, other = (
        make_radio_network(20, 3, 2, n_faults=4, missing=0.1, random_state=seed)
        for seed in (0, 0, 1)
    )
    for i in (0, 1, 3):
        assert_frame_equal(first[i], again[i])
        assert not first[i].equals(other[i])
    assert_array_equal(first[2], again[2])


def test_without_events_there_are_none():
    _, X_test, y_test, events = make_radio_network(
        1, 1, 1, n_crowds=0, n_faults=0, random_state=0
    )
    assert len(X_test) == 24
    assert_array_equal(y_test, 1)
    assert len(events) == 0
    assert events["start"].dtype == "datetime64[ns]"


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_cells": 0}, ValueError, "n_cells == 0, must be >= 1"),
        ({"n_train_days": 0}, ValueError, "n_train_days == 0, must be >= 1"),
        ({"n_test_days": 1.5}, TypeError, "n_test_days must be an instance of"),
        ({"n_crowds": -1}, ValueError, "n_crowds == -1, must be >= 0"),
        ({"n_faults": -1}, ValueError, "n_faults == -1, must be >= 0"),
        ({"missing": 1.0}, ValueError, "missing == 1.0, must be < 1"),
        ({"n_cells": 1}, ValueError, "n_faults is 15; there was no room for more than"),
        ({"random_state": "x"}, ValueError, "cannot be used to seed"),
    ],
)
def test_bad_parameter_raises(params, error, message):
    with pytest.raises(error, match=message):
        make_radio_network(**params)
