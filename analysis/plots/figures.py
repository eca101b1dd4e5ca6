"""All figures of a search, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from analysis.compute import Backend, Serial, track
from analysis.config import PlotConfig
from analysis.plots.files import INJECTION_PATTERNS, remove_stale, save_figure
from analysis.plots.limits import draw_limits
from analysis.plots.scan import draw_scan
from analysis.plots.spectrum import draw_spectrum
from analysis.plots.style import draw_experiment_label, figure_style
from analysis.search import WindowResult
from analysis.statistics import GlobalResult

__all__ = ["save_figures"]


@dataclass(frozen=True)
class _Task:
    """One figure."""

    stem: str
    draw: Callable[[_Task], Figure]
    results: tuple[WindowResult, ...]
    selection: str
    config: PlotConfig
    blinded: bool
    global_result: GlobalResult | None
    folder: Path


def save_figures(
    results: Sequence[WindowResult],
    folder: Path,
    config: PlotConfig,
    *,
    blinded: bool,
    global_result: GlobalResult | None = None,
    backend: Backend | None = None,
) -> list[Path]:
    """Draw every result that there is.

    Parameters
    ----------
    results : sequence of WindowResult
        Windows and selections that failed have no figure of their own; the scan marks them.
    folder : pathlib.Path
        Created where missing. Figures that an earlier search left there are removed.
    config : PlotConfig
    blinded : bool
        Show no data inside the masks and no observed limit, and draw no scan.
    global_result : GlobalResult, optional
        For the scan.
    backend : Backend, optional
        Where figures are drawn; in this process where absent.

    Returns
    -------
    list of pathlib.Path
        `spectrum_<window>_<selection>`, `scan` and `limits_<selection>`, in every format of the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        _Task(stem, draw, chosen, selection, config, blinded, global_result, folder)
        for stem, draw, chosen, selection in _contents(results, blinded=blinded)
    ]
    results_of = (backend or Serial()).map(_save, tasks)
    drawn = dict(track(results_of, total=len(tasks), description="Drawing"))
    paths = [path for index in range(len(tasks)) for path in drawn[index]]
    remove_stale(folder, ("spectrum_*", "scan.*", "limits_*"), paths, but=INJECTION_PATTERNS)
    return paths


def _contents(
    results: Sequence[WindowResult], *, blinded: bool
) -> Iterator[tuple[str, Callable[[_Task], Figure], tuple[WindowResult, ...], str]]:
    selections = [(result, selection) for result in results for selection in result.selections]
    for result, selection in selections:
        if selection.fit is not None:
            yield f"spectrum_{result.window.name}_{selection.name}", _spectrum, (result,), selection.name
    if results and not blinded:
        yield "scan", _scan, tuple(results), ""
    for name in dict.fromkeys(selection.name for _, selection in selections if selection.limit is not None):
        yield f"limits_{name}", _limits, tuple(results), name


def _spectrum(task: _Task) -> Figure:
    figure = Figure(figsize=(8.5, 8.5), layout="constrained")
    ax, ax_pull = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    draw_spectrum(task.results[0], task.selection, ax=ax, ax_pull=ax_pull, blinded=task.blinded)
    figure.align_ylabels([ax, ax_pull])
    draw_experiment_label(task.config.experiment_label, ax=ax)
    return figure


def _scan(task: _Task) -> Figure:
    figure = Figure(figsize=(9.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_scan(task.results, ax=ax, global_result=task.global_result)
    draw_experiment_label(task.config.experiment_label, ax=ax)
    return figure


def _limits(task: _Task) -> Figure:
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_limits(task.results, task.selection, ax=ax, blinded=task.blinded)
    draw_experiment_label(task.config.experiment_label, ax=ax)
    return figure


def _save(task: _Task) -> list[Path]:
    with figure_style():
        return save_figure(task.draw(task), task.folder, task.stem, task.config.formats)
