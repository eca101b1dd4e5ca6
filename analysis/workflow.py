"""The stages in order: process, validate, scan (and the signals of it). Each resumes from what is on disk.

Figures and the report are made by `analysis.workflow_figures`.

The only module that imports both packages; `processors` (and with it coffea) is imported by the stage that reads ROOT
files alone, so that a scan runs on ready events without it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.datasets import Dataset, background_datasets, observed_datasets
from analysis.identity import digest
from analysis.location import Location
from analysis.look_elsewhere import global_key, global_result
from analysis.methods import get_method
from analysis.non_closure import Corrections, NonClosure
from analysis.notebook import grid
from analysis.plugins import plugin_records
from analysis.processed import ProcessedEvents, is_blinded, load_events, unblinding_setting
from analysis.records import results_document
from analysis.regions import RegionScan
from analysis.requirements import measured_corrections, require_known, require_samples
from analysis.search import SearchData, WindowResult, n_trials, run_scan, trainings, window_key
from analysis.seeds import join_seeds
from analysis.statistics import GlobalResult
from analysis.stitching import generator_threshold
from analysis.store import ResultsFolder
from analysis.verdicts import corrections as measured_non_closure
from analysis.workflow_signals import evaluate_signals
from analysis.workflow_validation import load_verdicts, run_validation, with_verdicts

__all__ = [
    "ScanSummary",
    "convert_lhco",
    "inputs_digest",
    "inspect",
    "process",
    "scan",
    "search_data",
    "search_digest",
    "simulate",
    "stage",
    "validate",
]

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


def process(
    datasets: Mapping[str, Dataset],
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    *,
    parts: Location | None = None,
    **options: Any,
) -> ProcessedEvents:
    """Select events from ROOT files; parts that are on disk already are not made again.

    Parameters
    ----------
    datasets : mapping of str to Dataset
    config : SearchConfig
    folder : ResultsFolder
    backend : Backend
    parts : Location, optional
        Where the selected events are kept; in the results folder where absent.
    **options
        `skip_bad_files` and `timeout` of `processors.run.process_datasets`.

    Returns
    -------
    ProcessedEvents
    """
    from processors.run import process_datasets

    require_known(config)
    with stage("process"):
        result = process_datasets(datasets, config, parts or folder.parts, backend, **options)
        document = result.to_json()
        document["parts"] = None if parts is None else str(parts.absolute())
        document["selection"] = config.selection.model_dump(mode="json")
        document["configured_systematics"] = [one.model_dump(mode="json") for one in config.systematics]
        document["plugins"] = plugin_records(of_events=True)
        for name, dataset in datasets.items():
            document["datasets"][name]["dataset"] = asdict(dataset)
        folder.save_process(document)
        folder.save_config(config)
    return load_events(folder)


def validate(
    events: ProcessedEvents,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    *,
    sources: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Test all windows on signal-free samples; see `analysis.workflow_validation.run_validation`.

    Raises
    ------
    ConfigError
        If the events were selected with another selection.
    """
    events.require_selection(config, folder)
    require_known(config)
    with stage("validate"):
        return run_validation(events, config, folder, backend, sources=sources)


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
    require_samples(config, truth=_truth(observed.values()) is not None, simulation=simulation)
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


def simulate(settings: Mapping[str, Any], output: Path, backend: Backend) -> str:
    """Generate a sample; see `processors.simulate.simulate`.

    Parameters
    ----------
    settings : mapping
        Fields of `processors.simulate.SimulationSettings`.
    output : pathlib.Path
        ROOT file.
    backend : Backend

    Returns
    -------
    str
        What was made, for people.
    """
    from processors.simulate import SimulationSettings, read_provenance
    from processors.simulate import simulate as generate

    path = generate(SimulationSettings(**settings), output, backend)
    made = read_provenance(path) or {}
    return f"{made['n_events']} events in {path}, cross-section {made['xsec_pb']:.4g} ± {made['xsec_error_pb']:.2g} pb"


def inspect(path: str, tree: str | None) -> dict[str, Any]:
    """Tell what a file holds, JSON-ready; see `processors.inspection.inspect_file`."""
    from processors.inspection import inspect_file

    return inspect_file(path, tree).to_json()


def convert_lhco(path: Path, output: Path, label_column: str | None) -> int:
    """Convert a table of the LHC Olympics and count its events; see `processors.convert.convert_lhco`."""
    from processors.convert import convert_lhco as convert

    return convert(path, output, label_column=label_column)


def search_data(
    events: ProcessedEvents, config: SearchConfig, folder: ResultsFolder, *, simulation: bool
) -> SearchData:
    """Read the events that are searched, and simulated background where it is asked for."""
    truth = _truth(observed_datasets(events.datasets).values())
    background = events.read_simulation(folder) if simulation else None
    return SearchData(events.read_searched(folder), is_blinded(events, config), truth, background)


def inputs_digest(events: ProcessedEvents, config: SearchConfig, *, simulation: bool) -> str:
    """Digest of the events that are searched, and of the simulated background where that is used."""
    inputs = events.identity(blinded=is_blinded(events, config))
    if not simulation:
        return inputs
    names = background_datasets(events.datasets)
    return digest([inputs, *([name, events.scale(name), events.records[name]["parts"]] for name in names)])


def search_digest(events: ProcessedEvents, config: SearchConfig) -> str:
    """Digest of what is searched and how, for results that are made beside a scan."""
    settings = config.digest("learning", "background", "statistics", "scan")
    inputs = inputs_digest(events, config, simulation=get_method(config.learning.method).needs_simulation)
    return digest([inputs, settings, config.random_state])


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Log the beginning and the end of a stage."""
    _log.info("%s: started", name)
    start = time.monotonic()
    yield
    _log.info("%s: finished in %.1f s", name, time.monotonic() - start)


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


def _truth(observed: Iterable[Dataset]) -> tuple[str, ...] | None:
    datasets = list(observed)
    if any(dataset.kind == "data" for dataset in datasets):
        return None
    return tuple(dataset.name for dataset in datasets if dataset.is_signal)
