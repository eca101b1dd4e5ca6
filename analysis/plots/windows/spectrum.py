"""Spectrum in m_jj of one selection in one window, with the background fit, signals and pulls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import mplhep
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.background import BackgroundFit
from analysis.errors import WindowError
from analysis.histograms.spectra import selection_counts
from analysis.learning import selection_text
from analysis.plots.counts import shown_counts
from analysis.plots.figure import Row
from analysis.plots.style import (
    MASS_LABEL,
    PALETTE,
    fit_label,
    format_count,
    format_fit_quality,
    format_with_error,
    plain,
    pull_label,
    selection_label,
)
from analysis.plots.words import observed_label, sample_label
from analysis.regions import Interval, MassWindow
from analysis.results.numbers import SPACE, count, interval, number, p_value, with_error
from analysis.results.wording.significances import UNCALIBRATED, local_z_text, nominal_text
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.shapes import SignalShape, true_counts

__all__ = ["SpectrumArtists", "draw_regions", "draw_spectrum", "shade_window"]

Array = NDArray[np.float64]

_FIT_COLOR, _WINDOW_COLOR, _SIDEBAND_COLOR = PALETTE[2], PALETTE[1], PALETTE[3]
_CURVE_POINTS_PER_BIN = 4
_SMALLEST_REACH = 3.0
_HEADROOM = 0.40
"""Fraction of the logarithmic range added above the spectrum, for the legend."""

_HIDDEN_COLOR = PALETTE[0]
_SIGNAL_LINES = ((PALETTE[5], "--"), ("#00735c", "-."))
_LABEL_WIDTH = 38
"""Maximum line length of a signal label, characters."""

_LINE_HEIGHT = 0.052
"""Height of a legend line, as a fraction of the axes height."""

_LEGEND_LEFT, _TEXT_LEFT, _TEXT_LINE = 0.42, 0.75, 0.14 / 3
"""Left ends of legend and text, and height of a line of the text, as fractions of the axes."""

_TEXT_LINES = 3
"""Smallest number of lines for which there is space."""


@dataclass(frozen=True)
class SpectrumArtists:
    """Artists of `draw_spectrum`.

    Attributes
    ----------
    data : matplotlib.container.ErrorbarContainer
        One point per bin; masked bins are NaN while blinded.
    curve : matplotlib.lines.Line2D
        Fit, in events per fit bin.
    band : matplotlib.collections.PolyCollection
        Uncertainty of the fit.
    pulls, pull_band : matplotlib.patches.StepPatch
        Pulls, and the uncertainty of the fit in the same units.
    text : matplotlib.text.Text
        Counts in the window.
    legend : matplotlib.legend.Legend
    hidden : matplotlib.patches.StepPatch or None
        Signal hidden in pseudodata; None without it, and while blinded.
    signals : tuple of matplotlib.patches.StepPatch
        Signal samples, without background.
    """

    data: ErrorbarContainer
    curve: Line2D
    band: PolyCollection
    pulls: StepPatch
    pull_band: StepPatch
    text: Text
    legend: Legend
    hidden: StepPatch | None = None
    signals: tuple[StepPatch, ...] = ()


@dataclass(frozen=True)
class _Content:
    """Content of the figure: counts and errors of the fit bins, NaN where hidden."""

    edges: Array
    counts: Array
    errors: Array
    window: MassWindow
    selected: SelectionResult
    fit: BackgroundFit
    truth: Array | None


def draw_spectrum(
    result: WindowResult,
    selection: str,
    *,
    ax: Axes,
    ax_pull: Axes,
    signals: Sequence[SignalShape] = (),
) -> SpectrumArtists:
    """Draw the spectrum of one selection with its fit, and the pulls below.

    Hidden signal of pseudodata is drawn as well, without scaling.

    Parameters
    ----------
    result : WindowResult
    selection : str
        Name of a selection that has a fit.
    ax, ax_pull : matplotlib.axes.Axes
        For the spectrum, and for the pulls (n - b) / sqrt(w b), w the mean weight. They should share the x axis.
    signals : sequence of SignalShape
        Samples to draw as lines.

    Returns
    -------
    SpectrumArtists

    Raises
    ------
    WindowError
        If the selection is absent from the window, or has no fit.

    Examples
    --------
    >>> from pathlib import Path
    >>> import matplotlib.pyplot as plt
    >>> from analysis.plots import draw_spectrum, figure_style
    >>> from analysis.results import ResultsFolder
    >>> _, windows = ResultsFolder(Path("results")).load_results()
    >>> with figure_style():
    ...     figure, (ax, ax_pull) = plt.subplots(2, sharex=True)
    ...     artists = draw_spectrum(windows[0], "inclusive", ax=ax, ax_pull=ax_pull)
    >>> ax.get_ylabel()
    'Events / 100 GeV'
    """
    content = _content(result, selection)
    regions = draw_regions(content.window, ax, ax_pull)
    curve, band = _draw_fit(content, ax)
    data = _draw_data(content, ax)
    hidden = _draw_hidden(content, ax)
    shapes = tuple(_draw_signal(one, content.edges, index, ax) for index, one in enumerate(signals))
    pulls, pull_band = _draw_pulls(content, ax_pull)
    ax.set_title(f"Selection: {selection_label(selection)}", loc="right")
    handles: list[Any] = [data, curve, band, *([hidden] if hidden else []), *shapes, *regions]
    legend = ax.legend(handles=handles, loc="upper right", labelspacing=0.2)
    foot = 0.97 - _LINE_HEIGHT * sum(1 + str(one.get_label()).count("\n") for one in handles)
    _set_range(content, signals, foot, ax)
    text = ax.text(
        *(0.965, foot - 0.02, _summary(content)), transform=ax.transAxes, ha="right", va="top", fontsize="small"
    )
    return SpectrumArtists(data, curve, band, pulls, pull_band, text, legend, hidden, shapes)


def _content(result: WindowResult, name: str) -> _Content:
    selected = {selection.name: selection for selection in result.selections}.get(name)
    if selected is None or selected.fit is None or result.spectrum is None:
        reason = result.reason or (selected.reason if selected else f"it has no selection '{name}'")
        msg = f"window {result.window.name} GeV, selection {name}: there is no fit to draw: {reason}"
        raise WindowError(msg)
    counts, errors = shown_counts(result, name)
    truth = true_counts(result.truth, name)
    return _Content(result.edges, counts, errors, result.window, selected, selected.fit, truth)


def draw_regions(window: MassWindow, ax: Axes, *below: Axes) -> list[Artist]:
    """Shade the window, hatch the rest of the mask, mark the sidebands at the bottom; return one artist of each.

    Parameters
    ----------
    window : MassWindow
    ax : matplotlib.axes.Axes
        Against m_jj in GeV.
    *below : matplotlib.axes.Axes
        Further axes, drawn without the sidebands.

    Returns
    -------
    list of matplotlib.artist.Artist
        Artists of window, mask and sidebands, with labels for a legend.
    """
    for axes in (*below, ax):
        signal, margin = shade_window(window.signal, window.mask, axes)
    sidebands = [
        ax.axvspan(*side, ymax=0.018, color=_SIDEBAND_COLOR, alpha=0.8, linewidth=0, zorder=1)
        for side in (window.lower, window.upper)
    ]
    signal.set_label(f"Signal window {_range(window.signal)}")
    margin.set_label(f"Left out of the fit: {_range(window.mask)}")
    sidebands[0].set_label("Training sidebands")
    return [signal, margin, sidebands[0]]


def shade_window(signal: Interval, mask: Interval, ax: Axes) -> tuple[Artist, Artist]:
    """Shade a window, and hatch the rest of its mask, GeV; return one artist of each."""
    shaded = ax.axvspan(*signal, color=_WINDOW_COLOR, alpha=0.22, linewidth=0, zorder=0)
    margins = [
        ax.axvspan(*side, facecolor="none", edgecolor="0.65", hatch="////", linewidth=0, zorder=0)
        for side in ((mask[0], signal[0]), (signal[1], mask[1]))
    ]
    return shaded, margins[0]


def _draw_fit(content: _Content, ax: Axes) -> tuple[Line2D, PolyCollection]:
    edges, fit = content.edges, content.fit
    fine = np.linspace(edges[0], edges[-1], _CURVE_POINTS_PER_BIN * (len(edges) - 1) + 1)
    fraction, covariance = fit.expected(fine)
    expected, error = _CURVE_POINTS_PER_BIN * fraction, _CURVE_POINTS_PER_BIN * np.sqrt(np.diag(covariance))
    centre = (fine[1:] + fine[:-1]) / 2
    quality = format_fit_quality(fit.deviance, fit.ndof, content.selected.fit_p_value)
    (curve,) = ax.plot(centre, expected, color=_FIT_COLOR, linewidth=2, label=f"{fit_label(fit)}\n{quality}", zorder=3)
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
    container: ErrorbarContainer = mplhep.histplot(
        content.counts,
        content.edges,
        yerr=content.errors,
        histtype="errorbar",
        color="black",
        markersize=8,
        label=observed_label(),
        ax=ax,
        zorder=4,
    )[0].errorbar
    return container


def _draw_hidden(content: _Content, ax: Axes) -> StepPatch | None:
    if content.truth is None:
        return None
    return ax.stairs(
        content.truth,
        content.edges,
        fill=True,
        facecolor=(*to_rgb(_HIDDEN_COLOR), 0.3),
        edgecolor=_HIDDEN_COLOR,
        hatch="\\\\\\",
        linewidth=1.4,
        label="Hidden signal (truth)",
        zorder=2.5,
    )


def _draw_signal(one: SignalShape, edges: Array, index: int, ax: Axes) -> StepPatch:
    color, line = _SIGNAL_LINES[index % len(_SIGNAL_LINES)]
    name = sample_label(one.dataset) or fill(plain(one.dataset), _LABEL_WIDTH)
    return ax.stairs(
        one.counts,
        edges,
        color=color,
        linestyle=line,
        linewidth=2.2,
        label=f"{name}\n{one.scale:.2g} × sample ({one.origin.replace('observed', observed_label().lower())})",
        zorder=3.5,
    )


def _draw_pulls(content: _Content, ax: Axes) -> tuple[StepPatch, StepPatch]:
    expected, covariance = content.fit.expected(content.edges)
    weight = content.selected.weight
    pulls = (content.counts - expected) / np.sqrt(weight * expected)
    error = np.sqrt(np.diag(covariance) / (weight * expected))
    bars = ax.stairs(pulls, content.edges, baseline=0, fill=True, color="0.35", zorder=2)
    band = ax.stairs(error, content.edges, baseline=-error, fill=True, color=_FIT_COLOR, alpha=0.35, zorder=3)
    ax.axhline(0, color="black", linewidth=0.8)
    low, high = min(-_SMALLEST_REACH, np.nanmin(pulls)), max(_SMALLEST_REACH, np.nanmax(pulls))
    margin = 0.08 * (high - low)
    ax.set(xlabel=MASS_LABEL, ylabel=pull_label(weighted=weight != 1), ylim=(low - margin, high + margin))
    return bars, band


def _set_range(content: _Content, signals: Sequence[SignalShape], foot: float, ax: Axes) -> None:
    """Set the range of the axes such that all content stays below the legend, with the given foot, and the text."""
    edges = content.edges
    filled = content.counts[content.counts > 0]
    highest = np.max([np.nan_to_num(content.counts), *(one.counts for one in signals)], axis=0)
    low, high = 0.3 * filled.min(), 1.2 * highest.max()
    decades = (1 + _HEADROOM) * np.log10(high / low)
    text = _TEXT_LINE * max(_TEXT_LINES, len(_summary(content).splitlines()))
    for left, height in ((_LEGEND_LEFT, foot), (_TEXT_LEFT, foot - text)):
        beneath = highest[edges[1:] > edges[0] + left * (edges[-1] - edges[0])].max()
        if beneath > 0:
            decades = max(decades, np.log10(1.8 * beneath / low) / (height - 0.02))
    ax.set_yscale("log", nonpositive="clip")
    ax.set(
        xlim=(edges[0], edges[-1]),
        ylim=(low, low * 10**decades),
        ylabel=f"Events / {edges[1] - edges[0]:g} GeV",
    )


def _summary(content: _Content) -> str:
    selected, lines = content.selected, []
    if selected.n_obs is None:
        lines.append("Blinded")
    else:
        lines.append(f"$\\mathit{{n}} = {format_count(selected.n_obs)}$")
    if selected.background is not None and selected.total_error is not None:
        lines.append(f"$\\mathit{{b}}$ = {format_with_error(selected.background, selected.total_error)}")
    if selected.local_z is not None:
        lines.append(rf"$\mathit{{z}}$ = {local_z_text(selected)}")
    if nominal := nominal_text(selected) or UNCALIBRATED.split(" with ")[0] * selected.lacks_calibration:
        lines.append(nominal)
    if selected.has_bad_fit:
        lines.append("Bad background fit")
    return "\n".join(lines)


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:g}–{interval[1]:g} GeV"


def spectrum_alt(result: WindowResult, selection: SelectionResult, signals: Sequence[SignalShape] = ()) -> str:
    """Describe the spectrum of one selection with a fit, and the signals in it."""
    fit, window = selection.fit, result.window
    assert fit is not None
    quality = f"χ²/ndof = {fit.deviance:.1f}/{fit.ndof}, p = {p_value(selection.fit_p_value)}"
    background = with_error(selection.background, selection.total_error)
    text = (
        f"Spectrum of the dijet mass in {interval(window.fit_range)} GeV, {selection_text(selection.name)}, with "
        f"the fit of {fit.function.name} outside {interval(window.mask)} GeV ({quality}) and pulls. In the window "
        f"{interval(window.signal)}{SPACE}GeV {background} background events are expected"
    )
    shapes = "".join(f" Signal {one.dataset} is drawn {number(one.scale, 2)} times ({one.origin})." for one in signals)
    if selection.has_bad_fit:
        shapes += " The background fit is bad: background and z are not to be trusted."
    if selection.n_obs is None:
        return f"{text}; what is observed there is withheld.{shapes}"
    notes = [nominal_text(selection) or UNCALIBRATED * selection.lacks_calibration]
    z = local_z_text(selection) + "".join(f" ({note})" for note in notes if note)
    return f"{text} and {count(selection.n_obs)} are observed: z = {z}.{shapes}"


def spectrum_rows(result: WindowResult, name: str, *, signals: Sequence[SignalShape] = ()) -> Iterator[Row]:
    """Rows of the spectrum of one selection: fit bins with counts, fit and pulls.

    Parameters
    ----------
    result : WindowResult
    name : str
        Name of a selection with a fit.
    signals : sequence of SignalShape
        Samples that are also drawn.

    Yields
    ------
    sequence
        The header, then one row per bin; pulls are (n - b) / sqrt(w b), w the mean weight, as drawn.
    """
    selection = next(one for one in result.selections if one.name == name)
    if selection.fit is None or result.spectrum is None:
        return
    low, high = result.edges[:-1], result.edges[1:]
    counts = selection_counts(result.spectrum, name)
    counts = np.where(result.shown_bins, counts, np.nan)
    expected, covariance = selection.fit.expected(result.edges)
    error, pulls = np.sqrt(np.diag(covariance)), (counts - expected) / np.sqrt(selection.weight * expected)
    truth = true_counts(result.truth, name)
    columns = [low, high, counts, expected, error, pulls, np.full(len(low), np.nan) if truth is None else truth]
    yield (
        *("m_jj low [GeV]", "m_jj high [GeV]", "observed [events]", "fit [events]", "fit error [events]", "pull"),
        *("hidden signal [events]", *(f"{one.dataset} x {one.scale:.6g} [events]" for one in signals)),
    )
    columns += [one.counts for one in signals]
    yield from zip(*(column.tolist() for column in columns), strict=True)
