"""Upper limits of one selection, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.core.counted import counted
from analysis.learning import selection_text
from analysis.plots.bad_fits import draw_bad_fits
from analysis.plots.figure import SIGMAS, Row
from analysis.plots.style import BAND_COLORS, MASS_LABEL, selection_label
from analysis.plots.words import observed_label
from analysis.results.numbers import number
from analysis.results.values import WindowDocument
from analysis.results.words import expectation_text
from analysis.search.values import WindowResult
from analysis.statistics import LimitResult

__all__ = ["LimitArtists", "draw_limits"]

Array = NDArray[np.float64]

_HEADROOM = 0.4
"""Fraction of the logarithmic range added above the limits, for the legend."""


@dataclass(frozen=True)
class LimitArtists:
    """Artists of `draw_limits`.

    Attributes
    ----------
    observed : matplotlib.lines.Line2D or None
        None if all are withheld.
    expected : matplotlib.lines.Line2D
    one_sigma, two_sigma : matplotlib.collections.PolyCollection
    bad_fits : matplotlib.lines.Line2D or None
        Rings around the limits, expected ones if none is observed, from a bad background fit.
    legend : matplotlib.legend.Legend
    """

    observed: Line2D | None
    expected: Line2D
    one_sigma: PolyCollection
    two_sigma: PolyCollection
    bad_fits: Line2D | None
    legend: Legend


@dataclass(frozen=True)
class _Outline:
    """Corners of the lines and bands; NaN interrupts them.

    `mass` is (n_corners,) in GeV, `observed` (n_corners,) and `expected` (5, n_corners) in events; `centres` are the
    corners that are window centres.
    """

    mass: Array
    observed: Array
    expected: Array
    centres: list[int]


def draw_limits(results: Sequence[WindowResult], selection: str, *, ax: Axes) -> LimitArtists:
    """Draw observed and expected limits of one selection at the window centres.

    The limits are on visible events at fixed selection, without the improvement of the classifier by training on more
    signal. Neighbouring windows share events, so that the lines between them only guide the eye. A window without a
    limit interrupts the lines; a window without neighbours is drawn over its whole width.

    Parameters
    ----------
    results : sequence of WindowResult
    selection : str
        Name of the selection.
    ax : matplotlib.axes.Axes

    Returns
    -------
    LimitArtists

    Examples
    --------
    >>> from pathlib import Path
    >>> import matplotlib.pyplot as plt
    >>> from analysis.plots import draw_limits, figure_style
    >>> from analysis.results import ResultsFolder
    >>> _, windows = ResultsFolder(Path("results")).load_results()
    >>> with figure_style():
    ...     figure, ax = plt.subplots()
    ...     artists = draw_limits(windows, "inclusive", ax=ax)
    >>> ax.get_ylabel()
    '95% CL CLs upper limit [visible events]'
    """
    outline = _outline(results, selection)
    bands = [
        ax.fill_between(
            outline.mass,
            outline.expected[2 - sigma],
            outline.expected[2 + sigma],
            color=BAND_COLORS[sigma - 1],
            linewidth=0,
            label=f"Expected $\\pm {sigma}\\sigma$",
            zorder=2 - sigma,
        )
        for sigma in (1, 2)
    ]
    kind = expectation_text(_limit(result, selection) for result in results)
    (expected,) = ax.plot(
        outline.mass, outline.expected[2], color="black", linestyle="--", linewidth=1.8, label=f"Expected, {kind}"
    )
    observed = _draw_observed(outline, ax)
    bad_fits = _draw_bad_fits(results, selection, ax)
    _set_range(results, outline, ax)
    ax.set_title(selection_label(selection), loc="right")
    legend = ax.legend(
        handles=[artist for artist in (observed, expected, *bands, bad_fits) if artist is not None],
        loc="upper right",
        title="Visible events at fixed selection",
        title_fontsize="small",
    )
    return LimitArtists(observed, expected, bands[0], bands[1], bad_fits, legend)


def _outline(results: Sequence[WindowResult], selection: str) -> _Outline:
    ordered = sorted(results, key=lambda result: result.window.signal)
    limits = [_limit(result, selection) for result in ordered]
    rows: list[tuple[float, float, tuple[float, ...]]] = []
    centres: list[int] = []
    for i, (result, limit) in enumerate(zip(ordered, limits, strict=True)):
        low, high = result.window.signal
        alone = not any(limits[max(i - 1, 0) : i] + limits[i + 1 : i + 2])
        masses = ((low, (low + high) / 2, high) if alone else ((low + high) / 2,)) if limit else (low,)
        centres += [len(rows) + len(masses) // 2] if limit else []
        rows += [(mass, *_values(limit)) for mass in masses]
    return _Outline(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]).reshape(-1, 5).T,
        centres,
    )


def _limit(result: WindowResult, selection: str) -> LimitResult | None:
    return next((selected.limit for selected in result.selections if selected.name == selection), None)


def _values(limit: LimitResult | None) -> tuple[float, tuple[float, ...]]:
    """Return the observed and expected limits, NaN without a limit."""
    if limit is None:
        return np.nan, (np.nan,) * 5
    return np.nan if limit.observed_events is None else limit.observed_events, limit.expected_events


def _draw_observed(outline: _Outline, ax: Axes) -> Line2D | None:
    if np.isnan(outline.observed).all():
        return None
    (line,) = ax.plot(
        outline.mass,
        outline.observed,
        color="black",
        marker="o",
        markevery=outline.centres,
        label=observed_label(),
        zorder=3,
    )
    return line


def _draw_bad_fits(results: Sequence[WindowResult], selection: str, ax: Axes) -> Line2D | None:
    places, limits = [], []
    for result in results:
        for one in result.selections:
            if one.name == selection and one.has_bad_fit and (limit := one.limit) is not None:
                places.append(sum(result.window.signal) / 2)
                limits.append(limit.expected_events[2] if limit.observed_events is None else limit.observed_events)
    return draw_bad_fits(places, limits, ax=ax)


def _set_range(results: Sequence[WindowResult], outline: _Outline, ax: Axes) -> None:
    ax.set_yscale("log")
    levels = {limit.level for result in results for chosen in result.selections if (limit := chosen.limit)}
    confidence = f"{100 * (1 - min(levels)):.3g}% CL " if levels else ""
    ax.set(xlabel=MASS_LABEL, ylabel=f"{confidence}CLs upper limit [visible events]")
    edges = [edge for result in results for edge in result.window.signal]
    if edges:
        ax.set_xlim(min(edges), max(edges))
    values = np.concatenate([outline.expected.ravel(), outline.observed])
    drawn = values[values > 0]
    if drawn.size:
        low, high = drawn.min() / 1.5, drawn.max()
        ax.set_ylim(low, high * (high / low) ** _HEADROOM)


def limits_alt(windows: Sequence[WindowDocument], name: str) -> str:
    """Describe the limits of one selection."""
    selections = [one for window in windows for one in window.selections if one.name == name]
    limits = [one.limit for one in selections if one.limit is not None]
    expected = f"{_range([limit.expected_events[2] for limit in limits])} ({expectation_text(limits)})"
    bad = sum(one.has_bad_fit for one in selections if one.limit is not None)
    doubt = f" (with {bad} bad background fits)" if bad else ""
    where = f"{counted(len(limits), 'window')}{doubt}, {selection_text(name)}"
    text = f"Upper limits on visible events of {where}: expected {expected}"
    observed = [limit.observed_events for limit in limits if limit.observed_events is not None]
    return f"{text}, observed {_range(observed)}." if observed else f"{text}."


def _range(values: Sequence[float]) -> str:
    if not values:
        return "none"
    low, high = number(min(values)), number(max(values))
    return f"{low} events" if low == high else f"{low} to {high} events"


def limit_rows(windows: Iterable[WindowDocument], name: str) -> Iterator[Row]:
    """Rows of the limits of one selection, window by window."""
    expected = (f"expected {sigma} sigma [visible events]" for sigma in SIGMAS)
    yield "window low [GeV]", "window high [GeV]", "observed [visible events]", *expected, "p of the fit"
    for window in windows:
        for selection in window.selections:
            if selection.name == name and (limit := selection.limit) is not None:
                yield (*window.signal, limit.observed_events, *limit.expected_events, selection.fit_p_value)
