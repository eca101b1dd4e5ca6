"""The stages that show results on disk: figures, and the report made of them."""

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
from analysis.results.comparison import ComparedSearch, distinct_labels, require_common_windows
from analysis.results.performance import load_performance
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

    Those of injections are drawn where `limits.json` is there, also without a scan, unless it is of another search.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
    backend : Backend
    only : sequence of str
        Names or kinds of the figures, see `analysis.plots.drawing.draw_all`; all where empty.
    to : pathlib.Path, optional
        `plots` in the results folder where absent.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ConfigError
        If there is no figure that is asked for.
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
) -> list[Path]:
    """Draw the results of several searches over one another.

    Parameters
    ----------
    folders : sequence of ResultsFolder
        The first is what the others are compared with.
    config : SearchConfig
        Blinds all searches, where it says so.
    backend : Backend
    to : pathlib.Path
        Folder of the figures.
    only : sequence of str

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ConfigError
        If the searches have no window in common, or there is no figure that is asked for.
    """
    from analysis.plots import save_comparison

    with stage("compare"):
        searches = []
        for folder, label in zip(folders, distinct_labels([one.path for one in folders]), strict=True):
            results, windows = folder.load_results()
            diagnostics = folder.load_diagnostics() or []
            if config.statistics.blind:
                results, windows = blind_search(results, windows)
            if results.blinded:
                diagnostics = blind_diagnostics(diagnostics)
            searches.append(ComparedSearch.of(label, results, windows, folder.load_config(), diagnostics=diagnostics))
        require_common_windows(searches)
        return save_comparison(searches, to, config.plots, only=only, backend=backend.here)


def report(folder: ResultsFolder, path: Path | None = None) -> Path:
    """Write the results on disk as one HTML file; see `analysis.report`.

    Parameters
    ----------
    folder : ResultsFolder
    path : pathlib.Path, optional
        `report.html` in the folder where absent.

    Returns
    -------
    pathlib.Path
        The file.
    """
    from analysis.report import write_report

    with stage("report"):
        return write_report(folder, path)


def plot_injections(folder: ResultsFolder, config: SearchConfig, backend: Backend) -> list[Path]:
    """Draw what `limit` and `inject` found, whatever search it is of.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
    backend : Backend

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    from analysis.plots import save_injection_figures

    injections = folder.load_injections()
    if config.statistics.blind:
        injections = blind(injections)
    sources = replace(figure_sources(folder, config), injections=injections)
    return save_injection_figures(sources, folder.plots, config.plots, backend=backend.here)


def figure_sources(folder: ResultsFolder, config: SearchConfig) -> FigureSources:
    """Read what the figures of a results folder are made of.

    Limits of another search than the results are left out; without results, all limits are there.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
        Blinds more than the results are, where it says so.

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
    if not folder.has_results and (injections.search or performance):
        if config.statistics.blind:
            injections, performance = blind(injections), ()
        return FigureSources(injections=injections, performance=performance)
    results, windows = folder.load_results()
    if (results.limits, results.sensitivity) != (injections.limits, injections.sensitivity):
        injections = LimitsFile()
    diagnostics = folder.load_diagnostics() or []
    if config.statistics.blind:
        results, windows = blind_search(results, windows)
    if results.blinded:
        injections, performance, diagnostics = blind(injections), (), blind_diagnostics(diagnostics)
    return FigureSources(
        results=results,
        windows=windows,
        injections=injections,
        diagnostics=diagnostics,
        performance=performance,
        signal_spectra=folder.load_signal_spectra(),
        validation=folder.load_shown_verdicts(results.windows),
    )


def plugin_tables(folder: ResultsFolder, config: SearchConfig) -> list[DataTable]:
    """Make tables of the figures that plugins add; the numbers of all others have tables of their own.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
        Blinds more than the results are, where it says so.

    Returns
    -------
    list of DataTable
        Without figures that have no rows.
    """
    added = {name for plugin in active_plugins() for name in plugin.adds.get("figure", ())}
    if not added:
        return []
    from analysis.plots.catalogue import FIGURES

    sources = figure_sources(folder, config)
    figures = (figure for name in FIGURES if name in added for figure in FIGURES[name](sources))
    tables = (rows_table(one.title, one.alternative(), one.rows()) for one in figures)
    return [table for table in tables if table is not None]
