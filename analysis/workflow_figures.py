"""The stages that show results on disk: figures, and the report made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.statistics import GlobalResult
from analysis.store import ResultsFolder
from analysis.workflow import stage

__all__ = ["plot", "plot_injections", "plot_performance", "report"]


def plot(folder: ResultsFolder, config: SearchConfig, backend: Backend) -> list[Path]:
    """Draw all figures of the results on disk.

    Those of injections are drawn where `limits.json` is there, also without a scan, unless it is of another search.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    from analysis.plots import save_cutflow, save_figures

    with stage("plot"):
        if not folder.has_results and folder.load_injections():
            return plot_injections(folder, config, backend)
        document, windows = folder.load_results()
        cutflow = save_cutflow(document["cutflow"], document.get("n_minus_one", {}), folder.plots, config.plots)
        figures = save_figures(
            windows,
            folder.plots,
            config.plots,
            blinded=document["blinded"] or config.statistics.blind,
            global_result=GlobalResult(**document["global"]),
            backend=backend.here,
        )
        figures += plot_injections(folder, config, backend, results=document)
        folder.record_figures()
        return cutflow + figures


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


def plot_injections(
    folder: ResultsFolder, config: SearchConfig, backend: Backend, *, results: Mapping[str, Any] | None = None
) -> list[Path]:
    """Draw what `limit` and `inject` found.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig
    backend : Backend
    results : mapping, optional
        `results.json`, whose limits must be the same: what is of another search is not drawn.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    from analysis.plots import save_injection_figures

    found, blinded = folder.load_injections(), config.statistics.blind
    if results is not None:
        blinded = blinded or results["blinded"]
        if any(results.get(key) != found[key] for key in ("limits", "sensitivity") if key in found):
            found = {}
    return save_injection_figures(found, folder.plots, config.plots, blinded=blinded, backend=backend.here)


def plot_performance(folder: ResultsFolder, config: SearchConfig) -> list[Path]:
    """Draw what `performance` measured.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    from analysis.plots import draw_experiment_label, figure_style, performance_scan_figures
    from analysis.plots.files import remove_stale, save_figure

    document = folder.read_json("performance.json", "performance")
    folder.plots.mkdir(exist_ok=True)
    paths: list[Path] = []
    for stem, draw, content in performance_scan_figures(document):
        with figure_style():
            figure, ax = draw(*content)
            draw_experiment_label(config.plots.experiment_label, ax=ax)
            paths += save_figure(figure, folder.plots, stem, config.plots.formats)
    remove_stale(folder.plots, ("simulation_weight_*", "feature_scan_*"), paths)
    return paths
