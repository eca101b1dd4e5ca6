"""Spectra of many windows side by side, each with its own selection and prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hist.intervals import poisson_interval
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.histograms.spectra import selection_counts, selection_variances
from analysis.learning import INCLUSIVE, selection_text
from analysis.plots.bad_fits import BAD_FIT_LABEL
from analysis.plots.calibration import CALIBRATED_LABEL
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.panels import place_labels, stack_panels
from analysis.plots.style import MASS_LABEL, PALETTE, pull_label, selection_label
from analysis.plots.windows.spectrum import spectrum_rows
from analysis.plots.words import observed_label
from analysis.results.numbers import interval, z_value
from analysis.results.wording.significances import UNCALIBRATED, local_z_text
from analysis.results.words import BAD_FIT_MARK, fit_mark
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.shapes import true_counts

__all__ = ["StitchedArtists", "draw_stitched", "stitched_figures", "window_layers"]

Array = NDArray[np.float64]

_FIT_COLOR, _WINDOW_COLOR, _HIDDEN_COLOR = PALETTE[2], PALETTE[1], PALETTE[0]
_TINY = 1e-6  # GeV
_SMALLEST_REACH = 3.0
_HEADROOM = 0.4
_PULL_HEADROOM = 0.22
"""Fractions of the ranges added above: for the legend, and for the numbers."""

_MANY = 8
"""Smallest number of windows for a wide figure with vertical numbers."""


@dataclass(frozen=True)
class StitchedArtists:
    """Artists of `draw_stitched`; mappings are by window name.

    Attributes
    ----------
    data : dict of str to matplotlib.container.ErrorbarContainer
    background : dict of str to matplotlib.patches.StepPatch
    bands : dict of str to matplotlib.patches.StepPatch
        Uncertainty of the background.
    pulls : dict of str to matplotlib.patches.StepPatch
    hidden : dict of str to matplotlib.patches.StepPatch
        Hidden signal of pseudodata, if any.
    significances : dict of str to matplotlib.text.Text
    inclusive : matplotlib.patches.StepPatch or None
        Spectrum of all events.
    legend : matplotlib.legend.Legend
    """

    data: dict[str, ErrorbarContainer]
    background: dict[str, StepPatch]
    bands: dict[str, StepPatch]
    pulls: dict[str, StepPatch]
    hidden: dict[str, StepPatch]
    significances: dict[str, Text]
    inclusive: StepPatch | None
    legend: Legend


@dataclass(frozen=True)
class _Piece:
    """Bins of one window."""

    name: str
    edges: Array
    counts: Array
    variances: Array
    background: Array
    error: Array
    truth: Array | None
    selected: SelectionResult

    @property
    def root(self) -> Array:
        """Poisson error of the background."""
        return np.sqrt(self.selected.weight * self.background)

    @property
    def pulls(self) -> Array:
        """(n - b) / sqrt(w b), w the mean weight."""
        return (self.counts - self.background) / self.root


def window_layers(results: Sequence[WindowResult]) -> list[list[WindowResult]]:
    """Distribute windows over the smallest number of layers without overlaps.

    Parameters
    ----------
    results : sequence of WindowResult

    Returns
    -------
    list of list of WindowResult
        Windows of each layer by increasing mass.
    """
    layers: list[list[WindowResult]] = []
    for result in sorted(results, key=lambda result: result.window.signal):
        start = result.window.signal[0] + _TINY
        free = next((layer for layer in layers if layer[-1].window.signal[1] <= start), None)
        if free is None:
            layers.append([result])
        else:
            free.append(result)
    return layers


def draw_stitched(
    results: Sequence[WindowResult], selection: str, *, ax: Axes, ax_pull: Axes, inclusive: bool = True
) -> StitchedArtists:
    """Draw the events of each window after its own selection, and the background predicted from its sidebands.

    Every window has its own classifiers, so that spectrum and prediction jump between windows. Bins that are not fully
    inside a window are left out. Similar to the figures of arXiv:1902.02634 and arXiv:2005.02983, which overlay whole
    spectra of single windows.

    Parameters
    ----------
    results : sequence of WindowResult
        Windows that do not overlap. Windows without a fit or, such as while blinded, without a count are left out.
    selection : str
    ax, ax_pull : matplotlib.axes.Axes
        For the spectra, and for the pulls (n - b) / sqrt(b). They should share the x axis.
    inclusive : bool
        Draw the spectrum of all events for reference, in the fit range of the first window.

    Returns
    -------
    StitchedArtists
    """
    pieces = [piece for result in results if (piece := _piece(result, selection)) is not None]
    reference = _draw_inclusive(results[0], ax) if inclusive and selection != INCLUSIVE else None
    _shade(pieces, ax, ax_pull)
    data = {piece.name: _draw_data(piece, ax) for piece in pieces}
    background = {piece.name: _draw_background(piece, ax) for piece in pieces}
    bands = {piece.name: _draw_band(piece, ax) for piece in pieces}
    hidden = {piece.name: _draw_hidden(piece.truth, piece.edges, ax) for piece in pieces if piece.truth is not None}
    pulls = {piece.name: _draw_pulls(piece, ax_pull) for piece in pieces}
    _set_ranges(pieces, reference, ax, ax_pull)
    ax.set_title(f"Selection: {selection_label(selection)}", loc="right")
    handles = [artist for one in (data, background, hidden) for artist in list(one.values())[:1]]
    return StitchedArtists(
        data,
        background,
        bands,
        pulls,
        hidden,
        _write_significances(pieces, ax_pull),
        reference,
        _draw_legend(handles, reference, ax, [piece.selected for piece in pieces]),
    )


def stitched_figures(results: Sequence[WindowResult]) -> Iterator[ResultFigure]:
    """List the figures of windows side by side: per selection, one per layer of windows without overlaps.

    Parameters
    ----------
    results : sequence of WindowResult
        Windows without counts, such as while blinded, are left out.

    Yields
    ------
    ResultFigure
        `spectrum_stitched_<selection>`, followed by the number of the layer for several layers.
    """
    layers = [layer for layer in window_layers([one for one in results if one.spectrum is not None]) if len(layer) > 1]
    for name in dict.fromkeys(selection.name for result in results for selection in result.selections):
        for number, layer in enumerate(layers, 1):
            if any(_selected(result, name) is not None for result in layer):
                several = len(layers) > 1
                yield ResultFigure(
                    f"spectrum_stitched_{name}" + (f"_{number}" if several else ""),
                    partial(_stitched, layer, name),
                    f"Windows side by side, {selection_text(name)}" + (f", layer {number}" if several else ""),
                    partial(stitched_alt, results, name),
                    partial(stitched_rows, results, name),
                    "stitched",
                )


def _stitched(results: Sequence[WindowResult], selection: str) -> tuple[Figure, Axes]:
    figure, ax, ax_pull = stack_panels((13.0 if len(results) >= _MANY else 9.5, 8.5), 2.6)
    draw_stitched(results, selection, ax=ax, ax_pull=ax_pull)
    place_labels(figure, (ax, ax_pull))
    return figure, ax


def _selected(result: WindowResult, name: str) -> SelectionResult | None:
    """Return a selection if it has a fit and a count."""
    named = (selection for selection in result.selections if selection.name == name)
    return next((selection for selection in named if selection.fit is not None and selection.n_obs is not None), None)


def _piece(result: WindowResult, name: str) -> _Piece | None:
    selected, spectrum = _selected(result, name), result.spectrum
    if selected is None or selected.fit is None or spectrum is None:
        return None
    low, high = result.window.signal
    inside = (result.edges[:-1] > low - _TINY) & (result.edges[1:] < high + _TINY)
    if not inside.any():
        return None
    first, last = np.flatnonzero(inside)[[0, -1]]
    edges = result.edges[first : last + 2]
    expected, covariance = selected.fit.expected(edges)
    counts, variances = selection_counts(spectrum, name), selection_variances(spectrum, name)
    truth = true_counts(result.truth, name)
    return _Piece(
        result.window.name,
        edges,
        counts[inside],
        (counts if variances is None else variances)[inside],
        expected,
        np.sqrt(np.diag(covariance)),
        None if truth is None else truth[inside],
        selected,
    )


def _draw_inclusive(result: WindowResult, ax: Axes) -> StepPatch | None:
    if result.spectrum is None:
        return None
    counts = selection_counts(result.spectrum, INCLUSIVE)
    return ax.stairs(
        counts, result.edges, color="0.55", linewidth=1.4, label=f"{observed_label()}, inclusive", zorder=1
    )


def _shade(pieces: Sequence[_Piece], *panels: Axes) -> None:
    """Shade every other window, and draw lines at the edges of all windows."""
    for ax in panels:
        for index, piece in enumerate(pieces):
            low, high = piece.edges[[0, -1]].tolist()
            if index % 2 == 0:
                ax.axvspan(low, high, color=_WINDOW_COLOR, alpha=0.16, linewidth=0, zorder=0)
            for end in (low, high):
                ax.axvline(end, color="0.6", linestyle=":", linewidth=1, zorder=0.5)


def _draw_data(piece: _Piece, ax: Axes) -> ErrorbarContainer:
    weighted = not np.allclose(piece.variances, piece.counts)
    low, high = poisson_interval(piece.counts, piece.variances) if weighted else poisson_interval(piece.counts)
    return ax.errorbar(
        (piece.edges[1:] + piece.edges[:-1]) / 2,
        piece.counts,
        yerr=np.nan_to_num(np.array([piece.counts - low, high - piece.counts])),
        color="black",
        marker="o",
        markersize=6,
        linestyle="none",
        elinewidth=1.4,
        label=observed_label(),
        zorder=4,
    )


def _draw_background(piece: _Piece, ax: Axes) -> StepPatch:
    return ax.stairs(
        piece.background,
        piece.edges,
        baseline=None,
        color=_FIT_COLOR,
        linewidth=2,
        label="Background, from outside the mask",
        zorder=3,
    )


def _draw_band(piece: _Piece, ax: Axes) -> StepPatch:
    low, high = piece.background - piece.error, piece.background + piece.error
    return ax.stairs(high, piece.edges, baseline=low, fill=True, color=_FIT_COLOR, alpha=0.3, zorder=2)


def _draw_hidden(truth: Array, edges: Array, ax: Axes) -> StepPatch:
    return ax.stairs(
        truth,
        edges,
        fill=True,
        facecolor=(*to_rgb(_HIDDEN_COLOR), 0.3),
        edgecolor=_HIDDEN_COLOR,
        hatch="\\\\\\",
        linewidth=1.4,
        label="Hidden signal (truth)",
        zorder=1.5,
    )


def _draw_pulls(piece: _Piece, ax: Axes) -> StepPatch:
    pulls = ax.stairs(piece.pulls, piece.edges, fill=True, color="0.35", zorder=2)
    band = piece.error / piece.root
    ax.stairs(band, piece.edges, baseline=-band, fill=True, color=_FIT_COLOR, alpha=0.35, zorder=3)
    return pulls


def _set_ranges(pieces: Sequence[_Piece], reference: StepPatch | None, ax: Axes, ax_pull: Axes) -> None:
    shown = [piece.counts for piece in pieces] + ([] if reference is None else [np.asarray(reference.get_data()[0])])
    filled = np.concatenate([np.concatenate(shown), *(piece.background for piece in pieces)])
    low, high = 0.3 * filled[filled > 0].min(), 1.2 * filled.max()
    ends = np.concatenate([piece.edges for piece in pieces])
    margin = 0.03 * np.ptp(ends)
    ax.set_yscale("log", nonpositive="clip")
    ax.set(
        xlim=(ends.min() - margin, ends.max() + margin),
        ylim=(low, high * (high / low) ** _HEADROOM),
        ylabel=f"Events / {pieces[0].edges[1] - pieces[0].edges[0]:g} GeV",
    )
    pulls = np.concatenate([piece.pulls for piece in pieces])
    reach = (min(-_SMALLEST_REACH, 1.1 * pulls.min()), max(_SMALLEST_REACH, 1.1 * pulls.max()))
    ax_pull.axhline(0, color="black", linewidth=0.8)
    ax_pull.set(
        xlabel=MASS_LABEL,
        ylabel=pull_label(weighted=any(piece.selected.weight != 1 for piece in pieces)),
        ylim=(reach[0], reach[1] + _PULL_HEADROOM * (reach[1] - reach[0])),
    )


def _write_significances(pieces: Sequence[_Piece], ax: Axes) -> dict[str, Text]:
    upright = len(pieces) >= _MANY
    return {
        piece.name: ax.text(
            piece.edges[[0, -1]].mean(),
            0.92,
            f"{z_value(piece.selected.local_z)}{fit_mark(piece.selected)}",
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize="x-small" if upright else "small",
        )
        for piece in pieces
        if piece.selected.local_z is not None
    }


def _draw_legend(
    handles: Sequence[Any], reference: StepPatch | None, ax: Axes, found: Sequence[SelectionResult]
) -> Legend:
    lines = [r"Numbers: $\mathit{z}$ of each window", *_calibration(found)]
    lines += [f"{BAD_FIT_MARK} {BAD_FIT_LABEL}"] * any(one.has_bad_fit for one in found)
    label = "\n".join(lines)
    numbers = Line2D([], [], linestyle="none", label=label)
    shown = [*handles, *([] if reference is None else [reference]), numbers]
    return ax.legend(handles=shown, loc="upper right")


def _calibration(found: Sequence[SelectionResult]) -> list[str]:
    """Say whether the numbers are calibrated with retraining; nothing on the inclusive selection."""
    lacking, calibrated = (
        any(one.lacks_calibration for one in found),
        any(one.calibration is not None for one in found),
    )
    if lacking:
        return [f"{'partly ' * calibrated}{UNCALIBRATED}"]
    return [CALIBRATED_LABEL.lower()] * calibrated


def stitched_alt(results: Sequence[WindowResult], name: str) -> str:
    """Describe the spectra of windows side by side."""
    found = [
        f"{interval(result.window.signal)} GeV {local_z_text(one)}{' (bad background fit)' * one.has_bad_fit}"
        for result in results
        for one in result.selections
        if one.name == name and one.discovery is not None
    ]
    return (
        f"Spectra of windows that do not overlap, {selection_text(name)}, with the background predicted for each and "
        f"pulls. Local z of all windows: {', '.join(found)}.{_sentence(results, name)}"
    )


def _sentence(results: Sequence[WindowResult], name: str) -> str:
    selections = [one for result in results for one in result.selections if one.name == name]
    return "".join(f" {text.capitalize()}." for text in _calibration(selections))


def stitched_rows(results: Iterable[WindowResult], name: str) -> Iterator[Row]:
    """Rows of the spectra of windows side by side: bins inside each window, as in `spectrum_rows`."""
    header = False
    for result in results:
        if any(one.name == name and one.n_obs is not None for one in result.selections):
            for number, row in enumerate(spectrum_rows(result, name)):
                if number == 0 and not header:
                    yield "window", *row
                    header = True
                elif number > 0 and _is_inside(row, result.window.signal):
                    yield result.window.name, *row


def _is_inside(row: Sequence[Any], interval: tuple[float, float]) -> bool:
    return bool(row[0] >= interval[0] and row[1] <= interval[1])
