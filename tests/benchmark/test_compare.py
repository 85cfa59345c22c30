"""The comparison: what it measures, keeps, counts and shows."""

import copy
import json
import math
import time
import warnings
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from pyod.models.knn import KNN
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skad.benchmark import Comparison, FixedSplit, compare, default_detectors
from skad.benchmark._compare import Plan
from skad.benchmark._problem import make_problem
from skad.benchmark._store import Store, describe, run_key
from skad.interop import PyODDetector


class Norm(BaseEstimator):
    """Minus the distance to the origin; the sign and the failures are parameters."""

    calls = 0

    def __init__(self, sign=1, fails_above=math.inf, random_state=None):
        self.sign = sign
        self.fails_above = fails_above
        self.random_state = random_state

    def fit(self, X, y=None):
        Norm.calls += 1
        assert y is None
        if X.shape[1] > self.fails_above:
            raise ValueError("too wide\nfor me")
        self.fitted_ = True  # a pipeline asks for it
        return self

    def score_samples(self, X):
        return -self.sign * np.linalg.norm(X, axis=1)


class NotFinite(Norm):
    def score_samples(self, X):
        return np.full(len(X), np.nan)


class Slow(Norm):
    """Ends once the results of another run are in a file, which is its `sign`."""

    def fit(self, X, y=None):
        while not Path(self.sign).exists():
            time.sleep(0.01)
        return self

    def score_samples(self, X):
        return X[:, 0]


class Interrupts(Norm):
    """Stands for a person who presses Ctrl-C during the third fit."""

    def fit(self, X, y=None):
        super().fit(X)
        if Norm.calls == 3:
            raise KeyboardInterrupt
        return self


@pytest.fixture(autouse=True)
def _no_calls_yet():
    Norm.calls = 0


def planted(n_features=3, n_samples=80, n_anomalies=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    y = np.zeros(n_samples, dtype=int)
    y[:n_anomalies] = 1
    X[:n_anomalies] += 6
    return X, y


NARROW, WIDE = planted(2), planted(5, seed=1)


def test_perfect_and_inverted_scores_get_one_and_zero():
    comparison = compare({"up": Norm(), "down": Norm(sign=-1)}, {"a": NARROW}, seeds=2)
    assert comparison.scores("auroc").loc["a"].to_dict() == {"up": 1.0, "down": 0.0}
    assert comparison.table()["rank"].to_dict() == {"up": 1.0, "down": 2.0}


@pytest.mark.parametrize("labels", [{0: 1, 1: -1}, {0: False, 1: True}])
def test_every_convention_of_labels_is_understood(labels):
    X, y = NARROW
    y = np.array([labels[label] for label in y])
    assert compare({"up": Norm()}, {"a": (X, y)}, seeds=1).records[0]["auroc"] == 1


def test_pyod_detectors_get_their_own_sign():
    detectors = {
        "plain": KNN(),
        "piped": make_pipeline(StandardScaler(), KNN()),
        "wrapped": PyODDetector(KNN()),
    }
    scores = compare(detectors, {"a": planted(n_anomalies=4)}, seeds=1).scores()
    assert (scores.loc["a"] > 0.9).all()


def test_the_mean_is_over_data_sets_of_the_mean_over_seeds():
    comparison = compare(
        {"forest": IsolationForest(n_estimators=2)},
        {"a": (NARROW[0] / 4, NARROW[1]), "b": (WIDE[0] / 9, WIDE[1])},
        seeds=3,
    )
    runs = comparison.to_frame().pivot(index="dataset", columns="seed", values="auroc")
    row = comparison.table().loc["forest"]
    assert row["auroc"] == pytest.approx(runs.mean(axis=1).mean())
    squared_errors = runs.var(axis=1) / 3
    assert row["auroc_se"] == pytest.approx(np.sqrt(squared_errors.sum()) / 2)


def test_the_same_seeds_give_the_same_scores():
    first, second = (
        compare({"forest": IsolationForest(n_estimators=3)}, {"a": WIDE}, seeds=2)
        for _ in range(2)
    )
    assert first.scores().equals(second.scores())


def test_one_seed_has_no_standard_error():
    assert np.isnan(compare({"up": Norm()}, {"a": NARROW}, seeds=1).table().iloc[0, 2])


def test_a_failure_is_kept_counted_and_ranked_last():
    detectors = {"down": Norm(sign=-1), "fails": Norm(fails_above=3)}
    comparison = compare(detectors, {"a": NARROW, "b": WIDE}, seeds=2)
    table = comparison.table()
    assert table.loc["fails", ["n_failed", "n_datasets"]].tolist() == [2, 1]
    assert table.loc["fails", "auroc"] == 1  # of the data set where it worked
    assert table["rank"].to_dict() == {"down": 1.5, "fails": 1.5}
    assert comparison.failures().to_dict("records") == [
        {
            "detector": "fails",
            "dataset": "b",
            "error": "ValueError: too wide",
            "n_runs": 2,
        }
    ]
    assert comparison.to_dict()["scores"]["b"]["fails"] is None


def test_scores_that_are_not_finite_are_a_failure():
    comparison = compare({"nan": NotFinite()}, {"a": NARROW}, seeds=1)
    assert comparison.records[0]["status"] == "failed"
    assert "24 of 24 scores are not finite" in comparison.records[0]["error"]
    assert math.isnan(comparison.table().loc["nan", "auroc"])


def test_a_large_data_set_is_reduced_with_its_share_of_anomalies():
    X, y = planted(n_samples=400, n_anomalies=40)
    parts = make_problem("a", (X, y), 100).split(0, 100)
    assert (len(parts.X_train), len(parts.X_test)) == (70, 30)
    assert parts.is_anomaly.sum() == 3
    rows = np.vstack([parts.X_train, parts.X_test])
    assert len(np.unique(rows, axis=0)) == 100


def test_data_frames_reach_the_detector_as_they_are():
    class Typed(Norm):
        def fit(self, X, y=None):
            assert list(X.dtypes.astype(str)) == ["float64", "category"]
            return self

        def score_samples(self, X):
            return -X["a"].to_numpy()

    X, y = NARROW
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(["u", "v"] * 40)})
    comparison = compare({"typed": Typed()}, {"frame": (frame, y)}, seeds=1)
    assert comparison.records[0]["status"] == "ok"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(80), "data set 'a': 0 anomalous rows of 80"),
        (np.arange(80), "data set 'a': y has 80 labels"),
        (np.ones(9), "data set 'a': y has 9 entries; expected 80"),
    ],
)
def test_a_bad_data_set_is_named(y, message):
    with pytest.raises(ValueError, match=message):
        compare({"up": Norm()}, {"a": (NARROW[0], y)})


