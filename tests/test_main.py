"""The command line: what it prints and writes, and how it ends."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.ensemble import IsolationForest

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


class Small(IsolationForest):
    """Takes images of three by four pixels."""

    def fit(self, X, y=None):
        return super().fit(X.reshape(len(X), 12))

    def score_samples(self, X):
        return super().score_samples(X.reshape(len(X), 12))


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


def test_tables_of_text_are_compared_on(small, capsys):
    rows = pd.DataFrame(np.load(small / "data" / "one.npz")["X"], columns=["a", "b"])
    rows = rows.assign(broken=np.arange(60) < 8, day="Monday")
    (small / "text").mkdir()
    rows.to_csv(small / "text" / "mine.csv", index=False)
    options = ["--data", "text", "--seeds", "1", "--detectors", "quick"]
    columns = ["--label", "broken", "--drop", "day"]
    assert main([*options, *columns, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["kinds"]["tables"]["scores"]["mine"]["Quick"] > 0.5
    assert result["command"] == (
        "python -m skad compare --data text --label broken --drop day "
        "--detectors quick --seeds 1"
    )


def test_images_are_resized(small, capsys, monkeypatch):
    detectors = {"Small": lambda quick: Small()}
    monkeypatch.setitem(registry._DETECTORS, "images", detectors)
    for part in ("train/good", "test/good", "test/bad"):
        (small / "pictures" / "mine" / part).mkdir(parents=True)
        for i in range(9):
            image = b"P5 4 6 255 " + bytes([200 if part == "test/bad" else i] * 24)
            (small / "pictures" / "mine" / part / f"{i}.pgm").write_bytes(image)
    options = ["--kind", "images", "--data", "pictures", "--image-size", "3x4"]
    assert main([*options, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert "--image-size 3x4" in result["command"]
    assert result["kinds"]["images"]["scores"]["mine"]["Small"] > 0.8


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
        (
            ["--data", "."],
            "has no data sets; tables are files that end with",
        ),
        (["--label", "broken"], "--label is for files and needs --data"),
        (["--drop", "a,b"], "--drop is for files and needs --data"),
        (["--image-size", "8"], "--image-size is for files and needs --data"),
        (["--data", "data", "--image-size", "8"], "--image-size is not for tables"),
        (["--data", "data", "--drop", "day"], "drop: no file has a column 'day'"),
        (["--image-size", "8x8x3"], "'8x8x3' is not N or HEIGHTxWIDTH"),
        (["--image-size", "8x0"], "'0' is not a positive integer"),
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


def test_the_module_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "skad", "detect", str(tmp_path / "absent.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("skad: error:")
