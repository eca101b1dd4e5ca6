"""What the page says, as plain values, from what is in a results folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.config import SearchConfig
from analysis.report import settings, signal_tables, tables
from analysis.report.figures import Figure, load_figure
from analysis.report.numbers import Table
from analysis.report.words import DECIDED, search_verdict
from analysis.results import ResultsFolder
from analysis.results.notes import blinding_note, selection_notes
from analysis.results.numbers import interval, percent
from analysis.results.performance import load_performance
from analysis.results.words import window_text
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalSpectra

if TYPE_CHECKING:
    from analysis.plots.figure import Place, ResultFigure

__all__ = ["ReportSources", "report_context"]

Document = Mapping[str, Any]


@dataclass(frozen=True)
class ReportSources:
    """What a report is made of.

    Attributes
    ----------
    results, process, manifest, injections : dict
        The documents `results.json`, `process.json`, `manifest.json` and `limits.json`; the last is empty where there
        is none.
    config : SearchConfig
    windows : tuple of WindowResult
    plots : pathlib.Path
        Folder of the figures.
    signal_spectra : mapping of dataset to window name to hist.Hist
        Of the signal samples.
    verdicts : list of dict
        "windows" of `validation.json`, as far as they belong to the results.
    diagnostics : list of dict
        "windows" of `diagnostics.json`; while blinded only those that were made blinded.
    performance : list of dict
        "scans" of `performance.json`; empty while blinded.
    """

    results: Document
    process: Document
    config: SearchConfig
    manifest: Document
    injections: Document
    windows: tuple[WindowResult, ...]
    plots: Path
    signal_spectra: SignalSpectra
    verdicts: Sequence[Document]
    diagnostics: Sequence[Document]
    performance: Sequence[Document]

    @classmethod
    def read(cls, folder: ResultsFolder) -> ReportSources:
        """Read a results folder.

        Raises
        ------
        ResultsError
            If a stage has not run, or the figures are of other results.
        ConfigError
            If the configuration in the folder cannot be read.
        """
        document, windows = folder.load_results()
        folder.require_figures()
        config = folder.load_config()
        results, injections = _without_observed(document, folder.load_injections())
        return cls(
            results,
            folder.load_process(),
            config,
            folder.load_manifest(),
            injections,
            tuple(windows),
            folder.plots,
            folder.load_signal_spectra(),
            folder.load_shown_verdicts(results["windows"]),
            [one for one in folder.load_diagnostics() or [] if one["blinded"] or not results["blinded"]],
            [] if results["blinded"] else load_performance(folder, config).get("scans", []),
        )

    @property
    def blinded(self) -> bool:
        """Whether anything that is observed inside the windows is withheld."""
        return bool(self.results["blinded"])

    @cached_property
    def figures(self) -> list[ResultFigure]:
        """All that could have been drawn."""
        from analysis.plots.catalogue import result_figures
        from analysis.plots.sources import FigureSources

        limits = self.results.get("limits", [])
        known = {one["dataset"] for one in limits}
        return result_figures(
            FigureSources(
                results=self.results,
                windows=self.windows,
                injections={
                    "limits": limits,
                    # Those on disk may be of another search.
                    "injections": [one for one in self.injections.get("injections", []) if one["dataset"] in known],
                    "sensitivity": self.results.get("sensitivity", []),
                },
                diagnostics=self.diagnostics,
                performance={"scans": self.performance},
                signal_spectra=self.signal_spectra,
                validation=self.verdicts,
                blinded=self.blinded,
            )
        )

    def drawn(self, place: Place, subject: str = "") -> list[Figure]:
        """Return the figures of a section, or of one part of it, as far as they were drawn."""
        chosen = (one for one in self.figures if (one.place, one.subject) == (place, subject))
        return [found for one in chosen if (found := load_figure(self.plots, one)) is not None]


def _without_observed(results: Document, injections: Document) -> tuple[Document, Document]:
    """Leave out of a blinded search what was made of its signal samples before it was blinded."""
    if not results["blinded"]:
        return results, injections
    kept = {name: value for name, value in results.items() if name != "sensitivity"}
    if any(one.get("observed_selected") is not None for one in results.get("limits", [])):
        return {name: value for name, value in kept.items() if name != "limits"}, {}
    return kept, injections


def report_context(sources: ReportSources) -> dict[str, Any]:
    """Gather all values that the templates need.

    Parameters
    ----------
    sources : ReportSources

    Returns
    -------
    dict
        Texts, `Table` and `Figure`, by the section that shows them. What is not there is None or empty.
    """
    results = sources.results
    return {
        "created": sources.manifest["created"],
        "version": results["versions"]["cwola-dijet"],
        "config_digest": results["config_digest"],
        "random_state": results["random_state"],
        "confidence": percent(1.0 - sources.config.statistics.cls_level),
        "blinded": sources.blinded,
        "verdict": search_verdict(results),
        "limit_sentences": signal_tables.headline_limits(results),
        "failures": _failures(results["windows"]),
        "validity": _validity(results["windows"]),
        "notes": _notes(sources),
        "overview": tables.overview_table(results),
        "scan_figures": sources.drawn("overview"),
        "fit_figures": sources.drawn("fits"),
        "classifier_figures": sources.drawn("classifiers"),
        "validation_figures": sources.drawn("validation"),
        "stitched_figures": sources.drawn("stitched"),
        "further_figures": sources.drawn("further"),
        "windows": [_window(sources, window) for window in results["windows"]],
        "limits": _limits(sources),
        "cutflow": _cutflow(sources),
        "impacts": _impacts(sources),
        "configuration": _configuration(sources.config.model_dump(mode="json")),
        "provenance": _provenance(sources),
    }


def _failures(windows: Sequence[Document]) -> list[str]:
    """Name windows that failed or are incomplete, with the reasons."""
    return [
        f"{window_text(window)}: {reason}"
        for window in windows
        if window["status"] != "ok"
        for reason in _reasons(window)
    ]


def _reasons(window: Document) -> list[str]:
    found = [window["reason"], *(one.get("reason") for one in window["selections"])]
    return list(dict.fromkeys(reason for reason in found if reason)) or [window["status"]]


def _validity(windows: Sequence[Document]) -> list[str]:
    """Count the verdicts of the validation; nothing where windows have none."""
    found = [window["validation"] for window in windows if "validation" in window]
    lines = []
    for verdict in ("valid", "not valid", "not testable"):
        judged = [one for one in found if one["verdict"] == verdict]
        flagged = sum(bool(one["flags"]) for one in judged)
        if judged:
            flags = f" ({flagged} with flags)" if flagged else ""
            lines.append(f"{len(judged)} of {len(windows)} windows {verdict}{flags}")
    return lines


def _notes(sources: ReportSources) -> list[str]:
    """Say what the selection did not do, and what a blinded search tells nevertheless."""
    process = sources.process
    kinds = {name: record["dataset"]["kind"] for name, record in process["datasets"].items()}
    notes = selection_notes(process["selection"], kinds, process["datasets"])
    note = blinding_note(sources.config) if sources.blinded else None
    return [*notes, *([note] if note else [])]


def _window(sources: ReportSources, window: Document) -> dict[str, Any]:
    result = next(one for one in sources.windows if tuple(one.window.signal) == tuple(window["signal"]))
    regions = {
        "Signal window": window["signal"],
        "Training sidebands": (window["lower"], window["upper"]),
        "Left out of the fit": window["mask"],
        "Fit range": window["fit_range"],
    }
    return {
        "id": f"window-{result.window.name}",
        "title": window_text(window),
        "status": window["status"],
        "reasons": _reasons(window) if window["status"] != "ok" else [],
        "regions": {
            name: " and ".join(map(interval, ends if isinstance(ends, tuple) else (ends,)))
            for name, ends in regions.items()
        },
        "validation": _validation(window),
        "table": tables.window_table(window, blinded=sources.blinded) if window["selections"] else None,
        "signals": tables.yield_table(sources.results.get("signals", []), window),
        "diagnostics": _drawn(sources, window, result, "diagnostics"),
        "figures": _drawn(sources, window, result, "significance", "spectrum"),
    }


def _drawn(sources: ReportSources, window: Document, result: WindowResult, *places: Place) -> list[Figure]:
    """Return the figures of one window; none of one that failed."""
    if window["status"] == "failed":
        return []
    return [figure for place in places for figure in sources.drawn(place, result.window.name)]


def _validation(window: Document) -> dict[str, Any] | None:
    found = window.get("validation")
    if found is None:
        return None
    return {
        "verdict": found["verdict"],
        "reason": f"{_capital(found['reason'])}.",
        "flags": [f"{_capital(flag)}." for flag in found["flags"]],
        "decided": DECIDED[found["decided"]],
        "sources": [f"{name}: {verdict}" for name, verdict in found["sources"].items()],
        "table": tables.validation_table(found) if found["combined"] else None,
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _limits(sources: ReportSources) -> dict[str, Any]:
    results, blinded = sources.results, sources.blinded
    limits = results.get("limits", [])
    return {
        "rules": signal_tables.rules_table(limits, blinded=blinded),
        "rule_figures": sources.drawn("limits"),
        "signals": sources.drawn("injections"),
        "sensitivity": signal_tables.sensitivity_table(results.get("sensitivity", [])),
        "sensitivity_figures": sources.drawn("sensitivity"),
        "fixed": signal_tables.fixed_table(results.get("signals", []), blinded=blinded),
        "visible_figures": sources.drawn("visible"),
    }


def _cutflow(sources: ReportSources) -> dict[str, Any]:
    results = sources.results
    cutflow, alone = results["cutflow"], results.get("n_minus_one", {})
    return {
        "datasets": tables.datasets_table(sources.process),
        "table": tables.cutflow_table(cutflow),
        "n_minus_one": tables.n_minus_one_table(cutflow, alone) if any(alone.values()) else None,
        "figures": sources.drawn("cutflow"),
    }


def _impacts(sources: ReportSources) -> list[dict[str, Any]]:
    found = [
        {
            "dataset": one["dataset"],
            "tables": signal_tables.impact_tables(one),
            "figures": sources.drawn("impacts", one["dataset"]),
        }
        for one in sources.results.get("signals", [])
    ]
    return [one for one in found if one["tables"]]


def _configuration(config: Document) -> dict[str, Table]:
    return {"changed": settings.changed_table(config), "all": settings.settings_table(config)}


def _provenance(sources: ReportSources) -> dict[str, Any]:
    results, manifest = sources.results, sources.manifest
    return {
        "versions": settings.versions_table(results["versions"]),
        "inputs": settings.inputs_table(results["inputs"]),
        "skipped": settings.skipped_table(results.get("skipped_files", [])),
        "plugins": settings.plugins_table(results.get("plugins", [])),
        "unblinding": settings.unblinding_table(manifest.get("unblinding", [])),
        "window_keys": list(manifest["window_keys"]),
        "checksums": settings.checksum_table(manifest["sha256"]),
    }
