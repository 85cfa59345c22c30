"""Explanations and pictures of detectors, also of those inside a pipeline."""

from skad.inspection._anomaly_map_display import AnomalyMapDisplay
from skad.inspection._attribution_display import AttributionDisplay
from skad.inspection._embedding import proximity_embedding
from skad.inspection._embedding_display import EmbeddingDisplay
from skad.inspection._explain import explain
from skad.inspection._node_display import NodeDisplay
from skad.inspection._score_display import ScoreDistributionDisplay

__all__ = [
    "AnomalyMapDisplay",
    "AttributionDisplay",
    "EmbeddingDisplay",
    "NodeDisplay",
    "ScoreDistributionDisplay",
    "explain",
    "proximity_embedding",
]
