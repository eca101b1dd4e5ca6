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
from pathlib import Path
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.datasets import Dataset, exclude_datasets, observed_datasets
from analysis.errors import ConfigError
from analysis.identity import digest
from analysis.look_elsewhere import global_key, global_result
from analysis.records import results_document
from analysis.regions import RegionScan
from analysis.schema import SEARCH_REGION
from analysis.search import SearchData, WindowResult, n_trials, require_known, run_scan, window_key
from analysis.statistics import GlobalResult
from analysis.store import ResultsFolder
from analysis.table import EventTable

__all__ = ["ProcessedEvents", "ScanSummary", "load_events", "plot", "process", "scan", "simulate"]

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
    def cutflow(self) -> dict[str, Any]:
        """Cutflow by dataset: cut to events and weight."""
        return {name: record["cutflow"] for name, record in self.records.items()}

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
    datasets: Mapping[str, Dataset], config: SearchConfig, folder: ResultsFolder, backend: Backend
) -> ProcessedEvents:
    """Select events from ROOT files; parts that are on disk already are not made again.

    Parameters
    ----------
    datasets : mapping of str to Dataset
    config : SearchConfig
    folder : ResultsFolder
    backend : Backend

    Returns
    -------
    ProcessedEvents
    """
    from processors.run import process_datasets

    require_known(config)
    with _stage("process"):
        result = process_datasets(datasets, config, folder.parts, backend)
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
        If the stage has not run.
    """
    document = folder.load_process()
    records = document["datasets"]
    return ProcessedEvents(
        datasets={name: _dataset(record.pop("dataset")) for name, record in records.items()},
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
    if events.selection != config.selection.model_dump(mode="json"):
        msg = (
            f"the events in {folder.parts} were selected with other settings in [selection]. Run `cwola process` with "
            "this configuration first."
        )
        raise ConfigError(msg)
    observed = observed_datasets(events.datasets)
    regions = RegionScan.from_config(config.scan)
    regions.require_smooth(_threshold(observed.values()), edge=config.scan.smooth_edge)
    blinded = not config.statistics.unblind and any(dataset.kind == "data" for dataset in observed.values())
    with _stage("scan"):
        folder.save_config(config)
        results = _run_windows(events, observed, regions, config, folder, backend, blinded)
        total = _global_result(results, events, observed, regions, config, folder, backend, blinded)
        summary = _summarise(results, total, regions, config, blinded)
        document = results_document(
            summary.results,
            config_digest=config.digest(),
            random_state=config.random_state,
            inputs=events.inputs,
            cutflow=events.cutflow,
            trials=summary.trials,
            blinded=blinded,
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
    from analysis.plots import save_figures

    with _stage("plot"):
        document, windows = folder.load_results()
        return save_figures(
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


@contextmanager
def _stage(name: str) -> Iterator[None]:
    _log.info("%s: started", name)
    start = time.monotonic()
    yield
    _log.info("%s: finished in %.1f s", name, time.monotonic() - start)


def _run_windows(
    events: ProcessedEvents,
    observed: Mapping[str, Dataset],
    regions: RegionScan,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    blinded: bool,
) -> dict[str, WindowResult]:
    inputs = digest([events.digest, blinded, *_identities(events, observed)])
    keys = [window_key(window, regions, config, inputs) for window in regions.windows]
    known = folder.load_windows(keys)
    if len(known) < len(keys):
        data = _search_data(events, observed, folder, blinded)
        new = run_scan(data, regions, config, backend, inputs=inputs, done=known)
        for key, result in new:
            folder.save_window(key, result)
            known[key] = result
            _log.info("window %s: %s", result.window.name, result.reason or result.status)
    return {key: known[key] for key in keys}


def _search_data(
    events: ProcessedEvents, observed: Mapping[str, Dataset], folder: ResultsFolder, blinded: bool
) -> SearchData:
    return SearchData(
        table=_read_table(events, observed, folder).in_region(SEARCH_REGION),
        blinded=blinded,
        signal_datasets=_truth(observed.values()),
    )


def _global_result(
    results: Mapping[str, WindowResult],
    events: ProcessedEvents,
    observed: Mapping[str, Dataset],
    regions: RegionScan,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    blinded: bool,
) -> GlobalResult:
    key = global_key(results, config)
    found = folder.load_global(key)
    if found is None:
        data = _search_data(events, observed, folder, blinded)
        found = global_result(data, list(results.values()), regions, config, backend)
        folder.save_global(key, found)
    return found


def _identities(events: ProcessedEvents, observed: Mapping[str, Dataset]) -> list[Any]:
    """Say what the searched events are, wherever their files lie."""
    return [[name, dataset.is_signal, events.records[name]["parts"]] for name, dataset in observed.items()]


def _read_table(events: ProcessedEvents, observed: Mapping[str, Dataset], folder: ResultsFolder) -> EventTable:
    paths = [
        folder.parts / events.digest / f"dataset={name}" / part
        for name in observed
        for part in events.records[name]["parts"]
    ]
    scales = {name: dataset.scale(events.records[name]["sum_of_weights"]) for name, dataset in observed.items()}
    return EventTable.from_parts(paths, scales)


def _summarise(
    results: Mapping[str, WindowResult], total: GlobalResult, regions: RegionScan, config: SearchConfig, blinded: bool
) -> ScanSummary:
    trials = {
        "windows": len(regions.windows),
        "selections": len(config.learning.efficiencies) + 1,
        "total": n_trials(regions, config),
    }
    return ScanSummary(tuple(results.values()), total, blinded, trials)


def _truth(observed: Iterable[Dataset]) -> tuple[str, ...] | None:
    datasets = list(observed)
    if any(dataset.kind == "data" for dataset in datasets):
        return None
    return tuple(dataset.name for dataset in datasets if dataset.is_signal)


def _threshold(observed: Iterable[Dataset]) -> float | None:
    """Highest generator threshold among the backgrounds that are searched, GeV."""
    thresholds = [
        dataset.pt_hat_min for dataset in observed if not dataset.is_signal and dataset.pt_hat_min is not None
    ]
    return max(thresholds, default=None)


def _dataset(document: dict[str, Any]) -> Dataset:
    files = tuple((path, tree) for path, tree in document.pop("files"))
    masses = tuple((name, mass) for name, mass in document.pop("masses"))
    return Dataset(files=files, masses=masses, **document)
