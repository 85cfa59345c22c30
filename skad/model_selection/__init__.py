"""Splitters for series, whose rows have an order that a fold must not undo."""

from skad.model_selection._split import TimeOrderedSplit

__all__ = ["TimeOrderedSplit"]
