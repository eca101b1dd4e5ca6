"""Stage `process`: selection of dijet events from ROOT files, on any backend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.location import Location, RemotePath
from analysis.core.plugins import plugin_records
from analysis.core.text_files import open_regular
from analysis.errors import ConfigError
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.results import ResultsFolder
from analysis.results.processed_events import ProcessedEvents, load_processed
from analysis.results.selected_events import point_to_events, withdraw_pointer
from analysis.search.requirements import require_known
from analysis.stages.inputs import stage

__all__ = ["changed_files", "process", "selection_problem"]


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


def selection_problem(events: ProcessedEvents, config: SearchConfig, folder: ResultsFolder) -> str | None:
    """Return why `process` would select the events of a results folder again; None if it would not.

    Input files are not looked at, see `changed_files`.

    Parameters
    ----------
    events : ProcessedEvents
    config : SearchConfig
    folder : ResultsFolder

    Raises
    ------
    ConfigError
        If the configuration names a feature that does not exist.
    """
    from processors.preparation import processing_digest

    try:
        events.require_selection(config, folder)
    except ConfigError as error:
        return str(error)
    if not _of_tables(events) and events.digest != processing_digest(config):
        return "the events were selected with other features, other plugins or another version of cwola."
    paths = [path for name in events.datasets for path in events.part_paths(name, folder)]
    missing = [path for path in paths if isinstance(path, Path) and not path.is_file()]
    if missing:
        return f"{len(missing)} of {len(paths)} files of selected events are missing, such as {missing[0]}."
    return None


def changed_files(events: ProcessedEvents) -> list[str]:
    """Return the local input files that are not those that were read; missing ones are left out.

    Remote files and tables are not looked at.
    """
    from processors.runner.content import content_digest

    if _of_tables(events):
        return []
    local = [
        (Path(file.filename), file.content)
        for record in events.records.values()
        for file in record.files
        if file.content is not None and "://" not in file.filename
    ]
    changed = []
    for path, content in track(iter(local), total=len(local), description="Comparing input files"):
        try:
            with open_regular(path) as stream:
                if content_digest(_LocalFile(stream)) != content:
                    changed.append(str(path))
        except OSError:
            continue
    return changed


def _of_tables(events: ProcessedEvents) -> bool:
    from processors.tables.run import FORMAT

    return any(dataset.format == FORMAT for dataset in events.datasets.values())


class _LocalFile:
    """The part of the interface of a file opened with uproot that the digest of its content needs."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.num_bytes = os.fstat(stream.fileno()).st_size

    def chunk(self, start: int, stop: int) -> _Chunk:
        """Read a range of bytes."""
        self._stream.seek(start)
        return _Chunk(self._stream.read(stop - start))


@dataclass(frozen=True)
class _Chunk:
    raw_data: bytes
