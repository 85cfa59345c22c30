"""Splitters, and criteria without labels, to choose between settings."""

from skad.model_selection._agreement import consensus, stability
from skad.model_selection._level_sets import excess_mass, neg_mass_volume
from skad.model_selection._outlier_folds import InlierKFold, OutlierKFold
from skad.model_selection._split import TimeOrderedSplit

__all__ = [
    "InlierKFold",
    "OutlierKFold",
    "TimeOrderedSplit",
    "consensus",
    "excess_mass",
    "neg_mass_volume",
    "stability",
]
