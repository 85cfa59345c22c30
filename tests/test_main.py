"""The command line: what it prints and writes, and how it ends."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.ensemble import IsolationForest

from skad import UnsupervisedRandomForest
from skad._cli import _errors as errors
from skad._cli import main
from skad.benchmark import _registry as registry


class Fails(IsolationForest):
    """Fails on data of three columns."""

    def fit(self, X, y=None):
        if X.shape[1] == 3:
            raise ValueError("three is too many")
        return super().fit(X)


class Talks(IsolationForest):
    """Prints while it learns."""

    def fit(self, X, y=None):
        print("talkative")
        return super().fit(X)


class Dies(IsolationForest):
    """Takes its process along."""

    def fit(self, X, y=None):
        os._exit(1)


class Numbers(IsolationForest):
    """Takes the numbers of a network's records."""

    def fit(self, X, y=None):
        return super().fit(X[["x", "y", "load"]])

    def score_samples(self, X):
        return super().score_samples(X[["x", "y", "load"]])


class Interrupts(IsolationForest):
    """Stands for a person who presses Ctrl-C during the third fit."""

    calls = 0

    def fit(self, X, y=None):
        Interrupts.calls += 1
        if Interrupts.calls == 3:
            raise KeyboardInterrupt
        print("talkative")
        return super().fit(X)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Three small detectors, a folder of two small data sets, an empty folder."""
    Interrupts.calls = 0
    detectors = {
        "Quick": lambda quick: IsolationForest(n_estimators=2 if quick else 3),
        "Fails": lambda quick: Fails(n_estimators=2),
        "Slow": lambda quick: Interrupts(n_estimators=2),
        "Dies": lambda quick: Dies(n_estimators=2),
        "Talks": lambda quick: Talks(n_estimators=2),
    }
    kinds = {"tables": detectors, "networks": {"Other": lambda quick: Numbers()}}
    monkeypatch.setattr(registry, "_DETECTORS", kinds)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name, n_features in (("one", 2), ("two", 3)):
        X = np.random.default_rng(0).normal(size=(60, n_features))
        X[:8] += 4
        np.savez(tmp_path / "data" / f"{name}.npz", X=X, y=np.arange(60) < 8)
    return tmp_path


def compare(*options):
    return main(["--data", "data", "--seeds", "2", *options])


def test_compare_prints_a_table_and_writes_a_report(small, capsys):
    assert compare("--detectors", "quick,fails") == 0
    out, err = capsys.readouterr()
    assert "AUROC" in out
    assert "Fails *" in out
    assert "Fails failed on two (2 runs): ValueError: three is too many" in out
    assert "8/8" in err  # the progress bar
    folder = small / "skad-report"
    assert {path.name for path in folder.iterdir()} == {
        "report.html",
        "results.jsonl",
        "runs.csv",
        "summary.csv",
    }
    assert len(pd.read_csv(folder / "runs.csv")) == 8
    command = "python -m skad compare --data data --detectors quick,fails --seeds 2"
    assert command in (folder / "report.html").read_text(encoding="utf-8")


def test_json_is_all_that_is_printed(small, capsys):
    Interrupts.calls = 10
    assert compare("--json", "--detectors", "slow,fails") == 0
    result = json.loads(capsys.readouterr().out)["kinds"]["tables"]
    assert {row["detector"] for row in result["summary"]} == {"Slow", "Fails"}
    assert result["scores"]["two"]["Fails"] is None
    assert len(result["runs"]) == 8


@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_what_detectors_print_is_not_in_the_result(small, capfd, n_jobs):
    # joblib's workers outlive a test, and write where they wrote when they began.
    get_reusable_executor().shutdown()
    assert compare("--json", "--detectors", "talks", "--n-jobs", n_jobs) == 0
    out, err = capfd.readouterr()
    assert len(json.loads(out)["kinds"]["tables"]["runs"]) == 4
    assert "talkative" in err


def test_an_interruption_writes_a_report_and_the_next_call_goes_on(small, capsys):
    options = ("--detectors", "quick,slow", "--output", "out", "--datasets", "one")
    assert compare(*options) == 130
    out, err = capsys.readouterr()
    assert "interrupted after 3 of 4 runs" in err
    assert "Quick" in out  # the first seed is complete
    report = small / "out" / "report.html"
    assert "3 of 4 runs were made" in report.read_text(encoding="utf-8")
    assert len((small / "out" / "results.jsonl").read_text().splitlines()) == 3
    assert compare(*options) == 0
    assert "3 runs of an earlier call used again" in capsys.readouterr().err
    assert "runs were made." not in report.read_text(encoding="utf-8")
    assert compare(*options, "--fresh") == 0
    assert "earlier call" not in capsys.readouterr().err


def test_a_process_that_dies_is_named_and_what_is_done_is_kept(small, capsys):
    assert compare("--detectors", "quick") == 0
    capsys.readouterr()
    assert compare("--detectors", "quick,dies", "--n-jobs", "2") == 130
    out, err = capsys.readouterr()
    assert "interrupted after 4 of 8 runs" in err
    assert "a process died" in err
    assert "no data set was finished by all detectors" in out
    assert (small / "skad-report" / "report.html").exists()


def test_an_interruption_at_once_says_so(small, capsys):
    Interrupts.calls = 2
    # The warm-up is interrupted.
    assert compare("--detectors", "slow") == 130
    out, err = capsys.readouterr()
    assert "no table yet" in out
    assert "interrupted after 0 of 4 runs" in err


def test_an_interruption_of_the_first_round_shows_its_runs(small, capsys):
    Interrupts.calls = 2
    assert compare("--detectors", "quick,fails,slow", "--datasets", "two") == 130
    out = capsys.readouterr().out
    assert "no table yet" in out
    assert "two, Quick: AUROC 0." in out
    assert "two, Fails: ValueError: three is too many" in out


def test_a_bad_file_is_named_and_the_others_go_on(small, capsys):
    (small / "data" / "bad.npz").write_text("no archive")
    np.savez(small / "data" / "dull.npz", X=np.ones((20, 2)), y=np.zeros(20))
    assert compare("--detectors", "quick") == 1
    out, err = capsys.readouterr()
    assert "AUROC" in out
    for name in ("bad.npz", "dull.npz"):
        assert name in err
        assert name in (small / "skad-report" / "report.html").read_text("utf-8")


def test_the_embedded_data_are_compared_by_default(small, capsys):
    options = ("--detectors", "quick", "--datasets", "wine", "--seeds", "1")
    assert main([*options, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["kinds"]) == ["tables"]
    assert list(result["kinds"]["tables"]["scores"]) == ["wine"]


def test_every_kind_of_data_has_a_table_and_a_part_of_the_report(small, capsys):
    assert main(["--datasets", "iris,cells1", "--detectors", "other,quick"]) == 0
    out = capsys.readouterr().out
    assert out.index("tables") < out.index("Quick") < out.index("networks")
    runs = pd.read_csv(small / "skad-report" / "runs.csv")
    # Two seeds of tables and one of the others, in a quick comparison.
    assert runs["kind"].tolist() == ["tables", "tables", "networks"]
    summary = pd.read_csv(small / "skad-report" / "summary.csv")
    assert summary["detector"].tolist() == ["Quick", "Other"]


def test_kinds_without_what_is_asked_for_are_left_out(small, capsys):
    assert main(["--detectors", "other", "--datasets", "cells 2", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["kinds"]) == ["networks"]
    assert main(["--kind", "networks", "--datasets", "cells 2", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["kinds"]) == ["networks"]


def test_a_quick_comparison_is_the_default_on_embedded_data_only(small, capsys):
    wine = ("--datasets", "wine", "--detectors", "quick")
    data = ("--data", "data", "--datasets", "one", "--detectors", "quick")
    for options, n_runs in [
        (wine, 2),
        ((*wine, "--no-quick"), 5),
        (data, 5),
        ((*data, "--quick"), 2),
    ]:
        assert main([*options, "--json", "--fresh"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert len(result["kinds"]["tables"]["runs"]) == n_runs
        assert ("--no-quick" in result["command"]) == ("--no-quick" in options)


def test_data_of_another_kind_than_tables(small, capsys):
    X = np.random.default_rng(0).normal(size=(40, 5))
    y, columns = np.arange(40) < 5, ["cell", "time", "x", "y", "load"]
    np.savez(small / "data" / "net.npz", X_train=X, X_test=X, y_test=y, columns=columns)
    options = ("--data", "data", "--kind", "networks", "--datasets", "net")
    assert main([*options, "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["kinds"]["networks"]["runs"]
    assert [run["status"] for run in runs] == ["ok"] * 5


def test_runs_at_the_same_time_make_the_same_tables(small, capsys):
    options = ("--detectors", "quick,fails", "--json", "--fresh")
    results = []
    for more in ([], ["--n-jobs", "2"]):
        assert compare(*options, *more) == 0
        (result,) = json.loads(capsys.readouterr().out)["kinds"].values()
        results.append(result)
    assert results[0]["scores"] == results[1]["scores"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--detectors", "nonsense"], "unknown detector 'nonsense'; known are Dies,"),
        (["--kind", "tea"], "unknown kind of data 'tea'; known are tables, networks"),
        (["--kind", "tables,networks", "--data", "."], "--data holds one kind of data"),
        (["--detectors", "other", "--datasets", "iris"], "no kind of data has both"),
        (["--n-jobs", "0", "--datasets", "iris"], "n_jobs=0 must be"),
        (["--datasets", "nonsense"], "unknown data set 'nonsense'; known are "),
        (["--data", "nowhere"], "is not a folder"),
        (["--data", "."], "has no .npz files"),
        (["--seeds", "0"], "'0' is not a positive integer"),
        (["--detectors", ","], "expected names separated by commas"),
        (["--max-samples", "3"], "max_samples"),
        (["nonsense"], "invalid choice: 'nonsense'"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_two(small, capsys, options, message):
    assert main(options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]


def test_data_of_which_nothing_can_be_read_is_an_error(small, capsys):
    for path in (small / "data").iterdir():
        path.write_text("no archive")
    assert compare() == 2
    assert "no data set could be read: data/one.npz" in capsys.readouterr().err.replace(
        "\\", "/"
    )


def test_an_output_that_is_a_file_is_an_error(small, capsys):
    (small / "taken").touch()
    assert compare("--output", "taken", "--detectors", "quick") == 2
    assert "taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [("jinja2", [], "benchmark"), ("pandas", ["detect", "a.csv"], "table")],
)
def test_a_missing_dependency_names_the_extra(
    monkeypatch, capsys, package, arguments, extra
):
    found = errors.find_spec
    monkeypatch.setattr(
        errors, "find_spec", lambda name: None if name == package else found(name)
    )
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err == (
        f'skad: error: {package} is not installed; run: pip install "skad[{extra}]"\n'
    )


@pytest.mark.parametrize("options", [["--help"], ["detect", "--help"], ["--version"]])
def test_help_needs_nothing_heavy(options):
    code = (
        "import sys; from skad._cli import main; status = main(sys.argv[1:]); "
        "assert status == 0; assert 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "skad" in done.stdout


def mixed_table(n_samples=200):
    """A table as people have it; rows 17 and 42 are strange, each in its way."""
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], n_samples).astype(object)
    table = pd.DataFrame(
        {
            "id": [f"customer-{i}" for i in range(n_samples)],
            "number": np.arange(1000, 1000 + n_samples),
            "amount": rng.normal(100, 5, n_samples),
            "count": rng.integers(0, 4, n_samples),
            "colour": colour,
            "paid": rng.random(n_samples) < 0.5,
            "when": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(rng.integers(0, 10**6, n_samples), unit="s"),
            "same": "always",
            "empty": np.nan,
        }
    )
    table.loc[16, ["amount", "count"]] = [400.0, 30]
    table.loc[41, "when"] = pd.Timestamp("2041-01-01")
    table.loc[41, "amount"] = 300.0
    table.loc[::9, "amount"] = np.nan
    table.loc[5::11, "colour"] = None
    return table


def detect(*arguments):
    return main(["detect", *map(str, arguments)])


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_detect_finds_and_explains_planted_rows(tmp_path, capsys, ending):
    path = tmp_path / f"table.{ending}"
    if ending == "parquet":
        mixed_table().to_parquet(path)
    else:
        mixed_table().to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    assert detect(path, "--top", 3, "--contamination", 0.05) == 0
    out, err = capsys.readouterr()
    for note in (
        "left out, texts that are hardly ever the same ('customer-0'): 'id'",
        "left out, it counts the rows: 'number'",
        "read as times, in seconds: 'when'",
        "left out, constant: 'same'",
        "left out, all values missing: 'empty'",
    ):
        assert note in err
    scores = pd.read_csv(tmp_path / "table-scores.csv")
    assert scores["row"].tolist() == list(range(1, 201))
    assert set(scores.nsmallest(2, "score")["row"]) == {17, 42}
    assert set(scores["label"]) == {-1, 1}
    assert (scores["label"] == -1).sum() == 10
    by_row = scores.set_index("row")
    assert {by_row.loc[17, "feature_1"], by_row.loc[17, "feature_2"]} == {
        "amount",
        "count",
    }
    assert {by_row.loc[42, "feature_1"], by_row.loc[42, "feature_2"]} == {
        "amount",
        "when",
    }
    assert "The 3 strangest of 200 rows; 10 labelled -1." in out
    assert "amount = 400" in out
    assert "2041-01-01" in out


def test_detect_writes_the_table_as_it_was_beside_the_scores(tmp_path):
    path = tmp_path / "table.csv"
    lines = ["code,n,score", *(f"00{i % 7},{i % 5},{i * i % 13}" for i in range(30))]
    path.write_text("\n".join(lines))
    assert detect(path, "--drop", "score") == 0
    written = pd.read_csv(tmp_path / "table-scores.csv", dtype=str)
    given = pd.read_csv(path, dtype=str)
    pd.testing.assert_frame_equal(written[["code", "n", "score"]], given)
    assert "skad_score" in written
    assert set(written["skad_feature_1"].dropna()) <= {"code", "n"}


def test_detect_has_written_when_the_reader_of_its_output_goes_away(tmp_path):
    path = tmp_path / "table.csv"
    mixed_table(60).to_csv(path, index=False)
    command = f"{sys.executable} -m skad detect {path} | true"
    subprocess.run(command, shell=True, check=True)
    assert len(pd.read_csv(tmp_path / "table-scores.csv")) == 60


def test_what_a_column_adds_to_any_row_is_no_reason(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=100), "half": rng.random(100) < 0.5})
    table.loc[6, "x"] = 30
    table.to_csv(tmp_path / "table.csv", index=False)
    assert detect(tmp_path / "table.csv") == 0
    scores = pd.read_csv(tmp_path / "table-scores.csv").set_index("row")
    assert scores["score"].idxmin() == 7
    assert scores.loc[7, "feature_1"] == "x"
    assert pd.isna(scores.loc[7, "feature_2"])


def test_detect_passes_on_what_the_detector_warns_of(tmp_path, monkeypatch, capsys):
    fit = UnsupervisedRandomForest._fit

    def warn(self, X):
        for _ in range(2):
            warnings.warn("so so", UserWarning, stacklevel=2)
        fit(self, X)

    monkeypatch.setattr(UnsupervisedRandomForest, "_fit", warn)
    (tmp_path / "table.csv").write_text(GOOD)
    assert detect(tmp_path / "table.csv") == 0
    assert capsys.readouterr().err.splitlines().count("skad: so so") == 1


def test_detect_says_so_where_ties_leave_no_label(tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,x\n2,y\n" * 15)
    assert detect(path) == 0
    out = capsys.readouterr().out
    assert "0 labelled -1" in out
    assert "No label is -1: too many rows share the lowest score." in out


def test_a_reason_is_not_torn_apart_at_the_end_of_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 4)))
    table.columns = [f"a column with number {i}" for i in range(4)]
    table.to_csv(tmp_path / "table.csv", index=False)
    assert detect(tmp_path / "table.csv", "--top", 1) == 0
    printed = capsys.readouterr().out.splitlines()[3:]
    reasons = printed[: printed.index("")]
    assert reasons
    assert all("a column with number" in line and "= " in line for line in reasons)


def test_detect_reads_npz_and_writes_parquet(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(100, 3))
    X[7, 1] = 12
    np.savez(tmp_path / "data.npz", X=X, y=np.zeros(100))
    output = tmp_path / "out.parquet"
    assert detect(tmp_path / "data.npz", "--output", output, "--drop", "x2") == 0
    scores = pd.read_parquet(output)
    strangest = scores.loc[scores["score"].idxmin()]
    assert (strangest["row"], strangest["feature_1"]) == (8, "x1")
    assert strangest["value_1"] == "12"
    assert "feature_3" not in scores
    assert "y is not used" in capsys.readouterr().err


def test_detect_gives_the_same_scores_to_the_same_seed(tmp_path):
    path = tmp_path / "table.csv"
    mixed_table(60).to_csv(path, index=False)
    frames = []
    for name, seed in (("a.csv", 1), ("b.csv", 1), ("c.csv", 2)):
        assert detect(path, "--output", tmp_path / name, "--seed", seed) == 0
        frames.append(pd.read_csv(tmp_path / name))
    assert frames[0].equals(frames[1])
    assert not frames[0]["score"].equals(frames[2]["score"])


def test_detect_says_what_it_replaces(tmp_path, capsys):
    path = tmp_path / "table.csv"
    mixed_table(60).to_csv(path, index=False)
    for said in (False, True):
        assert detect(path) == 0
        err = capsys.readouterr().err
        assert ("was there and has been replaced" in err) == said


GOOD = "a,b\n" + "\n".join(f"{i % 7},{i % 5}" for i in range(30))


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("absent.csv", None, [], "absent.csv is not a file"),
        ("table.xls", GOOD, [], "unknown ending; known are .csv,"),
        ("table.csv", "", [], "table.csv is empty"),
        ("table.csv", "a,b\n", [], "has 0 rows; expected at least 10"),
        ("table.csv", "a,b\n1,2\n", [], "has 1 row; expected at least 10"),
        ("table.csv", "a,b,a\n1,2,3\n", [], "has 'a' twice"),
        ("table.csv", GOOD + "\n1,2,3,4", [], "cannot be read"),
        ("table.csv", GOOD + "\ninf,2", [], "column 'a' holds 1 infinite values"),
        ("table.csv", GOOD, ["--drop", "c"], "no column 'c' to drop; there are a, b"),
        ("table.csv", GOOD, ["--drop", "a,b"], "no column is left"),
        ("table.csv", GOOD, ["--contamination", "2"], "contamination"),
        ("table.csv", GOOD, ["--output", "scores.txt"], "unknown ending"),
        ("table.csv", GOOD, ["--output", "table.csv"], "is the input"),
        ("table.csv", GOOD, ["--output", "no/where.csv"], "is not a folder"),
        ("table.csv", GOOD, ["--n-jobs", "0"], "n_jobs"),
        ("table.csv", GOOD, ["--seed", "-1"], "random_state"),
        ("table.parquet", "no parquet", [], "cannot be read"),
        ("table.npz", "no archive", [], "cannot be read"),
    ],
)
def test_detect_refuses_in_one_line(
    tmp_path, monkeypatch, capsys, name, content, options, message
):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_text(content)
    assert detect(name, *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("skad: error: ")
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err


def test_detect_refuses_a_folder_as_output(tmp_path, capsys):
    (tmp_path / "table.csv").write_text(GOOD)
    (tmp_path / "out.csv").mkdir()
    assert detect(tmp_path / "table.csv", "--output", tmp_path / "out.csv") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_module_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "skad", "detect", str(tmp_path / "absent.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("skad: error:")
