"""Calibrated and nominal significances, told apart in the same way in all figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap
from typing import Any

from matplotlib.lines import Line2D

from analysis.diagnostics.sections import DiagnosedWindow
from analysis.results.documents import calibration_of
from analysis.results.values import Results, WindowDocument
from analysis.results.wording.significances import calibration_caption
from analysis.search.null_distribution import Calibration
from analysis.search.values import WindowResult

__all__ = [
    "CALIBRATED_LABEL",
    "LINE",
    "NOMINAL_LABEL",
    "NOMINAL_STYLE",
    "calibrated_seeds",
    "nominal_handle",
    "with_caption",
]

CALIBRATED_LABEL = "Calibrated with retraining"
NOMINAL_LABEL = "Nominal"
LINE = 52
"""Maximum length of a line below an axis, characters."""

NOMINAL_STYLE: dict[str, Any] = {"markerfacecolor": "white", "markersize": 5, "linestyle": "none", "alpha": 0.8}
"""Small open points."""


def nominal_handle() -> Line2D:
    """Return the entry of a legend for nominal values of several selections."""
    return Line2D([], [], color="0.3", marker="o", label=NOMINAL_LABEL, **NOMINAL_STYLE)


def with_caption(label: str, windows: Sequence[WindowDocument] | Sequence[WindowResult]) -> str:
    """Put the note on significances that lack a calibration below the label of an axis."""
    return "\n".join([label, *wrap(calibration_caption(windows), LINE)])


def calibrated_seeds(diagnostics: Sequence[DiagnosedWindow], results: Results | None) -> list[DiagnosedWindow]:
    """Give significances of several trainings the calibrations of the results.

    Parameters
    ----------
    diagnostics : sequence of DiagnosedWindow
    results : Results or None
        None without a scan.

    Returns
    -------
    list of DiagnosedWindow
    """
    found = {
        (window.name, selection.name): calibration
        for window in (() if results is None else results.windows)
        for selection in window.selections
        if (calibration := calibration_of(selection)) is not None
    }
    return [_with_seeds(diagnosed, found) for diagnosed in diagnostics]


def _with_seeds(diagnosed: DiagnosedWindow, found: dict[tuple[str, str], Calibration]) -> DiagnosedWindow:
    if diagnosed.ensemble is None:
        return diagnosed
    seeds = tuple(
        replace(seed, calibrated=tuple(None if z is None else calibration.again(z).z for z in seed.z))
        if (calibration := found.get((diagnosed.window.name, seed.name))) is not None
        else seed
        for seed in diagnosed.ensemble.seeds
    )
    return replace(diagnosed, ensemble=replace(diagnosed.ensemble, seeds=seeds))
