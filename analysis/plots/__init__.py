"""Figures. The only users of matplotlib and mplhep.

Every `draw_*` takes results and axes, computes nothing but what drawing needs, and returns what it drew.
"""

from analysis.plots.control import ControlArtists, draw_control, save_control_figures
from analysis.plots.cutflow import draw_cutflow, draw_n_minus_one, save_cutflow
from analysis.plots.figures import save_figures
from analysis.plots.limits import LimitArtists, draw_limits
from analysis.plots.scan import ScanArtists, draw_scan
from analysis.plots.spectrum import SpectrumArtists, draw_spectrum
from analysis.plots.style import draw_experiment_label, figure_style, selection_label

__all__ = [
    "ControlArtists",
    "LimitArtists",
    "ScanArtists",
    "SpectrumArtists",
    "draw_control",
    "draw_cutflow",
    "draw_experiment_label",
    "draw_limits",
    "draw_n_minus_one",
    "draw_scan",
    "draw_spectrum",
    "figure_style",
    "save_control_figures",
    "save_cutflow",
    "save_figures",
    "selection_label",
]
