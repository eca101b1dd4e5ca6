"""Pulls of the nuisance parameters of a signal, and their impacts on the fitted signal strength."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import fill
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from analysis.core.quoting import quoted
from analysis.learning import selection_text
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, format_with_error, plain, sample_name, selection_label
from analysis.plots.words import observed_label
from analysis.results.numbers import interval, number, with_error
from analysis.signals.shapes import most_sensitive
from analysis.signals.values import SignalImpacts, SignalResult, SignalSelection
from analysis.statistics import Impact, Impacts

__all__ = ["ImpactArtists", "draw_impacts", "impact_figures"]

Array = NDArray[np.float64]
Side = Literal["up", "down"]

_SIDES: tuple[Side, Side] = ("up", "down")

_MOST = 20
"""Largest number of parameters drawn."""

_UP, _DOWN = PALETTE[0], PALETTE[1]
_WIDTH = 26
"""Maximum line length of a name, characters."""

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
    """Artists of `draw_impacts`.

    Attributes
    ----------
    names : tuple of str
        Parameters from top to bottom, the largest impact first.
    pulls : matplotlib.container.ErrorbarContainer
        Fitted values and uncertainties.
    up, down : matplotlib.container.BarContainer
        Impacts: observed, or expected without observed ones.
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


def draw_impacts(impacts: SignalImpacts, *, ax: Axes, ax_impact: Axes) -> ImpactArtists:
    """Draw pulls and impacts of the nuisance parameters, at most the twenty with the largest impact.

    Parameters
    ----------
    impacts : SignalImpacts
        Expected impacts are at the median expected limit. Without observed impacts the pulls are zero.
    ax : matplotlib.axes.Axes
        Pulls in units of the pre-fit uncertainty, which is shaded; bars are the post-fit uncertainties.
    ax_impact : matplotlib.axes.Axes
        Shifts of the signal strength in units of the sample. Both axes should share the y axis.

    Returns
    -------
    ImpactArtists

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from analysis.plots import draw_impacts, figure_style
    >>> from analysis.signals.values import SignalImpacts
    >>> from analysis.statistics import Counting, counting_workspace, impacts
    >>> workspace = counting_workspace(Counting(120.0, 100.0, 5.0), channel="3300-3700", measurement="search")
    >>> both = SignalImpacts(expected=impacts(workspace, strength=1.0), observed=impacts(workspace))
    >>> with figure_style():
    ...     figure, (ax, ax_impact) = plt.subplots(1, 2, sharey=True)
    ...     artists = draw_impacts(both, ax=ax, ax_impact=ax_impact)
    >>> artists.names
    ('background_fit',)
    """
    observed = impacts.observed is not None
    parameters = sorted(_shown(impacts).parameters, key=lambda impact: impact.size, reverse=True)[:_MOST]
    rows = np.arange(len(parameters), dtype=float)
    pulls = _draw_pulls(parameters, rows, ax)
    up, down = (_draw_bars(parameters, side, rows, ax_impact, observed) for side in _SIDES)
    other = {impact.name: impact for impact in impacts.expected.parameters} if observed else {}
    known = [(row, other[impact.name]) for row, impact in zip(rows, parameters, strict=True) if impact.name in other]
    outlines = _draw_outlines(known, ax_impact) if known else ()
    ax.set_yticks(rows, [_label(impact.name) for impact in parameters])
    ax.set_ylim(len(rows) - 0.5, -0.5 - _HEADROOM)
    for axes in (ax, ax_impact):
        axes.tick_params(axis="y", which="both", length=0)
        axes.axvline(0, color="0.4", linewidth=1, zorder=1)
    reach = 1.15 * max([1e-12, *(impact.size for impact in (*parameters, *(impact for _, impact in known)))])
    ax_impact.set(xlim=(-reach, reach), xlabel=r"Impact on the strength $\mathit{\Delta\mu}$")
    ax.set_xlabel("Pull: (fitted − nominal) / width before")
    ax_impact.xaxis.set_major_locator(MaxNLocator(6, symmetric=True))
    ax_impact.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    legend = ax_impact.legend(
        handles=[up, down, *outlines[:1]],
        loc="upper center",
        ncols=3,
        columnspacing=0.9,
        frameon=True,  # covers the line at zero
        framealpha=1.0,
        edgecolor="none",
    )
    return ImpactArtists(tuple(impact.name for impact in parameters), pulls, up, down, outlines, legend)


