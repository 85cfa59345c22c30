"""Transformers that make features of raw records, for any detector in a pipeline."""

from skad.preprocessing._history import HistoryFeatures

__all__ = ["HistoryFeatures"]
