"""The stages in order: process, scan, plot. Each resumes from what is on disk.

The only module that imports both packages; `processors` (and with it coffea) is imported by the stage that reads ROOT
files alone, so that a scan runs on ready events without it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.datasets import Dataset, background_datasets, exclude_datasets, observed_datasets
from analysis.errors import ConfigError, ResultsError
from analysis.identity import digest
from analysis.look_elsewhere import global_key, global_result
from analysis.methods import get_method
from analysis.records import results_document
from analysis.regions import RegionScan
from analysis.schema import SEARCH_REGION
from analysis.search import SearchData, WindowResult, n_trials, require_known, require_samples, run_scan, window_key
from analysis.statistics import GlobalResult
from analysis.stitching import generator_threshold
from analysis.store import ResultsFolder
from analysis.table import EventTable

__all__ = [
    "ProcessedEvents",
    "ScanSummary",
    "convert_lhco",
    "inspect",
    "is_blinded",
    "load_events",
    "plot",
    "process",
    "scan",
    "simulate",
    "stage",
]

_log = logging.getLogger("cwola")


@dataclass(frozen=True)
class ProcessedEvents:
    """What the processing stage left in a results folder.

    Attributes
    ----------
    datasets : dict of str to Dataset
    records : dict of str to dict
        Parts, sum of weights, cutflow, files and sanity counters of each dataset.
    digest : str
        Selection and code that the parts were made with; names their folder.
    selection : dict
        The selection as configured.
    """

    datasets: dict[str, Dataset]
    records: dict[str, dict[str, Any]]
    digest: str
    selection: dict[str, Any]

    @property
    def skipped_files(self) -> list[dict[str, Any]]:
        """One record per file that was left out: dataset, file, reason, and events where they are known."""
        return [
            {"dataset": name, "file": file["filename"], "reason": file["reason"], "entries": file["n_entries"]}
            for name, record in self.records.items()
            for file in record["skipped_files"]
        ]

    @property
    def cutflow(self) -> dict[str, Any]:
        """Cutflow by dataset: cut to events and weight."""
        return {name: record["cutflow"] for name, record in self.records.items()}

    @property
    def n_minus_one(self) -> dict[str, Any]:
        """Events that pass all cuts but one, by dataset: cut to events and weight."""
        return {name: record["n_minus_one"] for name, record in self.records.items()}

    @property
    def document(self) -> dict[str, Any]:
        """What `results.json` says of the processing stage."""
        return {
            "inputs": self.inputs,
            "skipped_files": self.skipped_files,
            "cutflow": self.cutflow,
            "n_minus_one": self.n_minus_one,
        }

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """One record per input file."""
        return [
            {
                "dataset": name,
                "kind": self.datasets[name].kind,
                "file": file["filename"],
                "tree": file["treename"],
                "uuid": file["uuid"],
                "entries": file["n_entries"],
            }
            for name, record in self.records.items()
            for file in record["files"]
        ]

    def part_paths(self, name: str, folder: ResultsFolder) -> tuple[Path, ...]:
        """Parts of one dataset."""
        return tuple(folder.parts / self.digest / f"dataset={name}" / part for part in self.records[name]["parts"])

    def scale(self, name: str) -> float:
        """Factor that normalises the weights of one dataset."""
        return self.datasets[name].scale(self.records[name]["sum_of_weights"])

    def identity(self, *, blinded: bool) -> str:
        """Digest of what the searched events are, wherever their files lie."""
        observed = observed_datasets(self.datasets)
        identities = [[name, dataset.is_signal, self.records[name]["parts"]] for name, dataset in observed.items()]
        return digest([self.digest, blinded, *identities])

    def read_searched(self, folder: ResultsFolder) -> EventTable:
        """Read the events that are searched, in the order of all arrays of a scan."""
        return self._read(observed_datasets(self.datasets), folder)

    def read_simulation(self, folder: ResultsFolder) -> EventTable:
        """Read the simulated background of the search region, normalised to cross-section and luminosity."""
        return self._read(background_datasets(self.datasets), folder)

    def _read(self, names: Iterable[str], folder: ResultsFolder) -> EventTable:
        chosen = list(names)
        paths = [path for name in chosen for path in self.part_paths(name, folder)]
        table = EventTable.from_parts(paths, {name: self.scale(name) for name in chosen})
        return table.in_region(SEARCH_REGION)

    def require_selection(self, config: SearchConfig, folder: ResultsFolder) -> None:
        """Refuse a configuration with another selection than that of the events.

        Raises
        ------
        ConfigError
        """
        if self.selection != config.selection.model_dump(mode="json"):
            msg = (
                f"the events in {folder.parts} were selected with other settings in [selection]. Run `cwola process` "
                "with this configuration first."
            )
            raise ConfigError(msg)

    def without(self, names: Iterable[str]) -> ProcessedEvents:
        """Drop datasets by name."""
        kept = exclude_datasets(self.datasets, names)
        return ProcessedEvents(kept, {name: self.records[name] for name in kept}, self.digest, self.selection)


@dataclass(frozen=True)
class ScanSummary:
    """What the scan found.

    Attributes
    ----------
    results : tuple of WindowResult
    global_result : GlobalResult
    blinded : bool
    trials : dict of str to int
    """

    results: tuple[WindowResult, ...]
    global_result: GlobalResult
    blinded: bool
    trials: dict[str, int]


def process(
    datasets: Mapping[str, Dataset], config: SearchConfig, folder: ResultsFolder, backend: Backend, **options: Any
) -> ProcessedEvents:
    """Select events from ROOT files; parts that are on disk already are not made again.

    Parameters
    ----------
    datasets : mapping of str to Dataset
    config : SearchConfig
    folder : ResultsFolder
    backend : Backend
    **options
        `skip_bad_files` and `timeout` of `processors.run.process_datasets`.

    Returns
    -------
    ProcessedEvents
    """
    from processors.run import process_datasets

    require_known(config)
    with stage("process"):
        result = process_datasets(datasets, config, folder.parts, backend, **options)
        document = result.to_json()
        document["selection"] = config.selection.model_dump(mode="json")
        for name, dataset in datasets.items():
            document["datasets"][name]["dataset"] = asdict(dataset)
        folder.save_process(document)
        folder.save_config(config)
    return load_events(folder)


def load_events(folder: ResultsFolder) -> ProcessedEvents:
    """Read the record of the processing stage.

    Raises
    ------
    ResultsError
        If the stage has not run, or ran in an earlier version.
    """
    document = folder.load_process()
    records = document["datasets"]
    if any(not record.keys() >= {"n_minus_one", "skipped_files"} for record in records.values()):
        msg = f"{folder.path} was processed by an earlier version. Run `cwola process --output {folder.path}` again."
        raise ResultsError(msg)
    return ProcessedEvents(
        datasets={name: Dataset.from_json(record.pop("dataset")) for name, record in records.items()},
        records=records,
        digest=document["digest"],
        selection=document["selection"],
    )


def scan(events: ProcessedEvents, config: SearchConfig, folder: ResultsFolder, backend: Backend) -> ScanSummary:
    """Search all windows and write the results; windows that are on disk already are not searched again.

    Parameters
    ----------
    events : ProcessedEvents
    config : SearchConfig
    folder : ResultsFolder
    backend : Backend

    Returns
    -------
    ScanSummary

    Raises
    ------
    ConfigError
        If the events were selected with another selection.
    DatasetError
        If there is nothing to search.
    WindowError
        If a window lies where the spectrum is not smooth.
    """
    events.require_selection(config, folder)
    observed = observed_datasets(events.datasets)
    regions = RegionScan.from_config(config.scan)
    regions.require_smooth(generator_threshold(observed.values()), edge=config.scan.smooth_edge)
    job = _Scan(events, observed, regions, config, folder, backend)
    simulation = any(dataset.kind == "background" for dataset in events.datasets.values())
    require_samples(config, truth=_truth(observed.values()) is not None, simulation=simulation)
    with stage("scan"):
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
        folder.save_results(document, list(results))
    return summary


def plot(folder: ResultsFolder, config: SearchConfig, backend: Backend) -> list[Path]:
    """Draw all figures of the results on disk.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    from analysis.plots import save_cutflow, save_figures

    with stage("plot"):
        document, windows = folder.load_results()
        cutflow = save_cutflow(document["cutflow"], document.get("n_minus_one", {}), folder.plots, config.plots)
        return cutflow + save_figures(
            windows,
            folder.plots,
            config.plots,
            blinded=document["blinded"],
            global_result=GlobalResult(**document["global"]),
            backend=backend,
        )


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