def impact_figures(signals: Sequence[SignalResult]) -> Iterator[ResultFigure]:
    """List the figures of impacts: one per signal, in the selection with the lowest expected limit.

    Parameters
    ----------
    signals : sequence of SignalResult

    Yields
    ------
    ResultFigure
        `impacts_<signal>`.
    """
    for signal in signals:
        selection = most_sensitive(signal)
        if selection is not None and selection.impacts is not None and selection.impacts.expected.parameters:
            where = f"{selection_text(selection.selection)} in {interval(selection.window)} GeV"
            yield ResultFigure(
                f"impacts_{quoted(signal.dataset)}",
                partial(_impacts, signal.dataset, selection, selection.impacts),
                f"{signal.dataset}: pulls and impacts, {where}",
                partial(impact_alt, signal.dataset, selection.impacts),
                partial(impact_rows, selection.impacts),
                "impacts",
                signal.dataset,
            )


def _impacts(dataset: str, selection: SignalSelection, impacts: SignalImpacts) -> tuple[Figure, Axes]:
    rows = min(_MOST, len(impacts.expected.parameters))
    figure = Figure(figsize=(12.5, 2.9 + 0.5 * (rows + _HEADROOM)), layout="constrained")
    ax, ax_impact = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.5))
    draw_impacts(impacts, ax=ax, ax_impact=ax_impact)
    shown = _shown(impacts)
    fitted = format_with_error(shown.strength, shown.strength_error)
    where = "{}, {}, {:g}–{:g} GeV".format(
        sample_name(dataset), selection_label(selection.selection), *selection.window
    )
    kind = "expected at the median limit" if impacts.observed is None else observed_label().lower()
    ax_impact.set_title(f"{where}\n$\\mathit{{\\mu}}$ = {fitted} ({kind})", loc="right")
    return figure, ax


def _shown(impacts: SignalImpacts) -> Impacts:
    return impacts.expected if impacts.observed is None else impacts.observed


def _label(name: str) -> str:
    return _NAMES.get(name, fill(plain(name.replace("_", " ")), _WIDTH))


def _draw_pulls(parameters: Sequence[Impact], rows: Array, ax: Axes) -> ErrorbarContainer:
    ax.axvspan(-1, 1, color="0.9", linewidth=0, zorder=0)
    pulls, widths = [impact.pull for impact in parameters], [impact.error for impact in parameters]
    reach = max([2.0, *(1.1 * (abs(pull) + width) for pull, width in zip(pulls, widths, strict=True))])
    ax.set_xlim(-reach, reach)
    return ax.errorbar(pulls, rows, xerr=widths, color="black", marker="o", linestyle="none", elinewidth=1.8)


def _draw_bars(parameters: Sequence[Impact], side: Side, rows: Array, ax: Axes, observed: bool) -> BarContainer:
    kind = observed_label() if observed else "Expected"
    return ax.barh(
        rows,
        _shifts(parameters, side),
        0.62,
        color=_UP if side == "up" else _DOWN,
        hatch="" if side == "up" else "///",
        edgecolor="white",
        linewidth=0,
        label=f"{kind} {'+' if side == 'up' else '−'}1σ",
        zorder=2,
    )


def _draw_outlines(known: Sequence[tuple[float, Impact]], ax: Axes) -> tuple[BarContainer, ...]:
    rows = [row for row, _ in known]
    return tuple(
        ax.barh(
            rows,
            _shifts([impact for _, impact in known], side),
            0.8,
            facecolor="none",
            edgecolor="0.25",
            linestyle="--",
            linewidth=1.2,
            label="Expected",
            zorder=3,
        )
        for side in _SIDES
    )


def _shifts(parameters: Sequence[Impact], side: Side) -> list[float]:
    return [impact.up if side == "up" else impact.down for impact in parameters]


def impact_alt(dataset: str, impacts: SignalImpacts) -> str:
    """Describe pulls and impacts of a signal."""
    shown, kind = _shown(impacts), "expected" if impacts.observed is None else "observed"
    largest = [f"{impact.name} {number(impact.size)}" for impact in shown.parameters[:3]]
    return (
        f"Pulls and impacts on the strength of {dataset}, {kind}: μ = "
        f"{with_error(shown.strength, shown.strength_error)}. Largest of {len(shown.parameters)} impacts: "
        f"{', '.join(largest)}."
    )


def impact_rows(impacts: SignalImpacts) -> Iterator[Row]:
    """Rows of pulls and impacts of one selection of a signal, expected and observed."""
    yield "fit", "parameter", "pull", "width after over before", "impact of +1 sigma on mu", "impact of -1 sigma on mu"
    for kind, fit in (("expected", impacts.expected), ("observed", impacts.observed)):
        for impact in () if fit is None else fit.parameters:
            yield kind, impact.name, impact.pull, impact.error, impact.up, impact.down
