"""What the page says, as plain values, from what is in a results folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.config import SearchConfig, load_config
from analysis.limits import rule_text
from analysis.report import alternatives, data, diagnostic_figures, search_figures, settings, signal_tables, tables
from analysis.report.figures import Figure, load_figure
from analysis.report.numbers import Table, interval, percent
from analysis.report.words import DECIDED, search_verdict, selection_text, window_text
from analysis.results import ResultsFolder
from analysis.results.notes import blinding_note, selection_notes
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalSpectra, signal_shapes

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
        results, injections = _without_observed(document, folder.load_injections())
        return cls(
            results,
            folder.load_process(),
            load_config(path=folder.config),
            folder.load_manifest(),
            injections,
            tuple(windows),
            folder.plots,
            folder.load_signal_spectra(),
            folder.load_shown_verdicts(results["windows"]),
            [one for one in folder.load_diagnostics() or [] if one["blinded"] or not results["blinded"]],
            [] if results["blinded"] else folder.load_performance().get("scans", []),
        )

    @property
    def blinded(self) -> bool:
        """Whether anything that is observed inside the windows is withheld."""
        return bool(self.results["blinded"])

    def figure(self, stem: str, title: str, alt: str, rows: Iterator[data.Row]) -> list[Figure]:
        """Return a figure, or nothing where it was not drawn."""
        found = load_figure(self.plots, stem, title=title, alt=alt, rows=rows)
        return [] if found is None else [found]


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
        "scan_figures": [] if sources.blinded else search_figures.overview_figures(sources.figure, results),
        "fit_figures": search_figures.fit_figures(sources.figure, results["windows"]),
        "classifier_figures": [
            *diagnostic_figures.classifier_figures(sources.figure, sources.diagnostics),
            *diagnostic_figures.scan_figures(sources.figure, sources.performance),
        ],
        "validation_figures": search_figures.validation_figures(sources.figure, sources.verdicts),
        "stitched_figures": search_figures.stitched_figures(sources.figure, results["windows"], sources.windows),
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
        "diagnostics": diagnostic_figures.window_diagnostics(sources.figure, sources.diagnostics, window),
        "figures": [
            *search_figures.significance_figures(sources.figure, window),
            *(
                figure
                for one in window["selections"]
                if one["fit"] is not None
                for figure in _spectrum(sources, window, one, result)
            ),
        ],
    }


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


def _spectrum(sources: ReportSources, window: Document, selection: Document, result: WindowResult) -> list[Figure]:
    name, signals = selection["name"], sources.results.get("signals", [])
    shapes = signal_shapes(result.window, name, signals, sources.signal_spectra, blinded=sources.blinded)
    return sources.figure(
        f"spectrum_{result.window.name}_{name}",
        f"{window_text(window)}, {selection_text(name)}",
        alternatives.spectrum_alt(window, selection, shapes),
        data.spectrum_rows(result, name, blinded=sources.blinded, signals=shapes),
    )


def _limits(sources: ReportSources) -> dict[str, Any]:
    results, blinded = sources.results, sources.blinded
    limits = results.get("limits", [])
    return {
        "rules": signal_tables.rules_table(limits, blinded=blinded),
        "rule_figures": [figure for rule in _rules(limits) for figure in _rule_figures(sources, rule)],
        "signals": [figure for scan in _scans(sources) for figure in _injection_figures(sources, scan)],
        "sensitivity": signal_tables.sensitivity_table(results.get("sensitivity", [])),
        "sensitivity_figures": [
            figure
            for one in results.get("sensitivity", [])
            if one["reason"] is None
            for figure in _sensitivity_figures(sources, one)
        ],
        "fixed": signal_tables.fixed_table(results.get("signals", []), blinded=blinded),
        "visible_figures": _visible_figures(sources),
    }


def _rules(limits: Sequence[Document]) -> list[str]:
    return list(dict.fromkeys(one["rule"] for one in limits if one["reason"] is None))


def _rule_figures(sources: ReportSources, rule: str) -> Iterator[Figure]:
    """Figures of all signals by one rule: side by side, against m_A, and in planes of m_B and m_C."""
    limits, name = sources.results["limits"], rule_text(rule)
    titles = {"signals": "Limits on all signals", "mA": "Limits against m_A", "plane": "Limits against m_B and m_C"}
    for kind, title in titles.items():
        for stem in sorted({path.stem for path in sources.plots.glob(f"limits_{kind}_*")}):
            if stem.endswith(f"_{rule}"):
                masses = stem.removeprefix(f"limits_{kind}_").removesuffix(rule).strip("_").replace("_", ", ")
                text = f"{title}{', ' + masses if masses else ''} by the rule {name}"
                alt, rows = alternatives.signal_limits_alt(limits, rule), data.signal_limit_rows(limits, rule)
                yield from sources.figure(stem, text, alt, rows)


def _scans(sources: ReportSources) -> list[Document]:
    """Return the injections that the limits are from: those on disk may be of another search."""
    known = {one["dataset"] for one in sources.results.get("limits", [])}
    return [scan for scan in sources.injections.get("injections", []) if scan["dataset"] in known]


def _injection_figures(sources: ReportSources, scan: Document) -> Iterator[Figure]:
    dataset = scan["dataset"]
    yield from sources.figure(
        f"efficiency_{dataset}",
        f"{dataset}: efficiency and limit against the injected strength",
        alternatives.strength_alt(scan),
        data.strength_rows(scan),
    )
    for name in dict.fromkeys(one["selection"] for one in scan["candidates"]):
        yield from sources.figure(
            f"map_{dataset}_{name}",
            f"{dataset}: what passes {selection_text(name)}, against the jet masses",
            alternatives.map_alt(scan, name),
            data.map_rows(scan, name),
        )


def _sensitivity_figures(sources: ReportSources, found: Document) -> list[Figure]:
    return sources.figure(
        f"sensitivity_{found['dataset']}",
        f"{found['dataset']}: significance of hidden signal",
        alternatives.sensitivity_alt(found),
        data.sensitivity_rows(found),
    )


def _visible_figures(sources: ReportSources) -> list[Figure]:
    windows = sources.results["windows"]
    selections = [one for window in windows for one in window["selections"] if one["limit"] is not None]
    return [
        figure
        for name in dict.fromkeys(one["name"] for one in selections)
        for figure in sources.figure(
            f"limits_{name}",
            f"Limits on visible events, {selection_text(name)}",
            alternatives.limits_alt(windows, name),
            data.limit_rows(windows, name),
        )
    ]


def _cutflow(sources: ReportSources) -> dict[str, Any]:
    results = sources.results
    cutflow, alone = results["cutflow"], results.get("n_minus_one", {})
    figure = sources.figure("cutflow", "Cutflow and N−1", alternatives.cutflow_alt(cutflow), data.cutflow_rows(results))
    return {
        "datasets": tables.datasets_table(sources.process),
        "table": tables.cutflow_table(cutflow),
        "n_minus_one": tables.n_minus_one_table(cutflow, alone) if any(alone.values()) else None,
        "figures": figure,
    }


def _impacts(sources: ReportSources) -> list[dict[str, Any]]:
    found = [
        {
            "dataset": one["dataset"],
            "tables": signal_tables.impact_tables(one),
            "figures": search_figures.impact_figures(sources.figure, one),
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
