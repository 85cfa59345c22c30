"""python -m skad detect: what it says of a table, writes and refuses."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skad import UnsupervisedRandomForest
from skad._cli import main


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


def test_detect_names_its_columns_apart_from_those_of_its_own_output(tmp_path):
    table = tmp_path / "table.csv"
    pd.DataFrame({"n": np.arange(30) % 5, "row": np.arange(30) % 3}).to_csv(table)
    for n_times in (1, 2, 3):
        output = tmp_path / f"{n_times}.csv"
        assert detect(table, "--output", output) == 0
        written = output.read_text().splitlines()[0].split(",")
        assert len(set(written)) == len(written)
        assert "skad_" * n_times + "row" in written
        table = output


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
