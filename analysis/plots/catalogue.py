"""The catalogue of figures: what can be drawn of a results folder. A new kind of figure is one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.compute import Backend
from analysis.config import PlotConfig
from analysis.plots.classifiers.figures import diagnostic_figures
from analysis.plots.classifiers.gains import performance_scan_figures
from analysis.plots.drawing import Sketch, draw_all, named
from analysis.plots.events.cutflow import cutflow_figures
from analysis.plots.signals.figures import injection_figures
from analysis.plots.signals.impacts import impact_figures
from analysis.plots.validation import validation_figures
from analysis.plots.windows.figures import search_figures
from analysis.plots.windows.fit_quality import fit_quality_figures
from analysis.plots.windows.significance import significance_figures
from analysis.plots.windows.stitched import stitched_figures
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalSpectra
from analysis.statistics import GlobalResult

__all__ = ["FAMILIES", "FigureSources", "save_figures", "save_injection_figures", "sketches"]


@dataclass(frozen=True)
class FigureSources:
    """What figures are made of. Everything may be absent.

    Attributes
    ----------
    results : mapping
        `results.json`.
    windows : sequence of WindowResult
    injections : mapping
        `limits.json`.
    diagnostics : sequence of mapping
        "windows" of `diagnostics.json`.
    performance : mapping
        `performance.json`.
    signal_spectra : mapping of dataset to window name to hist.Hist
        Of "signals" of the results.
    validation : sequence of mapping
        "windows" of `validation.json`.
    blinded : bool
        Show no data inside the masks, and nothing made of them.
    """

    results: Mapping[str, Any] = field(default_factory=dict)
    windows: Sequence[WindowResult] = ()
    injections: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Sequence[Mapping[str, Any]] = ()
    performance: Mapping[str, Any] = field(default_factory=dict)
    signal_spectra: SignalSpectra = field(default_factory=dict)
    validation: Sequence[Mapping[str, Any]] = ()
    blinded: bool = False

    @property
    def global_result(self) -> GlobalResult | None:
        """Of the scan."""
        return GlobalResult(**self.results["global"]) if "global" in self.results else None


def _search(of: FigureSources) -> Iterator[Sketch]:
    return search_figures(
        of.windows,
        blinded=of.blinded,
        global_result=of.global_result,
        signals=of.results.get("signals", ()),
        spectra=of.signal_spectra,
    )


def _injections(of: FigureSources) -> Iterator[Sketch]:
    return injection_figures(of.injections, blinded=of.blinded)


FAMILIES: tuple[Callable[[FigureSources], Iterator[Sketch]], ...] = (
    lambda of: cutflow_figures(of.results.get("cutflow", {}), of.results.get("n_minus_one", {})),
    _search,
    lambda of: stitched_figures(of.windows, blinded=of.blinded),
    lambda of: significance_figures(of.results.get("windows", ()), blinded=of.blinded),
    lambda of: diagnostic_figures(of.diagnostics, blinded=of.blinded),
    lambda of: fit_quality_figures(of.results.get("windows", ())),
    lambda of: validation_figures(of.validation),
    lambda of: impact_figures(of.results.get("signals", ()), blinded=of.blinded),
    _injections,
    lambda of: performance_scan_figures({} if of.blinded else of.performance),
)
"""Each lists the figures that there are data for, in the order of the files' names on a page."""


def sketches(sources: FigureSources) -> list[Sketch]:
    """List all figures of a results folder."""
    return [sketch for family in FAMILIES for sketch in family(sources)]


def save_figures(
    sources: FigureSources,
    folder: Path,
    config: PlotConfig,
    *,
    only: Sequence[str] = (),
    backend: Backend | None = None,
) -> list[Path]:
    """Draw the figures of a results folder that are asked for, by default those of the configuration.

    See `draw_all` for the parameters and errors.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    known = sketches(sources)
    return draw_all(known if only else named(known, config.only), folder, config, only=only, backend=backend)


def save_injection_figures(
    sources: FigureSources, folder: Path, config: PlotConfig, *, backend: Backend | None = None
) -> list[Path]:
    """Draw the figures of `limits.json` alone; those of the search stay as they are. Parameters as in `draw_all`.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    keep = [sketch.stem for sketch in sketches(sources)]
    return draw_all(named(_injections(sources), config.only), folder, config, keep=keep, backend=backend)
