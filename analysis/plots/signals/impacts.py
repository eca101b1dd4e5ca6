"""Pulls of the nuisance parameters of a signal, and what each does to the fitted signal strength."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, format_with_error, plain, selection_label
from analysis.results.numbers import interval, number, with_error
from analysis.results.words import selection_text
from analysis.signals.shapes import most_sensitive

__all__ = ["ImpactArtists", "draw_impacts", "impact_figures"]

Array = NDArray[np.float64]
Document = Mapping[str, Any]

_MOST = 20
"""Parameters that are drawn."""

_UP, _DOWN = PALETTE[0], PALETTE[1]
_WIDTH = 26
"""Longest line of a name, characters."""

_HEADROOM = 1.2
"""Rows above the parameters, for the legend."""

_NAMES = {
    "background_fit": "Background fit",
    "lumi": "Luminosity",
    "non_closure": "Non-closure",
    "signal_statistics": "Signal statistics",
}


@dataclass(frozen=True)
class ImpactArtists:
    """What `draw_impacts` drew.

    Attributes
    ----------
    names : tuple of str
        Parameters from top to bottom, the largest impact first.
    pulls : matplotlib.container.ErrorbarContainer
        Fitted values and widths.
    up, down : matplotlib.container.BarContainer
        Impacts: observed, or expected where there is nothing observed.
    expected : tuple of matplotlib.container.BarContainer
        Outlines of the expected impacts up and down, beside observed ones.
    legend : matplotlib.legend.Legend
    """

    names: tuple[str, ...]
    pulls: ErrorbarContainer
    up: BarContainer
    down: BarContainer
    expected: tuple[BarContainer, ...]
    legend: Legend


def draw_impacts(
    impacts: Mapping[str, Document | None], *, ax: Axes, ax_impact: Axes, blinded: bool = False
) -> ImpactArtists:
    """Draw pulls and impacts of the nuisance parameters, at most the twenty with the largest impact.

    Parameters
    ----------
    impacts : mapping
        "impacts" of a selection of a signal of `results.json`: "expected" at the median expected limit, and "observed",
        which may be None.
    ax : matplotlib.axes.Axes
        Pulls in units of the width before the fit, which is shaded; bars are the widths after it.
    ax_impact : matplotlib.axes.Axes
        Shifts of the signal strength in units of the sample. They should share the y axis.
    blinded : bool
        Draw the expected impacts alone: then the pulls are zero.

    Returns
    -------
    ImpactArtists
    """
    expected, observed = impacts["expected"], None if blinded else impacts["observed"]
    shown = observed or expected or {"parameters": []}
    parameters = sorted(shown["parameters"], key=_size, reverse=True)[:_MOST]
    rows = np.arange(len(parameters), dtype=float)
    pulls = _draw_pulls(parameters, rows, ax)
    up, down = (_draw_bars(parameters, side, rows, ax_impact, observed is not None) for side in ("up", "down"))
    other = {one["name"]: one for one in (expected or {"parameters": []})["parameters"]} if observed else {}
    known = [(row, other[one["name"]]) for row, one in zip(rows, parameters, strict=True) if one["name"] in other]
    outlines = _draw_outlines(known, ax_impact) if known else ()
    ax.set_yticks(rows, [_label(one["name"]) for one in parameters])
    ax.set_ylim(len(rows) - 0.5, -0.5 - _HEADROOM)
    for axes in (ax, ax_impact):
        axes.tick_params(axis="y", which="both", length=0)
        axes.axvline(0, color="0.4", linewidth=1, zorder=1)
    reach = 1.15 * max([1e-12, *(_size(one) for one in parameters), *(_size(one) for _, one in known)])
    ax_impact.set(xlim=(-reach, reach), xlabel=r"Impact on the strength $\mathit{\Delta\mu}$")
    ax.set_xlabel("Pull: (fitted − nominal) / width before")
    ax_impact.xaxis.set_major_locator(MaxNLocator(6, symmetric=True))
    ax_impact.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    legend = ax_impact.legend(
        handles=[up, down, *outlines[:1]],
        loc="upper center",
        ncols=3,
        columnspacing=0.9,
        frameon=True,  # over the line at zero
        framealpha=1.0,
        edgecolor="none",
    )
    return ImpactArtists(tuple(one["name"] for one in parameters), pulls, up, down, outlines, legend)


def impact_figures(signals: Sequence[Document], *, blinded: bool = False) -> Iterator[ResultFigure]:
    """List the figures of impacts: one a signal, in the selection with the lowest expected limit.

    Parameters
    ----------
    signals : sequence of mapping
        "signals" of `results.json`.
    blinded : bool
        Expected impacts alone.

    Yields
    ------
    ResultFigure
        `impacts_<signal>`.
    """
    for signal in signals:
        one = most_sensitive(signal)
        if one is not None and one["impacts"] is not None and one["impacts"]["expected"]["parameters"]:
            where = f"{selection_text(one['selection'])} in {interval(one['window'])} GeV"
            yield ResultFigure(
                f"impacts_{signal['dataset']}",
                partial(_impacts, signal["dataset"], one, blinded),
                f"{signal['dataset']}: pulls and impacts, {where}",
                partial(impact_alt, signal, one),
                partial(impact_rows, one),
                "impacts",
                signal["dataset"],
            )


def _impacts(dataset: str, one: Document, blinded: bool) -> tuple[Figure, Axes]:
    rows = min(_MOST, len(one["impacts"]["expected"]["parameters"]))
    figure = Figure(figsize=(12.5, 2.9 + 0.5 * (rows + _HEADROOM)), layout="constrained")
    ax, ax_impact = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.5))
    draw_impacts(one["impacts"], ax=ax, ax_impact=ax_impact, blinded=blinded)
    observed = None if blinded else one["impacts"]["observed"]
    shown = observed or one["impacts"]["expected"]
    fitted = format_with_error(shown["strength"], shown["strength_error"])
    where = "{}, {}, {:g}–{:g} GeV".format(plain(dataset), selection_label(one["selection"]), *one["window"])
    kind = "observed" if observed else "expected at the median limit"
    ax_impact.set_title(f"{where}\n$\\mathit{{\\mu}}$ = {fitted} ({kind})", loc="right")
    return figure, ax


def _size(one: Document) -> float:
    return max(abs(float(one["up"])), abs(float(one["down"])))


def _label(name: str) -> str:
    return _NAMES.get(name, fill(plain(name.replace("_", " ")), _WIDTH))


def _draw_pulls(parameters: Sequence[Document], rows: Array, ax: Axes) -> ErrorbarContainer:
    ax.axvspan(-1, 1, color="0.9", linewidth=0, zorder=0)
    pulls, widths = ([one[key] for one in parameters] for key in ("pull", "error"))
    reach = max([2.0, *(1.1 * (abs(pull) + width) for pull, width in zip(pulls, widths, strict=True))])
    ax.set_xlim(-reach, reach)
    return ax.errorbar(pulls, rows, xerr=widths, color="black", marker="o", linestyle="none", elinewidth=1.8)


def _draw_bars(parameters: Sequence[Document], side: str, rows: Array, ax: Axes, observed: bool) -> BarContainer:
    kind = "Observed" if observed else "Expected"
    return ax.barh(
        rows,
        [one[side] for one in parameters],
        0.62,
        color=_UP if side == "up" else _DOWN,
        hatch="" if side == "up" else "///",
        edgecolor="white",
        linewidth=0,
        label=f"{kind} {'+' if side == 'up' else '−'}1σ",
        zorder=2,
    )


def _draw_outlines(known: Sequence[tuple[float, Document]], ax: Axes) -> tuple[BarContainer, ...]:
    rows = [row for row, _ in known]
    return tuple(
        ax.barh(
            rows,
            [one[side] for _, one in known],
            0.8,
            facecolor="none",
            edgecolor="0.25",
            linestyle="--",
            linewidth=1.2,
            label="Expected",
            zorder=3,
        )
        for side in ("up", "down")
    )


def impact_alt(signal: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    """Describe pulls and impacts of a signal."""
    observed = one["impacts"]["observed"]
    shown = observed or one["impacts"]["expected"]
    largest = [f"{item['name']} {number(max(abs(item['up']), abs(item['down'])))}" for item in shown["parameters"][:3]]
    return (
        f"Pulls and impacts on the strength of {signal['dataset']}, {'observed' if observed else 'expected'}: μ = "
        f"{with_error(shown['strength'], shown['strength_error'])}. Largest of {len(shown['parameters'])} impacts: "
        f"{', '.join(largest)}."
    )


def impact_rows(one: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of pulls and impacts of one selection of a signal, expected and observed."""
    yield "fit", "parameter", "pull", "width after over before", "impact of +1 sigma on mu", "impact of -1 sigma on mu"
    for kind in ("expected", "observed"):
        for item in (one["impacts"][kind] or {"parameters": []})["parameters"]:
            yield kind, item["name"], item["pull"], item["error"], item["up"], item["down"]
