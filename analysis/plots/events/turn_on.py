"""Efficiency of the triggers against m_jj, with its fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.config import PlotConfig
from analysis.plots.drawing import draw_all
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE
from analysis.results.numbers import count
from analysis.results.turn_on import TurnOnFile
from analysis.statistics.efficiencies import clopper_pearson, turn_on

__all__ = ["TurnOnArtists", "draw_turn_on", "save_turn_on", "turn_on_figures"]


@dataclass(frozen=True)
class TurnOnArtists:
    """Artists of `draw_turn_on`.

    Attributes
    ----------
    points : matplotlib.container.ErrorbarContainer
    curve : matplotlib.lines.Line2D or None
        None without a fit.
    edge : matplotlib.lines.Line2D
        Proposed smooth edge.
    """

    points: ErrorbarContainer
    curve: Line2D | None
    edge: Line2D


def draw_turn_on(found: TurnOnFile, *, ax: Axes) -> TurnOnArtists:
    """Draw the efficiency of each bin with events, its 68 % interval, the fit and the proposed edge.

    Parameters
    ----------
    found : TurnOnFile
    ax : matplotlib.axes.Axes

    Returns
    -------
    TurnOnArtists
    """
    measured = found.measured
    means, total, passed = measured.efficiency.arrays()
    value, (low, high) = passed / total, clopper_pearson(passed, total)
    points = ax.errorbar(
        means, value, yerr=np.array([value - low, high - value]), fmt="o", markersize=4, color="black", label="Measured"
    )
    curve = None
    if (fit := measured.fit) is not None:
        masses = np.linspace(measured.efficiency.edges[0], measured.efficiency.edges[-1], 600)
        values = turn_on(masses, fit.midpoint, fit.width, fit.plateau)
        curve = ax.plot(masses, values, color=PALETTE[0], label="Error function with plateau")[0]
    label = f"Loss below {measured.loss:g}: {measured.smooth_edge:g} GeV"
    edge = ax.axvline(measured.smooth_edge, color=PALETTE[2], linestyle="--", label=label)
    right = min(measured.efficiency.edges[-1], max(2.0 * measured.smooth_edge - measured.efficiency.edges[0], means[0]))
    ax.set_xlim(measured.efficiency.edges[0], right)
    ax.set_ylim(0.0, 1.35)
    ax.set_xlabel(r"$m_{jj}$ [GeV]")
    ax.set_ylabel("Trigger efficiency")
    ax.legend(loc="upper left")
    return TurnOnArtists(points, curve, edge)


def turn_on_figures(found: TurnOnFile) -> Iterator[ResultFigure]:
    """List the figure `turn_on`.

    Yields
    ------
    ResultFigure
    """
    yield ResultFigure(
        "turn_on",
        partial(_figure, found),
        "Turn-on of the triggers",
        partial(_alternative, found),
        partial(_rows, found),
        "cutflow",
    )


def save_turn_on(found: TurnOnFile, folder: Path, config: PlotConfig) -> list[Path]:
    """Draw the figure into a folder, and leave all others in it; see `analysis.plots.drawing.draw_all`."""
    return draw_all(turn_on_figures(found), folder, config, only=("turn_on",))


def _figure(found: TurnOnFile) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9.0, 6.5), layout="constrained")
    ax = figure.subplots()
    draw_turn_on(found, ax=ax)
    return figure, ax


def _alternative(found: TurnOnFile) -> str:
    measured = found.measured
    return (
        f"Efficiency of {' or '.join(found.triggers)} against m_jj in {count(sum(measured.efficiency.total))} events "
        f"of {' or '.join(found.reference)}. Less than {measured.loss:g} of the plateau is lost from "
        f"{measured.flat_from:.0f} ± {measured.flat_from_error:.0f} GeV; proposed edge {measured.smooth_edge:g} GeV."
    )


def _rows(found: TurnOnFile) -> Iterator[Row]:
    efficiency = found.measured.efficiency
    low, high = clopper_pearson(np.array(efficiency.passed), np.array(efficiency.total))
    yield (
        *("m_jj from [GeV]", "m_jj to [GeV]", "mean m_jj [GeV]", "reference events", "passing events"),
        *("efficiency", "efficiency low (68 %)", "efficiency high (68 %)"),
    )
    bins = zip(efficiency.edges[:-1], efficiency.edges[1:], efficiency.means, strict=True)
    for i, ends in enumerate(bins):
        total, passed = efficiency.total[i], efficiency.passed[i]
        values = (passed / total, float(low[i]), float(high[i])) if total else (None, None, None)
        yield *ends, total, passed, *values
