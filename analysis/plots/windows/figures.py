"""All figures of the windows of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.drawing import Sketch
from analysis.plots.panels import place_labels, stack_panels
from analysis.plots.windows.scan import draw_scan
from analysis.plots.windows.spectrum import draw_spectrum
from analysis.plots.windows.visible_limits import draw_limits
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalShape, SignalSpectra, signal_shapes
from analysis.statistics import GlobalResult

__all__ = ["search_figures"]


def search_figures(
    results: Sequence[WindowResult],
    *,
    blinded: bool = False,
    global_result: GlobalResult | None = None,
    signals: Sequence[Mapping[str, Any]] = (),
    spectra: SignalSpectra | None = None,
) -> Iterator[Sketch]:
    """List the figures of windows.

    Parameters
    ----------
    results : sequence of WindowResult
        Windows and selections that failed have no figure of their own; the scan marks them.
    blinded : bool
        Show no data inside the masks and no observed limit, and draw no scan.
    global_result : GlobalResult, optional
        For the scan.
    signals : sequence of mapping
        "signals" of `results.json`.
    spectra : mapping of dataset to window name to hist.Hist, optional
        Their spectra, which those of the data are drawn with.

    Yields
    ------
    Sketch
        `spectrum_<window>_<selection>`, `scan` and `limits_<selection>`.
    """
    selections = [(result, selection) for result in results for selection in result.selections]
    for result, selection in selections:
        if selection.fit is not None:
            stem = f"spectrum_{result.window.name}_{selection.name}"
            shapes = signal_shapes(result.window, selection.name, signals, spectra or {}, blinded=blinded)
            yield Sketch(stem, _spectrum, (result, selection.name, blinded, shapes))
    if results and not blinded:
        yield Sketch("scan", _scan, (results, global_result))
    for name in dict.fromkeys(selection.name for _, selection in selections if selection.limit is not None):
        yield Sketch(f"limits_{name}", _limits, (results, name, blinded))


def _spectrum(
    result: WindowResult, selection: str, blinded: bool, signals: Sequence[SignalShape]
) -> tuple[Figure, Axes]:
    figure, ax, ax_pull = stack_panels((8.5, 8.5), 3.2)
    draw_spectrum(result, selection, ax=ax, ax_pull=ax_pull, blinded=blinded, signals=signals)
    place_labels(figure, (ax, ax_pull))
    return figure, ax


def _scan(results: Sequence[WindowResult], global_result: GlobalResult | None) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_scan(results, ax=ax, global_result=global_result)
    return figure, ax


def _limits(results: Sequence[WindowResult], selection: str, blinded: bool) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_limits(results, selection, ax=ax, blinded=blinded)
    return figure, ax
