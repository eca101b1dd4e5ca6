"""Local p-values of all windows and selections."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import NullFormatter
from scipy import stats

from analysis.core.counted import counted
from analysis.learning import selection_text
from analysis.plots.bad_fits import draw_bad_fits
from analysis.plots.calibration import NOMINAL_STYLE, nominal_handle, with_caption
from analysis.plots.figure import Row
from analysis.plots.style import (
    MASS_LABEL,
    SelectionStyle,
    bars_between,
    format_p_value,
    selection_label,
    selection_styles,
)
from analysis.regions import MassWindow
from analysis.results.values import Results, WindowDocument
from analysis.results.verdict import global_text
from analysis.results.wording.significances import retraining_remark
from analysis.results.words import fit_text, global_caveat, largest_excess, window_text
from analysis.search.seeds import n_seeds
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import GlobalResult

__all__ = ["ScanArtists", "draw_scan"]

_SMALLEST = 1e-305
"""Position of smaller p-values, including zero from underflow."""

_SMALLEST_RANGE_Z = 3.5
_GLOBAL_COLOR = "0.25"
_GLOBAL_Z = 3
"""Global significance that is marked by a line, standard deviations."""

_ROOM, _PALE = 0.55, 0.4
"""Fraction of a window, or of the distance to the next, that points take up; opacity of the bars of windows."""

_LEVEL_DISTANCE = 0.04
"""Smallest distance of two labelled levels, as a fraction of the axes height."""

_HEADROOM, _HEADROOM_PER_LINE, _LINES = 0.28, 0.09, 3
"""Fraction of the logarithmic range added above p = 1 for a legend of so many lines, and for each further line."""

_COLUMNS = 2


@dataclass(frozen=True)
class ScanArtists:
    """Artists of `draw_scan`.

    Attributes
    ----------
    points : dict of str to matplotlib.container.ErrorbarContainer
        By selection; calibrated with retraining if possible, with the error of the calibration.
    nominal : dict of str to matplotlib.lines.Line2D
        Nominal p-values beside calibrated ones, by selection.
    levels : tuple of matplotlib.lines.Line2D
        Lines at whole standard deviations.
    global_level : matplotlib.lines.Line2D or None
        Line at the local p-value of three global standard deviations.
    missing : tuple of matplotlib.lines.Line2D
        One cross per window or selection without a p-value.
    bad_fits : matplotlib.lines.Line2D or None
        Rings around the points from a bad background fit.
    text : matplotlib.text.Text or None
        Global p-value.
    legend : matplotlib.legend.Legend
    """

    points: dict[str, ErrorbarContainer]
    nominal: dict[str, Line2D]
    levels: tuple[Line2D, ...]
    global_level: Line2D | None
    missing: tuple[Line2D, ...]
    bad_fits: Line2D | None
    text: Text | None
    legend: Legend


def draw_scan(results: Sequence[WindowResult], *, ax: Axes, global_result: GlobalResult | None = None) -> ScanArtists:
    """Draw the local p-value of every window and selection, calibrated with retraining if possible.

    Horizontal bars are the windows; the points of different selections lie side by side about the centre of a window.

    Parameters
    ----------
    results : sequence of WindowResult
    ax : matplotlib.axes.Axes
    global_result : GlobalResult, optional
        Written above the axes. Its number of looks n gives the line of three global standard deviations,
        p_local = 1 - (1 - p_global)^(1/n) as for independent looks (Šidák, J. Am. Stat. Assoc. 62 (1967) 626); if
        looks share events, the global significance is at least as large.

    Returns
    -------
    ScanArtists

    Examples
    --------
    >>> from pathlib import Path
    >>> import matplotlib.pyplot as plt
    >>> from analysis.plots import draw_scan, figure_style
    >>> from analysis.results import ResultsFolder
    >>> _, windows = ResultsFolder(Path("results")).load_results()
    >>> with figure_style():
    ...     figure, ax = plt.subplots()
    ...     artists = draw_scan(windows, ax=ax)
    >>> list(artists.points)[0]
    'inclusive'
    """
    names = tuple(dict.fromkeys(selection.name for result in results for selection in result.selections))
    found = {name: _found(results, name) for name in names}
    styles = selection_styles(names)
    shifts = _side_by_side(results, names)
    points = {name: _draw_points(found[name], name, styles[name], shifts[name], ax) for name in names}
    drawn = {name: _draw_nominal(found[name], styles[name], shifts[name], ax) for name in names}
    nominal = {name: line for name, line in drawn.items() if line is not None}
    tested = [one for pairs in found.values() for _, one in pairs]
    shown = [one.local_p0 for one in tested] + [one.nominal.p0 for one in tested if one.nominal is not None]
    missing = _draw_missing(results, styles, ax)
    bad_fits = _draw_bad_fits(results, shifts, ax)
    looks = 0 if global_result is None or global_result.p0 is None else global_result.n_trials or 0
    global_p0 = _local_p0(_GLOBAL_Z, looks)
    others = [*([nominal_handle()] if nominal else []), *([bad_fits] if bad_fits else []), *missing[:1]]
    lines = ceil((len(points) + len(others) + (global_p0 is not None)) / _COLUMNS)
    _set_range(results, [p0 for p0 in (*shown, global_p0) if p0 is not None], lines, ax)
    levels = _draw_levels(ax)
    global_level = None if global_p0 is None else _draw_global_level(global_p0, looks, ax)
    text = None
    if global_result is not None and global_result.p0 is not None:
        text = ax.set_title(_global_text(global_result, results), loc="right")
    handles = [*points.values(), *([global_level] if global_level else []), *others]
    legend = ax.legend(handles=handles, loc="upper left", ncols=_COLUMNS, columnspacing=1.2)
    return ScanArtists(points, nominal, levels, global_level, missing, bad_fits, text, legend)


def _side_by_side(results: Sequence[WindowResult], names: Sequence[str]) -> dict[str, float]:
    """Return the distance of the points of each selection from the centre of their window, in GeV."""
    centres = np.unique([sum(result.window.signal) / 2 for result in results])
    widths = [result.window.signal[1] - result.window.signal[0] for result in results]
    room = _ROOM * min([*widths, *np.diff(centres)])
    return {name: room * ((i + 0.5) / len(names) - 0.5) for i, name in enumerate(names)}


def _draw_bad_fits(results: Sequence[WindowResult], shifts: dict[str, float], ax: Axes) -> Line2D | None:
    found = [
        (sum(result.window.signal) / 2 + shifts[selection.name], max(selection.local_p0, _SMALLEST))
        for result in results
        for selection in result.selections
        if selection.local_p0 is not None and selection.has_bad_fit
    ]
    return draw_bad_fits([x for x, _ in found], [y for _, y in found], ax=ax)


def _found(results: Sequence[WindowResult], name: str) -> list[tuple[MassWindow, SelectionResult]]:
    return [
        (result.window, selection)
        for result in results
        for selection in result.selections
        if selection.name == name and selection.discovery is not None
    ]


def _draw_points(
    found: Sequence[tuple[MassWindow, SelectionResult]], name: str, style: SelectionStyle, shift: float, ax: Axes
) -> ErrorbarContainer:
    signal = np.array([window.signal for window, _ in found]).reshape(-1, 2)
    z = np.array([one.local_z for _, one in found], np.float64)
    error = np.array([one.local_z_error or 0.0 for _, one in found])
    p0, low, high = (np.maximum(stats.norm.sf(one), _SMALLEST) for one in (z, z + error, z - error))
    low_edge, high_edge = signal.T
    x = signal.mean(axis=1) + shift
    container: ErrorbarContainer = ax.errorbar(
        x,
        p0,
        xerr=bars_between(low_edge, x, high_edge),
        yerr=bars_between(low, p0, high) if error.any() else None,
        color=style.color,
        marker=style.marker,
        markersize=8,
        linestyle="none",
        elinewidth=1.4,
        label=selection_label(name),
    )
    container.lines[2][0].set_alpha(_PALE)
    return container


def _draw_nominal(
    found: Sequence[tuple[MassWindow, SelectionResult]], style: SelectionStyle, shift: float, ax: Axes
) -> Line2D | None:
    shown = [
        (sum(window.signal) / 2 + shift, max(one.nominal.p0, _SMALLEST))
        for window, one in found
        if one.nominal is not None
    ]
    if not shown:
        return None
    (points,) = ax.plot(*zip(*shown, strict=True), color=style.color, marker=style.marker, **NOMINAL_STYLE)
    return points


def _set_range(results: Sequence[WindowResult], p_values: Sequence[float], lines: int, ax: Axes) -> None:
    """Set the range of the axes, with space for the lines of the legend."""
    headroom = _HEADROOM + _HEADROOM_PER_LINE * max(0, lines - _LINES)
    lowest = max(min([stats.norm.sf(_SMALLEST_RANGE_Z), *p_values]), _SMALLEST)
    signal = np.array([result.window.signal for result in results]).reshape(-1, 2)
    margin = 0.03 * np.ptp(signal)
    ax.set_yscale("log")
    _set_ticks(lowest, ax)
    ax.set(
        xlim=(signal.min() - margin, signal.max() + margin),
        ylim=(max(lowest**1.08, sys.float_info.min), lowest**-headroom),
        xlabel=with_caption(MASS_LABEL, results),
        ylabel=r"Local $\mathit{p}_0$",
    )


def _set_ticks(lowest: float, ax: Axes) -> None:
    """Set ticks at powers of ten, without ticks above 1, in the space of the legend."""
    decades = min(ceil(-log10(lowest) * 1.08), -sys.float_info.min_10_exp)
    step = ceil(decades / 10)
    exponents = range(0, -decades - 1, -step)
    ax.set_yticks([10.0**exponent for exponent in exponents])
    minor = [digit * 10.0**-k for k in range(1, decades + 1) for digit in range(2, 10)] if step == 1 else []
    ax.set_yticks(minor, minor=True)
    ax.yaxis.set_minor_formatter(NullFormatter())


def _draw_levels(ax: Axes) -> tuple[Line2D, ...]:
    """Draw lines at p = 1/2 and at whole standard deviations, as many as can be labelled."""
    bottom, top = np.log10(ax.get_ylim())
    lines, last = [], np.inf
    for z in range(40):
        position = stats.norm.logsf(z) / np.log(10)
        if position < bottom or (z > 0 and last - position < _LEVEL_DISTANCE * (top - bottom)):
            continue
        last = position
        lines.append(ax.axhline(10**position, color="0.6", linestyle=":", linewidth=1, zorder=0))
        ax.text(1.012, 10**position, f"{z}$\\sigma$", transform=ax.get_yaxis_transform(), va="center", fontsize="small")
    return tuple(lines)


def _local_p0(global_z: float, looks: int) -> float | None:
    return float(-np.expm1(np.log1p(-stats.norm.sf(global_z)) / looks)) if looks else None


def _draw_global_level(p0: float, looks: int, ax: Axes) -> Line2D:
    label = f"{_GLOBAL_Z}$\\sigma$ global ({looks} look{'s' * (looks != 1)})"
    style: dict[str, Any] = {"color": _GLOBAL_COLOR, "linestyle": (0, (6, 4)), "linewidth": 1.2, "zorder": 0}
    return ax.axhline(p0, label=label, **style)


def _draw_missing(results: Sequence[WindowResult], styles: dict[str, SelectionStyle], ax: Axes) -> tuple[Line2D, ...]:
    crosses: list[Line2D] = []
    for result in results:
        lost = [selection.name for selection in result.selections if selection.discovery is None]
        colors = ["black"] if not result.selections else [styles[name].color for name in lost]
        for i, color in enumerate(colors):
            (cross,) = ax.plot(
                [sum(result.window.signal) / 2],
                [0.025 + 0.03 * i],
                transform=ax.get_xaxis_transform(),
                color=color,
                marker="x",
                markersize=9,
                markeredgewidth=2,
                linestyle="none",
                label="no result",
            )
            crosses.append(cross)
    return tuple(crosses)


def _global_text(result: GlobalResult, windows: Sequence[WindowResult]) -> str:
    bound = "upper-bound" in result.method
    at_most, at_least = (r"\leq", r"\geq") if bound else ("=", "=")
    z = "" if result.z is None else rf" ($\mathit{{z}} {at_least} {result.z:.1f}$)"
    trainings = n_seeds(windows)
    of = f" of {trainings} trainings" if trainings > 1 else ""  # the points show the first training
    factor = result.miscalibration
    worse = "" if factor is None else f"\nThe smallest local p-value is too small, by a factor of {factor:.2g} or more"
    selections = (selection for result in windows for selection in result.selections)
    fixed = result.method != "retrained-scans" and retraining_remark(result, selections) is not None
    doubts = ["classifiers held fixed"] * fixed + ["bad fits taken as good"] * bool(global_caveat(windows))
    taken = f"\n{', '.join(doubts)}" if doubts else ""
    value = rf"Global $\mathit{{p}}_0 {at_most} {format_p_value(result.p0 or 0.0)}${of}{z}, {result.method_text}"
    return f"{value}{taken}{worse}"


def scan_alt(results: Results) -> str:
    """Describe the scan of local p-values."""
    windows, largest = results.windows, largest_excess(results.windows)
    names = {one.name for window in windows for one in window.selections}
    text = f"Local p-values of {counted(len(windows), 'window')} in {counted(len(names), 'selection')}"
    if largest is None:
        return f"{text}; none has a result."
    where = f"{window_text(largest.window)}, {selection_text(largest.selection.name)}"
    bad = ", from a bad background fit" if largest.has_bad_fit else ""
    sentences = [f"{text}.", f"The largest local z is {largest.z_text} in {where}{bad}.", global_text(results)]
    return " ".join([*sentences, fit_text(windows) or ""]).rstrip()


def scan_rows(windows: Iterable[WindowDocument]) -> Iterator[Row]:
    """Rows of the scan: window, selection, counts, and calibrated and nominal p-values."""
    yield (
        *("window low [GeV]", "window high [GeV]", "selection", "observed [events]", "background [events]"),
        *("background error [events]", "calibrated z", "calibrated z error", "nominal z"),
        *("calibrated p0", "calibrated p0 error", "nominal p0", "p0 averaged", "p of the fit"),
    )
    for window in windows:
        for one in window.selections:
            counts = (one.n_obs, one.background, one.background_error)
            z = (one.z_calibrated, one.z_calibrated_error, one.z)
            p0 = (one.p0_calibrated, one.p0_calibrated_error, one.p0, one.p0_averaged)
            yield (*window.signal, one.name, *counts, *z, *p0, one.fit_p_value)