def is_blinded(events: ProcessedEvents, config: SearchConfig) -> bool:
    """Whether the inside of the windows must not be shown: real data, unless the configuration unblinds them."""
    kinds = {dataset.kind for dataset in observed_datasets(events.datasets).values()}
    return "data" in kinds and not config.statistics.unblind


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Log the beginning and the end of a stage."""
    _log.info("%s: started", name)
    start = time.monotonic()
    yield
    _log.info("%s: finished in %.1f s", name, time.monotonic() - start)


@dataclass(frozen=True)
class _Scan:
    """What is searched, how, and where to."""

    events: ProcessedEvents
    observed: Mapping[str, Dataset]
    regions: RegionScan
    config: SearchConfig
    folder: ResultsFolder
    backend: Backend

    @property
    def blinded(self) -> bool:
        return is_blinded(self.events, self.config)

    @property
    def inputs(self) -> str:
        return self.events.identity(blinded=self.blinded)

    @property
    def all_inputs(self) -> str:
        """With the simulation, where the method needs it."""
        if not self._needs_simulation:
            return self.inputs
        records = self.events.records
        names = background_datasets(self.events.datasets)
        return digest([self.inputs, *([name, self.events.scale(name), records[name]["parts"]] for name in names)])

    @cached_property
    def data(self) -> SearchData:
        """Read only where something is left to do."""
        simulation = self.events.read_simulation(self.folder) if self._needs_simulation else None
        return SearchData(
            self.events.read_searched(self.folder), self.blinded, _truth(self.observed.values()), simulation
        )

    @property
    def _needs_simulation(self) -> bool:
        return get_method(self.config.learning.method).needs_simulation


def _run_windows(job: _Scan) -> dict[str, WindowResult]:
    inputs = job.all_inputs
    keys = [window_key(window, job.regions, job.config, inputs) for window in job.regions.windows]
    known = job.folder.load_windows(keys)
    if len(known) < len(keys):
        for key, result in run_scan(job.data, job.regions, job.config, job.backend, inputs=inputs, done=known):
            job.folder.save_window(key, result, inputs=job.inputs)
            known[key] = result
            _log.info("window %s: %s", result.window.name, result.reason or result.status)
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
        "selections": len(job.config.learning.efficiencies) + 1,
        "total": n_trials(job.regions, job.config),
    }
    return ScanSummary(tuple(results.values()), total, job.blinded, trials)


def _truth(observed: Iterable[Dataset]) -> tuple[str, ...] | None:
    datasets = list(observed)
    if any(dataset.kind == "data" for dataset in datasets):
        return None
    return tuple(dataset.name for dataset in datasets if dataset.is_signal)
