"""Decorrelation: features replaced by their ranks among events of similar m_jj."""

from analysis.learning.decorrelation.percentiles import MIN_EVENTS, PercentileMap, PercentileScaling, mass_bins
from analysis.learning.decorrelation.quantiles import QuantileMap, QuantileScaling
from analysis.learning.decorrelation.scaling import MAPS, FeatureMap, FeatureScaling, configured_scaling

__all__ = [
    "MAPS",
    "MIN_EVENTS",
    "FeatureMap",
    "FeatureScaling",
    "PercentileMap",
    "PercentileScaling",
    "QuantileMap",
    "QuantileScaling",
    "configured_scaling",
    "mass_bins",
]
