"""Tables in files as people have them: what had to be guessed is told."""

import codecs
import csv
import re
import zipfile
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

ENDINGS = (".csv", ".tsv", ".parquet", ".npz")
SEPARATORS = ("\t", ";", "|", ",")
NUMBER = r"[-+]?[.,]?\d[\d.,]*(e[-+]?\d+)?"
N_LINES = 50  # that the separator is guessed from

# What the readers raise on a file that is not what its ending says.
_UNREADABLE = (ValueError, OSError, EOFError, NotImplementedError)
_UNREADABLE += (csv.Error, zipfile.BadZipFile)


def read_table(path):
    """Read a file into a DataFrame; return it with notes for the user.

    Columns of a text file stay text, so that every value can be shown and written
    as it is in the file.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if not path.is_file():
        raise ValueError(f"{path} is not a file.")
    if ending not in ENDINGS:
        raise ValueError(f"{path}: unknown ending; known are {', '.join(ENDINGS)}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty.")
    reader = {".npz": _read_npz, ".parquet": _read_parquet}.get(ending, _read_text)
    try:
        table, notes = reader(path)
    except _UNREADABLE as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} cannot be read: {line}") from error
    table.columns = [str(name) for name in table.columns]
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise ValueError(f"{path} has several columns called {repeated[0]!r}.")
    return table.reset_index(drop=True), notes


def _read_text(path):
    encoding, notes = _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        lines = list(islice(file, N_LINES))
    n_skipped, separator = 0, None
    if announced := re.fullmatch("sep=(.)", lines[0].rstrip()):  # Excel's habit
        n_skipped, separator = 1, announced[1]
    separator = separator or _separator(lines)
    header = next(filter(None, _records(lines[n_skipped:], separator)), [])
    names, found = _names(header)
    if separator != "," and path.suffix.lower() == ".csv":
        found.append(f"columns are separated by {separator!r}")
    table = pd.read_csv(
        path,
        sep=separator,
        encoding=encoding,
        dtype=str,
        skiprows=n_skipped,
        skipinitialspace=True,
        header=None if names is None else 0,
    )
    if not isinstance(table.index, pd.RangeIndex):  # pandas took them for names of rows
        raise ValueError("the rows have more fields than the first line")
    if names is None:
        names = [f"column_{i}" for i in range(table.shape[1])]
    table.columns = names
    return table, notes + found


def _encoding(path):
    """UTF-8, or what Windows and Excel write instead; binary files are refused."""
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", []
    if b"\0" in start:
        raise ValueError("it is not a text file")
    for encoding, notes in (
        ("utf-8-sig", []),
        ("cp1252", ["the text is not UTF-8 and is read as Windows-1252"]),
    ):
        try:
            with path.open(encoding=encoding) as file:
                for _ in iter(partial(file.read, 2**20), ""):
                    pass
            return encoding, notes
        except UnicodeDecodeError:
            continue
    raise ValueError("it is not a text file in UTF-8 or Windows-1252")


def _separator(lines):
    """The separator with which the first lines have equally many fields."""

    def quality(separator):
        widths = [len(record) for record in _records(lines, separator) if record]
        if not widths:
            raise ValueError("it holds blank lines only")
        # A comma is more often part of a field than the others are.
        even = widths[0] > 1 and len(set(widths)) == 1
        return even, even and separator != ",", widths[0]

    return max(reversed(SEPARATORS), key=quality)


def _records(lines, separator):
    records = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    # The last one may be cut where a quoted field goes over several lines.
    return records[:-1] if len(lines) == N_LINES else records


def _names(header):
    """The columns' names, or None if the first line is a row; and notes."""
    header = [name.strip() for name in header]
    numbers = [name for name in header if re.fullmatch(NUMBER, name, re.IGNORECASE)]
    if len(numbers) == len(header):
        return None, ["the first line holds numbers and is read as a row"]
    names = [name or f"column_{i}" for i, name in enumerate(header)]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:  # pandas would rename them
        raise ValueError(
            f"the first line, which names the columns, has {repeated[0]!r} twice"
        )
    if numbers:
        return names, [f"the first line is read as names, although it has {numbers[0]}"]
    return names, []


def _read_parquet(path):
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ImportError(
            "Parquet files need pyarrow, which is not installed: pip install "
            '"skad[table]"'
        ) from error
    with ParquetFile(path) as file:
        return file.read().to_pandas(), []


def _read_npz(path):
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not an .npz file, which is a zip archive")
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        chosen = ["X"] if "X" in names else names
        arrays = {name: _member(archive, name) for name in chosen}
    notes = [f"{name} is not used" for name in names if name not in chosen]
    if len(arrays) == 1:
        (X,) = arrays.values()
        if X.ndim == 2:
            columns = [f"x{i}" for i in range(X.shape[1])]
            return pd.DataFrame(X, columns=columns), notes
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) == 1 and len(next(iter(shapes))) == 1 and chosen == names:
        return pd.DataFrame(arrays), notes
    found = ", ".join(f"{name} of shape {a.shape}" for name, a in arrays.items())
    raise ValueError(
        f"expected a table X, or columns of the same length; found {found or 'nothing'}"
    )


def _member(archive, name):
    try:
        array = archive[name]
    except ValueError:  # of NumPy, which speaks of pickle here
        array = None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} holds neither numbers nor text")
    return array
