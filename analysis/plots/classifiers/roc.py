"""Separation of signal and background by scores: ROC curve and significance improvement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.diagnostics.sections import DiagnosedWindow, PerformanceSection
from analysis.learning import INCLUSIVE, selection_text
from analysis.plots.figure import ResultFigure, Row, all_windows
from analysis.plots.style import PALETTE, label_logarithmic, selection_label, selection_styles
from analysis.results.numbers import interval, number, percent

__all__ = ["PerformanceArtists", "compare_performance", "draw_roc", "draw_sic", "performance_figures"]

Array = NDArray[np.float64]
Curves = Sequence[tuple[str, PerformanceSection]]
"""Label and section of a window."""

_SIC = r"$\mathit{\epsilon}_{\mathit{S}}$ / √$\mathit{\epsilon}_{\mathit{B}}$"

_DASHES: tuple[Any, ...] = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 0.8)))


@dataclass(frozen=True)
class PerformanceArtists:
    """Artists of each curve, in order.

    Attributes
    ----------
    lines : tuple of matplotlib.lines.Line2D
        Part of each curve where the relative error of ε_B is below 20 %.
    faint : tuple of matplotlib.lines.Line2D
        Remainder of each curve.
    bands : tuple of matplotlib.collections.PolyCollection
        16 to 84 % band of the bootstrap.
    points : dict of (int, str) to matplotlib.lines.Line2D
        Working points, by index of the curve and selection.
    random : matplotlib.lines.Line2D
        Performance of random scores.
    """

    lines: tuple[Line2D, ...]
    faint: tuple[Line2D, ...]
    bands: tuple[PolyCollection, ...]
    points: dict[tuple[int, str], Line2D]
    random: Line2D


@dataclass(frozen=True)
class _Curve:
    """One curve as arrays, by increasing ε_B; `known` marks points from the floor of ε_B on."""

    background: Array
    signal: Array
    low: Array
    high: Array
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, section: PerformanceSection) -> _Curve:
        columns = (section.background_efficiency, section.signal_efficiency, section.low, section.high)
        background, signal, low, high = (np.array(values, np.float64) for values in columns)
        floor = 1.0 if section.floor is None else section.floor
        return cls(background, signal, low, high, background >= floor)


def draw_roc(curves: Curves, *, ax: Axes) -> PerformanceArtists:
    """Draw the background rejection 1/ε_B against the signal efficiency.

    Parameters
    ----------
    curves : sequence of (str, PerformanceSection)
        With labels, of several windows or results.
    ax : matplotlib.axes.Axes

    Returns
    -------
    PerformanceArtists

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from analysis.diagnostics.sections import PerformanceSection
    >>> from analysis.plots import draw_roc, figure_style
    >>> section = PerformanceSection(
    ...     n_signal=100,
    ...     n_background=10_000,
    ...     background_efficiency=(0.01, 0.1),
    ...     signal_efficiency=(0.3, 0.6),
    ...     low=(0.26, 0.55),
    ...     high=(0.34, 0.65),
    ...     auc=(0.80, 0.85, 0.90),
    ...     floor=0.0025,
    ...     max_sic=(3.0, 0.01),
    ...     selections=(),
    ... )
    >>> with figure_style():
    ...     figure, ax = plt.subplots()
    ...     artists = draw_roc([("example", section)], ax=ax)
    >>> [[round(float(value), 2) for value in point] for point in artists.lines[0].get_xydata()]
    [[0.3, 100.0], [0.6, 10.0]]
    """
    lines, faint, bands = [], [], []
    for index, (label, section) in enumerate(curves):
        one, color = _Curve.of(section), PALETTE[index % len(PALETTE)]
        pieces = _pieces(one, one.signal, 1 / one.background, label, index, ax)
        lines.append(pieces[0])
        faint.append(pieces[1])
        bands.append(
            ax.fill_betweenx(1 / one.background, one.low, one.high, color=color, alpha=_alpha(curves), linewidth=0)
        )
    path = np.geomspace(1e-6, 1, 200)
    (random,) = ax.plot(path, 1 / path, color="0.45", linestyle=(0, (1, 1.5)), label="Random")
    points = _draw_points(curves, lambda signal, background: (signal, 1 / background), ax)
    highest = max(float(1 / _Curve.of(section).background[0]) for _, section in curves)
    ax.set(xlim=(0, 1), yscale="log", ylim=(1, 1.5 * highest))
    label_logarithmic(ax.yaxis)
    ax.set(xlabel=r"Signal efficiency $\mathit{\epsilon}_{\mathit{S}}$")
    ax.set_ylabel(r"Background rejection 1 / $\mathit{\epsilon}_{\mathit{B}}$")
    return PerformanceArtists(tuple(lines), tuple(faint), tuple(bands), points, random)


def draw_sic(curves: Curves, *, ax: Axes) -> PerformanceArtists:
    """Draw the significance improvement ε_S/√ε_B against the background efficiency.

    Parameters
    ----------
    curves : sequence of (str, PerformanceSection)
        As `draw_roc` takes them.
    ax : matplotlib.axes.Axes

    Returns
    -------
    PerformanceArtists

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from analysis.diagnostics.sections import PerformanceSection
    >>> from analysis.plots import draw_sic, figure_style
    >>> section = PerformanceSection(
    ...     n_signal=100,
    ...     n_background=10_000,
    ...     background_efficiency=(0.01, 0.1),
    ...     signal_efficiency=(0.3, 0.6),
    ...     low=(0.26, 0.55),
    ...     high=(0.34, 0.65),
    ...     auc=(0.80, 0.85, 0.90),
    ...     floor=0.0025,
    ...     max_sic=(3.0, 0.01),
    ...     selections=(),
    ... )
    >>> with figure_style():
    ...     figure, ax = plt.subplots()
    ...     artists = draw_sic([("example", section)], ax=ax)
    >>> [[round(float(value), 2) for value in point] for point in artists.lines[0].get_xydata()]
    [[0.01, 3.0], [0.1, 1.9]]
    """
    lines, faint, bands, tops = [], [], [], [1.0]
    for index, (label, section) in enumerate(curves):
        curve, color = _Curve.of(section), PALETTE[index % len(PALETTE)]
        root = np.sqrt(curve.background)
        pieces = _pieces(curve, curve.background, curve.signal / root, label, index, ax)
        lines.append(pieces[0])
        faint.append(pieces[1])
        bands.append(
            ax.fill_between(
                *(curve.background, curve.low / root, curve.high / root),
                color=color,
                alpha=_alpha(curves),
                linewidth=0,
                label="Band: 68% of the bootstrap" if index == 0 else "_",
            )
        )
        reached = (curve.high / root)[curve.known] if curve.known.any() else curve.high / root
        tops.append(float(np.max(reached)))
    lowest = min(_Curve.of(section).background[0] for _, section in curves)
    path = np.geomspace(lowest, 1, 200)
    (random,) = ax.plot(path, np.sqrt(path), color="0.45", linestyle=(0, (1, 1.5)), label="Random")
    points = _draw_points(curves, lambda signal, background: (background, signal / np.sqrt(background)), ax)
    ax.set(xscale="log", xlim=(lowest, 1), ylim=(0, 1.15 * max(tops)))
    label_logarithmic(ax.xaxis)
    ax.set_xlabel(r"Background efficiency $\mathit{\epsilon}_{\mathit{B}}$")
    ax.set_ylabel("Significance improvement " + _SIC)
    return PerformanceArtists(tuple(lines), tuple(faint), tuple(bands), points, random)


def _alpha(curves: Curves) -> float:
    return 0.3 if len(curves) == 1 else 0.18


def _pieces(one: _Curve, x: Array, y: Array, label: str, index: int, ax: Axes) -> tuple[Line2D, Line2D]:
    """Draw the well-known part of a curve, and the rest up to it fainter."""
    color = PALETTE[index % len(PALETTE)]
    (line,) = ax.plot(
        *(x[one.known], y[one.known]),
        color=color,
        linestyle=_DASHES[index % len(_DASHES)],
        linewidth=2.4,
        label=label,
        zorder=3,
    )
    rest = ~one.known
    rest[: 1 + np.count_nonzero(rest)] = True
    (faint,) = ax.plot(x[rest], y[rest], color=color, linewidth=1.2, alpha=0.8)
    return line, faint


def _draw_points(
    curves: Curves, place: Callable[[float, float], tuple[float, float]], ax: Axes
) -> dict[tuple[int, str], Line2D]:
    points = {}
    for index, (_, section) in enumerate(curves):
        styles = selection_styles(selection.name for selection in section.selections)
        for selection in section.selections:
            signal, background = selection.signal_efficiency, selection.background_efficiency
            if selection.name == INCLUSIVE or not signal or not background:
                continue
            style = styles[selection.name]
            color = style.color if len(curves) == 1 else PALETTE[index % len(PALETTE)]
            x, y = place(signal, background)
            (points[index, selection.name],) = ax.plot(
                *([x], [y], style.marker),
                color=color,
                markeredgecolor="black",
                markersize=11,
                linestyle="none",
                zorder=4,
                clip_on=False,
            )
    return points


def _handles(curves: Curves, drawn: PerformanceArtists) -> list[Artist]:
    """Return the curves, the artists common to all of them, and one marker per selection."""
    handles: list[Artist] = [*drawn.lines, drawn.bands[0]]
    if any(len(np.asarray(line.get_xdata())) > 1 for line in drawn.faint):
        label = "Error of $\\mathit{\\epsilon}_{\\mathit{B}}$\nabove 20%"
        handles.append(Line2D([], [], color=drawn.faint[0].get_color(), linewidth=1.2, label=label))
    handles.append(drawn.random)
    names = list(dict.fromkeys(name for _, name in drawn.points))
    styles = selection_styles(selection.name for selection in curves[0][1].selections)
    styles = selection_styles(names) | styles
    for name in names:
        color = styles[name].color if len(curves) == 1 else "0.6"
        handles.append(
            Line2D(
                *([], []),
                marker=styles[name].marker,
                color=color,
                linestyle="none",
                markersize=11,
                markeredgecolor="black",
                label=selection_label(name),
            )
        )
    return handles


def compare_performance(curves: Curves, title: str = "") -> tuple[Figure, Axes]:
    """Create the figure of both curves for one or several windows or results.

    Parameters
    ----------
    curves : sequence of (str, PerformanceSection)
        As `draw_roc` takes them.
    title : str

    Returns
    -------
    figure : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes
        Left axes.
    """
    shown = [(_with_area(label, section), section) for label, section in curves]
    figure = Figure(figsize=(15.5, 6.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_roc(shown, ax=left)
    drawn = draw_sic(shown, ax=right)
    right.legend(handles=_handles(shown, drawn), loc="upper left", bbox_to_anchor=(1.02, 1.0))
    right.set_title(title, loc="right")
    return figure, left


def _with_area(label: str, section: PerformanceSection) -> str:
    low, area, high = section.auc
    return f"{label}\nAUC {area:.3f} $\\pm$ {(high - low) / 2:.3f}"


def performance_figures(windows: Sequence[DiagnosedWindow]) -> Iterator[ResultFigure]:
    """List the figures of windows with this section, which is absent while blinded or without truth.

    Yields
    ------
    ResultFigure
        `performance_<window>`, and `performance` with all windows, at most the six with the most signal.
    """
    found = [(diagnosed.window, diagnosed.performance) for diagnosed in windows if diagnosed.performance is not None]
    for window, section in found:
        (low, high), name = window.signal, window.name
        title = f"{low:g}–{high:g} GeV: {section.n_signal} signal and {section.n_background} background events"
        yield ResultFigure(
            f"performance_{name}",
            partial(compare_performance, [("Out-of-fold scores", section)], title),
            f"{interval((low, high))} GeV: hidden signal against background",
            partial(_performance_alt, section),
            partial(performance_rows, section),
            "diagnostics",
            name,
        )
    if len(found) > 1:
        most = sorted(section.n_signal for _, section in found)[-len(PALETTE) :]
        chosen = [(window, section) for window, section in found if section.n_signal >= most[0]][: len(PALETTE)]
        curves = [(f"{window.signal[0]:g}–{window.signal[1]:g} GeV", section) for window, section in chosen]
        sections = {interval(window.signal): section for window, section in found}
        yield ResultFigure(
            "performance",
            partial(compare_performance, curves),
            "Hidden signal against background in all windows",
            partial(_areas_alt, sections),
            partial(all_windows, performance_rows, sections),
            "classifiers",
        )


def _performance_alt(section: PerformanceSection) -> str:
    low, auc, high = section.auc
    points = [
        f"{selection_text(selection.name)} keeps {percent(selection.signal_efficiency)} of the signal"
        for selection in section.selections
        if selection.name != INCLUSIVE and selection.signal_efficiency is not None
    ]
    return (
        f"ROC curve and significance improvement for {section.n_signal} hidden signal events: area {number(auc, 3)} "
        f"({number(low, 3)} to {number(high, 3)}); {', '.join(points)}."
    )


def performance_rows(section: PerformanceSection) -> Iterator[Row]:
    """Rows of the ROC curve, one per background efficiency."""
    yield "background efficiency", "signal efficiency", "low (16 %)", "high (84 %)"
    columns = (section.background_efficiency, section.signal_efficiency, section.low, section.high)
    yield from zip(*columns, strict=True)


def _areas_alt(sections: Mapping[str, PerformanceSection]) -> str:
    areas = [f"{window} GeV {number(section.auc[1], 3)}" for window, section in sections.items()]
    return f"ROC curves and significance improvements. Areas under the curves: {', '.join(areas)}."
