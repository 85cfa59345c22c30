"""Compare detectors on data sets: one protocol, tables, plots and a report."""

from skad.benchmark._compare import compare
from skad.benchmark._comparison import Comparison
from skad.benchmark._data import default_datasets
from skad.benchmark._registry import default_detectors

__all__ = ["Comparison", "compare", "default_datasets", "default_detectors"]
