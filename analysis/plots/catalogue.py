"""Catalogue of all figures of a results folder. A new kind of figure needs one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from analysis.compute import Backend
from analysis.config import PlotConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError
from analysis.plots.calibration import calibrated_seeds
from analysis.plots.classifiers.figures import diagnostic_figures
from analysis.plots.classifiers.gains import performance_scan_figures
from analysis.plots.classifiers.methods import methods_figures
from analysis.plots.drawing import draw_all, named
from analysis.plots.events.cutflow import cutflow_figures
from analysis.plots.events.turn_on import turn_on_figures
from analysis.plots.figure import ResultFigure
from analysis.plots.signals.figures import injection_figures
from analysis.plots.signals.impacts import impact_figures
from analysis.plots.sources import FigureSources
from analysis.plots.validation import validation_figures
from analysis.plots.windows.figures import search_figures
from analysis.plots.windows.fit_quality import fit_quality_figures
from analysis.plots.windows.significance import significance_figures
from analysis.plots.windows.stitched import stitched_figures

__all__ = ["FIGURES", "FigureFamily", "register_figures", "result_figures", "save_figures", "save_injection_figures"]

FigureFamily = Callable[[FigureSources], Iterable[ResultFigure]]

FIGURES: Registry[FigureFamily] = Registry("figure")
"""Each entry lists the figures with data, in the order of a page."""


def register_figures(name: str, family: FigureFamily) -> None:
    """Add a kind of figures, here or in a plugin.

    Parameters
    ----------
    name : str
        Name of the kind of figures.
    family : callable
        Maps `FigureSources` to the figures with data.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> from analysis.plots import register_figures
    >>> from analysis.plots.catalogue import FIGURES
    >>> register_figures("own", lambda sources: [])
    >>> list(FIGURES)[-1]
    'own'
    >>> FIGURES.remove("own")
    """
    FIGURES.add(name, family, origin=getattr(family, "__qualname__", ""))


for _name, _family in {
    "cutflow": lambda of: () if of.results is None else cutflow_figures(of.results.cutflow, of.results.n_minus_one),
    "turn_on": lambda of: () if of.turn_on is None else turn_on_figures(of.turn_on),
    "search": search_figures,
    "stitched": lambda of: stitched_figures(of.windows),
    "significance": lambda of: () if of.results is None else significance_figures(of.results),
    "diagnostics": lambda of: diagnostic_figures(calibrated_seeds(of.diagnostics, of.results)),
    "fits": lambda of: () if of.results is None else fit_quality_figures(of.results.windows),
    "validation": lambda of: validation_figures(of.validation),
    "impacts": lambda of: () if of.results is None else impact_figures(of.results.signals),
    "injections": lambda of: injection_figures(of.injections),
    "performance": lambda of: performance_scan_figures(of.performance),
    "methods": lambda of: methods_figures(of.methods),
}.items():
    register_figures(_name, _family)


def result_figures(sources: FigureSources) -> list[ResultFigure]:
    """List all figures of a results folder.

    Raises
    ------
    ConfigError
        If two figures have the same name.
    """
    found = {}
    for name, family in FIGURES.items():
        for figure in family(sources):
            if figure.stem in found:
                msg = f"the figures {name} have a second '{figure.stem}'; choose another name."
                raise ConfigError(msg)
            found[figure.stem] = figure
    return list(found.values())


def save_figures(
    sources: FigureSources,
    folder: Path,
    config: PlotConfig,
    *,
    only: Sequence[str] = (),
    backend: Backend | None = None,
) -> list[Path]:
    """Draw the requested figures of a results folder, by default the figures of the configuration.

    See `draw_all` for the parameters and errors.

    Returns
    -------
    list of pathlib.Path
        The files.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.config import load_config
    >>> from analysis.plots import save_figures
    >>> from analysis.plots.sources import FigureSources
    >>> from analysis.results import ResultsFolder
    >>> document, windows = ResultsFolder(Path("results")).load_results()
    >>> config = load_config(overrides={"plots": {"formats": ["png"]}}).plots
    >>> paths = save_figures(FigureSources(results=document, windows=windows), Path("figures"), config, only=["scan"])
    >>> [path.name for path in paths]
    ['scan.png']
    """
    known = result_figures(sources)
    chosen = known if only else named(known, config.only)
    return draw_all(chosen, folder, config, only=only, words=sources.words, backend=backend)


def save_injection_figures(
    sources: FigureSources, folder: Path, config: PlotConfig, *, backend: Backend | None = None
) -> list[Path]:
    """Draw only the figures of `limits.json`; figures of the search are kept. Parameters as in `draw_all`.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    keep = [figure.stem for figure in result_figures(sources)]
    chosen = named(FIGURES["injections"](sources), config.only)
    return draw_all(chosen, folder, config, keep=keep, words=sources.words, backend=backend)
