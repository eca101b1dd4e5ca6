"""Spectra in m_jj of one selection in one window, for several searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.errors import WindowError
from analysis.plots.counts import shown_counts
from analysis.plots.style import MASS_LABEL, PALETTE, plain, selection_label, series_line, series_style
from analysis.results.compared.searches import ComparedSearch
from analysis.search.values import WindowResult

__all__ = ["LEGEND_TITLE", "SpectraArtists", "draw_spectra"]

Array = NDArray[np.float64]

LEGEND_TITLE = "Results folder"

_HEADROOM = 0.35
_SPREAD = 0.5


@dataclass(frozen=True)
class SpectraArtists:
    """Artists of `draw_spectra`.

    Attributes
    ----------
    data : dict of str to matplotlib.container.ErrorbarContainer
        By search; NaN in hidden bins.
    fits : dict of str to matplotlib.lines.Line2D
        By search.
    ratios : dict of str to matplotlib.lines.Line2D
        Ratios of the fits to the fit of the first search.
    legend : matplotlib.legend.Legend
    """

    data: dict[str, ErrorbarContainer]
    fits: dict[str, Line2D]
    ratios: dict[str, Line2D]
    legend: Legend


def draw_spectra(
    searches: Sequence[ComparedSearch], window: str, selection: str, *, ax: Axes, ax_ratio: Axes
) -> SpectraArtists:
    """Draw spectra with their fits, and both divided by the fit of the first search.

    Parameters
    ----------
    searches : sequence of ComparedSearch
        All with a fit of this selection and window. Densities are drawn, since fit bins may differ.
    window, selection : str
        Names.
    ax, ax_ratio : matplotlib.axes.Axes
        They should share the x axis.

    Returns
    -------
    SpectraArtists
    """
    results = [next(one for one in search.windows if one.window.name == window) for search in searches]
    content = [_content(search, result, selection) for search, result in zip(searches, results, strict=True)]
    data, fits, ratios = {}, {}, {}
    for axes in (ax, ax_ratio):
        axes.axvspan(*results[0].window.signal, color=PALETTE[1], alpha=0.18, linewidth=0, zorder=0)
    for index, (search, one) in enumerate(zip(searches, content, strict=True)):
        x = one.centres + _SPREAD * one.widths * ((index + 0.5) / len(searches) - 0.5)
        look = {"markersize": 6, **series_style(index)}
        data[search.label] = ax.errorbar(x, one.density, yerr=one.error, label=plain(search.label), **look)
        (fits[search.label],) = ax.plot(one.centres, one.fit, **series_line(index))
        reference = np.interp(one.centres, content[0].centres, content[0].fit)
        ax_ratio.errorbar(x, one.density / reference, yerr=one.error / reference, **look)
        (ratios[search.label],) = ax_ratio.plot(one.centres, one.fit / reference, **series_line(index))
    _set_ranges(content, ax, ax_ratio)
    ax.set_title(f"Window {window.replace('-', '–')} GeV, {selection_label(selection)}", loc="right")
    return SpectraArtists(data, fits, ratios, ax.legend(title=LEGEND_TITLE, loc="upper right"))


@dataclass(frozen=True)
class _Content:
    """Events per 100 GeV in the fit bins, NaN where hidden."""

    centres: Array
    widths: Array
    density: Array
    error: Array
    fit: Array


_UNIT = 100.0
"""Unit of the densities, GeV."""


def _content(search: ComparedSearch, result: WindowResult, selection: str) -> _Content:
    selected = search.find(result.window.name, selection)
    if selected is None or selected.fit is None or result.spectrum is None:
        msg = f"window {result.window.name} GeV, selection {selection}: {search.label} has no fit to draw."
        raise WindowError(msg)
    low, high = result.edges[:-1], result.edges[1:]
    counts, errors = shown_counts(result, selection)
    per_unit = _UNIT / (high - low)
    expected, _ = selected.fit.expected(result.edges)
    return _Content(
        (low + high) / 2,
        high - low,
        counts * per_unit,
        np.nan_to_num(errors) * per_unit,
        expected * per_unit,
    )


def _set_ranges(content: Sequence[_Content], ax: Axes, ax_ratio: Axes) -> None:
    filled = np.concatenate([one.density[one.density > 0] for one in content])
    low, high = 0.3 * filled.min(), 1.2 * filled.max()
    ax.set_yscale("log", nonpositive="clip")
    ax.set(ylim=(low, high * (high / low) ** _HEADROOM), ylabel=f"Events / {_UNIT:g} GeV")
    ax.set_xlim(content[0].centres[0] - content[0].widths[0] / 2, content[0].centres[-1] + content[0].widths[-1] / 2)
    ax_ratio.axhline(1, color="0.6", linewidth=1, zorder=0)
    ax_ratio.set(xlabel=MASS_LABEL, ylabel="Ratio to\nfirst fit", ylim=(0, 2.5))
