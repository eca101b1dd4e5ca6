"""Scan all windows, then score the signal samples with their classifiers; resumes from finished windows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.notebook import grid
from analysis.events.dataset import Dataset
from analysis.events.datasets import observed_datasets
from analysis.events.stitching import generator_threshold
from analysis.methods import get_method
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.results.documents import results_document
from analysis.results.processed_events import ProcessedEvents, is_blinded, unblinding_setting
from analysis.search.look_elsewhere import global_key, global_result
from analysis.search.non_closure import Corrections, NonClosure
from analysis.search.requirements import measured_corrections, require_samples
from analysis.search.scan import n_trials, run_scan, trainings, window_key
from analysis.search.seeds import join_seeds
from analysis.search.values import SearchData, WindowResult
from analysis.stages.inputs import inputs_digest, search_data, search_digest, stage, truth_datasets
from analysis.stages.signals import evaluate_signals
from analysis.stages.validate import load_verdicts, with_verdicts
from analysis.statistics import GlobalResult
from analysis.validation.verdicts import corrections as measured_non_closure

__all__ = ["ScanSummary", "scan"]


_log = logging.getLogger("cwola")


@dataclass(frozen=True)
class ScanSummary:
    """What the scan found.

    Attributes
    ----------
    results : tuple of WindowResult
        One per window, with its seeds joined.
    global_result : GlobalResult
    blinded : bool
    trials : dict of str to int
    signals : tuple of dict
        What is left of the datasets of kind signal, as in `results.json`.
    validation : tuple of dict
        What signal-free samples say of the windows; without those that were not tested.
    """

    results: tuple[WindowResult, ...]
    global_result: GlobalResult
    blinded: bool
    trials: dict[str, int]
    signals: tuple[dict[str, Any], ...] = ()
    validation: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        return f"ScanSummary({len(self.results)} windows{', blinded' if self.blinded else ''}, {self.global_result})"

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(selection.name for result in self.results for selection in result.selections))
        rows = [[result.window.name, *_significances(result, names)] for result in self.results]
        title = f"Significance z of {len(self.results)} windows{', blinded' if self.blinded else ''}"
        return grid(title, ["Window [GeV]", *names], rows) + self.global_result._repr_html_()


def scan(
    events: ProcessedEvents,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    *,
    corrections: Corrections | None = None,
) -> ScanSummary:
    """Search all windows and write the results; windows that are on disk already are not searched again.

    Parameters
    ----------
    events : ProcessedEvents
    config : SearchConfig
    folder : ResultsFolder
    backend : Backend
    corrections : mapping of window to selection to (delta, error), optional
        Non-closure for `statistics.non_closure = "correct"`; what `validate` measured where absent.

    Returns
    -------
    ScanSummary

    Raises
    ------
    ConfigError
        If the events were selected with another selection, or the non-closure of a window was not measured.
    DatasetError
        If there is nothing to search.
    WindowError
        If a window lies where the spectrum is not smooth.
    """
    events.require_selection(config, folder)
    observed = observed_datasets(events.datasets)
    regions = RegionScan.from_config(config.scan)
    regions.require_smooth(generator_threshold(observed.values()), edge=config.scan.smooth_edge)
    verdicts = load_verdicts(events, config, folder)
    if corrections is None and verdicts:
        corrections = measured_non_closure(verdicts)
    job = _Scan(events, observed, regions, config, folder, backend, measured_corrections(corrections, regions, config))
    simulation = any(dataset.kind == "background" for dataset in events.datasets.values())
    require_samples(config, truth=truth_datasets(observed.values()) is not None, simulation=simulation)
    with stage("scan"):
        if not job.blinded:
            # Before the first count is written, so that an interrupted scan is on record too.
            folder.record_unblinding(
                [window.name for window in regions.windows],
                config_digest=config.digest(),
                setting=unblinding_setting(events),
            )
        folder.save_config(config)
        results = _run_windows(job)
        summary = _summarise(job, results, _global_result(job, results))
        document = results_document(
            summary.results,
            config_digest=config.digest(),
            random_state=config.random_state,
            processed=events.document,
            trials=summary.trials,
            blinded=summary.blinded,
            global_result=summary.global_result,
        )
        document["windows"] = with_verdicts(document["windows"], verdicts)
        further = [key for key, result in results.items() if result.training_seed > 0]
        keys = [key for key in results if key not in further]
        folder.save_results(document, keys, further)
    with stage("signals"):
        signals = evaluate_signals(events, config, folder, backend, {key: results[key] for key in keys})
        limits = folder.load_limits(search_digest(events, config))
        folder.save_results({**document, "signals": signals, **limits}, keys, further)
    return replace(summary, signals=tuple(signals), validation=tuple(verdicts))


def _significances(result: WindowResult, names: Sequence[str]) -> list[float | None]:
    found = {one.name: one.discovery for one in result.selections}
    return [None if (test := found.get(name)) is None else test.z for name in names]


@dataclass(frozen=True)
class _Scan:
    """What is searched, how, and where to."""

    events: ProcessedEvents
    observed: Mapping[str, Dataset]
    regions: RegionScan
    config: SearchConfig
    folder: ResultsFolder
    backend: Backend
    corrections: Mapping[str, Mapping[str, NonClosure]]

    @property
    def blinded(self) -> bool:
        return is_blinded(self.events, self.config)

    @property
    def inputs(self) -> str:
        return self.events.identity(blinded=self.blinded)

    @property
    def all_inputs(self) -> str:
        """With the simulation, where the method needs it."""
        return inputs_digest(self.events, self.config, simulation=self._needs_simulation)

    @cached_property
    def data(self) -> SearchData:
        """Read only where something is left to do."""
        return search_data(self.events, self.config, self.folder, simulation=self._needs_simulation)

    @property
    def _needs_simulation(self) -> bool:
        return get_method(self.config.learning.method).needs_simulation


def _run_windows(job: _Scan) -> dict[str, WindowResult]:
    inputs = job.all_inputs
    keys = [
        window_key(window, job.regions, job.config, inputs, training_seed=seed, corrections=job.corrections)
        for window, seed in trainings(job.regions, job.config)
    ]
    known = job.folder.load_windows(keys)
    if len(known) < len(keys):
        options: dict[str, Any] = {"inputs": inputs, "done": known, "corrections": job.corrections}
        for key, result in run_scan(job.data, job.regions, job.config, job.backend, **options):
            job.folder.save_window(key, result, inputs=job.inputs)
            known[key] = result
            seed = f", training seed {result.training_seed}" if result.training_seed else ""
            _log.info("window %s%s: %s", result.window.name, seed, result.reason or result.status)
    return {key: known[key] for key in keys}


def _global_result(job: _Scan, results: Mapping[str, WindowResult]) -> GlobalResult:
    key = global_key(results, job.config)
    found = job.folder.load_global(key)
    if found is None:
        found = global_result(job.data, list(results.values()), job.regions, job.config, job.backend)
        job.folder.save_global(key, found)
    return found


def _summarise(job: _Scan, results: Mapping[str, WindowResult], total: GlobalResult) -> ScanSummary:
    trials = {
        "windows": len(job.regions.windows),
        "selections": job.config.learning.n_selections,
        "seeds": job.config.learning.n_seeds,
        "total": n_trials(job.regions, job.config),
    }
    return ScanSummary(tuple(join_seeds(results.values())), total, job.blinded, trials)
