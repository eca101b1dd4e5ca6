"""Efficiency of selections against m_jj, which is flat if they do not sculpt the spectrum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from numpy.typing import NDArray

from analysis.diagnostics.sections import DiagnosedWindow, SculptingSection, SelectionSculpting
from analysis.learning import selection_text
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.panels import window_title
from analysis.plots.style import MASS_LABEL, bars_between, format_fit_quality, selection_label, selection_styles
from analysis.plots.windows.spectrum import draw_regions
from analysis.regions import Interval, MassWindow
from analysis.results.numbers import interval, p_value

__all__ = ["SculptingArtists", "draw_sculpting", "sculpting_figures"]

Array = NDArray[np.float64]

_SPREAD = 0.5
"""Fraction of a bin over which the points of different selections are spread."""

_SMALLEST_REACH = 0.4
_LEGEND_SIZE = 13
_LEGEND_LINE = 0.052
"""Height of a legend line, as a fraction of the axes."""


@dataclass(frozen=True)
class SculptingArtists:
    """Artists of `draw_sculpting`.

    Attributes
    ----------
    points : dict of str to matplotlib.container.ErrorbarContainer
        By selection: efficiency over its average beside the mask, NaN in empty bins.
    legend : matplotlib.legend.Legend
        With chi-squared and p-value of flatness beside the mask.
    """

    points: dict[str, ErrorbarContainer]
    legend: Legend


def sculpting_figures(windows: Sequence[DiagnosedWindow]) -> Iterator[ResultFigure]:
    """List `sculpting_<window>`."""
    for diagnosed in windows:
        section, window = diagnosed.sculpting, diagnosed.window
        if section is not None and any(selection.average > 0 for selection in section.selections):
            yield ResultFigure(
                f"sculpting_{window.name}",
                partial(_figure, section, diagnosed),
                f"{interval(window.signal)} GeV: efficiency against m_jj",
                partial(_sculpting_alt, section),
                partial(sculpting_rows, section),
                "diagnostics",
                window.name,
            )


def draw_sculpting(sculpting: SculptingSection, window: MassWindow, *, ax: Axes) -> SculptingArtists:
    """Draw the efficiency of all selections, each divided by its average.

    Parameters
    ----------
    sculpting : SculptingSection
    window : MassWindow
    ax : matplotlib.axes.Axes

    Returns
    -------
    SculptingArtists
    """
    selections = [selection for selection in sculpting.selections if selection.average > 0]
    regions = draw_regions(window, ax) + _draw_hidden(sculpting.hidden, ax)
    expected = ax.axhline(1.0, color="black", linewidth=1.2, label="Flat", zorder=1)
    shifts = _SPREAD * (np.arange(len(selections)) + 0.5 - len(selections) / 2) / max(len(selections), 1)
    styles, points, reach = selection_styles(selection.name for selection in selections), {}, _SMALLEST_REACH
    for selection, shift in zip(selections, shifts, strict=True):
        edges = np.array(selection.edges)
        ratio = np.array(selection.efficiency, np.float64) / selection.average
        error = np.array(selection.error, np.float64) / selection.average
        style = styles[selection.name]
        centre = (edges[1:] + edges[:-1]) / 2 + shift * min(np.diff(edges))
        points[selection.name] = ax.errorbar(
            centre,
            ratio,
            xerr=bars_between(edges[:-1], centre, edges[1:]),
            yerr=error,
            fmt=style.marker,
            color=style.color,
            markersize=6,
            linewidth=1.2,
            label=_label(selection),
            zorder=3,
        )
        reach = max(reach, float(np.nanmax(np.abs(ratio - 1) + error, initial=0.0)))
    handles = [*points.values(), expected, *regions]
    rows = (len(handles) + 1) // 2
    low, high = max(0.0, 1 - 1.1 * reach), 1 + 1.1 * reach
    ax.set(
        xlim=window.fit_range,
        ylim=(low, low + (high - low) / (1 - _LEGEND_LINE * (rows + 0.7))),
        xlabel=MASS_LABEL,
        ylabel="Efficiency / average",
    )
    legend = ax.legend(handles=handles, loc="upper center", ncols=2, fontsize=_LEGEND_SIZE, columnspacing=1.0)
    return SculptingArtists(points, legend)


def _draw_hidden(masks: Sequence[Interval], ax: Axes) -> list[Artist]:
    """Shade the masks of all windows; return one artist, or none if nothing is hidden."""
    drawn: list[Artist] = [ax.axvspan(*mask, color="0.88", linewidth=0, zorder=-1) for mask in masks]
    for one in drawn[:1]:
        one.set_label("Blinded: masks of all windows")
    return drawn[:1]


def _label(selection: SelectionSculpting) -> str:
    name = selection_label(selection.name).capitalize()
    if selection.p_value is None:
        return f"{name}: too few events for a test"
    return f"{name}: {format_fit_quality(selection.chi2, selection.ndof, selection.p_value)}"


def _figure(sculpting: SculptingSection, diagnosed: DiagnosedWindow) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10.0, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_sculpting(sculpting, diagnosed.window, ax=ax)
    ax.set_title(window_title(diagnosed.window.signal, blinded=diagnosed.blinded), loc="right")
    return figure, ax


def _sculpting_alt(section: SculptingSection) -> str:
    tests = [
        f"{selection_text(selection.name)} {p_value(selection.p_value)}"
        for selection in section.selections
        if selection.ndof > 0
    ]
    return f"Efficiency of the selections against m_jj. p-values of flatness outside the mask: {', '.join(tests)}."


def sculpting_rows(section: SculptingSection) -> Iterator[Row]:
    """Rows of the efficiency of every selection against m_jj, one per bin."""
    yield "selection", "m_jj low [GeV]", "m_jj high [GeV]", "efficiency", "error if flat", "average efficiency"
    for selection in section.selections:
        edges = selection.edges
        for row in zip(edges, edges[1:], selection.efficiency, selection.error, strict=False):
            yield selection.name, *row, selection.average
