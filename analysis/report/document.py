"""Texts, tables and figures of the report, as plain values, from a results folder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.config import SearchConfig
from analysis.diagnostics.gain_values import GainScan
from analysis.diagnostics.sections import DiagnosedWindow
from analysis.limits.values import LimitsFile
from analysis.report import settings, signal_tables, tables
from analysis.report.figures import Figure, load_figure
from analysis.report.numbers import Table
from analysis.results import ResultsFolder
from analysis.results.blinding import blind, blind_diagnostics
from analysis.results.compared.searches import comparison_sentences
from analysis.results.compared.variants import VariantFound, found_by_variants
from analysis.results.manifest import Manifest
from analysis.results.numbers import interval, percent
from analysis.results.performance import load_performance
from analysis.results.process_values import ProcessFile
from analysis.results.values import Results, WindowDocument
from analysis.results.verdict import DECIDED, search_verdict, searched_text, validation_texts
from analysis.results.wording.notes import blinding_note, selection_notes
from analysis.results.words import bad_looks, window_text
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalSpectra
from analysis.validation.values import WindowVerdict

if TYPE_CHECKING:
    from analysis.plots.figure import Place, ResultFigure

__all__ = ["ReportSources", "report_context"]


@dataclass(frozen=True)
class ReportSources:
    """Inputs of a report, without blinded values.

    Attributes
    ----------
    results : Results
    process : ProcessFile
    config : SearchConfig
    manifest : Manifest
    injections : LimitsFile
        Empty without injections.
    windows : tuple of WindowResult
    plots : pathlib.Path
        Folder of the figures.
    signal_spectra : mapping of dataset to window name to hist.Hist
        Spectra of the signal samples.
    verdicts : tuple of WindowVerdict
        Validation verdicts that agree with the results.
    diagnostics : tuple of DiagnosedWindow
        While blinded, only diagnostics made without events inside the masks.
    performance : tuple of GainScan
        Empty while blinded.
    variants : tuple of VariantFound
        The search and its variants; empty without variants.
    """

    results: Results
    process: ProcessFile
    config: SearchConfig
    manifest: Manifest
    injections: LimitsFile
    windows: tuple[WindowResult, ...]
    plots: Path
    signal_spectra: SignalSpectra
    verdicts: tuple[WindowVerdict, ...]
    diagnostics: tuple[DiagnosedWindow, ...]
    performance: tuple[GainScan, ...]
    variants: tuple[VariantFound, ...] = ()

    @classmethod
    def read(cls, folder: ResultsFolder) -> ReportSources:
        """Read a results folder; if the results are blinded, the content of all other files is blinded too.

        Raises
        ------
        ResultsError
            If a stage has not run, or the figures show other results.
        ConfigError
            If the configuration in the folder cannot be read.
        """
        results, windows = folder.load_results()
        folder.require_figures()
        config = folder.load_config()
        sources = cls(
            results,
            folder.load_process(),
            config,
            folder.load_manifest(),
            folder.load_injections(),
            tuple(windows),
            folder.plots,
            folder.load_signal_spectra(),
            tuple(folder.load_shown_verdicts(results.windows)),
            tuple(folder.load_diagnostics() or ()),
            () if results.blinded else load_performance(folder, config),
            tuple(found_by_variants(folder, config, results)),
        )
        return sources.without_counts() if results.blinded else sources

    def without_counts(self) -> ReportSources:
        """Blind the values that are not part of the results: injections, diagnostics and performance."""
        diagnostics = tuple(blind_diagnostics(self.diagnostics))
        return replace(self, injections=blind(self.injections), diagnostics=diagnostics, performance=())

    @cached_property
    def figures(self) -> list[ResultFigure]:
        """All figures that the results allow."""
        from analysis.plots.catalogue import result_figures
        from analysis.plots.sources import FigureSources

        limited = {limit.dataset for limit in self.results.limits}
        return result_figures(
            FigureSources(
                results=self.results,
                windows=self.windows,
                injections=LimitsFile(
                    limits=self.results.limits,
                    # Injections on disk may belong to another search.
                    injections=tuple(scan for scan in self.injections.injections if scan.dataset in limited),
                    sensitivity=self.results.sensitivity,
                ),
                diagnostics=self.diagnostics,
                performance=self.performance,
                signal_spectra=self.signal_spectra,
                validation=self.verdicts,
            )
        )

    @cached_property
    def _loaded(self) -> list[Figure | None]:
        """The figures on disk, in the order of `figures`; their compression leaves Python free for other threads."""
        with ThreadPoolExecutor() as threads:
            return list(threads.map(partial(load_figure, self.plots), self.figures))

    def drawn(self, place: Place, subject: str = "") -> list[Figure]:
        """Return the drawn figures of a section, or of the part of it on one subject."""
        return [
            loaded
            for figure, loaded in zip(self.figures, self._loaded, strict=True)
            if loaded is not None and (figure.place, figure.subject) == (place, subject)
        ]


def report_context(sources: ReportSources) -> dict[str, Any]:
    """Collect all values for the templates.

    Parameters
    ----------
    sources : ReportSources

    Returns
    -------
    dict
        Texts, `Table` and `Figure` objects by section; missing ones are None or empty.
    """
    results = sources.results
    return {
        "created": sources.manifest.created,
        "version": results.versions["cwola-dijet"],
        "config_digest": results.config_digest,
        "random_state": results.random_state,
        "confidence": percent(1.0 - sources.config.statistics.cls_level),
        "blinded": results.blinded,
        "searched": searched_text(results),
        "verdict": search_verdict(results),
        "limit_sentences": signal_tables.headline_limits(results),
        "failures": _failures(results.windows),
        "validity": validation_texts(results.windows),
        "notes": _notes(sources),
        "overview": tables.overview_table(results),
        "variants": tables.variants_table(sources.variants) if sources.variants else None,
        "scan_figures": sources.drawn("overview"),
        "fit_figures": sources.drawn("fits"),
        "classifier_figures": sources.drawn("classifiers"),
        "validation_figures": sources.drawn("validation"),
        "stitched_figures": sources.drawn("stitched"),
        "further_figures": sources.drawn("further"),
        "windows": [_window(sources, window) for window in results.windows],
        "limits": _limits(sources),
        "cutflow": _cutflow(sources),
        "impacts": _impacts(sources),
        "configuration": _configuration(sources.config.model_dump(mode="json")),
        "provenance": _provenance(sources),
    }


def _failures(windows: Sequence[WindowDocument]) -> list[str]:
    """List windows that failed or are incomplete, with the reasons."""
    return [
        f"{window_text(window)}: {reason}" for window in windows if window.status != "ok" for reason in _reasons(window)
    ]


def _reasons(window: WindowDocument) -> list[str]:
    reasons = [window.reason, *(selection.reason for selection in window.selections)]
    return list(dict.fromkeys(reason for reason in reasons if reason)) or [window.status]


def _notes(sources: ReportSources) -> list[str]:
    """Return notes on the searched spectrum, on cuts not applied, and on information that blinding still reveals."""
    process = sources.process
    kinds = {name: record.dataset["kind"] for name, record in process.datasets.items()}
    notes = selection_notes(process.selection, kinds, process.datasets)
    note = blinding_note(sources.config) if sources.results.blinded else None
    compared = comparison_sentences([one.looks for one in sources.variants if one.looks is not None])
    return [*sources.results.notes, *notes, *([note] if note else []), *compared]


def _window(sources: ReportSources, window: WindowDocument) -> dict[str, Any]:
    regions = {
        "Signal window": (window.signal,),
        "Training sidebands": (window.lower, window.upper),
        "Left out of the fit": (window.mask,),
        "Fit range": (window.fit_range,),
    }
    return {
        "id": f"window-{window.name}",
        "title": window_text(window),
        "status": window.status,
        "reasons": _reasons(window) if window.status != "ok" else [],
        "regions": {name: " and ".join(map(interval, ranges)) for name, ranges in regions.items()},
        "validation": _validation(sources, window),
        "table": tables.window_table(sources.results, window) if window.selections else None,
        "signals": tables.yield_table(sources.results.signals, window),
        "diagnostics": _drawn(sources, window, "diagnostics"),
        "figures": _drawn(sources, window, "significance", "spectrum"),
    }


def _drawn(sources: ReportSources, window: WindowDocument, *places: Place) -> list[Figure]:
    """Return the figures of one window; empty if it failed."""
    if window.status == "failed":
        return []
    return [figure for place in places for figure in sources.drawn(place, window.name)]


def _validation(sources: ReportSources, window: WindowDocument) -> dict[str, Any] | None:
    validation = window.validation
    if validation is None:
        return None
    return {
        "verdict": validation.verdict,
        "text": validation.text,
        "reason": f"{_capital(validation.reason)}.",
        "flags": [f"{_capital(flag)}." for flag in validation.flags],
        "decided": DECIDED[validation.decided],
        "sources": [f"{name}: {verdict}" for name, verdict in validation.sources.items()],
        "table": tables.validation_table(validation) if validation.combined else None,
        "templates": tables.template_table([one for one in sources.verdicts if one.window == window.name]),
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _limits(sources: ReportSources) -> dict[str, Any]:
    results = sources.results
    return {
        "rules": signal_tables.rules_table(results.limits),
        "rule_figures": sources.drawn("limits"),
        "signals": sources.drawn("injections"),
        "sensitivity": signal_tables.sensitivity_table(results.sensitivity),
        "sensitivity_figures": sources.drawn("sensitivity"),
        "fixed": signal_tables.fixed_table(results.signals, bad_looks(results.windows)),
        "visible_figures": sources.drawn("visible"),
    }


def _cutflow(sources: ReportSources) -> dict[str, Any]:
    cutflow, alone = sources.results.cutflow, sources.results.n_minus_one
    return {
        "datasets": tables.datasets_table(sources.process),
        "table": tables.cutflow_table(cutflow),
        "n_minus_one": tables.n_minus_one_table(cutflow, alone) if any(alone.values()) else None,
        "figures": sources.drawn("cutflow"),
    }


def _impacts(sources: ReportSources) -> list[dict[str, Any]]:
    return [
        {"dataset": signal.dataset, "tables": contents, "figures": sources.drawn("impacts", signal.dataset)}
        for signal in sources.results.signals
        if (contents := signal_tables.impact_tables(signal))
    ]


def _configuration(config: dict[str, Any]) -> dict[str, Table]:
    return {"changed": settings.changed_table(config), "all": settings.settings_table(config)}


def _provenance(sources: ReportSources) -> dict[str, Any]:
    results, manifest = sources.results, sources.manifest
    return {
        "versions": settings.versions_table(results.versions),
        "inputs": settings.inputs_table(results.inputs),
        "skipped": settings.skipped_table(results.skipped_files),
        "plugins": settings.plugins_table(results.plugins),
        "unblinding": settings.unblinding_table(manifest.unblinding or ()),
        "window_keys": manifest.window_keys or (),
        "checksums": settings.checksum_table(manifest.sha256 or {}),
    }
