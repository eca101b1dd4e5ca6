"""All figures of `diagnostics.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from analysis.diagnostics.sections import DiagnosedWindow
from analysis.plots.classifiers.ensemble_figures import ensemble_figures
from analysis.plots.classifiers.features import feature_figures
from analysis.plots.classifiers.importance import importance_figures
from analysis.plots.classifiers.mass_maps import mass_figures
from analysis.plots.classifiers.roc import performance_figures
from analysis.plots.classifiers.sculpting import sculpting_figures
from analysis.plots.figure import ResultFigure

__all__ = ["diagnostic_figures"]

_FAMILIES: tuple[Callable[[Sequence[DiagnosedWindow]], Iterator[ResultFigure]], ...] = (
    feature_figures,
    mass_figures,
    sculpting_figures,
    performance_figures,
    ensemble_figures,
    importance_figures,
)
"""One function per section."""


def diagnostic_figures(windows: Sequence[DiagnosedWindow]) -> Iterator[ResultFigure]:
    """List the figures of all available sections of the windows."""
    for family in _FAMILIES:
        yield from family(windows)
