"""Methods compared on the same events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from analysis.core.quoting import quoted
from analysis.diagnostics.method_values import CUTS, MethodResult, TrainedMethod
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, bars_between, plain, sample_name
from analysis.results.numbers import interval, number, percent

__all__ = ["MethodArtists", "draw_methods", "methods_figures"]

_APART = 0.2


@dataclass(frozen=True)
class MethodArtists:
    """Artists of `draw_methods`.

    Attributes
    ----------
    points : dict of str to matplotlib.lines.Line2D
        Medians over the trainings by quantity, the first method on top.
    """

    points: dict[str, Line2D]


@dataclass(frozen=True)
class _Series:
    """One quantity of a training, and its markers."""

    name: str
    value: Callable[[TrainedMethod], float | None]
    color: str
    marker: str = "o"
    filled: bool = True


def _sic(index: int, one: TrainedMethod) -> float:
    return one.sic[index]


_PANELS: tuple[tuple[str, tuple[_Series, ...]], ...] = (
    (
        "Significance improvement",
        tuple(
            _Series(f"at {100 * cut:g}%", partial(_sic, index), PALETTE[index], marker)
            for index, (cut, marker) in enumerate(zip(CUTS, "os", strict=True))
        ),
    ),
    ("S/√B for 5σ", (_Series("sigma_min", attrgetter("sigma_min"), PALETTE[0]),)),
    (
        "z of hidden signal",
        (
            _Series("nominal", attrgetter("z"), PALETTE[0], "D", filled=False),
            _Series("calibrated", attrgetter("z_calibrated"), PALETTE[0]),
        ),
    ),
)


def draw_methods(results: Sequence[MethodResult], *, axes: Sequence[Axes]) -> MethodArtists:
    """Draw significance improvement, σ_min, z and non-closure of the methods, one row each.

    Parameters
    ----------
    results : sequence of MethodResult
        Of one signal in one window, trained.
    axes : sequence of matplotlib.axes.Axes
        Four, with a common y axis. Bars reach from the lowest to the highest training; those of the non-closure are its
        error.

    Returns
    -------
    MethodArtists
    """
    points: dict[str, Line2D] = {}
    for ax, (label, series) in zip(axes, _PANELS, strict=False):
        for place, one in enumerate(series):
            offset = _APART * (place - (len(series) - 1) / 2)
            if (line := _draw_series(results, one, offset, ax)) is not None:
                points[one.name] = line
        ax.set_xlabel(label)
        ax.margins(x=0.12)
        ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
        if len(ax.get_legend_handles_labels()[0]) > 1:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=0.8, handletextpad=0.1)
    _draw_closure(results, axes[len(_PANELS)], points)
    names = [plain(one.method) for one in results]
    axes[0].set_yticks(range(len(names)), names)
    for ax in axes:
        ax.tick_params(axis="y", which="both", length=0)
        ax.minorticks_off()
        ax.set_ylim(len(names) - 0.5, -0.5)
        for place in range(len(names) - 1):
            ax.axhline(place + 0.5, color="0.9", zorder=0)
    return MethodArtists(points)


def _draw_series(results: Sequence[MethodResult], series: _Series, offset: float, ax: Axes) -> Line2D | None:
    measured = [
        (place, values)
        for place, result in enumerate(results)
        if (values := [value for one in result.trainings if (value := series.value(one)) is not None])
    ]
    if not measured:
        return None
    middle, low, high = (np.array([of(values) for _, values in measured]) for of in (median, min, max))
    drawn = ax.errorbar(
        middle,
        np.array([place + offset for place, _ in measured]),
        xerr=bars_between(low, middle, high),
        fmt=series.marker,
        color=series.color,
        markerfacecolor=series.color if series.filled else "white",
        markersize=9,
        capsize=3,
        zorder=3,
    )
    line = drawn.lines[0]
    drawn.set_label(series.name)
    return line


def _draw_closure(results: Sequence[MethodResult], ax: Axes, points: dict[str, Line2D]) -> None:
    closed = [(place, one.closure) for place, one in enumerate(results) if one.closure is not None]
    ax.axvline(0.0, color="0.45", linestyle=(0, (1, 1.5)), zorder=1)
    ax.set_xlabel("Without signal:\n$(n - b)/b$ [%]")
    if closed:
        places, values = zip(*closed, strict=True)
        x, errors = (100 * np.array([getattr(one, name) for one in values]) for name in ("delta", "error"))
        drawn = ax.errorbar(x, places, xerr=errors, fmt="o", color=PALETTE[0], markersize=9, capsize=3, zorder=3)
        points["non-closure"] = drawn.lines[0]


def methods_figures(results: Sequence[MethodResult]) -> Iterator[ResultFigure]:
    """List the figures of `methods.json`.

    Yields
    ------
    ResultFigure
        `methods_<signal>_<window>`, of the methods that were trained.
    """
    for signal, window in dict.fromkeys((one.signal, one.window) for one in results):
        rows = [one for one in results if (one.signal, one.window) == (signal, window) and one.trainings]
        if rows:
            yield ResultFigure(
                f"methods_{quoted(signal)}_{window.name}",
                partial(_methods, rows),
                f"{signal} in {interval(window.signal)} GeV: all methods",
                partial(_alt, rows),
                partial(method_rows, rows),
                "classifiers",
            )


def _methods(results: Sequence[MethodResult]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(18.0, 3.6 + 0.7 * len(results)), layout=ConstrainedLayoutEngine(wspace=0.05))
    axes = figure.subplots(1, len(_PANELS) + 1, sharey=True, width_ratios=(1.5, 1, 1, 1))
    draw_methods(results, axes=axes)
    low, high = results[0].window.signal
    axes[-1].set_title(f"{sample_name(results[0].signal)},\n{low:g}–{high:g} GeV", loc="right", fontsize="small")
    return figure, axes[0]


def method_rows(results: Sequence[MethodResult]) -> Iterator[Row]:
    """Rows of the comparison, one per method and training."""
    cuts = [f"SIC at background efficiency {cut:g}" for cut in CUTS]
    areas = ("area under the ROC curve", "area, window against sidebands")
    significances = ("S over sqrt(B) for five standard deviations", "nominal z", "calibrated z")
    yield "method", "training", *cuts, *areas, *significances, "non-closure", "error of the non-closure", "CPU seconds"
    for result in results:
        closure = (None, None) if result.closure is None else (result.closure.delta, result.closure.error)
        for training, one in enumerate(result.trainings):
            shown = (*one.sic, one.auc, one.window_sideband_auc, one.sigma_min, one.z, one.z_calibrated)
            yield result.method, training, *shown, *closure, one.cpu_seconds


def _alt(results: Sequence[MethodResult]) -> str:
    medians = ", ".join(f"{one.method} {number(median(done.sic[0] for done in one.trainings))}" for one in results)
    return f"Methods and median significance improvement at {percent(CUTS[0])} of the background: {medians}."
