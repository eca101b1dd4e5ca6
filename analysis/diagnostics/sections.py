"""Sections of `diagnostics.json`: numbers for figures of one searched window.

Arrays are tuples of numbers; undefined values are None. While blinded, regions lack "window".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.core.documents import ABSENT
from analysis.regions import Interval, MassWindow

__all__ = [
    "DiagnosedWindow",
    "DiagnosticsFile",
    "EnsembleSection",
    "FeatureShapes",
    "FeaturesSection",
    "ImportanceSection",
    "MassesSection",
    "MemberBand",
    "MemberCounts",
    "MemberSelection",
    "PairCorrelation",
    "PerformanceSection",
    "RegionHistogram",
    "ScoreDistributions",
    "SculptingSection",
    "SeedSignificances",
    "SelectedEfficiency",
    "SelectionSculpting",
    "ShapeTest",
    "ShapesByRegion",
    "SpreadProfile",
]

Values = tuple[float | None, ...]
Plane = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class RegionHistogram:
    """Sums of weights and of squared weights in each bin, and the weight outside of the edges or undefined."""

    values: tuple[float, ...]
    variances: tuple[float, ...]
    outside: float


@dataclass(frozen=True)
class ShapeTest:
    """Test of the shape in the window against the prediction from the sidebands."""

    chi2: float
    ndof: int
    p_value: float


@dataclass(frozen=True)
class ShapesByRegion:
    """Histograms of one feature.

    Attributes
    ----------
    edges : tuple of float
    regions : mapping of str to RegionHistogram
        "window", "lower" and "upper".
    selections : mapping of str to RegionHistogram
        Histograms of the window after each selection.
    difference : ShapeTest or None
        None if it cannot be tested.
    """

    edges: tuple[float, ...]
    regions: Mapping[str, RegionHistogram]
    selections: Mapping[str, RegionHistogram]
    difference: ShapeTest | None


@dataclass(frozen=True)
class FeatureShapes:
    """One feature, as measured and, with decorrelation, as percentiles in bins of m_jj."""

    name: str
    label: str
    unit: str
    trained: bool
    original: ShapesByRegion
    scaled: ShapesByRegion | None


@dataclass(frozen=True)
class FeaturesSection:
    """Training features and jet masses."""

    features: tuple[FeatureShapes, ...]


@dataclass(frozen=True)
class MassesSection:
    """Plane of the two jet masses; arrays are (n_1, n_2).

    Attributes
    ----------
    edges : tuple of two tuples of float
        GeV.
    regions : mapping of str to array
        Sums of weights.
    expected : float or None
        Background of the inclusive selection, events.
    combined : array or None
        Prediction of both sidebands for the window.
    pull, score : array or None
        Pull of the window against the prediction, and mean score of the window.
    passing : mapping of str to array
        Fraction of the window kept by each selection.
    """

    edges: tuple[tuple[float, ...], tuple[float, ...]]
    regions: Mapping[str, Plane]
    expected: float | None
    combined: Plane | None
    pull: Plane | None
    score: Plane | None
    passing: Mapping[str, Plane]


@dataclass(frozen=True)
class SelectionSculpting:
    """Efficiency of one selection against m_jj.

    Attributes
    ----------
    name : str
    edges : (n + 1,) tuple of float
        GeV.
    efficiency, error : (n,) tuple of float or None
    average, chi2 : float
    ndof : int
    p_value : float or None
        For the bins outside of the mask; None without degrees of freedom.
    """

    name: str
    edges: tuple[float, ...]
    efficiency: Values
    error: Values
    average: float
    chi2: float
    ndof: int
    p_value: float | None


@dataclass(frozen=True)
class SculptingSection:
    """Efficiencies of all selections except the inclusive one; `hidden` holds all masks while blinded."""

    hidden: tuple[Interval, ...]
    selections: tuple[SelectionSculpting, ...]


@dataclass(frozen=True)
class SelectedEfficiency:
    """Efficiencies of one selection in the window."""

    name: str
    signal_efficiency: float | None
    background_efficiency: float | None


@dataclass(frozen=True, kw_only=True)
class PerformanceSection:
    """Signal against background efficiency of out-of-fold scores in the window.

    Attributes
    ----------
    n_signal, n_background : int
        Events.
    background_efficiency, signal_efficiency, low, high : tuple of float or None
        The curve with its 68 % band.
    auc : (3,) tuple of float
        Lower end of the band, value, upper end.
    floor : float or None
        Background efficiency below which its relative error exceeds 20 %.
    max_sic : (2,) tuple of float, or None
        Largest ε_S/√ε_B above the floor, and its ε_B.
    selections : tuple of SelectedEfficiency
    """

    n_signal: int
    n_background: int
    background_efficiency: tuple[float, ...]
    signal_efficiency: Values
    low: Values
    high: Values
    auc: tuple[float, float, float]
    floor: float | None
    max_sic: tuple[float, float] | None
    selections: tuple[SelectedEfficiency, ...]


@dataclass(frozen=True)
class MemberBand:
    """Fraction of events in each bin of the score: mean score, and quantiles 0.16 and 0.84 over single members."""

    mean: Values
    low: Values
    high: Values


@dataclass(frozen=True)
class ScoreDistributions:
    """Distributions of the scores in the window and in its sidebands."""

    edges: tuple[float, ...]
    window: MemberBand | None = field(default=None, metadata=ABSENT)
    sidebands: MemberBand | None = None


@dataclass(frozen=True)
class SpreadProfile:
    """Standard deviation over the members, averaged in bins of the mean score."""

    edges: tuple[float, ...]
    window: Values | None = field(default=None, metadata=ABSENT)
    sidebands: Values | None = None


@dataclass(frozen=True)
class PairCorrelation:
    """Rank correlation of pairs of members: mean, smallest and largest."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class MemberCounts:
    """Sums of weights selected by the ensemble and by each member in one region."""

    ensemble: float | None
    members: Values


