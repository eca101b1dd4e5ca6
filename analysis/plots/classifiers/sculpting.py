"""The efficiency of selections against m_jj: flat, where they do not sculpt the spectrum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from numpy.typing import NDArray

from analysis.plots.figure import ResultFigure, Row
from analysis.plots.panels import window_title
from analysis.plots.style import MASS_LABEL, format_p_value, selection_label, selection_styles
from analysis.plots.windows.spectrum import draw_regions
from analysis.regions import MassWindow
from analysis.results.numbers import interval, p_value
from analysis.results.words import selection_text

__all__ = ["SculptingArtists", "draw_sculpting", "sculpting_figures"]

Array = NDArray[np.float64]

_SPREAD = 0.5
"""Part of a bin over which the points of different selections are spread."""

_SMALLEST_REACH = 0.4
_LEGEND_SIZE = 13
_LEGEND_LINE = 0.052
"""Height of a line of the legend, as a part of the axes."""


@dataclass(frozen=True)
class SculptingArtists:
    """What `draw_sculpting` drew.

    Attributes
    ----------
    points : dict of str to matplotlib.container.ErrorbarContainer
        By selection: efficiency over its average beside the mask, NaN where there is none.
    legend : matplotlib.legend.Legend
        With chi-squared and p-value of flatness beside the mask.
    """

    points: dict[str, ErrorbarContainer]
    legend: Legend


def sculpting_figures(windows: Sequence[Mapping[str, Any]]) -> Iterator[ResultFigure]:
    """List `sculpting_<window>`, from the documents of `diagnostics.json`."""
    for one in windows:
        if any(selection["average"] > 0 for selection in one.get("sculpting", {}).get("selections", ())):
            window = MassWindow.from_json(one["window"])
            yield ResultFigure(
                f"sculpting_{window.name}",
                partial(_figure, one["sculpting"], window, one["blinded"]),
                f"{interval(window.signal)} GeV: efficiency against m_jj",
                partial(_sculpting_alt, one["sculpting"]),
                partial(sculpting_rows, one["sculpting"]),
                "diagnostics",
                window.name,
            )


def draw_sculpting(sculpting: Mapping[str, Any], window: MassWindow, *, ax: Axes) -> SculptingArtists:
    """Draw the efficiency of all selections, each over its average.

    Parameters
    ----------
    sculpting : mapping
        Section "sculpting" of `diagnostics.json`.
    window : MassWindow
    ax : matplotlib.axes.Axes

    Returns
    -------
    SculptingArtists
    """
    selections = [one for one in sculpting["selections"] if one["average"] > 0]
    regions = draw_regions(window, ax) + _draw_hidden(sculpting["hidden"], ax)
    expected = ax.axhline(1.0, color="black", linewidth=1.2, label="Flat", zorder=1)
    shifts = _SPREAD * (np.arange(len(selections)) + 0.5 - len(selections) / 2) / max(len(selections), 1)
    styles, points, reach = selection_styles(one["name"] for one in selections), {}, _SMALLEST_REACH
    for one, shift in zip(selections, shifts, strict=True):
        edges = np.array(one["edges"])
        ratio, error = (np.array(one[key], np.float64) / one["average"] for key in ("efficiency", "error"))
        style = styles[one["name"]]
        centre = (edges[1:] + edges[:-1]) / 2 + shift * min(np.diff(edges))
        points[one["name"]] = ax.errorbar(
            centre,
            ratio,
            xerr=(centre - edges[:-1], edges[1:] - centre),
            yerr=error,
            fmt=style.marker,
            color=style.color,
            markersize=6,
            linewidth=1.2,
            label=_label(one),
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


def _draw_hidden(masks: Sequence[Sequence[float]], ax: Axes) -> list[Artist]:
    """Shade the masks of all windows; return one artist, or none where nothing is hidden."""
    drawn: list[Artist] = [ax.axvspan(*mask, color="0.88", linewidth=0, zorder=-1) for mask in masks]
    for one in drawn[:1]:
        one.set_label("Blinded: masks of all windows")
    return drawn[:1]


def _label(one: Mapping[str, Any]) -> str:
    name = selection_label(one["name"]).capitalize()
    if one["p_value"] is None:
        return f"{name}: too few events for a test"
    quality = rf"$\chi^2$/ndof = {one['chi2']:.1f}/{one['ndof']}, $\mathit{{p}} = {format_p_value(one['p_value'])}$"
    return f"{name}: {quality}"


def _figure(sculpting: Mapping[str, Any], window: MassWindow, blinded: bool) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10.0, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_sculpting(sculpting, window, ax=ax)
    ax.set_title(window_title(window.signal, blinded=blinded), loc="right")
    return figure, ax


def _sculpting_alt(section: Mapping[str, Any]) -> str:
    tests = [
        f"{selection_text(one['name'])} {p_value(one['p_value'])}" for one in section["selections"] if one["ndof"] > 0
    ]
    return f"Efficiency of the selections against m_jj. p-values of flatness outside the mask: {', '.join(tests)}."


def sculpting_rows(section: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of the efficiency of every selection against m_jj, one per bin."""
    yield "selection", "m_jj low [GeV]", "m_jj high [GeV]", "efficiency", "error if flat", "average efficiency"
    for one in section["selections"]:
        for row in zip(one["edges"], one["edges"][1:], one["efficiency"], one["error"], strict=False):
            yield one["name"], *row, one["average"]
