"""Values that `performance.json` holds: gains of features and of the weight of the simulation."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.regions import MassWindow

__all__ = ["FeatureGain", "GainScan", "PerformanceFile", "WeightGain"]


@dataclass(frozen=True, kw_only=True)
class WeightGain:
    """Performance of classifiers trained with one weight of the simulation; see `GainScan`."""

    weight: float
    sic: tuple[tuple[float, ...], ...]
    auc: tuple[float, ...]
    window_sideband_auc: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FeatureGain:
    """Performance of classifiers with one feature "alone", "without" it, or all "together"; see `GainScan`."""

    use: str
    feature: str | None
    sic: tuple[tuple[float, ...], ...]
    auc: tuple[float, ...]
    window_sideband_auc: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class GainScan:
    """Gain from each feature and from the weight of the simulation, measured on one signal sample.

    Attributes
    ----------
    signal : str
    window : MassWindow
    method : str
    features, labels : tuple of str
    background_efficiencies : tuple of float
    trainings, n_held_out : int
    simulation_weight : tuple of WeightGain
    subsets : tuple of FeatureGain
        Both hold, per training, the significance improvement at each background efficiency, and the areas under the
        ROC curves of signal versus background and of window versus sidebands.
    """

    signal: str
    window: MassWindow
    method: str
    features: tuple[str, ...]
    labels: tuple[str, ...]
    background_efficiencies: tuple[float, ...]
    trainings: int
    n_held_out: int
    simulation_weight: tuple[WeightGain, ...]
    subsets: tuple[FeatureGain, ...]


@dataclass(frozen=True)
class PerformanceFile:
    """Content of `performance.json`, with its fingerprint."""

    key: str
    scans: tuple[GainScan, ...]
