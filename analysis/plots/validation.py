"""Tests of the search on signal-free samples: distribution of z, and shift of z by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from numpy.typing import NDArray
from scipy import stats

from analysis.core.counted import counted
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, selection_label, selection_styles, series_line
from analysis.results.numbers import z_value
from analysis.validation.values import WindowVerdict

__all__ = [
    "PullArtists",
    "ShiftArtists",
    "draw_validation_pulls",
    "draw_validation_shifts",
    "standardised",
    "validation_figures",
]

Array = NDArray[np.float64]

_EDGES = np.arange(-4.0, 4.01, 0.5)
_SPREAD = 0.62
"""Total height of the selections of a window, relative to the distance of two windows."""

_COLORS = {"valid": PALETTE[0], "not valid": PALETTE[2], "not testable": "0.45"}
_LEAST_FOR_WIDTH = 2
_TEXT_WIDTH = 20
"""Characters in a line of the verdict beside a row."""


@dataclass(frozen=True)
class PullArtists:
    """Artists of `draw_validation_pulls`.

    Attributes
    ----------
    histograms : dict of str to matplotlib.patches.StepPatch
        By source, normalised to 1.
    gaussian : matplotlib.lines.Line2D
        Standard normal distribution.
    legend : matplotlib.legend.Legend
    """

    histograms: dict[str, StepPatch]
    gaussian: Line2D
    legend: Legend


@dataclass(frozen=True)
class ShiftArtists:
    """Artists of `draw_validation_shifts`.

    Attributes
    ----------
    points : dict of (str, str) to matplotlib.container.ErrorbarContainer
        By window and selection.
    verdicts : dict of str to matplotlib.text.Text
        By window.
    legend : matplotlib.legend.Legend
    """

    points: dict[tuple[str, str], ErrorbarContainer]
    verdicts: dict[str, Text]
    legend: Legend


def standardised(verdicts: Sequence[WindowVerdict]) -> dict[str, list[float]]:
    """Collect the mean z of every window and selection, divided by its error, by source.

    Parameters
    ----------
    verdicts : sequence of WindowVerdict
        Selections with too few events for z to be normally distributed are left out.

    Returns
    -------
    dict of str to list of float
        Only sources with tests.
    """
    found: dict[str, list[float]] = {}
    for verdict in verdicts:
        for source in verdict.sources:
            for selection in source.selections:
                if selection.z is not None and selection.z_error and selection.calibrated:
                    found.setdefault(source.source, []).append(selection.z / selection.z_error)
    return found


def draw_validation_pulls(verdicts: Sequence[WindowVerdict], *, ax: Axes) -> PullArtists:
    """Draw the distribution of z over windows and selections for each source, with the standard normal one.

    For sources with several draws, z is their mean over its error. Selections of a window and overlapping windows share
    events: the entries of a histogram are not independent.

    Parameters
    ----------
    verdicts : sequence of WindowVerdict
    ax : matplotlib.axes.Axes
        Values outside of its range are in the first and last bin.

    Returns
    -------
    PullArtists
    """
    found = standardised(verdicts)
    histograms = {
        name: _draw_histogram(name, np.array(values), index, ax) for index, (name, values) in enumerate(found.items())
    }
    x = np.linspace(_EDGES[0], _EDGES[-1], 201)
    (gaussian,) = ax.plot(x, stats.norm.pdf(x), color="black", linewidth=1.6, label="Unit Gaussian", zorder=1)
    highest = max([0.4, *(float(np.max(histogram.get_data()[0])) for histogram in histograms.values())])
    ax.set(
        xlim=(_EDGES[0], _EDGES[-1]),
        ylim=(0, highest * (1.15 + 0.11 * (1 + len(histograms)))),
        xlabel=r"$\mathit{z}$ without signal, over its error",
        ylabel="Tests, normalised",
    )
    legend = ax.legend(loc="upper left", title="Source: tests, mean, width", title_fontsize="small")
    return PullArtists(histograms, gaussian, legend)


def draw_validation_shifts(verdicts: Sequence[WindowVerdict], *, ax: Axes) -> ShiftArtists:
    """Draw the shift of z due to non-closure at the size of the search, combined over the sources.

    Parameters
    ----------
    verdicts : sequence of WindowVerdict
    ax : matplotlib.axes.Axes
        One row per window, with its verdict as colour and text; the allowed shift is shaded.

    Returns
    -------
    ShiftArtists
    """
    combined = {selection.name for verdict in verdicts for selection in verdict.combined}
    styles = selection_styles(selection.name for verdict in verdicts for selection in verdict.combined)
    names = [name for name in styles if name in combined]
    offsets = dict(
        zip(names, _SPREAD * (np.arange(len(names)) - (len(names) - 1) / 2) / max(len(names), 1), strict=True)
    )
    points = {}
    for row, verdict in enumerate(verdicts):
        for selection in verdict.combined:
            if selection.shift is not None:
                points[verdict.window, selection.name] = ax.errorbar(
                    [selection.shift],
                    [row + offsets[selection.name]],
                    xerr=np.array([selection.shift_error], np.float64),
                    color=_COLORS[verdict.verdict],
                    marker=styles[selection.name].marker,
                    markersize=7,
                    linestyle="none",
                    elinewidth=1.4,
                    zorder=3,
                )
    _set_rows(verdicts, ax)
    allowed = {verdict.max_shift for verdict in verdicts}
    if len(allowed) == 1:
        ax.axvspan(-(limit := allowed.pop()), limit, color="0.88", linewidth=0, zorder=0)
    ax.axvline(0, color="0.5", linewidth=1, zorder=1)
    ax.set_xlabel(r"Shift of $\mathit{z}$ from non-closure, all sources")
    handles = [
        Line2D([], [], color="0.3", marker=styles[name].marker, linestyle="none", label=selection_label(name))
        for name in names
    ]
    legend = ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, columnspacing=0.9)
    return ShiftArtists(points, _write_verdicts(verdicts, ax), legend)


def validation_figures(verdicts: Sequence[WindowVerdict]) -> Iterator[ResultFigure]:
    """List the figure `validation` if any test exists.

    Parameters
    ----------
    verdicts : sequence of WindowVerdict
        Independent of counts inside the masks.

    Yields
    ------
    ResultFigure
    """
    if standardised(verdicts) or any(verdict.combined for verdict in verdicts):
        yield ResultFigure(
            "validation",
            partial(_validation, verdicts),
            "Signal-free samples: z, and its shift by window",
            partial(validation_alt, verdicts),
            partial(validation_rows, verdicts),
            "validation",
        )


def _validation(verdicts: Sequence[WindowVerdict]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(13.0, max(6.5, 2.8 + 0.5 * len(verdicts))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    draw_validation_pulls(verdicts, ax=left)
    draw_validation_shifts(verdicts, ax=right)
    return figure, left


def _draw_histogram(name: str, values: Array, index: int, ax: Axes) -> StepPatch:
    counts, _ = np.histogram(np.clip(values, _EDGES[0], _EDGES[-1]), _EDGES)
    width = f", {np.std(values, ddof=1):.2f}" if len(values) >= _LEAST_FOR_WIDTH else ""
    return ax.stairs(
        counts / len(values) / np.diff(_EDGES),
        _EDGES,
        label=f"{name}: {len(values)}, {np.mean(values) + 0.0:.2f}{width}",
        zorder=3,
        **(series_line(index) | {"linewidth": 2.2}),
    )


def _set_rows(verdicts: Sequence[WindowVerdict], ax: Axes) -> None:
    ax.set_yticks(range(len(verdicts)), [verdict.window.replace("-", "–") for verdict in verdicts])
    ax.set_ylim(len(verdicts) - 0.5, -0.5)
    ax.set_ylabel("Window [GeV]")
    ax.tick_params(axis="y", which="both", length=0)
    ax.minorticks_off()
    for row in range(1, len(verdicts)):
        ax.axhline(row - 0.5, color="0.85", linewidth=0.8, zorder=0)


def _write_verdicts(verdicts: Sequence[WindowVerdict], ax: Axes) -> dict[str, Text]:
    return {
        verdict.window: ax.text(
            *(1.015, row, fill(verdict.text + (", flagged" if verdict.flags else ""), _TEXT_WIDTH)),
            transform=ax.get_yaxis_transform(),
            va="center",
            color=_COLORS[verdict.verdict],
            fontsize="small",
        )
        for row, verdict in enumerate(verdicts)
    }


def validation_alt(verdicts: Sequence[WindowVerdict]) -> str:
    """Describe the tests on signal-free samples."""
    sources: dict[str, list[float]] = {}
    for verdict in verdicts:
        for source in verdict.sources:
            known = [selection.z for selection in source.selections if selection.z is not None]
            sources.setdefault(source.source, []).extend(known)
    tests = [
        f"{name} {counted(len(values), 'test')}, mean z {z_value(sum(values) / len(values))}"
        for name, values in sources.items()
        if values
    ]
    judged = [f"{verdict.window.replace('-', '–')} GeV {verdict.text}" for verdict in verdicts]
    return (
        f"Distribution of z on signal-free samples beside the unit Gaussian: {'; '.join(tests)}. Shift of z in each "
        f"window with its verdict: {', '.join(judged)}."
    )


def validation_rows(verdicts: Iterable[WindowVerdict]) -> Iterator[Row]:
    """Rows of the signal-free tests: by window, source and selection; the source "all" is their combination."""
    yield (
        "window",
        "verdict",
        "source",
        "selection",
        "z",
        "z_error",
        "delta",
        "delta_error",
        "shift",
        "shift_error",
        "detectable",
    )
    for verdict in verdicts:
        for source in verdict.sources:
            for test in source.selections:
                yield (
                    *(verdict.window, verdict.verdict, source.source, test.name, test.z, test.z_error),
                    *(test.delta, test.delta_error, test.shift, test.shift_error, None),
                )
        for mean in verdict.combined:
            yield (
                *(verdict.window, verdict.verdict, "all", mean.name, None, None),
                *(mean.delta, mean.delta_error, mean.shift, mean.shift_error, mean.detectable),
            )
