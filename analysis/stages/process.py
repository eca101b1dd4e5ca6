"""Stage `process`: selection of dijet events from ROOT files, on any backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.location import Location, RemotePath
from analysis.core.plugins import plugin_records
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.results import ResultsFolder
from analysis.results.processed_events import ProcessedEvents, load_processed
from analysis.results.selected_events import point_to_events, withdraw_pointer
from analysis.search.requirements import require_known
from analysis.stages.inputs import stage

__all__ = ["process"]


def process(
    datasets: Mapping[str, Dataset],
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    *,
    parts: Location | None = None,
    tables: Mapping[str, Mapping[str, Any] | EventTable] | None = None,
    **options: Any,
) -> ProcessedEvents:
    """Select events from ROOT files, or take over tables of selected events; parts already on disk are reused.

    Parameters
    ----------
    datasets : mapping of str to Dataset
    config : SearchConfig
    folder : ResultsFolder
    backend : Backend
    parts : Location, optional
        Folder of the selected events; defaults to the results folder.
    tables : mapping of str to table, optional
        Tables in memory, by dataset of the format "table": columns (n_events,) by name, masses in GeV, or an
        `EventTable`. See `analysis.config.table.TableConfig` for the names of the columns.
    **options
        `skip_bad_files` and `timeout` of `processors.runner.run.process_datasets`.

    Returns
    -------
    ProcessedEvents

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.compute import open_backend
    >>> from analysis.config import load_config
    >>> from analysis.events.datasets import load_datasets
    >>> from analysis.results import ResultsFolder
    >>> from analysis.stages.process import process
    >>> datasets = load_datasets(Path("datasets.json"))
    >>> config, folder = load_config(path=Path("search.toml")), ResultsFolder(Path("selected"), create=True)
    >>> with open_backend(1) as backend:
    ...     events = process({"hidden_signal": datasets["hidden_signal"]}, config, folder, backend)
    >>> cutflow = events.cutflow["hidden_signal"]
    >>> cutflow["all"].events, cutflow["abs_dy"].events, cutflow["search"].events
    (291, 253, 207)
    """
    from processors.runner.run import process_datasets
    from processors.tables.run import FORMAT, process_tables

    require_known(config)
    with stage("process"):
        withdraw_pointer(folder)
        if any(dataset.format == FORMAT for dataset in datasets.values()):
            result = process_tables(datasets, config, parts or folder.parts, tables)
        else:
            result = process_datasets(datasets, config, parts or folder.parts, backend, **options)
        document = result.to_json()
        document["parts"] = None if parts is None else str(parts.absolute())
        document["selection"] = config.selection.model_dump(mode="json")
        document["configured_systematics"] = [entry.model_dump(mode="json") for entry in config.systematics]
        document["plugins"] = plugin_records(of_events=True)
        for name, dataset in datasets.items():
            document["datasets"][name]["dataset"] = asdict(dataset)
        folder.save_process(document)
        folder.save_config(config)
        events = load_processed(folder)
        point_to_events(folder, events)
    # With the secrets of an address, which are stored nowhere.
    return replace(events, location=parts.root) if isinstance(parts, RemotePath) else events