@pytest.mark.parametrize(
    "detector",
    [LogisticRegression(), LocalOutlierFactor(), StandardScaler(), IsolationForest],
)
def test_what_is_no_detector_is_refused_by_name(detector):
    with pytest.raises(TypeError, match="detector 'mine'"):
        compare({"mine": detector}, {"a": NARROW})


@pytest.mark.parametrize("argument", [{"seeds": 0}, {"max_samples": 3}, {"n_jobs": 0}])
def test_a_number_out_of_range_is_refused(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        compare({"up": Norm()}, {"a": NARROW}, **argument)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        compare({}, {"a": NARROW})


@pytest.mark.parametrize(
    ("detectors", "datasets", "message"),
    [
        ([Norm()], {"a": NARROW}, "detectors must be a dict whose keys are str"),
        ({"up": Norm()}, {1: NARROW}, "datasets must be a dict whose keys are str"),
    ],
)
def test_names_are_words(detectors, datasets, message):
    with pytest.raises(TypeError, match=message):
        compare(detectors, datasets)


def test_what_is_no_pair_is_no_data_set():
    with pytest.raises(ValueError, match=r"data set 'a': expected \(X, y\) or a Fixed"):
        compare({"up": Norm()}, {"a": (*NARROW, 1)})


def test_what_cannot_be_sent_to_another_process_is_refused_at_once():
    with pytest.raises(TypeError, match="detector 'lock': cannot pickle"):
        compare({"lock": Norm(sign=Lock())}, {"a": NARROW}, n_jobs=2)


@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_a_level_of_significance_is_a_probability(alpha):
    with pytest.raises(ValueError, match="alpha"):
        compare({"up": Norm()}, {"a": NARROW}, seeds=1).rank_test(alpha)


def test_runs_at_the_same_time_come_to_the_same(tmp_path):
    detectors = {f"forest {n}": IsolationForest(n_estimators=n) for n in (1, 2, 3)}
    asked = detectors, {"a": NARROW, "b": WIDE}
    one = compare(*asked, seeds=2).to_frame()
    two = compare(*asked, seeds=2, n_jobs=2, results=tmp_path / "r.jsonl").to_frame()
    columns = ["dataset", "detector", "seed", "auroc", "average_precision"]
    assert one[columns].equals(two[columns])
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 12


def test_joblib_decides_where_the_runs_are_made():
    filters = warnings.filters.copy()
    with parallel_config(backend="threading", n_jobs=2):
        comparison = compare({"up": Norm()}, {"a": NARROW}, seeds=3)
    assert Norm.calls >= 4  # in this process, with a warm-up or more
    assert comparison.plan.n_jobs == 2
    assert warnings.filters == filters


def test_data_that_are_the_same_are_run_once():
    comparison = compare({"up": Norm(), "down": Norm(-1)}, {"a": WIDE, "b": WIDE})
    assert Norm.calls == 2 * 6
    assert comparison.scores()["down"].tolist() == [0.0, 0.0]
    assert comparison.n_reused == 0


def test_detectors_that_differ_in_code_alone_are_told_apart():
    def times(factor):
        return FunctionTransformer(lambda X: factor * X)

    detectors = {f"{factor}": make_pipeline(times(factor), Norm()) for factor in (0, 1)}
    scores = compare(detectors, {"a": NARROW}, seeds=1).scores()
    assert scores.loc["a"].to_dict() == {"0": 0.5, "1": 1.0}


def test_runs_are_kept_as_they_end_and_not_in_their_turn(tmp_path):
    results = tmp_path / "results.jsonl"
    quick = IsolationForest(n_estimators=1)
    detectors = {"slow": Slow(sign=str(results)), "quick": quick}
    plan = Plan(detectors, {"a": NARROW}, seeds=1, max_samples=100, n_jobs=2)
    assert [run["detector"] for run in plan.runs(Store(results))] == ["quick", "slow"]
    kept = [json.loads(line)["detector"] for line in results.read_text().splitlines()]
    assert kept == ["quick", "slow"]
    comparison = compare(detectors, {"a": NARROW}, seeds=1, results=results)
    assert [run["detector"] for run in comparison.records] == ["slow", "quick"]


def test_equal_scores_share_a_rank_whatever_their_last_digit():
    class Shifted(Comparison):
        def _over_seeds(self, measure):
            means, errors = super()._over_seeds(measure)
            return means + np.array([0.0, 1e-15]), errors

    plan = Plan({"a": Norm(), "b": Norm()}, {"a": WIDE}, seeds=1, max_samples=100)
    table = Shifted(plan, list(plan.runs(Store()))).table()
    assert table["rank"].tolist() == [1.5, 1.5]


def test_finished_runs_are_used_again(tmp_path):
    results = tmp_path / "deep" / "results.jsonl"
    first = compare({"up": Norm()}, {"a": NARROW}, seeds=2, results=results)
    calls = Norm.calls
    second = compare({"new name": Norm()}, {"b": NARROW}, seeds=3, results=results)
    assert Norm.calls == calls + 2  # the third seed, after a warm-up
    assert [record["reused"] for record in second.records] == [True, True, False]
    assert {record["dataset"] for record in second.records} == {"b"}
    assert second.records[0]["auroc"] == first.records[0]["auroc"]
    assert (first.n_reused, second.n_reused) == (0, 2)


def test_an_interruption_keeps_the_finished_runs(tmp_path):
    results = tmp_path / "results.jsonl"
    asked = {"up": Norm(), "last": Interrupts()}, {"a": NARROW}
    with pytest.raises(KeyboardInterrupt):
        compare(*asked, seeds=1, results=results)
    assert len(results.read_text().splitlines()) == 1
    comparison = compare(*asked, seeds=1, results=results)
    assert [record["reused"] for record in comparison.records] == [True, False]


def test_a_failed_run_is_tried_again(tmp_path):
    results = tmp_path / "results.jsonl"
    for _ in range(2):
        asked = {"fails": Norm(fails_above=1)}, {"a": NARROW}
        comparison = compare(*asked, seeds=1, results=results)
        assert not comparison.records[0]["reused"]


def test_a_line_that_was_cut_off_is_made_again(tmp_path):
    results = tmp_path / "results.jsonl"
    compare({"up": Norm()}, {"a": NARROW}, seeds=2, results=results)
    whole = results.read_text()
    results.write_text(whole[:-20])
    comparison = compare({"up": Norm()}, {"a": NARROW}, seeds=2, results=results)
    assert [record["reused"] for record in comparison.records] == [True, False]
    assert json.loads(results.read_text().splitlines()[-1])["seed"] == 1


def test_a_damaged_byte_costs_one_run(tmp_path):
    results = tmp_path / "results.jsonl"
    compare({"up": Norm()}, {"a": NARROW}, seeds=2, results=results)
    results.write_bytes(b"\xff" + results.read_bytes()[1:])
    comparison = compare({"up": Norm()}, {"a": NARROW}, seeds=2, results=results)
    assert [record["reused"] for record in comparison.records] == [False, True]


def test_the_key_follows_all_that_a_result_depends_on():
    problem = make_problem("a", NARROW, 100)
    assert run_key(Norm(), problem, 0, 80) == run_key(Norm(), problem, 0, 10_000)
    key = run_key(Norm(), problem, 0, 100)
    assert key == run_key(Norm(), make_problem("b", NARROW, 100), 0, 100)
    swapped = NARROW[0], 1 - NARROW[1]
    parts = {"X_train": NARROW[0], "X_test": NARROW[0], "y_test": NARROW[1]}
    others = [
        run_key(Norm(sign=2), problem, 0, 100),
        run_key(NotFinite(), problem, 0, 100),
        run_key(Norm(), make_problem("a", WIDE, 100), 0, 100),
        run_key(Norm(), make_problem("a", swapped, 100), 0, 100),
        run_key(Norm(), problem, 1, 100),
        run_key(Norm(), problem, 0, 79),
        *(
            run_key(Norm(), make_problem("a", FixedSplit(**parts, **more), 100), 0, 100)
            for more in (
                {},
                {"buffer": 1},
                {"fit_params": {"groups": NARROW[1]}},
                {"score_params": {"groups": NARROW[1]}},
            )
        ),
    ]
    assert len({key, *others}) == 11


def test_a_description_tells_nested_parameters_and_arrays_apart():
    net, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    values = [
        make_pipeline(StandardScaler(), KNN(n_neighbors=3)),
        make_pipeline(StandardScaler(), KNN(n_neighbors=4)),
        Norm(sign=np.zeros(2000)),
        Norm(sign=np.r_[np.zeros(1000), 1, np.zeros(999)]),
        FunctionTransformer(np.abs),
        FunctionTransformer(planted),
        *(FunctionTransformer(lambda X, n=n: n * X) for n in (1, 2)),
        *(FunctionTransformer(partial(planted, n)) for n in (1, 2)),
        Norm(sign={"a": np.zeros(2000)}),
        Norm(sign={"a": np.r_[np.zeros(1000), 1, np.zeros(999)]}),
        *(Norm(sign=module) for module in (net, other)),
    ]
    descriptions = {json.dumps(describe(value)) for value in values}
    assert len(descriptions) == len(values)
    assert describe(Norm(sign=net)) == describe(Norm(sign=copy.deepcopy(net)))
    assert not any(" at 0x" in description for description in descriptions)


def test_an_incomplete_round_stays_out_of_the_tables():
    plan = Plan(
        {"up": Norm(), "down": Norm(sign=-1)},
        {"a": NARROW, "b": WIDE},
        seeds=2,
        max_samples=100,
    )
    records = list(plan.runs(Store()))
    comparison = Comparison(plan, records[:3])
    assert comparison.interrupted
    assert list(comparison.scores().index) == ["a"]
    assert len(comparison.to_frame()) == 3
    nothing = Comparison(plan, records[:1])
    assert nothing.scores().empty
    assert nothing.table()["auroc"].isna().all()


def test_no_run_at_all_has_tables_too():
    plan = Plan({"up": Norm()}, {"a": NARROW}, seeds=1, max_samples=99)
    assert Comparison(plan, []).to_dict()["summary"][0]["auroc"] is None


def test_warnings_are_kept():
    class Warns(Norm):
        def fit(self, X, y=None):
            warnings.warn("so so", UserWarning, stacklevel=1)
            return super().fit(X)

    comparison = compare({"warns": Warns()}, {"a": NARROW}, seeds=2)
    assert comparison.warnings()["warnings"].tolist() == ["UserWarning: so so"]
    assert comparison.warnings()["n_runs"].tolist() == [2]


def test_default_detectors_by_name_in_any_case():
    detectors = default_detectors(["knn", "isolation-forest"])
    assert list(detectors) == ["KNN", "IsolationForest"]
    with pytest.raises(ValueError, match="unknown detector 'nn'; known are .*KNN"):
        default_detectors(["nn"])
    with pytest.raises(
        ValueError, match="unknown kind of data 'tea'; known are tables"
    ):
        default_detectors(kind="tea")
