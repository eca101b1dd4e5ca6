"""All figures of the windows of a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.learning import selection_text
from analysis.plots.figure import ResultFigure
from analysis.plots.panels import place_labels, stack_panels
from analysis.plots.sources import FigureSources
from analysis.plots.windows.scan import draw_scan, scan_alt, scan_rows
from analysis.plots.windows.spectrum import draw_spectrum, spectrum_alt, spectrum_rows
from analysis.plots.windows.visible_limits import draw_limits, limit_rows, limits_alt
from analysis.results.numbers import SPACE, interval
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalShape, signal_shapes
from analysis.statistics import GlobalResult

__all__ = ["search_figures"]


def search_figures(of: FigureSources) -> Iterator[ResultFigure]:
    """List the figures of windows.

    Failed windows and selections have no figure of their own; the scan marks them. While blinded no scan is drawn.

    Parameters
    ----------
    of : FigureSources

    Yields
    ------
    ResultFigure
        `spectrum_<window>_<selection>`, `scan` and `limits_<selection>`.
    """
    if of.results is None:
        return
    results, windows = of.windows, of.results.windows
    selections = [(result, selection) for result in results for selection in result.selections]
    for result, selection in selections:
        if selection.fit is not None:
            shapes = signal_shapes(result.window, selection.name, of.results.signals, of.signal_spectra)
            yield ResultFigure(
                f"spectrum_{result.window.name}_{selection.name}",
                partial(_spectrum, result, selection.name, shapes),
                f"{interval(result.window.signal)}{SPACE}GeV, {selection_text(selection.name)}",
                partial(spectrum_alt, result, selection, shapes),
                partial(spectrum_rows, result, selection.name, signals=shapes),
                "spectrum",
                result.window.name,
            )
    if results and not of.results.blinded:
        yield ResultFigure(
            "scan",
            partial(_scan, results, of.results.global_),
            "Local p-values of all windows",
            partial(scan_alt, of.results),
            partial(scan_rows, windows),
            "overview",
        )
    for name in dict.fromkeys(selection.name for _, selection in selections if selection.limit is not None):
        yield ResultFigure(
            f"limits_{name}",
            partial(_limits, results, name),
            f"Limits on visible events, {selection_text(name)}",
            partial(limits_alt, windows, name),
            partial(limit_rows, windows, name),
            "visible",
        )


def _spectrum(result: WindowResult, selection: str, signals: Sequence[SignalShape]) -> tuple[Figure, Axes]:
    figure, ax, ax_pull = stack_panels((8.5, 8.5), 3.2)
    draw_spectrum(result, selection, ax=ax, ax_pull=ax_pull, signals=signals)
    place_labels(figure, (ax, ax_pull))
    return figure, ax


def _scan(results: Sequence[WindowResult], global_result: GlobalResult | None) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_scan(results, ax=ax, global_result=global_result)
    return figure, ax


def _limits(results: Sequence[WindowResult], selection: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_limits(results, selection, ax=ax)
    return figure, ax
