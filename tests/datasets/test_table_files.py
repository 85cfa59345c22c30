"""Tables are read from files as people have them."""

import pickle
import zipfile

import numpy as np
import pytest

from skad.datasets._table_files import read_table


def read(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return read_table(path)


@pytest.mark.parametrize(
    ("first_line", "row", "separator"),
    [
        ("a,b", "1,x", ","),
        ("a;b", "1;x", ";"),
        ("a\tb", "1\tx", "\t"),
        ("a|b", "1|x", "|"),
        ("a;b", "1,5;2,5", ";"),
        ('"a;x;y","b"', "1,x", ","),
        ('"a;x",b', "1;5,x", ","),
        ("a,x,y;b", "1;x", ";"),
        ("1,5;2,5", "3,5;4,5", ";"),
    ],
)
def test_the_separator_is_found(tmp_path, first_line, row, separator):
    table, notes = read(tmp_path, "\n".join([first_line, row, row, row]))
    assert table.shape[1] == 2
    told = f"columns are separated by {separator!r}" in notes
    assert told == (separator != ",")


def test_a_quoted_field_may_go_over_lines_and_hold_separators(tmp_path):
    table, _ = read(tmp_path, "a,b\n" + '"x\n,;,;y",1\n' * 60)
    assert table["a"].tolist() == ["x\n,;,;y"] * 60


def test_values_of_a_text_file_stay_as_they_are_written(tmp_path):
    table, _ = read(tmp_path, "a, b \n007, 1.50\n1e3,\n")
    assert list(table.columns) == ["a", "b"]
    assert table["a"].tolist() == ["007", "1e3"]
    assert table["b"][0] == "1.50"
    assert table["b"].isna().tolist() == [False, True]


def test_excels_line_about_the_separator_is_no_row(tmp_path):
    table, _ = read(tmp_path, "sep=;\na;b\n1,5;2\n")
    assert table.to_dict("list") == {"a": ["1,5"], "b": ["2"]}


def test_a_first_line_of_numbers_is_a_row(tmp_path):
    table, notes = read(tmp_path, "1,2\n3,4\n")
    assert table.to_dict("list") == {"column_0": ["1", "3"], "column_1": ["2", "4"]}
    assert notes == ["the first line holds numbers and is read as a row"]


def test_a_first_line_with_a_number_is_pointed_out(tmp_path):
    table, notes = read(tmp_path, "id,2019,E2\nx,1,2\n")
    assert list(table.columns) == ["id", "2019", "E2"]
    assert notes == ["the first line is read as names, although it has 2019"]


def test_columns_without_a_name_get_one(tmp_path):
    table, _ = read(tmp_path, "a,,\n1,2,3\n")
    assert list(table.columns) == ["a", "column_1", "column_2"]


@pytest.mark.parametrize(
    ("encoding", "n_notes"), [("utf-8-sig", 0), ("utf-16", 0), ("cp1252", 1)]
)
def test_encodings_of_windows_are_read(tmp_path, encoding, n_notes):
    table, notes = read(tmp_path, "Größe,b\nÄ,€\n".encode(encoding))
    assert table.to_dict("list") == {"Größe": ["Ä"], "b": ["€"]}
    assert len(notes) == n_notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x01" * 50, "it is not a text file"),
        (b"a,b\n\x81,1\n", "not a text file in UTF-8 or Windows-1252"),
        ("\n\n", "blank lines only"),
        ("a,b\n1,2,3\n4,5,6\n", "the rows have more fields than the first line"),
        ("a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        ('a,b\n1,"2\n', "EOF inside string"),
        ("a,a\n1,2\n", "the first line, which names the columns, has 'a' twice"),
        ("x" * 200_000 + ',"' + "y" * 200_000, "field larger than field limit"),
    ],
)
def test_a_text_file_that_cannot_be_read_says_why(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"table.csv cannot be read: .*{message}"):
        read(tmp_path, content)


def test_a_file_without_permission_says_so(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "table.csv").write_text("a\n1\n")
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ValueError, match=r"cannot be read: .*Permission denied"):
        read_table(tmp_path / "table.csv")


def test_columns_of_an_npz_file_make_a_table(tmp_path):
    np.savez(tmp_path / "a.npz", size=np.arange(3.0), kind=["x", "y", "x"])
    table, notes = read_table(tmp_path / "a.npz")
    assert table.to_dict("list") == {"size": [0.0, 1.0, 2.0], "kind": ["x", "y", "x"]}
    assert notes == []


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((2, 2, 2))}, r"found X of shape \(2, 2, 2\)"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "columns of the same length"),
        ({}, "found nothing"),
        ({"X": np.array([[None]])}, "X holds neither numbers nor text"),
    ],
)
def test_an_npz_file_without_a_table_says_what_it_has(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.npz")


def test_an_npz_file_that_is_damaged_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", pickle.dumps([1]))
    with pytest.raises(ValueError, match="X holds neither numbers nor text"):
        read_table(path)
    np.savez(path, X=np.arange(20.0).reshape(10, 2))
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read: Bad CRC"):
        read_table(path)


def test_a_parquet_file_with_a_name_twice_is_refused(tmp_path):
    import pyarrow
    from pyarrow import parquet

    column = pyarrow.array([1.0, 2.0])
    parquet.write_table(
        pyarrow.Table.from_arrays([column, column], names=["a", "a"]),
        tmp_path / "a.parquet",
    )
    with pytest.raises(ValueError, match="several columns called 'a'"):
        read_table(tmp_path / "a.parquet")
