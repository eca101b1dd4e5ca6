"""Features of events: possible inputs of classifiers and variables of plots."""

from processors.features import optional, standard
from processors.features.computing import compute_features, count_oddities
from processors.features.optional import tagger_feature
from processors.features.registry import FEATURES, Feature, feature
from processors.features.requested import requested_features, required_features, wanted_names
from processors.features.standard import nsubjettiness_ratio

__all__ = [
    "FEATURES",
    "Feature",
    "compute_features",
    "count_oddities",
    "feature",
    "nsubjettiness_ratio",
    "optional",
    "requested_features",
    "required_features",
    "standard",
    "tagger_feature",
    "wanted_names",
]
