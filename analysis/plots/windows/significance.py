"""Significances of the selections of one window against their efficiency, and of all windows together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.learning import HALVES, split_half
from analysis.plots.bad_fits import BAD_FIT_LABEL, draw_bad_fits
from analysis.plots.calibration import CALIBRATED_LABEL, NOMINAL_LABEL, NOMINAL_STYLE, with_caption
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, label_logarithmic, selection_label
from analysis.plots.windows.scan import scan_alt, scan_rows
from analysis.plots.words import observed_label
from analysis.results.numbers import percent, z_value
from analysis.results.values import Results, SelectionDocument, WindowDocument
from analysis.results.wording.significances import calibration_caption, local_z_text, nominal_text, z_spread
from analysis.results.words import BAD_FIT_MARK, fit_mark, window_text

__all__ = [
    "SignificanceArtists",
    "SignificanceMapArtists",
    "draw_significance",
    "draw_significance_map",
    "significance_figures",
]

Array = NDArray[np.float64]

_COLOR, _TRUTH_COLOR = PALETTE[0], PALETTE[2]
_COLORED = 5.0
"""Significance with the darkest colour, also used above."""

_DARK = 0.65
"""Fraction of the colour scale above which numbers are white."""

_MANY = 10
"""Smallest number of windows with vertical names."""

_LINE_HEIGHT = 0.085
"""Height of a legend line, as a fraction of the range below it."""


@dataclass(frozen=True)
class SignificanceArtists:
    """Artists of `draw_significance`.

    Attributes
    ----------
    points : matplotlib.lines.Line2D
        Result, by increasing efficiency, calibrated with retraining if possible; two halves that are tested apart one
        after the other, with NaN between them.
    errors : matplotlib.collections.LineCollection or None
        Statistical errors of the calibration.
    nominal : matplotlib.lines.Line2D or None
        Nominal significances beside calibrated ones.
    few_events : matplotlib.lines.Line2D or None
        Points of selections with few events.
    median : matplotlib.lines.Line2D or None
        Median over several trainings.
    band : matplotlib.collections.PolyCollection or None
        16 to 84 % band of the trainings.
    truth : matplotlib.lines.Line2D or None
        S / √B of the hidden signal.
    bad_fits : matplotlib.lines.Line2D or None
        Rings around the points from a bad background fit.
    legend : matplotlib.legend.Legend
    """

    points: Line2D
    errors: LineCollection | None
    nominal: Line2D | None
    few_events: Line2D | None
    median: Line2D | None
    band: PolyCollection | None
    truth: Line2D | None
    bad_fits: Line2D | None
    legend: Legend


@dataclass(frozen=True)
class SignificanceMapArtists:
    """Artists of `draw_significance_map`.

    Attributes
    ----------
    mesh : matplotlib.collections.QuadMesh
        Its array is (n_selections, n_windows), masked without a significance.
    numbers : dict of (str, str) to matplotlib.text.Text
        By window and selection; with "!" behind the number for a bad background fit, and below it the nominal
        significance, in brackets, beside a calibrated one.
    """

    mesh: QuadMesh
    numbers: dict[tuple[str, str], Text]


def draw_significance(window: WindowDocument, *, ax: Axes) -> SignificanceArtists:
    """Draw the local significance of all selections of a window against their efficiency, inclusive at 1.

    For pseudodata with truth, S / √B is drawn too. It neglects the background uncertainty and the fluctuations of the
    counts.

    Parameters
    ----------
    window : WindowDocument
    ax : matplotlib.axes.Axes

    Returns
    -------
    SignificanceArtists

    Examples
    --------
    >>> from pathlib import Path
    >>> import matplotlib.pyplot as plt
    >>> from analysis.plots import draw_significance, figure_style
    >>> from analysis.results import ResultsFolder
    >>> document, _ = ResultsFolder(Path("results")).load_results()
    >>> with figure_style():
    ...     figure, ax = plt.subplots()
    ...     artists = draw_significance(document.windows[0], ax=ax)
    >>> efficiency, z = artists.points.get_xydata()[-1]
    >>> float(efficiency), round(float(z), 1)
    (1.0, 0.4)
    """
    found = sorted((one for one in window.selections if one.local_z is not None), key=lambda one: one.efficiency)
    efficiency = [one.efficiency for one in found]
    calibrated = any(one.nominal_z is not None for one in found)
    label = observed_label() + f", {CALIBRATED_LABEL.lower()}" * calibrated
    (points,) = ax.plot(*_lines(found, _significance), "o-", color=_COLOR, label=label, zorder=4)
    _name_halves(found, ax)
    errors, nominal = _draw_errors(found, ax), _draw_nominal([one for one in found if one.nominal_z is not None], ax)
    few_events = _draw_few_events([one for one in found if not one.calibrated], ax)
    median, band = _draw_trainings(found, ax)
    truth = _draw_truth([one for one in found if one.s_over_sqrt_b], ax)
    bad = [one for one in found if one.has_bad_fit]
    bad_fits = draw_bad_fits([one.efficiency for one in bad], [float(one.local_z or 0.0) for one in bad], ax=ax)
    ax.axhline(0, color="0.6", linewidth=1, zorder=0)
    ax.set_xscale("log")
    ax.set_xlim(0.75 * min(efficiency, default=0.01), 1.33)
    xlabel = with_caption(r"Selection efficiency $\mathit{\epsilon}$", [window])
    ax.set(xlabel=xlabel, ylabel=r"Local significance $\mathit{z}$")
    label_logarithmic(ax.xaxis)
    drawn = (points, nominal, few_events, median, band, truth, bad_fits)
    handles: list[Artist] = [one for one in drawn if one is not None]
    low, high = min(ax.dataLim.y0, -1.0), max(ax.dataLim.y1, 3.0)
    ax.set_ylim(low - 0.05 * (high - low), high + (high - low) * (0.08 + _LINE_HEIGHT * len(handles)))
    legend = ax.legend(handles=handles, loc="upper right")
    return SignificanceArtists(points, errors, nominal, few_events, median, band, truth, bad_fits, legend)


def draw_significance_map(windows: Sequence[WindowDocument], *, ax: Axes) -> SignificanceMapArtists:
    """Draw the local significance of every selection in every window as a colour and a number.

    Parameters
    ----------
    windows : sequence of WindowDocument
    ax : matplotlib.axes.Axes
        Windows from left to right, selections from top to bottom. Cells without a result are left empty.

    Returns
    -------
    SignificanceMapArtists
    """
    names = list(dict.fromkeys(one.name for window in windows for one in window.selections))
    values = np.full((len(names), len(windows)), np.nan)
    shown = {(names.index(one.name), i): one for i, window in enumerate(windows) for one in window.selections}
    for place, one in shown.items():
        values[place] = np.nan if one.local_z is None else one.local_z
    mesh = ax.pcolormesh(
        *(np.arange(len(windows) + 1) - 0.5, np.arange(len(names) + 1) - 0.5, np.ma.masked_invalid(values)),
        cmap="RdBu_r",
        vmin=-_COLORED,
        vmax=_COLORED,
        edgecolors="white",
        linewidth=1.5,
    )
    labels = [f"{window.signal[0]:g}–{window.signal[1]:g}" for window in windows]
    numbers = {
        (labels[column], names[row]): _write(
            _number(shown[row, column]),
            (column, row),
            ax,
            dark=abs(values[row, column]) > _DARK * _COLORED,
            small=len(windows) >= _MANY,
        )
        for row, column in np.argwhere(np.isfinite(values)).tolist()
    }
    ax.set_xticks(range(len(windows)), labels, rotation=90 if len(windows) >= _MANY else 20)
    ax.set_yticks(range(len(names)), [selection_label(name).capitalize() for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel(_map_label(windows, list(shown.values())))
    ax.set_facecolor("0.92")
    ax.tick_params(which="both", length=0)
    ax.minorticks_off()
    return SignificanceMapArtists(mesh, numbers)


def significance_figures(results: Results) -> Iterator[ResultFigure]:
    """List the figures of significances.

    Parameters
    ----------
    results : Results
        Selections without a significance, as while blinded, have no point.

    Yields
    ------
    ResultFigure
        `significance` for all windows, and `significance_<window>` for at least two selections.
    """
    windows = results.windows
    counts = [sum(one.local_z is not None for one in window.selections) for window in windows]
    if any(counts):
        yield ResultFigure(
            "significance",
            partial(_map, windows),
            "Local significance of all windows and selections",
            partial(scan_alt, results),
            partial(scan_rows, windows),
            "overview",
        )
    for window, count in zip(windows, counts, strict=True):
        if count > 1:
            name = window.name
            yield ResultFigure(
                f"significance_{name}",
                partial(_window, window),
                f"{window_text(window)}: significance against efficiency",
                partial(significance_alt, window),
                partial(significance_rows, window),
                "significance",
                name,
            )


def _window(window: WindowDocument) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.5, 6.5), layout="constrained")
    ax = figure.subplots()
    draw_significance(window, ax=ax)
    ax.set_title("Window {:g}–{:g} GeV".format(*window.signal), loc="right")
    return figure, ax


def _map(windows: Sequence[WindowDocument]) -> tuple[Figure, Axes]:
    rows = len({one.name for window in windows for one in window.selections})
    figure = Figure(figsize=(max(8.5, 4.0 + 0.7 * len(windows)), 2.8 + 0.7 * rows), layout="constrained")
    ax = figure.subplots()
    colorbar = figure.colorbar(draw_significance_map(windows, ax=ax).mesh, ax=ax, pad=0.02, extend="both")
    colorbar.set_label(r"Local $\mathit{z}$")
    return figure, ax


def _significance(one: SelectionDocument) -> float | None:
    return one.local_z


def _lines(
    found: Sequence[SelectionDocument], value: Callable[[SelectionDocument], float | None]
) -> tuple[Array, Array]:
    """Efficiency and value of the points of a line; of two halves both lines, with NaN between them."""
    both = [one for one in found if not split_half(one.name)[1]]
    lines = [[one for one in found if split_half(one.name)[1] == half] for half in HALVES]
    parts = [[*line, *both] for line in lines if line] or [both]
    points = [[(one.efficiency, value(one)) for one in part] for part in parts]
    x, y = np.array([point for part in points for point in (*part, (None, None))][:-1], np.float64).reshape(-1, 2).T
    return x, y


def _name_halves(found: Sequence[SelectionDocument], ax: Axes) -> None:
    for one in found:
        half = split_half(one.name)[1]
        if half:
            place = (one.efficiency, float(one.local_z or 0.0))
            ax.annotate(half, place, xytext=(6, 3), textcoords="offset points", color=_COLOR, fontsize="small")


def _draw_trainings(found: Sequence[SelectionDocument], ax: Axes) -> tuple[Line2D | None, PolyCollection | None]:
    """Draw median and band over the trainings, for selections with several trainings."""
    spreads = {one.name: spread for one in found if (spread := z_spread(one)) is not None}
    several = [one for one in found if one.name in spreads]
    if not several:
        return None, None
    count = max(len(spread.values) for spread in spreads.values())
    (median,) = ax.plot(
        *_lines(several, lambda one: spreads[one.name].median),
        ":",
        color="0.3",
        linewidth=2,
        label=f"Median of {count} trainings",
    )
    efficiency, low = _lines(several, lambda one: spreads[one.name].low)
    _, high = _lines(several, lambda one: spreads[one.name].high)
    band = ax.fill_between(
        efficiency, low, high, color=_COLOR, alpha=0.25, linewidth=0, label="16–84% of them", zorder=1
    )
    return median, band


def _draw_errors(found: Sequence[SelectionDocument], ax: Axes) -> LineCollection | None:
    shown = [(one.efficiency, one.local_z, one.local_z_error) for one in found if one.local_z_error is not None]
    if not shown:
        return None
    x, z, error = np.array(shown, np.float64).T
    return ax.vlines(x, z - error, z + error, color=_COLOR, zorder=4)


def _draw_nominal(found: Sequence[SelectionDocument], ax: Axes) -> Line2D | None:
    if not found:
        return None
    z = np.array([one.nominal_z for one in found], np.float64)
    (points,) = ax.plot([one.efficiency for one in found], z, "s", color="0.3", label=NOMINAL_LABEL, **NOMINAL_STYLE)
    return points


def _draw_few_events(found: Sequence[SelectionDocument], ax: Axes) -> Line2D | None:
    if not found:
        return None
    (points,) = ax.plot(
        [one.efficiency for one in found],
        np.array([one.local_z for one in found], np.float64),
        "o",
        color=_COLOR,
        mfc="white",
        label="Few events: approximate",
        zorder=5,
    )
    return points


def _draw_truth(found: Sequence[SelectionDocument], ax: Axes) -> Line2D | None:
    if not found:
        return None
    (line,) = ax.plot(
        *_lines(found, lambda one: one.s_over_sqrt_b),
        "D--",
        color=_TRUTH_COLOR,
        label=r"Hidden signal: $\mathit{S}$ / √$\mathit{B}$ (truth)",
        zorder=3,
    )
    return line


def _number(selection: SelectionDocument) -> str:
    """Return the text of a cell: the local significance, and below it the nominal one of a calibrated one."""
    text = f"{z_value(selection.local_z)}{fit_mark(selection)}"
    return text if selection.nominal_z is None else f"{text}\n({z_value(selection.nominal_z)})"


def _map_label(windows: Sequence[WindowDocument], found: Sequence[SelectionDocument]) -> str:
    lines = ["Window [GeV]"]
    lines += [f"{CALIBRATED_LABEL}, in brackets nominal"] * any(one.nominal_z is not None for one in found)
    lines = [with_caption("\n".join(lines), windows)]
    return "\n".join(lines + [f"{BAD_FIT_MARK} {BAD_FIT_LABEL}"] * any(one.has_bad_fit for one in found))


def _write(text: str, place: tuple[int, int], ax: Axes, *, dark: bool, small: bool) -> Text:
    color, size = "white" if dark else "black", "x-small" if small else "small"
    return ax.text(*place, text, ha="center", va="center", color=color, fontsize=size)


def significance_alt(window: WindowDocument) -> str:
    """Describe the significance of one window against the efficiency."""
    tested = [one for one in window.selections if one.local_z is not None]
    found = [f"{percent(one.efficiency)} {local_z_text(one)}{_remarks(one)}" for one in tested]
    notes = [f" {note}." for note in [calibration_caption([window])] if note]
    return f"Local z of {window_text(window)} by efficiency of the selection: {', '.join(found)}.{''.join(notes)}"


def _remarks(selection: SelectionDocument) -> str:
    remarks = [nominal_text(selection), "bad background fit" * selection.has_bad_fit]
    return "".join(f" ({remark})" for remark in remarks if remark)


def significance_rows(window: WindowDocument) -> Iterator[Row]:
    """Rows of the significance of one window: selection, efficiency, z, z of all trainings, and truth.

    The trainings are calibrated if z is.
    """
    yield (
        *("selection", "efficiency", "calibrated z", "calibrated z error", "nominal z", "enough events"),
        *("median of trainings", "16 %", "84 %"),
        *("S / sqrt(B) of hidden signal", "p of the fit"),
    )
    for one in window.selections:
        spread = z_spread(one)
        trainings = (None, None, None) if spread is None else (spread.median, spread.low, spread.high)
        z = (one.z_calibrated, one.z_calibrated_error, one.z)
        yield one.name, one.efficiency, *z, one.calibrated, *trainings, one.s_over_sqrt_b, one.fit_p_value
