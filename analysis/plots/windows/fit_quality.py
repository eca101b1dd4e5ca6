"""Quality of the background fits to the spectra beside the masks, over all windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from scipy import stats

from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import selection_label, selection_styles
from analysis.results.numbers import number, p_value
from analysis.results.values import WindowDocument

__all__ = ["FitQualityArtists", "draw_fit_quality", "fit_quality_figures"]

_LEAST = 2
"""Smallest number of windows for a distribution."""

_TAIL = 0.025
"""Probability of a single point outside the band, on each side."""


@dataclass(frozen=True)
class FitQualityArtists:
    """Artists of `draw_fit_quality`.

    Attributes
    ----------
    points : dict of str to matplotlib.lines.Line2D
        By selection.
    band : matplotlib.collections.PolyCollection
    legend : matplotlib.legend.Legend
    """

    points: dict[str, Line2D]
    band: PolyCollection
    legend: Legend


def draw_fit_quality(windows: Sequence[WindowDocument], *, ax: Axes) -> FitQualityArtists:
    """Draw the ordered p-values of the background fits against expectations for perfect fits to as many windows.

    The i-th of n uniform p-values follows Beta(i, n + 1 - i): the points should lie near the diagonal, and 95 % of them
    in the band for windows without shared events. Overlapping windows, and windows fitted over one range, share most.

    Parameters
    ----------
    windows : sequence of WindowDocument
    ax : matplotlib.axes.Axes

    Returns
    -------
    FitQualityArtists
    """
    found = _p_values(windows)
    styles = selection_styles(found)
    points = {}
    for name, values in found.items():
        expected = np.arange(1, len(values) + 1) / (len(values) + 1)
        (points[name],) = ax.plot(
            *(expected, sorted(values)),
            color=styles[name].color,
            marker=styles[name].marker,
            linewidth=1,
            label=selection_label(name),
            zorder=3,
        )
    count = max(map(len, found.values()))
    rank = np.arange(1, count + 1)
    low, high = (stats.beta.ppf(tail, rank, count + 1 - rank) for tail in (_TAIL, 1 - _TAIL))
    band = ax.fill_between(
        rank / (count + 1), low, high, color="0.85", linewidth=0, label=f"95% of {count} perfect fits", zorder=0
    )
    ax.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1.2, zorder=1)
    ax.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        xlabel="Expected $\\mathit{p}$, in order",
        ylabel="$\\mathit{p}$ of the fits, in order",
    )
    legend = ax.legend(handles=[*points.values(), band], loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return FitQualityArtists(points, band, legend)


def fit_quality_figures(windows: Sequence[WindowDocument]) -> Iterator[ResultFigure]:
    """List the figure `fits` if at least two windows have a fit.

    Parameters
    ----------
    windows : sequence of WindowDocument
        The fits are independent of events inside the masks.

    Yields
    ------
    ResultFigure
    """
    if any(len(values) >= _LEAST for values in _p_values(windows).values()):
        yield ResultFigure(
            "fits",
            partial(_fits, windows),
            "p-values of the background fits",
            partial(fits_alt, windows),
            partial(fit_rows, windows),
            "fits",
        )


def _fits(windows: Sequence[WindowDocument]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10.0, 6.5), layout="constrained")
    ax = figure.subplots()
    draw_fit_quality(windows, ax=ax)
    return figure, ax


def _p_values(windows: Sequence[WindowDocument]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for window in windows:
        for one in window.selections:
            if one.fit_p_value is not None:
                found.setdefault(one.name, []).append(one.fit_p_value)
    return found


_LOW_P = 0.05
"""Threshold below which fits are counted in the text."""


def fits_alt(windows: Sequence[WindowDocument]) -> str:
    """Describe the quality of all background fits."""
    found = [p for values in _p_values(windows).values() for p in values]
    if not found:
        return "No background fit succeeded."
    low = sum(p < _LOW_P for p in found)
    return (
        f"p-values of {len(found)} background fits in order, beside those of perfect fits: {low} are below "
        f"{number(_LOW_P)}, the smallest is {p_value(min(found))}."
    )


def fit_rows(windows: Iterable[WindowDocument]) -> Iterator[Row]:
    """Rows of the background fits: window, selection, function and quality."""
    yield "window low [GeV]", "window high [GeV]", "selection", "function", "chi2", "ndof", "p", "p from"
    for window in windows:
        for one in window.selections:
            if (fit := one.fit) is not None:
                yield *window.signal, one.name, fit.function, fit.chi2, fit.ndof, fit.p_value, fit.p_value_method
