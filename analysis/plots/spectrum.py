"""The m_jj spectrum of one selection in one window, with the background fit and the pulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hist
import mplhep
import numpy as np
from hist.intervals import poisson_interval
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.background import BackgroundFit
from analysis.errors import WindowError
from analysis.plots.style import MASS_LABEL, PALETTE, format_count, format_p_value, format_with_error, selection_label
from analysis.regions import MassWindow
from analysis.search import SelectionResult, WindowResult
from analysis.spectra import NOMINAL, selection_counts

__all__ = ["SpectrumArtists", "draw_regions", "draw_spectrum"]

Array = NDArray[np.float64]

_FIT_COLOR, _WINDOW_COLOR, _SIDEBAND_COLOR = PALETTE[2], PALETTE[1], PALETTE[3]
_CURVE_POINTS_PER_BIN = 4
_SMALLEST_REACH = 3.0
_HEADROOM = 0.40
"""Part of the logarithmic range that is added above the spectrum, for the legend."""


@dataclass(frozen=True)
class SpectrumArtists:
    """What `draw_spectrum` drew.

    Attributes
    ----------
    data : matplotlib.container.ErrorbarContainer
        One point per bin that is shown; the masked bins are NaN while blinded.
    curve : matplotlib.lines.Line2D
        The fit, in events per fit bin.
    band : matplotlib.collections.PolyCollection
        Its uncertainty.
    pulls, pull_band : matplotlib.patches.StepPatch
        Pulls, and the uncertainty of the fit in the same unit.
    text : matplotlib.text.Text
        Counts in the window.
    legend : matplotlib.legend.Legend
    """

    data: ErrorbarContainer
    curve: Line2D
    band: PolyCollection
    pulls: StepPatch
    pull_band: StepPatch
    text: Text
    legend: Legend


@dataclass(frozen=True)
class _Content:
    """What is drawn: counts and variances of the fit bins, NaN where hidden."""

    edges: Array
    counts: Array
    variances: Array
    window: MassWindow
    selected: SelectionResult
    fit: BackgroundFit
    hidden: bool


def draw_spectrum(
    result: WindowResult, selection: str, *, ax: Axes, ax_pull: Axes, blinded: bool = False
) -> SpectrumArtists:
    """Draw the spectrum of one selection, the fit to it, and the pulls below.

    Parameters
    ----------
    result : WindowResult
    selection : str
        Name of a selection that has a fit.
    ax, ax_pull : matplotlib.axes.Axes
        For the spectrum, and for the pulls (n - b) / sqrt(b). They should share the x axis.
    blinded : bool
        Show no data inside the mask, no count and no significance. A result that was made blinded is always drawn so.

    Returns
    -------
    SpectrumArtists

    Raises
    ------
    WindowError
        If the window has no such selection, or that has no fit.
    """
    content = _content(result, selection, blinded=blinded)
    regions = draw_regions(content.window, ax, ax_pull)
    curve, band = _draw_fit(content, ax)
    data = _draw_data(content, ax)
    pulls, pull_band = _draw_pulls(content, ax_pull)
    _set_range(content, ax)
    ax.set_title(f"Selection: {selection_label(selection)}", loc="right")
    text = ax.text(0.965, 0.6, _summary(content), transform=ax.transAxes, ha="right", va="top", fontsize="small")
    legend = ax.legend(handles=[data, curve, band, *regions], loc="upper right")
    return SpectrumArtists(data, curve, band, pulls, pull_band, text, legend)


def _content(result: WindowResult, name: str, *, blinded: bool) -> _Content:
    selected = {selection.name: selection for selection in result.selections}.get(name)
    if selected is None or selected.fit is None or result.spectrum is None:
        reason = result.reason or (selected.reason if selected else f"it has no selection '{name}'")
        msg = f"window {result.window.name} GeV, selection {name}: there is no fit to draw: {reason}"
        raise WindowError(msg)
    hidden = blinded or selected.n_obs is None
    low, high = result.edges[:-1], result.edges[1:]
    shown = (high <= result.window.mask[0]) | (low >= result.window.mask[1]) | (not hidden)
    counts = np.where(shown, selection_counts(result.spectrum, name), np.nan)
    variances = np.where(shown, _variances(result.spectrum, name), np.nan)
    return _Content(result.edges, counts, variances, result.window, selected, selected.fit, hidden)


def _variances(spectrum: hist.Hist[Any], name: str) -> Array:
    axes = spectrum.axes
    variances = np.asarray(spectrum.variances(), np.float64)
    return variances[:, axes["selection"].index(name), axes["variation"].index(NOMINAL)]


def draw_regions(window: MassWindow, ax: Axes, *below: Axes) -> list[Artist]:
    """Shade the window, hatch the rest of the mask, mark the sidebands at the foot; return one artist of each.

    Parameters
    ----------
    window : MassWindow
    ax : matplotlib.axes.Axes
        Against m_jj in GeV.
    *below : matplotlib.axes.Axes
        Others, without the sidebands.

    Returns
    -------
    list of matplotlib.artist.Artist
        Of window, mask and sidebands, with labels for a legend.
    """
    for axes in (*below, ax):
        signal = axes.axvspan(*window.signal, color=_WINDOW_COLOR, alpha=0.22, linewidth=0, zorder=0)
        margins = [
            axes.axvspan(*side, facecolor="none", edgecolor="0.65", hatch="////", linewidth=0, zorder=0)
            for side in ((window.mask[0], window.signal[0]), (window.signal[1], window.mask[1]))
        ]
    sidebands = [
        ax.axvspan(*side, ymax=0.018, color=_SIDEBAND_COLOR, alpha=0.8, linewidth=0, zorder=1)
        for side in (window.lower, window.upper)
    ]
    signal.set_label(f"Signal window {_range(window.signal)}")
    margins[0].set_label(f"Left out of the fit: {_range(window.mask)}")
    sidebands[0].set_label("Training sidebands")
    return [signal, margins[0], sidebands[0]]


def _draw_fit(content: _Content, ax: Axes) -> tuple[Line2D, PolyCollection]:
    edges, fit = content.edges, content.fit
    fine = np.linspace(edges[0], edges[-1], _CURVE_POINTS_PER_BIN * (len(edges) - 1) + 1)
    fraction, covariance = fit.expected(fine)
    expected, error = _CURVE_POINTS_PER_BIN * fraction, _CURVE_POINTS_PER_BIN * np.sqrt(np.diag(covariance))
    centre = (fine[1:] + fine[:-1]) / 2
    p_value = format_p_value(fit.p_value)
    quality = f"$\\chi^2$/ndof = {fit.deviance:.1f}/{fit.ndof}, $\\mathit{{p}} = {p_value}$"
    (curve,) = ax.plot(
        centre, expected, color=_FIT_COLOR, linewidth=2, label=f"Fit {fit.function.name}, {quality}", zorder=3
    )
    band = ax.fill_between(
        centre,
        expected - error,
        expected + error,
        color=_FIT_COLOR,
        alpha=0.3,
        linewidth=0,
        label=r"Fit $\pm 1\sigma$",
        zorder=2,
    )
    return curve, band


def _draw_data(content: _Content, ax: Axes) -> ErrorbarContainer:
    counts = content.counts
    weighted = not np.allclose(content.variances, counts, equal_nan=True)
    low, high = poisson_interval(counts, content.variances) if weighted else poisson_interval(counts)
    container: ErrorbarContainer = mplhep.histplot(
        counts,
        content.edges,
        yerr=np.array([counts - low, high - counts]),
        histtype="errorbar",
        color="black",
        markersize=8,
        label="Observed",
        ax=ax,
        zorder=4,
    )[0].errorbar
    return container


def _draw_pulls(content: _Content, ax: Axes) -> tuple[StepPatch, StepPatch]:
    expected, covariance = content.fit.expected(content.edges)
    pulls = (content.counts - expected) / np.sqrt(expected)
    error = np.sqrt(np.diag(covariance) / expected)
    bars = ax.stairs(pulls, content.edges, baseline=0, fill=True, color="0.35", zorder=2)
    band = ax.stairs(error, content.edges, baseline=-error, fill=True, color=_FIT_COLOR, alpha=0.35, zorder=3)
    ax.axhline(0, color="black", linewidth=0.8)
    low, high = min(-_SMALLEST_REACH, np.nanmin(pulls)), max(_SMALLEST_REACH, np.nanmax(pulls))
    margin = 0.08 * (high - low)
    ax.set(xlabel=MASS_LABEL, ylabel=r"$(\mathit{n} - \mathit{b})$ / √$\mathit{b}$", ylim=(low - margin, high + margin))
    return bars, band


def _set_range(content: _Content, ax: Axes) -> None:
    filled = content.counts[content.counts > 0]
    low, high = 0.3 * filled.min(), 1.2 * filled.max()
    ax.set_yscale("log", nonpositive="clip")
    ax.set(
        xlim=(content.edges[0], content.edges[-1]),
        ylim=(low, high * (high / low) ** _HEADROOM),
        ylabel=f"Events / {content.edges[1] - content.edges[0]:g} GeV",
    )


def _summary(content: _Content) -> str:
    selected, lines = content.selected, []
    if content.hidden or selected.n_obs is None:
        lines.append("Blinded")
    else:
        lines.append(f"$\\mathit{{n}} = {format_count(selected.n_obs)}$")
    if selected.background is not None and selected.total_error is not None:
        lines.append(f"$\\mathit{{b}}$ = {format_with_error(selected.background, selected.total_error)}")
    if selected.discovery is not None and not content.hidden:
        lines.append(f"$\\mathit{{z}} = {round(selected.discovery.z, 1) + 0.0:.1f}$")
    return "\n".join(lines)


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:g}–{interval[1]:g} GeV"
