"""What signal-free samples say of the search: how z is distributed, and the shift of z by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

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

from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, selection_label, selection_styles, series_line
from analysis.results.numbers import z_value

__all__ = [
    "PullArtists",
    "ShiftArtists",
    "draw_validation_pulls",
    "draw_validation_shifts",
    "standardised",
    "validation_figures",
]

Array = NDArray[np.float64]
Document = Mapping[str, Any]

_EDGES = np.arange(-4.0, 4.01, 0.5)
_SPREAD = 0.62
"""Height that the selections of a window share, of the distance of two windows."""

_COLORS = {"valid": PALETTE[0], "not valid": PALETTE[2], "not testable": "0.45"}
_LEAST_FOR_WIDTH = 2


@dataclass(frozen=True)
class PullArtists:
    """What `draw_validation_pulls` drew.

    Attributes
    ----------
    histograms : dict of str to matplotlib.patches.StepPatch
        By source, normalised to 1.
    gaussian : matplotlib.lines.Line2D
        The unit Gaussian.
    legend : matplotlib.legend.Legend
    """

    histograms: dict[str, StepPatch]
    gaussian: Line2D
    legend: Legend


@dataclass(frozen=True)
class ShiftArtists:
    """What `draw_validation_shifts` drew.

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


def standardised(windows: Sequence[Document]) -> dict[str, list[float]]:
    """Collect the mean z of every window and selection over its error, by source.

    Parameters
    ----------
    windows : sequence of mapping
        "windows" of `validation.json`. Selections with so few events that z is no Gaussian are left out.

    Returns
    -------
    dict of str to list of float
        Without sources that tested nothing.
    """
    found: dict[str, list[float]] = {}
    for window in windows:
        for source in window["sources"]:
            for one in source["selections"]:
                if one["z"] is not None and one["z_error"] and one["calibrated"]:
                    found.setdefault(source["source"], []).append(one["z"] / one["z_error"])
    return found


def draw_validation_pulls(windows: Sequence[Document], *, ax: Axes) -> PullArtists:
    """Draw how z of all windows and selections is distributed in each source, beside the unit Gaussian.

    Where a source has several draws it is their mean over its error. Selections of a window share events, and so do
    windows that overlap: the numbers in a histogram are not independent.

    Parameters
    ----------
    windows : sequence of mapping
        "windows" of `validation.json`.
    ax : matplotlib.axes.Axes
        What lies outside is in the first and last bin.

    Returns
    -------
    PullArtists
    """
    found = standardised(windows)
    histograms = {
        name: _draw_histogram(name, np.array(values), index, ax) for index, (name, values) in enumerate(found.items())
    }
    x = np.linspace(_EDGES[0], _EDGES[-1], 201)
    (gaussian,) = ax.plot(x, stats.norm.pdf(x), color="black", linewidth=1.6, label="Unit Gaussian", zorder=1)
    highest = max([0.4, *(float(np.max(one.get_data()[0])) for one in histograms.values())])
    ax.set(
        xlim=(_EDGES[0], _EDGES[-1]),
        ylim=(0, highest * (1.15 + 0.11 * (1 + len(histograms)))),
        xlabel=r"$\mathit{z}$ without signal, over its error",
        ylabel="Tests, normalised",
    )
    legend = ax.legend(loc="upper left", title="Source: tests, mean, width", title_fontsize="small")
    return PullArtists(histograms, gaussian, legend)


