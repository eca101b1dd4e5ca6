"""Values that `performance.json` holds: gains of features and of the weight of the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.diagnostics.regret import Regret, regrets
from analysis.regions import MassWindow

__all__ = ["FeatureGain", "GainScan", "PerformanceFile", "WeightGain", "gain_regrets"]


@dataclass(frozen=True, kw_only=True)
class WeightGain:
    """Performance of classifiers trained with one weight of the simulation; see `GainScan`."""

    weight: float
    sic: tuple[tuple[float, ...], ...]
    auc: tuple[float, ...]
    window_sideband_auc: tuple[float, ...]
    sigma_min: tuple[float | None, ...] = ()

    @property
    def label(self) -> str:
        """Name of the classifier for people."""
        return f"sa_cwola, λ = {self.weight:g}"


@dataclass(frozen=True, kw_only=True)
class FeatureGain:
    """Performance of classifiers with one feature "alone", "without" it, or all "together"; see `GainScan`."""

    use: str
    feature: str | None
    sic: tuple[tuple[float, ...], ...]
    auc: tuple[float, ...]
    window_sideband_auc: tuple[float, ...]
    sigma_min: tuple[float | None, ...] = ()

    @property
    def label(self) -> str:
        """Name of the classifier for people."""
        return " ".join(filter(None, (self.use, self.feature)))


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
        Both hold, per training, the significance improvement at each background efficiency, the areas under the ROC
        curves of signal versus background and of window versus sidebands, and the smallest S/√B that a cut which leaves
        25 background events discovers (`sigma_min`).
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

    @property
    def classifiers(self) -> tuple[WeightGain | FeatureGain, ...]:
        """All measured classifiers."""
        return (*self.simulation_weight, *self.subsets)


@dataclass(frozen=True)
class PerformanceFile:
    """Content of `performance.json`, with its fingerprint, and the regret of each classifier over all signals."""

    key: str
    scans: tuple[GainScan, ...]
    regret: tuple[Regret, ...] = ()


def gain_regrets(scans: Sequence[GainScan]) -> tuple[Regret, ...]:
    """Compare all classifiers of a measurement, each over all signals."""
    return regrets({scan.signal: {gain.label: gain.sigma_min for gain in scan.classifiers} for scan in scans})
