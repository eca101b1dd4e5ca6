"""Comparison of several searches: p-values, limits, spectra after the cut, and a varied setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.compute import Backend
from analysis.config import PlotConfig
from analysis.limits import limit_rules
from analysis.plots.bad_fits import draw_bad_fits
from analysis.plots.classifiers.roc import compare_performance
from analysis.plots.compared.labels import kind_of_limits, with_looks
from analysis.plots.compared.spectra_overlaid import LEGEND_TITLE, draw_spectra
from analysis.plots.drawing import draw_all
from analysis.plots.figure import Sketch
from analysis.plots.signals.limit_values import sort_limits
from analysis.plots.style import (
    MASS_LABEL,
    bars_between,
    label_logarithmic,
    plain,
    selection_label,
    selection_styles,
    series_style,
)
from analysis.results.compared.searches import ComparedSearch, Varied, varied_setting

__all__ = [
    "ComparisonArtists",
    "draw_compared_limits",
    "draw_compared_scan",
    "draw_compared_signals",
    "draw_varied",
    "save_comparison",
]

Array = NDArray[np.float64]
Quantity = Callable[[ComparedSearch, str, str], float]
"""Quantity of a search, by the names of window and selection."""

_SPREAD = 0.5
"""Fraction of the distance between windows, or rows, over which the points of all searches spread."""

_HEADROOM = 0.35
"""Fraction of the logarithmic range added for the legend."""


@dataclass(frozen=True)
class ComparisonArtists:
    """Artists of a comparison.

    Attributes
    ----------
    points : dict of str to matplotlib.container.ErrorbarContainer
        By search.
    legend : matplotlib.legend.Legend
    """

    points: dict[str, ErrorbarContainer]
    legend: Legend


def save_comparison(
    searches: Sequence[ComparedSearch],
    folder: Path,
    config: PlotConfig,
    *,
    only: Sequence[str] = (),
    backend: Backend | None = None,
) -> list[Path]:
    """Draw all figures common to at least two searches; see `draw_all` for the other parameters and errors.

    Parameters
    ----------
    searches : sequence of ComparedSearch
        The others are divided by the first.
    folder : pathlib.Path
    config : PlotConfig

    Returns
    -------
    list of pathlib.Path
        `scan_<selection>`, `limits_<selection>`, `signals_<rule>`, `spectrum_<window>_<selection>`,
        `performance_<window>` and, if only one numeric setting differs, `setting_<window>`.
    """
    return draw_all(_contents(searches), folder, config, only=only, backend=backend)


def _contents(searches: Sequence[ComparedSearch]) -> Iterator[Sketch]:
    tested = [search for search in searches if search.has_significances]
    for name in _shared_selections(searches):
        if len(tested) > 1:
            yield Sketch(f"scan_{name}", partial(_one_panel, draw_compared_scan, tested, name))
        if _limited(searches, name):
            yield Sketch(f"limits_{name}", partial(_limits, searches, name))
    for rule in (one.name for one in limit_rules()):
        if sum(bool(sort_limits(search.limits, rule).signals) for search in searches) > 1:
            yield Sketch(f"signals_{rule}", partial(_signals, searches, rule))
    varied = varied_setting(searches)
    for window in _shared_windows(searches):
        for name in _shared_selections(searches):
            drawn = [one for one in searches if (found := one.find(window, name)) is not None and found.fit is not None]
            if len(drawn) > 1:
                yield Sketch(f"spectrum_{window}_{name}", partial(_spectra, drawn, window, name))
        if varied is not None:
            yield Sketch(f"setting_{window}", partial(_setting, searches, varied, window))
        yield from _performance(searches, window)


def _performance(searches: Sequence[ComparedSearch], window: str) -> Iterator[Sketch]:
    curves = [(plain(search.label), search.performance[window]) for search in searches if window in search.performance]
    if len(curves) > 1:
        yield Sketch(f"performance_{window}", partial(compare_performance, curves, f"{window.replace('-', '–')} GeV"))


def _shared_windows(searches: Sequence[ComparedSearch]) -> list[str]:
    names = [[result.window.name for result in search.windows] for search in searches]
    return [name for name in names[0] if all(name in others for others in names[1:])]


def _shared_selections(searches: Sequence[ComparedSearch]) -> list[str]:
    """List the selections common to at least two searches, in the order of their first occurrence."""
    found = [{one.name for result in search.windows for one in result.selections} for search in searches]
    ordered = [one.name for search in searches for result in search.windows for one in result.selections]
    return [name for name in dict.fromkeys(ordered) if sum(name in one for one in found) > 1]


def _limited(searches: Sequence[ComparedSearch], name: str) -> bool:
    with_limit = [
        search
        for search in searches
        if any(one.name == name and one.limit is not None for result in search.windows for one in result.selections)
    ]
    return len(with_limit) > 1


def draw_compared_scan(searches: Sequence[ComparedSearch], selection: str, *, ax: Axes) -> ComparisonArtists:
    """Draw the local significance of one selection in all windows of all searches, calibrated if possible.

    Parameters
    ----------
    searches : sequence of ComparedSearch
    selection : str
    ax : matplotlib.axes.Axes

    Returns
    -------
    ComparisonArtists
    """
    points = {
        search.label: _draw_windows(searches, index, selection, _significance, ax)
        for index, search in enumerate(searches)
    }
    _ring_bad_fits(searches, selection, _significance, ax)
    drawn = np.concatenate([_finite(one) for one in points.values()] or [np.zeros(0)])
    low, high = min([-1.0, *drawn]), max([3.0, *drawn])
    for level in range(int(np.floor(low)), int(np.ceil(high)) + 1):
        ax.axhline(level, color="0.8", linestyle="-" if level == 0 else ":", linewidth=1, zorder=0)
    margin = 0.08 * (high - low)
    ax.set(xlabel=with_looks(MASS_LABEL, searches), ylabel=r"Local significance $\mathit{z}$")
    ax.set_ylim(low - margin, high + (0.25 + 0.06 * len(searches)) * (high - low))
    ax.set_title(f"Selection: {selection_label(selection)}", loc="right")
    return ComparisonArtists(points, ax.legend(title=LEGEND_TITLE, loc="upper left"))


def draw_compared_limits(
    searches: Sequence[ComparedSearch], selection: str, *, ax: Axes, ax_ratio: Axes
) -> ComparisonArtists:
    """Draw the expected visible-event limits of one selection in all windows, and their ratio to the first search.

    Parameters
    ----------
    searches : sequence of ComparedSearch
    selection : str
    ax, ax_ratio : matplotlib.axes.Axes
        They should share the x axis.

    Returns
    -------
    ComparisonArtists
    """
    points = {
        search.label: _draw_windows(searches, index, selection, _expected_limit, ax)
        for index, search in enumerate(searches)
    }
    _ring_bad_fits(searches, selection, _expected_limit, ax)
    reference = _values(searches[0], selection, _expected_limit)
    for index in range(len(searches)):
        _draw_windows(searches, index, selection, _expected_limit, ax_ratio, reference=reference)
    _scale_logarithmic(np.concatenate([_finite(one) for one in points.values()]), ax)
    ax.set_ylabel(f"Expected limit{kind_of_limits(searches)} [visible events]")
    ax_ratio.axhline(1, color="0.6", linewidth=1, zorder=0)
    ax_ratio.set(xlabel=MASS_LABEL, ylabel="Ratio")
    ax.set_title(f"Selection: {selection_label(selection)}", loc="right")
    return ComparisonArtists(points, ax.legend(title=LEGEND_TITLE, loc="upper right"))


def draw_compared_signals(searches: Sequence[ComparedSearch], rule: str, *, ax: Axes) -> ComparisonArtists:
    """Draw the expected limits with one standard deviation on every signal with limits of at least two searches.

    Parameters
    ----------
    searches : sequence of ComparedSearch
    rule : str
        Name in `analysis.limits.RULES`.
    ax : matplotlib.axes.Axes
        One row per signal.

    Returns
    -------
    ComparisonArtists
    """
    sets = [sort_limits(search.limits, rule) for search in searches]
    limited = [(search, one) for search, one in zip(searches, sets, strict=True) if one.signals]
    found = [name for one in sets for name in (signal.dataset for signal in one.signals)]
    rows = {name: row for row, name in enumerate(name for name in dict.fromkeys(found) if found.count(name) > 1)}
    points = {}
    for index, (search, one) in enumerate(limited):
        shown = [signal for signal in one.signals if signal.dataset in rows]
        expected = np.array([signal.limit.expected for signal in shown]).reshape(-1, 5)
        middle = expected[:, 2]
        points[search.label] = ax.errorbar(
            middle,
            [rows[signal.dataset] + _shift(index, len(limited)) for signal in shown],
            xerr=bars_between(np.fmax(expected[:, 1], 0.0), middle, expected[:, 3]),
            label=plain(search.label),
            markersize=9,
            **series_style(index),
        )
    ax.set(xscale="log", xlabel=limited[0][1].label, xmargin=0.1)
    ax.set_yticks(list(rows.values()), [plain(name) for name in rows], fontsize=14)
    ax.tick_params(axis="y", which="both", length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    label_logarithmic(ax.xaxis)
    title = rf"Expected $\pm 1\sigma$, pre-fit, rule {rule}"
    return ComparisonArtists(points, ax.legend(title=title, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2))


def draw_varied(
    searches: Sequence[ComparedSearch], varied: Varied, window: str, *, ax: Axes, ax_limit: Axes
) -> tuple[list[Line2D], list[Line2D]]:
    """Draw significance, calibrated if possible, and expected limit of a window against the varied setting.

    Parameters
    ----------
    searches : sequence of ComparedSearch
    varied : Varied
    window : str
        Name of the window.
    ax, ax_limit : matplotlib.axes.Axes
        They should share the x axis. Blinded searches have no significance.

    Returns
    -------
    z, limits : list of matplotlib.lines.Line2D
        One per selection.
    """
    styles = selection_styles(_shared_selections(searches))
    order = np.argsort(varied.values)
    x, ordered = np.array(varied.values)[order], [searches[i] for i in order]
    z, limits = (
        [
            axes.plot(
                x,
                [quantity(search, window, name) for search in ordered],
                color=style.color,
                marker=style.marker,
                markersize=8,
                label=selection_label(name),
            )[0]
            for name, style in styles.items()
        ]
        for axes, quantity in ((ax, _significance), (ax_limit, _expected_limit))
    )
    for axes, quantity in ((ax, _significance), (ax_limit, _expected_limit)):
        bad = [
            (value, quantity(search, window, name))
            for value, search in zip(x, ordered, strict=True)
            for name in styles
            if _has_bad_fit(search, window, name)
        ]
        draw_bad_fits([value for value, _ in bad], [y for _, y in bad], ax=axes)
    ax.axhline(0, color="0.8", linewidth=1, zorder=0)
    ax.set_ylabel(r"Local significance $\mathit{z}$")
    label = with_looks(varied.name.replace("_", " ").replace(".", ": "), searches)
    ax_limit.set(xlabel=label, ylabel=f"Expected limit{kind_of_limits(searches)}\n[visible events]")
    ax_limit.set_yscale("log")
    label_logarithmic(ax_limit.yaxis)
    ax.set_title(f"Window {window.replace('-', '–')} GeV", loc="right")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0)
    return z, limits


def _significance(search: ComparedSearch, window: str, selection: str) -> float:
    found = search.find(window, selection)
    return np.nan if found is None or found.local_z is None else found.local_z


def _expected_limit(search: ComparedSearch, window: str, selection: str) -> float:
    found = search.find(window, selection)
    return np.nan if found is None or found.limit is None else found.limit.expected_events[2]


def _values(search: ComparedSearch, selection: str, quantity: Quantity) -> dict[str, float]:
    """Return a quantity of every window by name; NaN if it is absent."""
    return {result.window.name: quantity(search, result.window.name, selection) for result in search.windows}


def _draw_windows(
    searches: Sequence[ComparedSearch],
    index: int,
    selection: str,
    quantity: Quantity,
    ax: Axes,
    *,
    reference: Mapping[str, float] | None = None,
) -> ErrorbarContainer:
    """Draw one quantity of every window at its centre, with the searches side by side."""
    search = searches[index]
    values = _values(search, selection, quantity)
    y = [value / (1.0 if reference is None else reference.get(name, np.nan)) for name, value in values.items()]
    return ax.errorbar(_places(searches, index), y, label=plain(search.label), markersize=9, **series_style(index))


def _places(searches: Sequence[ComparedSearch], index: int) -> Array:
    """(n_windows,): places of the points of a search on the mass axis, GeV."""
    signal = np.array([result.window.signal for result in searches[index].windows]).reshape(-1, 2)
    centres = signal.mean(axis=1)
    apart = np.diff(np.unique(centres))
    distance = apart.min() if len(apart) else np.ptp(signal)
    places: Array = centres + distance * _shift(index, len(searches))
    return places


def _ring_bad_fits(searches: Sequence[ComparedSearch], selection: str, quantity: Quantity, ax: Axes) -> None:
    found = [
        (x, y)
        for index, search in enumerate(searches)
        for x, (window, y) in zip(_places(searches, index), _values(search, selection, quantity).items(), strict=True)
        if _has_bad_fit(search, window, selection)
    ]
    draw_bad_fits([x for x, _ in found], [y for _, y in found], ax=ax)


def _has_bad_fit(search: ComparedSearch, window: str, selection: str) -> bool:
    found = search.find(window, selection)
    return found is not None and found.has_bad_fit


def _shift(index: int, number: int) -> float:
    return _SPREAD * ((index + 0.5) / number - 0.5)


def _finite(points: ErrorbarContainer) -> Array:
    values = np.asarray(points.lines[0].get_ydata(), np.float64)
    return values[np.isfinite(values)]


def _scale_logarithmic(values: Array, ax: Axes) -> None:
    low, high = values.min() / 1.3, values.max() * 1.3
    ax.set_yscale("log")
    ax.set_ylim(low, high * (high / low) ** _HEADROOM)
    label_logarithmic(ax.yaxis)


def _one_panel(draw: Any, *content: Any) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw(*content, ax=ax)
    return figure, ax


def _limits(searches: Sequence[ComparedSearch], selection: str) -> tuple[Figure, Axes]:
    figure, ax, ax_ratio = _two_panels(9.5)
    draw_compared_limits(searches, selection, ax=ax, ax_ratio=ax_ratio)
    return figure, ax


def _signals(searches: Sequence[ComparedSearch], rule: str) -> tuple[Figure, Axes]:
    rows = max(len(sort_limits(search.limits, rule).signals) for search in searches)
    figure = Figure(figsize=(11.0, 3.2 + 0.3 * (1 + len(searches)) * rows), layout="constrained")
    ax = figure.subplots()
    draw_compared_signals(searches, rule, ax=ax)
    return figure, ax


def _spectra(searches: Sequence[ComparedSearch], window: str, selection: str) -> tuple[Figure, Axes]:
    figure, ax, ax_ratio = _two_panels(9.0)
    draw_spectra(searches, window, selection, ax=ax, ax_ratio=ax_ratio)
    return figure, ax


def _setting(searches: Sequence[ComparedSearch], varied: Varied, window: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(12.0, 8.5), layout="constrained")
    ax, ax_limit = figure.subplots(2, 1, sharex=True)
    draw_varied(searches, varied, window, ax=ax, ax_limit=ax_limit)
    figure.align_ylabels([ax, ax_limit])
    return figure, ax


def _two_panels(width: float) -> tuple[Figure, Axes, Axes]:
    figure = Figure(figsize=(width, 8.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    return figure, upper, lower
