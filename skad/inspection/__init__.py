"""Explanations of detectors, also of those inside a pipeline."""

from skad.inspection._explain import explain

__all__ = ["explain"]
