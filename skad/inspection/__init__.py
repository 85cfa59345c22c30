"""Explanations of detectors, also of those inside a pipeline."""

from skad.inspection._embedding import proximity_embedding
from skad.inspection._explain import explain

__all__ = ["explain", "proximity_embedding"]
