"""Scan of all windows and scoring of the signal samples with their classifiers; resumes from finished windows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from analysis.calibration.apply import LEAST_SCANS, Calibrations
from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.counted import counted
from analysis.core.notebook import grid
from analysis.learning import KeptFolds
from analysis.limits.values import LimitsFile
from analysis.methods import Unlabelled, get_method
from analysis.regions import MassWindow, known_edge
from analysis.results.documents import plugin_documents, reported_window, software_versions
from analysis.results.processed_events import unblinding_setting
from analysis.results.turn_on import turn_on_notes
from analysis.results.values import Results
from analysis.results.wording.significances import calibration_notes, local_z_text, nominal_text
from analysis.search.coverage import coverage_notes
from analysis.search.look_elsewhere import global_key, global_result
from analysis.search.non_closure import Corrections, NonClosure
from analysis.search.requirements import measured_corrections, require_samples
from analysis.search.scan import n_trials, run_scan, trainings, window_key
from analysis.search.seeds import join_seeds
from analysis.search.values import SelectionResult, WindowResult
from analysis.stages.calibrate import load_calibrations
from analysis.stages.inputs import SearchInputs, stage
from analysis.stages.signals import evaluate_signals
from analysis.stages.validation.drift import measure_drifts
from analysis.stages.validation.validate import load_verdicts
from analysis.statistics import GlobalResult, retrained_significance
from analysis.validation.drift import drift_notes
from analysis.validation.values import WindowVerdict
from analysis.validation.verdicts import corrections as measured_non_closure

__all__ = ["ScanSummary", "scan", "training_keys"]


_log = logging.getLogger("cwola")


@dataclass(frozen=True)
class ScanSummary:
    """Results of a scan.

    Attributes
    ----------
    results : tuple of WindowResult
        One per window, with its seeds joined.
    document : Results
        Content of `results.json`.
    validation : tuple of WindowVerdict
        Verdicts of the tested windows.
    notes : tuple of str
        Notes on limits omitted from the results, and how to make them again.
    """

    results: tuple[WindowResult, ...]
    document: Results
    validation: tuple[WindowVerdict, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def global_result(self) -> GlobalResult:
        """Global p-value of the largest excess."""
        return self.document.global_

    def __repr__(self) -> str:
        return f"ScanSummary({self._size}, {self.global_result})"

    @property
    def _size(self) -> str:
        return f"{counted(len(self.results), 'window')}{', blinded' if self.document.blinded else ''}"

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(selection.name for result in self.results for selection in result.selections))
        rows = [[result.window.name, *_significances(result, names)] for result in self.results]
        notes = "".join(f"<p>{escape(note)}</p>" for note in calibration_notes(self.results))
        return (
            grid(f"Significance z of {self._size}", ["Window [GeV]", *names], rows)
            + notes
            + self.global_result._repr_html_()
        )


def scan(inputs: SearchInputs, backend: Backend, *, corrections: Corrections | None = None) -> ScanSummary:
    """Search all windows and write the results; windows already on disk are reused.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    corrections : mapping of window to selection to (delta, error), optional
        Non-closure for `statistics.non_closure = "correct"`; defaults to the measurement of `validate`.

    Returns
    -------
    ScanSummary

    Raises
    ------
    ConfigError
        If the events were selected with another selection, or the non-closure of a window was not measured.
    DatasetError
        If no dataset is to be searched.
    WindowError
        If the spectrum is not smooth in a window.

    Examples
    --------
    >>> from analysis.compute import open_backend
    >>> from analysis.stages.inputs import SearchInputs
    >>> from analysis.stages.scan import scan
    >>> with open_backend(1) as backend:
    ...     summary = scan(SearchInputs.load("results"), backend)  # finished windows are read
    >>> selection = summary.document.windows[0].selections[0]
    >>> selection.name, int(selection.n_obs), round(selection.z, 1)
    ('inclusive', 8279, 0.4)
    """
    events, config, folder, regions = inputs.events, inputs.config, inputs.folder, inputs.regions
    events.require_selection(config, folder)
    regions.require_smooth(inputs.threshold, edge=config.scan.smooth_edge)
    verdicts = load_verdicts(inputs)
    if corrections is None and verdicts:
        corrections = measured_non_closure(verdicts)
    measured = measured_corrections(corrections, regions, config)
    require_samples(config, truth=inputs.truth is not None, simulation=bool(inputs.background))
    drifts = measure_drifts(inputs, backend)
    with stage("scan"):
        if not inputs.blinded:
            # Recorded before the first count is written, to cover interrupted scans.
            folder.record_unblinding(
                [window.name for window in regions.windows],
                config_digest=config.digest(),
                setting=unblinding_setting(events),
            )
        folder.save_config(config)
        results = _run_windows(inputs, backend, measured)
        calibrations = load_calibrations(inputs)
        results = dict(zip(results, calibrations.applied(results.values()), strict=True))
        joined = tuple(join_seeds(results.values()))
        total = _global_result(inputs, backend, results, calibrations)
        document = _assemble(inputs, joined, verdicts, total, _coverage(inputs))
        notes = (*document.notes, *drift_notes(drifts, config))
        document = replace(document, notes=notes, versions=software_versions(backend.other_versions))
        further = [key for key, result in results.items() if result.training_seed > 0]
        keys = [key for key in results if key not in further]
        folder.save_results(document, keys, further)
    with stage("signals"):
        signals = evaluate_signals(inputs, backend, {key: results[key] for key in keys})
        injected, notes = _load_limits(inputs, measured)
        document = replace(
            document,
            versions=software_versions(backend.other_versions),
            signals=signals,
            limits=injected.limits,
            sensitivity=injected.sensitivity,
        )
        folder.save_results(document, keys, further)
    return ScanSummary(joined, document, tuple(verdicts), notes)


def _significances(result: WindowResult, names: Sequence[str]) -> list[str | None]:
    """Return the local significances for readers, with the nominal ones of calibrated ones."""
    found = {selection.name: selection for selection in result.selections}
    return [None if name not in found else _significance(found[name]) for name in names]


def _significance(selection: SelectionResult) -> str | None:
    nominal = nominal_text(selection)
    return None if selection.local_z is None else local_z_text(selection) + f" ({nominal})" * bool(nominal)


def _load_limits(
    inputs: SearchInputs, corrections: Mapping[str, Mapping[str, NonClosure]]
) -> tuple[LimitsFile, tuple[str, ...]]:
    """Read the limits of this search, with notes on stored limits of other searches, omitted from the results."""
    folder = inputs.folder
    current = folder.load_limits(inputs.limits_fingerprint(corrections), inputs.samples_fingerprints())
    injections, notes = folder.load_injections(), []
    for command, (stored, kept) in {
        "limit": (injections.limits, current.limits),
        "inject": (injections.sensitivity, current.sensitivity),
    }.items():
        if stale := {item.dataset for item in stored} - {item.dataset for item in kept}:
            notes.append(
                f"What `cwola {command}` found for {', '.join(sorted(stale))} is of other events, settings, plugins, "
                "corrections or code than this search, and is left out of results.json. Make it again: "
                f"`cwola {command} --output {folder.path}`."
            )
    for note in notes:
        _log.warning("%s", note)
    return current, tuple(notes)


def training_keys(
    inputs: SearchInputs, corrections: Mapping[str, Mapping[str, NonClosure]]
) -> dict[tuple[MassWindow, int], str]:
    """Return the key of each training of each window, by window and training seed.

    Parameters
    ----------
    inputs : SearchInputs
    corrections : mapping of window to selection to NonClosure
        Corrections of the background; empty without correction.
    """
    events, regions, config = inputs.identity, inputs.regions, inputs.config
    return {
        (window, seed): window_key(window, regions, config, events, training_seed=seed, corrections=corrections)
        for window, seed in trainings(regions, config)
    }


def _run_windows(
    inputs: SearchInputs, backend: Backend, corrections: Mapping[str, Mapping[str, NonClosure]]
) -> dict[str, WindowResult]:
    regions, config = inputs.regions, inputs.config
    keys = list(training_keys(inputs, corrections).values())
    done = inputs.folder.load_windows(keys)
    if len(done) < len(keys):
        kept = None if inputs.blinded else KeptFolds(inputs.folder.folds)  # their scores tell the counts in windows
        options: dict[str, Any] = {"inputs": inputs.identity, "done": done, "corrections": corrections, "kept": kept}
        for key, result in run_scan(inputs.fitted, regions, config, backend, **options):
            inputs.folder.save_window(key, result, inputs=inputs.searched)
            done[key] = replace(result, scores=None)
            seed = f", training seed {result.training_seed}" if result.training_seed else ""
            _log.info("window %s%s: %s", result.window.name, seed, result.reason or result.status)
    return {key: done[key] for key in keys}


def _global_result(
    inputs: SearchInputs, backend: Backend, results: Mapping[str, WindowResult], calibrations: Calibrations
) -> GlobalResult:
    selections = [selection for result in results.values() for selection in result.selections]
    if len(calibrations.largest) >= LEAST_SCANS and (
        z := [one.local_z for one in selections if one.local_z is not None]
    ):
        scans = np.array(calibrations.largest)
        return retrained_significance(max(z), scans, n_trials=n_trials(inputs.regions, inputs.config))
    calibrated = [one.calibration.z for one in selections if one.calibration is not None]
    key = global_key(results, inputs.config, calibrated)
    total = inputs.folder.load_global(key)
    if total is None:
        total = global_result(inputs.fitted, list(results.values()), inputs.regions, inputs.config, backend)
        inputs.folder.save_global(key, total)
    return total


def _assemble(
    inputs: SearchInputs,
    windows: Sequence[WindowResult],
    verdicts: Sequence[WindowVerdict],
    total: GlobalResult,
    coverage: Sequence[str],
) -> Results:
    """Assemble the content of `results.json`."""
    events, config = inputs.events, inputs.config
    judged = {verdict.window: verdict.summary for verdict in verdicts}
    return Results(
        config_digest=config.digest(),
        versions=software_versions(),
        plugins=plugin_documents(),
        random_state=config.random_state,
        inputs=events.inputs,
        skipped_files=events.skipped_files,
        cutflow=events.cutflow,
        n_minus_one=events.n_minus_one,
        trials={
            "windows": len(inputs.regions.windows),
            "selections": config.learning.n_selections,
            "seeds": config.learning.n_seeds,
            "total": n_trials(inputs.regions, config),
        },
        blinded=inputs.blinded,
        windows=tuple(replace(reported_window(one), validation=judged.get(one.window.name)) for one in windows),
        global_=total,
        notes=(*coverage, *_turn_on(inputs), *_method_notes(config)),
    )


def _method_notes(config: SearchConfig) -> tuple[str, ...]:
    method = get_method(config.learning.method)
    return method.notes(config.learning.features) if isinstance(method, Unlabelled) else ()


def _turn_on(inputs: SearchInputs) -> tuple[str, ...]:
    return turn_on_notes(inputs.folder.load_turn_on(), inputs.config.selection.triggers, inputs.regions)


def _coverage(inputs: SearchInputs) -> tuple[str, ...]:
    edge = known_edge(inputs.threshold, inputs.config.scan.smooth_edge)
    return coverage_notes(inputs.stored.masses(), inputs.regions, edge, hidden=inputs.hidden)