def draw_validation_shifts(windows: Sequence[Document], *, ax: Axes) -> ShiftArtists:
    """Draw the shift of z that the non-closure makes at the size of the search, combined over the sources.

    Parameters
    ----------
    windows : sequence of mapping
        "windows" of `validation.json`.
    ax : matplotlib.axes.Axes
        A row a window, with its verdict as colour and in words; the shift that is allowed is shaded.

    Returns
    -------
    ShiftArtists
    """
    styles = selection_styles(one["name"] for window in windows for one in window["combined"])
    names = [name for name in styles if any(one["name"] == name for window in windows for one in window["combined"])]
    offsets = dict(
        zip(names, _SPREAD * (np.arange(len(names)) - (len(names) - 1) / 2) / max(len(names), 1), strict=True)
    )
    points = {}
    for row, window in enumerate(windows):
        for one in window["combined"]:
            if one["shift"] is not None:
                points[window["window"], one["name"]] = ax.errorbar(
                    [one["shift"]],
                    [row + offsets[one["name"]]],
                    xerr=[one["shift_error"]],
                    color=_COLORS[window["verdict"]],
                    marker=styles[one["name"]].marker,
                    markersize=7,
                    linestyle="none",
                    elinewidth=1.4,
                    zorder=3,
                )
    _set_rows(windows, ax)
    allowed = {window["max_shift"] for window in windows if window.get("max_shift") is not None}
    if len(allowed) == 1:
        ax.axvspan(-(limit := allowed.pop()), limit, color="0.88", linewidth=0, zorder=0)
    ax.axvline(0, color="0.5", linewidth=1, zorder=1)
    ax.set_xlabel(r"Shift of $\mathit{z}$ from non-closure, all sources")
    handles = [
        Line2D([], [], color="0.3", marker=styles[name].marker, linestyle="none", label=selection_label(name))
        for name in names
    ]
    legend = ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, columnspacing=0.9)
    return ShiftArtists(points, _write_verdicts(windows, ax), legend)


def validation_figures(windows: Sequence[Document]) -> Iterator[ResultFigure]:
    """List the figure `validation`, where anything was tested.

    Parameters
    ----------
    windows : sequence of mapping
        "windows" of `validation.json`; nothing of them is made of counts inside the masks.

    Yields
    ------
    ResultFigure
    """
    if standardised(windows) or any(window["combined"] for window in windows):
        yield ResultFigure(
            "validation",
            partial(_validation, windows),
            "Signal-free samples: z, and its shift by window",
            partial(validation_alt, windows),
            partial(validation_rows, windows),
            "validation",
        )


def _validation(windows: Sequence[Document]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(13.0, max(6.5, 2.8 + 0.5 * len(windows))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    draw_validation_pulls(windows, ax=left)
    draw_validation_shifts(windows, ax=right)
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


def _set_rows(windows: Sequence[Document], ax: Axes) -> None:
    ax.set_yticks(range(len(windows)), [window["window"].replace("-", "–") for window in windows])
    ax.set_ylim(len(windows) - 0.5, -0.5)
    ax.set_ylabel("Window [GeV]")
    ax.tick_params(axis="y", which="both", length=0)
    ax.minorticks_off()
    for row in range(1, len(windows)):
        ax.axhline(row - 0.5, color="0.85", linewidth=0.8, zorder=0)


def _write_verdicts(windows: Sequence[Document], ax: Axes) -> dict[str, Text]:
    return {
        window["window"]: ax.text(
            *(1.015, row, window["verdict"] + (",\nflagged" if window["flags"] else "")),
            transform=ax.get_yaxis_transform(),
            va="center",
            color=_COLORS[window["verdict"]],
            fontsize="small",
        )
        for row, window in enumerate(windows)
    }


def validation_alt(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Describe the tests on signal-free samples."""
    sources: dict[str, list[float]] = {}
    for window in verdicts:
        for source in window["sources"]:
            known = [one["z"] for one in source["selections"] if one["z"] is not None]
            sources.setdefault(source["source"], []).extend(known)
    tests = [
        f"{name} {len(values)} tests, mean z {z_value(sum(values) / len(values))}"
        for name, values in sources.items()
        if values
    ]
    judged = [f"{one['window'].replace('-', '–')} GeV {one['verdict']}" for one in verdicts]
    return (
        f"Distribution of z on signal-free samples beside the unit Gaussian: {'; '.join(tests)}. Shift of z in each "
        f"window with its verdict: {', '.join(judged)}."
    )


def validation_rows(verdicts: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Rows of the signal-free tests: by window, source and selection; the source "all" is their combination."""
    keys = ("z", "z_error", "delta", "delta_error", "shift", "shift_error")
    yield "window", "verdict", "source", "selection", *keys
    for window in verdicts:
        for name, found in [
            *((one["source"], one["selections"]) for one in window["sources"]),
            ("all", window["combined"]),
        ]:
            for one in found:
                yield window["window"], window["verdict"], name, one["name"], *(one.get(key) for key in keys)
