"""CAnemon as a whole: what it finds, and what its scores do not depend on."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skad import CAnemon
from skad.datasets import make_radio_network
from skad.inspection import explain
from skad.metrics import get_scorer

COLUMNS = {
    "node": "cell",
    "time": "time",
    "position": ["x", "y"],
    "attributes": ["type"],
}
SMALL = {"n_neighbors": 5, "hidden_size": 16, "attention_size": 8, "batch_size": 128}
KPIS = ["load", "users"]


def make(**params):
    small = {**COLUMNS, **SMALL, "max_epochs": 4, "random_state": 0}
    return CAnemon(**{**small, **params})


@pytest.fixture(scope="module")
def network():
    """Return cells with crowds in both parts and faults in the second."""
    return make_radio_network(24, 10, 5, n_crowds=8, n_faults=12, random_state=0)


@pytest.fixture(scope="module")
def fitted(network):
    return make().fit(network[0])


@pytest.fixture(scope="module")
def plain(network):
    """Return a detector whose scores are of single rows of KPIs."""
    return make(smoothing=1, change_window=0, robust=False).fit(network[0])


@pytest.fixture(scope="module")
def calm():
    """Return a network in which nothing happens."""
    return make_radio_network(16, 8, 2, n_crowds=0, n_faults=0, random_state=1)[:2]


def neighbors_of(detector, X):
    """Return the names of the neighbours of each cell."""
    _, names = detector.attention(X)
    return {cell: set(found) for cell, found in zip(X["cell"], names, strict=True)}


def spread_without_tails(readings):
    """Return what the detector measures readings by."""
    ordered = np.sort(readings)
    n_cut = -(-len(ordered) // 100)
    return np.clip(readings, ordered[n_cut], ordered[-1 - n_cut]).std(ddof=0)


def rows_in(X, events):
    """Return which rows are of a cell during one of its events."""
    is_in = np.zeros(len(X), dtype=bool)
    for event in events.itertuples():
        is_in |= (
            X["cell"].isin(event.cells)
            & (X["time"] >= event.start)
            & (X["time"] < event.stop)
        ).to_numpy()
    return is_in


def test_faults_are_told_from_what_is_usual_and_from_crowds(network, fitted):
    X_train, X, y, events = network
    anomaly = -fitted.score_samples(X)
    crowded = rows_in(X, events[events["kind"] == "crowd"]) & (y == 1)
    past = X_train.groupby(["cell", X_train["time"].dt.hour])["load"].median()
    usual = past.loc[list(zip(X["cell"], X["time"].dt.hour, strict=True))].to_numpy()
    by_history = np.abs(X["load"] - usual)
    for among in (y < 2, crowded | (y == -1)):
        found, expected = (
            roc_auc_score(y[among] == -1, score[among])
            for score in (anomaly, by_history)
        )
        assert found > 0.8
        assert found > expected


def test_cells_that_were_never_seen_are_scored(network):
    X_train, X, y, _ = network
    cells = X["cell"].unique()
    known = make().fit(X_train[X_train["cell"].isin(cells[::2])])
    is_new = ~X["cell"].isin(known.nodes_).to_numpy()
    scores = known.score_samples(X[is_new])
    assert roc_auc_score(y[is_new], scores) > 0.8
    assert neighbors_of(known, X[is_new])[cells[1]] <= set(cells[1::2])


@pytest.mark.parametrize("shuffled", [False, True])
def test_names_of_nodes_and_the_order_of_rows_change_no_score(calm, shuffled):
    X_train, X = calm
    expected = make(max_epochs=1).fit(X_train).score_samples(X)
    rng = np.random.default_rng(0)
    cells = X["cell"].unique()
    names = dict(zip(cells, rng.permutation(len(cells)).tolist(), strict=True))
    order = rng.permutation(len(X)) if shuffled else np.arange(len(X))
    fitted_to = rng.permutation(len(X_train)) if shuffled else np.arange(len(X_train))
    renamed = [part.assign(cell=part["cell"].map(names)) for part in (X_train, X)]
    detector = make(max_epochs=1).fit(renamed[0].iloc[fitted_to])
    scores = detector.score_samples(renamed[1].iloc[order])
    assert_array_equal(scores, expected[order])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_the_order_of_rows_changes_no_score(network, fitted, seed):
    X = network[1].iloc[:2000]
    order = np.random.default_rng(seed).permutation(len(X))
    scores = fitted.score_samples(X)
    assert_array_equal(fitted.score_samples(X.iloc[order]), scores[order])


@given(st.floats(-2, 2), st.integers(0, 119), st.integers(0, 23))
@settings(max_examples=15)
def test_what_a_whole_neighbourhood_shares_changes_no_score(
    network, plain, size, hour, cell
):
    X_train, X = network[:2]
    name = X["cell"].unique()[cell]
    affected = {name, *neighbors_of(plain, X.iloc[:24])[name]}
    spread = X_train.groupby("cell")[KPIS].agg(spread_without_tails)
    at = (X["time"] == X["time"].unique()[hour]) & X["cell"].isin(affected)
    shocked = X.copy()
    shocked.loc[at, KPIS] += size * spread.loc[X.loc[at, "cell"]].to_numpy()
    row = (at & (X["cell"] == name)).to_numpy()
    before, after = plain.score_samples(X)[row], plain.score_samples(shocked)[row]
    # The net counts in float32, and its readings are up to ten spreads of 0.1.
    assert_allclose(after, before, atol=1e-4)


@given(st.integers(0, 23), st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_cells_that_are_no_neighbours_have_no_influence(network, fitted, cell, seed):
    X = network[1].iloc[: 24 * 40]
    name = X["cell"].unique()[cell]
    neighbors = neighbors_of(fitted, X)
    # Nor any of their neighbours, whose contexts are judged by theirs.
    beyond = {
        other: found.union(*(neighbors[n] for n in found))
        for other, found in neighbors.items()
    }
    others = [other for other in neighbors if name not in {other, *beyond[other]}]
    changed, rng = X.copy(), np.random.default_rng(seed)
    here = (X["cell"] == name).to_numpy()
    changed.loc[here, KPIS] = rng.random((here.sum(), 2))
    apart = X["cell"].isin(others).to_numpy()
    assert apart.any()
    before, after = fitted.score_samples(X), fitted.score_samples(changed)
    assert_array_equal(after[apart], before[apart])
    assert (after[here] != before[here]).any()


def test_attention_sums_to_one_and_names_neighbours(network, fitted):
    X = network[1]
    weights, names = fitted.attention(X)
    assert weights.shape == names.shape == (len(X), 5)
    assert (weights >= 0).all()
    assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert set(names.ravel()) <= set(fitted.nodes_)
    assert not (names == X["cell"].to_numpy()[:, np.newaxis]).any()


def test_a_neighbour_that_shows_nothing_gets_no_attention(network, plain):
    X = network[1].iloc[: 24 * 30]
    name = X["cell"].iloc[0]
    other = plain.attention(X)[1][0, 0]
    weights, names = plain.attention(X[X["cell"] != other])
    first = (X.loc[X["cell"] != other, "cell"] == name).to_numpy()
    assert (weights[first][names[first] != None] > 0).all()  # noqa: E711
    assert set(names[first].ravel()) == neighbors_of(plain, X)[name] - {other} | {None}
    assert_allclose(weights[first].sum(axis=1), 1, rtol=1e-6)


def test_explanations_sum_to_minus_the_score(network, fitted):
    X = network[1]
    contributions = fitted.explain(X)
    assert contributions.shape == X.shape
    assert (contributions >= 0).all()
    assert_allclose(contributions.sum(axis=1), -fitted.score_samples(X))
    others = [X.columns.get_loc(name) for name in ("cell", "time", "x", "y", "type")]
    assert not contributions[:, others].any()


def test_the_kpi_that_is_off_explains_the_row(calm):
    X_train, X = calm
    X = X.copy()
    at = X.index[(X["cell"] == X["cell"].iloc[0])][10:20]
    X.loc[at, "users"] *= 3
    contributions = make().fit(X_train).explain(X)[X.index.get_indexer(at)]
    users, load = X.columns.get_loc("users"), X.columns.get_loc("load")
    assert (contributions[:, users] > contributions[:, load]).all()


def test_estimates_are_in_the_units_of_the_kpis(network, fitted):
    X = network[1]
    expected, std = fitted.predict_readings(X, return_std=True)
    assert_array_equal(fitted.predict_readings(X), expected)
    assert expected.shape == std.shape == (len(X), 2)
    assert (std > 0).all()
    error = np.abs(expected - X[KPIS].to_numpy())
    deviation = np.abs(X[KPIS] - X.groupby("cell")[KPIS].transform("mean")).to_numpy()
    assert (error.mean(axis=0) < deviation.mean(axis=0)).all()
    assert (np.median(error / std, axis=0) < 1).all()


def test_events_name_cell_time_and_kind(calm):
    X_train, X = calm
    X = X.copy()
    cells, times = X["cell"].unique(), X["time"].unique()
    during = X["time"].isin(times[10:22])
    # Cells far from one another, that each is judged by neighbours that work.
    detector = make(contamination=0.02, max_epochs=12).fit(X_train)
    neighbors = neighbors_of(detector, X)
    broken = []
    for cell in cells:
        if not any(cell in neighbors[b] or b in neighbors[cell] for b in broken):
            broken.append(cell)
    assert len(broken) > 2
    dead, stuck = broken[::2], broken[1::2]
    X.loc[during & X["cell"].isin(dead), KPIS] = 0.0
    for cell in stuck:
        here = X["cell"] == cell
        X.loc[here & during, KPIS] = X.loc[here, KPIS].iloc[9].to_numpy()
    found = detector.events(X.sample(frac=1, random_state=0), min_duration=8)
    shown = dict(zip(found.node, found, strict=True))
    assert {shown[cell].kind for cell in dead} == {"drop to zero"}
    assert {shown[cell].kind for cell in stuck} == {"flat line"}
    for cell in dead:
        assert shown[cell].n_steps >= 10
        assert shown[cell].start <= times[11] and shown[cell].end >= times[20]
        assert shown[cell].n_neighbors == 5
    assert len(detector.events(X, min_duration=49)) == 0


def test_rows_of_events_are_positions_in_the_callers_rows(network, fitted):
    X = network[1].sample(frac=1, random_state=1)
    scores, labels = fitted.score_samples(X), fitted.predict(X)
    events = fitted.events(X, min_duration=3)
    assert len(events) > 0
    for event in events:
        rows = X.iloc[[event.first, event["last"], event.peak]]
        assert (rows["cell"] == event.node).all()
        assert rows["time"].tolist()[:2] == [event.start, event.end]
        assert labels[event.first] == labels[event["last"]] == -1
        assert scores[event.peak] == event.score


def test_a_cell_alone_is_judged_by_its_own_past_and_flagged(calm):
    X_train, X = calm
    detector = make(max_epochs=20).fit(X_train)
    alone = X[X["cell"] == X["cell"].iloc[3]].copy()
    at = np.arange(len(alone) - 12, len(alone) - 6)
    with pytest.warns(UserWarning, match="1 of 1 nodes have no neighbours in X, 'cell"):
        before = detector.score_samples(alone)
    alone.iloc[at, [alone.columns.get_loc(name) for name in KPIS]] = 0.0
    with pytest.warns(UserWarning, match="judged by their own past"):
        after = detector.score_samples(alone)
    assert (after[at] < before[at]).all()
    assert_array_equal(after[: at[0] - 6], before[: at[0] - 6])
    detector.offset_ = after[at].max() + 1e-9
    with pytest.warns(UserWarning, match="judged by their own past"):
        events = detector.events(alone, min_duration=6)
    assert (events.n_neighbors == 0).all()
    assert at[0] in events.first and at[-1] in events["last"]
    weights, names = detector.attention(alone)
    assert not weights.any()
    assert (names == None).all()  # noqa: E711


def test_with_one_node_fit_works_as_well(calm):
    X_train, X = (part[part["cell"] == part["cell"].iloc[0]] for part in calm)
    alone = pytest.warns(UserWarning, match="judged by their own past")
    with (
        alone,
        pytest.warns(UserWarning, match=r"n_neighbors \(5\) is greater .*\(0\)"),
    ):
        detector = make().fit(X_train)
    with pytest.warns(UserWarning, match="judged by their own past"):
        assert np.isfinite(detector.score_samples(X)).all()


def test_missing_rows_and_readings_are_masked():
    data = make_radio_network(
        16, 8, 4, n_crowds=0, n_faults=10, missing=0.1, random_state=0
    )
    X_train, X, y, _ = data
    rng = np.random.default_rng(0)
    X_train, X = (
        part.assign(load=part["load"].where(rng.random(len(part)) > 0.1))
        for part in (X_train, X)
    )
    with pytest.raises(ValueError, match="contains NaN"):
        make().fit(X_train)
    detector = make(missing="mask").fit(X_train)
    scores = detector.score_samples(X)
    assert roc_auc_score(y, scores) > 0.8
    contributions = detector.explain(X)[:, X.columns.get_loc("load")]
    assert not contributions[X["load"].isna()].any()


def test_a_row_without_any_reading_gets_the_usual_score(calm):
    X_train, X = calm
    detector = make(missing="mask", max_epochs=1).fit(X_train)
    empty = X.copy()
    empty.loc[X.index[5], KPIS] = np.nan
    assert detector.score_samples(empty)[5] == np.median(
        detector.score_samples(X_train)
    )


def test_causal_scores_depend_on_no_later_row(network):
    X_train, X = network[:2]
    detector = make(causal=True, max_epochs=1).fit(X_train)
    scores = detector.score_samples(X)
    changed = X.copy()
    late = (X["time"] >= X["time"].unique()[60]).to_numpy()
    changed.loc[late, KPIS] = 0.5
    assert_array_equal(detector.score_samples(changed)[~late], scores[~late])
    assert_array_equal(detector.score_samples(X[~late]), scores[~late])


def test_the_past_of_neighbours_cannot_tell_a_crowd(network, fitted):
    X_train, X, y, events = network
    crowded = rows_in(X, events[events["kind"] == "crowd"])
    past = make(neighbor_window="past").fit(X_train)
    found, expected = (
        roc_auc_score(y[crowded], detector.score_samples(X)[crowded])
        for detector in (fitted, past)
    )
    assert found > expected + 0.1


def test_a_neighbour_that_fails_is_not_believed(calm):
    X_train, X = calm
    cell, during = X["cell"].iloc[0], X["time"].isin(X["time"].unique()[8:20])
    here = ((X["cell"] == cell) & during).to_numpy()
    lost = []
    for robust in (False, True):
        detector = make(robust=robust, max_epochs=10).fit(X_train)
        weights, names = detector.attention(X)
        heard = names[here][0][weights[here].mean(axis=0).argmax()]
        broken = X.copy()
        broken.loc[during & (X["cell"] == heard), KPIS] = 0.0
        before, after = (detector.score_samples(x)[here] for x in (X, broken))
        lost.append(np.mean(before - after))
    assert lost[0] > 0
    assert lost[1] < lost[0] / 2


def test_what_has_failed_does_not_come_back_a_day_later(network):
    X_train, X = network[:2]
    cell, times = X["cell"].iloc[3], X["time"].unique()
    here = (X["cell"] == cell).to_numpy()
    broken = X.copy()
    broken.loc[here & X["time"].isin(times[10:22]), KPIS] = 0.0
    later = here & X["time"].isin(times[50:60]).to_numpy()
    changes = []
    for robust in (False, True):
        detector = make(robust=robust, max_epochs=10).fit(X_train)
        before, after = (detector.score_samples(x)[later] for x in (X, broken))
        changes.append(np.abs(after - before).mean())
    assert changes[1] < changes[0] / 2


def test_an_adjacency_in_any_form_gives_the_same_scores(calm):
    X_train, X = calm
    columns = {**COLUMNS, "position": None, "attributes": ["type", "x", "y"]}
    cells = sorted(X["cell"].unique())
    matrix = np.zeros((16, 16))
    for i in range(15):
        matrix[i, i + 1] = 1
    table = [(cells[i], cells[i + 1]) for i in range(15)]
    forms = [table, (matrix, cells), (sparse.csr_array(matrix), cells)]
    forms += [pd.DataFrame(table, columns=["from", "to"])]
    found = []
    for form in forms:
        detector = make(**columns, max_epochs=1).fit(X_train, adjacency=form)
        found.append(detector.score_samples(X))
        assert_array_equal(detector.score_samples(X, adjacency=form), found[0])
    for scores in found[1:]:
        assert_array_equal(scores, found[0])
    assert neighbors_of(detector, X)[cells[5]] == {cells[4], cells[6], None}


def test_without_places_the_most_correlated_are_neighbours(network):
    X_train, X, y, _ = network
    X_train, X = X_train.drop(columns=["x", "y"]), X.drop(columns=["x", "y"])
    detector = make(position=None).fit(X_train)
    assert roc_auc_score(y, detector.score_samples(X)) > 0.8


def test_columns_may_be_given_by_index_in_an_array(calm):
    numbers = []
    for part in calm:
        hours = (part["time"] - part["time"].min()).dt.total_seconds() / 3600
        cells = part["cell"].str[-2:].astype(int)
        numbers.append(np.column_stack([cells, hours, part[["x", "y", *KPIS]]]))
    params = {"node": 0, "time": 1, "position": [2, 3], "attributes": None}
    detector = make(**params, max_epochs=1).fit(numbers[0])
    named = make(attributes=None, max_epochs=1)
    expected = named.fit(calm[0].drop(columns="type"))
    assert_array_equal(
        detector.score_samples(numbers[1]),
        expected.score_samples(calm[1].drop(columns="type")),
    )
    assert detector.kpis_ == [4, 5]


def test_it_ends_a_pipeline_and_is_searched(network):
    X_train, X, y, _ = network
    scaled = make_column_transformer(
        (StandardScaler(), KPIS),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(scaled, make(max_epochs=1))
    both = pd.concat([X_train, X], ignore_index=True)
    labels = np.r_[np.ones(len(X_train)), y]
    is_test = np.repeat([-1, 0], [len(X_train), len(X)])
    search = GridSearchCV(
        pipeline,
        {"canemon__change_window": [0, 6]},
        scoring=get_scorer("roc_auc"),
        cv=PredefinedSplit(is_test),
    ).fit(both, labels)
    assert search.best_score_ > 0.75
    contributions = explain(search.best_estimator_, X)
    assert contributions[:, :2].any() and not contributions[:, 2:].any()


def test_a_copy_scores_alike(network, fitted):
    X = network[1]
    copy = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(copy.score_samples(X), fitted.score_samples(X))
    again = clone(fitted).fit(network[0])
    assert_array_equal(again.score_samples(X), fitted.score_samples(X))


def test_parameters_set_after_fit_wait_for_the_next(network, fitted):
    X = network[1]
    changed = pickle.loads(pickle.dumps(fitted))
    changed.set_params(window_size=5, horizon=2, smoothing=1, change_window=0)
    changed.set_params(node=None, missing="mask", n_neighbors=1, neighbor_window="past")
    assert_array_equal(changed.score_samples(X), fitted.score_samples(X))


def test_training_goes_on_and_may_stop_early(network):
    X_train, X = network[:2]
    detector = make(max_epochs=2, warm_start=True).fit(X_train)
    before = detector.history_[-1]["train_loss"]
    detector.fit(X_train)
    assert detector.n_iter_ == 4
    assert detector.history_[-1]["train_loss"] < before
    stopped = make(n_iter_no_change=1, max_epochs=30, lr=0.05).fit(X_train)
    assert stopped.n_iter_ < 30
    assert np.isfinite(stopped.score_samples(X)).all()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"time": None}, "node is given and time is None"),
        ({"node": None}, "time is given and node is None"),
        ({"node": "name"}, "node='name' names 'name'; the columns of X are"),
        ({"position": ["x"], "metric": "haversine"}, "needs position to name two"),
        ({"attributes": ["type", "load"]}, "has more than one value in column 'load'"),
        ({"attributes": None}, "convert '(macro|street|indoor)' in column 'type' to a"),
        ({"attributes": ["type", "x"]}, "'x' is given more than once"),
    ],
)
def test_wrong_columns_are_named(calm, params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(calm[0])


def test_wrong_rows_are_named(calm, fitted, network):
    X = network[1]
    with pytest.raises(ValueError, match="rows of one node at one time"):
        fitted.score_samples(pd.concat([X, X.iloc[:1]]))
    with pytest.raises(ValueError, match="no multiple of"):
        late = X.copy()
        late.loc[late.index[3], "time"] += pd.Timedelta(minutes=10)
        fitted.score_samples(late)
    with pytest.raises(ValueError, match="holds numbers; in fit these were dates"):
        fitted.score_samples(X.assign(time=np.arange(len(X))))
    with pytest.raises(ValueError, match="more than one value in column 'x'"):
        fitted.score_samples(X.assign(x=np.arange(len(X))))


def test_events_and_adjacency_need_a_node():
    X = np.random.default_rng(0).normal(size=(60, 3))
    detector = CAnemon(n_neighbors=3, max_epochs=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="node and time are None"):
        detector.events(X)
    with pytest.raises(ValueError, match="adjacency is given and node is None"):
        detector.score_samples(X, adjacency=[(0, 1)])


@pytest.mark.parametrize("name, value", [("min_duration", 0), ("max_gap", -1)])
def test_wrong_durations_are_named(network, fitted, name, value):
    with pytest.raises(ValueError, match=f"{name} == {value}, must be >="):
        fitted.events(network[1], **{name: value})


def test_rows_are_judged_by_the_nearest_rows_of_fit():
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 10, size=(600, 1))
    X = np.hstack([place, np.sin(place) + 0.05 * rng.normal(size=(600, 1))])
    detector = CAnemon(position=[0], n_neighbors=8, max_epochs=20, random_state=0)
    detector.fit(X)
    odd = np.column_stack([np.linspace(1, 9, 9), np.sin(np.linspace(1, 9, 9)) + 0.6])
    assert detector.score_samples(odd).max() < detector.offset_
    _, rows = detector.attention(odd)
    assert (np.abs(X[rows.astype(int), 0] - odd[:, :1]) < 0.5).all()
    # A row of fit is not its own neighbour.
    _, rows = detector.attention(X)
    assert not (rows == np.arange(600)[:, np.newaxis]).any()
