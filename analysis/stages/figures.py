"""Stages that present results on disk: figures and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.plugins import active_plugins
from analysis.export.tables import DataTable, rows_table
from analysis.limits.values import LimitsFile
from analysis.results import ResultsFolder
from analysis.results.blinding import blind, blind_diagnostics, blind_search
from analysis.results.compared.searches import (
    ComparedSearch,
    comparison_sentences,
    distinct_labels,
    require_common_windows,
)
from analysis.results.performance import load_methods, load_performance
from analysis.stages.inputs import stage

if TYPE_CHECKING:
    from analysis.plots import FigureSources

__all__ = ["compare", "figure_sources", "plot", "plot_injections", "plugin_tables", "report"]


def plot(
    folder: ResultsFolder,
    config: SearchConfig,
    backend: Backend,
    *,
    only: Sequence[str] = (),
    to: Path | None = None,
) -> list[Path]:
    """Draw figures of the results on disk.

    Figures of injections are drawn if `limits.json` exists, even without a scan, unless it belongs to another search.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
    backend : Backend
    only : sequence of str
        Names or kinds of the figures, see `analysis.plots.drawing.draw_all`; all if empty.
    to : pathlib.Path, optional
        Folder of the figures; defaults to `plots` in the results folder.

    Returns
    -------
    list of pathlib.Path
        Files of the figures.

    Raises
    ------
    ConfigError
        If a requested figure does not exist.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.compute import open_backend
    >>> from analysis.results import ResultsFolder
    >>> from analysis.stages.figures import plot
    >>> folder = ResultsFolder(Path("results"))
    >>> with open_backend(1) as backend:
    ...     paths = plot(folder, folder.load_config(), backend, only=["scan"])
    >>> "scan.png" in [path.name for path in paths]
    True
    """
    from analysis.plots import save_figures

    with stage("plot"):
        drawn = save_figures(
            figure_sources(folder, config), to or folder.plots, config.plots, only=only, backend=backend.here
        )
        if folder.has_results and to is None and not only:
            folder.record_figures()
        return drawn


def compare(
    folders: Sequence[ResultsFolder], config: SearchConfig, backend: Backend, to: Path, *, only: Sequence[str] = ()
) -> tuple[list[Path], list[str]]:
    """Draw the results of several searches in the same figures, and count their looks.

    Parameters
    ----------
    folders : sequence of ResultsFolder
        Results folders; the first is the reference of the comparison.
    config : SearchConfig
        Configuration of the figures; all searches are blinded if it sets `blind`.
    backend : Backend
    to : pathlib.Path
        Folder of the figures.
    only : sequence of str

    Returns
    -------
    figures : list of pathlib.Path
        Files.
    sentences : list of str
        See `analysis.results.compared.searches.comparison_sentences`.

    Raises
    ------
    ConfigError
        If the searches have no window in common, or a requested figure does not exist.
    """
    from analysis.plots import save_comparison

    with stage("compare"):
        searches = []
        labels = distinct_labels([folder.path for folder in folders])
        for folder, label in zip(folders, labels, strict=True):
            results, windows = folder.load_results()
            diagnostics = folder.load_diagnostics() or []
            if config.statistics.blind:
                results, windows = blind_search(results, windows)
            if results.blinded:
                diagnostics = blind_diagnostics(diagnostics)
            searches.append(ComparedSearch.of(label, results, windows, folder.load_config(), diagnostics=diagnostics))
        require_common_windows(searches)
        looks = [search.looks for search in searches if search.looks is not None]
        figures = save_comparison(searches, to, config.plots, only=only, backend=backend.here)
        return figures, comparison_sentences(looks)


def report(folder: ResultsFolder, path: Path | None = None) -> Path:
    """Write the results on disk as one HTML file; see `analysis.report`.

    Parameters
    ----------
    folder : ResultsFolder
    path : pathlib.Path, optional
        Defaults to `report.html` in the folder.

    Returns
    -------
    pathlib.Path
        Path of the report.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.results import ResultsFolder
    >>> from analysis.stages.figures import report
    >>> path = report(ResultsFolder(Path("results")))
    >>> path.name
    'report.html'
    """
    from analysis.report import write_report

    with stage("report"):
        return write_report(folder, path)


def plot_injections(folder: ResultsFolder, config: SearchConfig, backend: Backend) -> list[Path]:
    """Draw the results of `limit` and `inject`, even if they belong to another search.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
    backend : Backend

    Returns
    -------
    list of pathlib.Path
        Files of the figures.
    """
    from analysis.plots import save_injection_figures

    injections = folder.load_injections()
    if config.statistics.blind:
        injections = blind(injections)
    sources = replace(figure_sources(folder, config), injections=injections)
    return save_injection_figures(sources, folder.plots, config.plots, backend=backend.here)


def figure_sources(folder: ResultsFolder, config: SearchConfig) -> FigureSources:
    """Read the inputs of the figures of a results folder.

    Limits that belong to another search than the results are omitted; without results, all limits are included.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
        Configuration of the figures; unblinded results are blinded if it sets `blind`.

    Returns
    -------
    FigureSources

    Raises
    ------
    ResultsError
        If the search has not run, or a window is missing.
    """
    from analysis.plots import FigureSources

    injections, performance = folder.load_injections(), load_performance(folder, config)
    methods = load_methods(folder, config)
    turn_on = folder.load_turn_on()
    if not folder.has_results and (injections.search or performance or methods or turn_on):
        if config.statistics.blind:
            injections, performance, methods = blind(injections), (), ()
        return FigureSources(injections=injections, performance=performance, methods=methods, turn_on=turn_on)
    results, windows = folder.load_results()
    if (results.limits, results.sensitivity) != (injections.limits, injections.sensitivity):
        injections = LimitsFile()
    diagnostics = folder.load_diagnostics() or []
    if config.statistics.blind:
        results, windows = blind_search(results, windows)
    if results.blinded:
        injections, performance, methods = blind(injections), (), ()
        diagnostics = blind_diagnostics(diagnostics)
    return FigureSources(
        results=results,
        windows=windows,
        injections=injections,
        diagnostics=diagnostics,
        performance=performance,
        methods=methods,
        signal_spectra=folder.load_signal_spectra(),
        validation=folder.load_shown_verdicts(results.windows),
        turn_on=turn_on,
    )


def plugin_tables(folder: ResultsFolder, config: SearchConfig) -> list[DataTable]:
    """Build tables of the figures added by plugins; other figures have their own tables.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
        Configuration of the figures; unblinded results are blinded if it sets `blind`.

    Returns
    -------
    list of DataTable
        Tables of the figures that have rows.
    """
    added = {name for plugin in active_plugins() for name in plugin.adds.get("figure", ())}
    if not added:
        return []
    from analysis.plots.catalogue import FIGURES

    sources = figure_sources(folder, config)
    figures = (figure for name in FIGURES if name in added for figure in FIGURES[name](sources))
    tables = (rows_table(figure.title, figure.alternative(), figure.rows()) for figure in figures)
    return [table for table in tables if table is not None]