@dataclass(frozen=True, kw_only=True)
class MemberSelection:
    """One selection by the ensemble and by its members.

    Attributes
    ----------
    name : str
    efficiency : float
    window, sidebands : MemberCounts or None
    jaccard_members : (3,) tuple of float or None, or None
        Overlap of pairs of members: mean, smallest and largest.
    jaccard_ensemble : tuple of float or None
        Overlap of the ensemble with each member.
    """

    name: str
    efficiency: float
    window: MemberCounts | None
    sidebands: MemberCounts | None
    jaccard_members: Values | None
    jaccard_ensemble: Values


@dataclass(frozen=True)
class SeedSignificances:
    """Significance of one selection by training seed.

    Attributes
    ----------
    name : str
    z : tuple of float or None
        Nominal values.
    calibrated : tuple of float or None
        Values calibrated with retraining; empty without a calibration, and on disk, since it can be made later.
    """

    name: str
    z: Values
    calibrated: Values = field(default=(), metadata=ABSENT)

    @property
    def shown(self) -> Values:
        """Values for readers: calibrated if possible."""
        return self.calibrated or self.z


@dataclass(frozen=True, kw_only=True)
class EnsembleSection:
    """Agreement between the members of the classifiers.

    Attributes
    ----------
    n_members, n_events : int
    fraction : float
        Fraction of the events of the fit range that is used.
    scores : ScoreDistributions
    profile : SpreadProfile or None
        None for a single member, like `rank_correlation`.
    rank_correlation : PairCorrelation or None
    selections : tuple of MemberSelection
    seeds : tuple of SeedSignificances
        Empty for a single training, and while blinded.
    """

    n_members: int
    n_events: int
    fraction: float
    scores: ScoreDistributions
    profile: SpreadProfile | None
    rank_correlation: PairCorrelation | None
    selections: tuple[MemberSelection, ...]
    seeds: tuple[SeedSignificances, ...]


@dataclass(frozen=True)
class ImportanceSection:
    """Share of each feature in the gain of all splits: mean and standard deviation over folds and members."""

    features: tuple[str, ...]
    labels: tuple[str, ...]
    mean: Values
    std: Values
    n_models: int


@dataclass(frozen=True, kw_only=True)
class DiagnosedWindow:
    """All sections of one window; those without content are absent."""

    window: MassWindow
    blinded: bool
    features: FeaturesSection | None = field(default=None, metadata=ABSENT)
    masses: MassesSection | None = field(default=None, metadata=ABSENT)
    sculpting: SculptingSection | None = field(default=None, metadata=ABSENT)
    performance: PerformanceSection | None = field(default=None, metadata=ABSENT)
    ensemble: EnsembleSection | None = field(default=None, metadata=ABSENT)
    importance: ImportanceSection | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True)
class DiagnosticsFile:
    """Content of `diagnostics.json`: fingerprint, keys of the windows, and the windows."""

    key: str
    window_keys: tuple[str, ...]
    windows: tuple[DiagnosedWindow, ...]
