"""Figures; the only subpackage that uses matplotlib and mplhep.

Every `draw_*` takes results and axes, computes only the quantities needed to draw them, and returns its artists.
"""

from analysis.plots.catalogue import register_figures, result_figures, save_figures, save_injection_figures
from analysis.plots.classifiers.ensemble import (
    CountArtists,
    OverlapArtists,
    ScoreArtists,
    SeedArtists,
    draw_member_counts,
    draw_overlaps,
    draw_score_spread,
    draw_scores,
    draw_seeds,
)
from analysis.plots.classifiers.gains import SubsetArtists, WeightScanArtists, draw_simulation_weight_scan, draw_subsets
from analysis.plots.classifiers.importance import (
    ImportanceArtists,
    ImportanceMapArtists,
    draw_importance,
    draw_importance_map,
)
from analysis.plots.classifiers.roc import PerformanceArtists, compare_performance, draw_roc, draw_sic
from analysis.plots.compared.figures import save_comparison
from analysis.plots.events.control import ControlArtists, draw_control, save_control_figures
from analysis.plots.events.cutflow import draw_cutflow, draw_n_minus_one
from analysis.plots.figure import ResultFigure
from analysis.plots.signals.efficiency_maps import MapArtists, draw_efficiency_map
from analysis.plots.signals.impacts import ImpactArtists, draw_impacts
from analysis.plots.signals.mass_limits import MassLimitArtists, PlaneArtists, draw_limit_plane, draw_mass_limits
from analysis.plots.signals.sensitivity import SensitivityArtists, draw_sensitivity
from analysis.plots.signals.signal_limits import SignalLimitArtists, draw_signal_limits
from analysis.plots.signals.strengths import StrengthArtists, draw_strength_efficiencies, draw_strength_limits
from analysis.plots.sources import FigureSources
from analysis.plots.style import draw_experiment_label, figure_style, selection_label
from analysis.plots.validation import PullArtists, ShiftArtists, draw_validation_pulls, draw_validation_shifts
from analysis.plots.windows.fit_quality import FitQualityArtists, draw_fit_quality
from analysis.plots.windows.scan import ScanArtists, draw_scan
from analysis.plots.windows.significance import (
    SignificanceArtists,
    SignificanceMapArtists,
    draw_significance,
    draw_significance_map,
)
from analysis.plots.windows.spectrum import SpectrumArtists, draw_spectrum
from analysis.plots.windows.stitched import StitchedArtists, draw_stitched
from analysis.plots.windows.visible_limits import LimitArtists, draw_limits

__all__ = [
    "ControlArtists",
    "CountArtists",
    "FigureSources",
    "FitQualityArtists",
    "ImpactArtists",
    "ImportanceArtists",
    "ImportanceMapArtists",
    "LimitArtists",
    "MapArtists",
    "MassLimitArtists",
    "OverlapArtists",
    "PerformanceArtists",
    "PlaneArtists",
    "PullArtists",
    "ResultFigure",
    "ScanArtists",
    "ScoreArtists",
    "SeedArtists",
    "SensitivityArtists",
    "ShiftArtists",
    "SignalLimitArtists",
    "SignificanceArtists",
    "SignificanceMapArtists",
    "SpectrumArtists",
    "StitchedArtists",
    "StrengthArtists",
    "SubsetArtists",
    "WeightScanArtists",
    "compare_performance",
    "draw_control",
    "draw_cutflow",
    "draw_efficiency_map",
    "draw_experiment_label",
    "draw_fit_quality",
    "draw_impacts",
    "draw_importance",
    "draw_importance_map",
    "draw_limit_plane",
    "draw_limits",
    "draw_mass_limits",
    "draw_member_counts",
    "draw_n_minus_one",
    "draw_overlaps",
    "draw_roc",
    "draw_scan",
    "draw_score_spread",
    "draw_scores",
    "draw_seeds",
    "draw_sensitivity",
    "draw_sic",
    "draw_signal_limits",
    "draw_significance",
    "draw_significance_map",
    "draw_simulation_weight_scan",
    "draw_spectrum",
    "draw_stitched",
    "draw_strength_efficiencies",
    "draw_strength_limits",
    "draw_subsets",
    "draw_validation_pulls",
    "draw_validation_shifts",
    "figure_style",
    "register_figures",
    "result_figures",
    "save_comparison",
    "save_control_figures",
    "save_figures",
    "save_injection_figures",
    "selection_label",
]
