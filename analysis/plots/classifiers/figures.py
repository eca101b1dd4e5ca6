"""All figures of `diagnostics.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from analysis.plots.classifiers.ensemble_figures import ensemble_figures
from analysis.plots.classifiers.features import feature_figures
from analysis.plots.classifiers.importance import importance_figures
from analysis.plots.classifiers.mass_maps import mass_figures
from analysis.plots.classifiers.roc import performance_figures
from analysis.plots.classifiers.sculpting import sculpting_figures
from analysis.plots.figure import ResultFigure

__all__ = ["diagnostic_figures"]

_FAMILIES: tuple[Callable[[Sequence[Mapping[str, Any]]], Iterator[ResultFigure]], ...] = (
    feature_figures,
    mass_figures,
    sculpting_figures,
    performance_figures,
    ensemble_figures,
    importance_figures,
)
"""One a section."""


def diagnostic_figures(windows: Sequence[Mapping[str, Any]], *, blinded: bool = False) -> Iterator[ResultFigure]:
    """List the figures that there are data for.

    Parameters
    ----------
    windows : sequence of mapping
        "windows" of `diagnostics.json`.
    blinded : bool
        Leave out windows that were diagnosed with the events inside the masks: even their sidebands lie in the masks
        of neighbours.
    """
    shown = [one for one in windows if one["blinded"] or not blinded]
    for family in _FAMILIES:
        yield from family(shown)
