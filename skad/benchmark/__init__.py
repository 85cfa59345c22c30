"""Compare detectors on data sets: one protocol, tables, plots and a report."""

from skad.benchmark._compare import compare
from skad.benchmark._comparison import Comparison
from skad.benchmark._data import default_datasets
from skad.benchmark._folder import load_folder
from skad.benchmark._problem import FixedSplit
from skad.benchmark._registry import default_detectors, list_kinds
from skad.benchmark._report import write_report

__all__ = [
    "Comparison",
    "FixedSplit",
    "compare",
    "default_datasets",
    "default_detectors",
    "list_kinds",
    "load_folder",
    "write_report",
]
