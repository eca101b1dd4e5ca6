"""Read the tables of datasets, check them, and write the parts that all later stages use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.config import SearchConfig
from analysis.core.documents import digest
from analysis.core.fingerprint import fingerprint
from analysis.core.location import Location
from analysis.errors import ConfigError, DatasetError, InputFileError
from analysis.events.dataset import Dataset
from analysis.events.parts import events_folder, write_part
from analysis.events.schema import SEARCH_REGION, FeatureSpec
from analysis.events.table import EventTable
from processors.objects import Tally
from processors.runner.plan import FileRecord
from processors.runner.run import DatasetResult, ProcessResult
from processors.runner.weights import extreme_weights
from processors.tables.events import (
    Source,
    common_features,
    feature_specs,
    make_table,
    require_different_rows,
    require_distinct,
)
from processors.tables.reading import read_columns, to_columns
from processors.tally import add_up
from processors.variations import Systematics
from processors.weighting import Weights

__all__ = ["FORMAT", "process_tables"]

FORMAT = "table"
"""Value of `format` of datasets whose files are tables."""

MEMORY = "memory"
"""Name of the file of a table in memory."""

_CODE = ("processors.tables.events",)


def process_tables(
    datasets: Mapping[str, Dataset],
    config: SearchConfig,
    folder: Location,
    tables: Mapping[str, Mapping[str, Any] | EventTable] | None = None,
) -> ProcessResult:
    """Write the events of tables as parts, like those of ROOT files.

    Parameters
    ----------
    datasets : mapping of str to Dataset
        All of format "table".
    config : SearchConfig
        `[table]` names the columns. Nothing is selected, but for |Δy| if the tables hold it.
    folder : Location
        Folder of the parts.
    tables : mapping of str to table, optional
        Tables in memory, by dataset: columns (n_events,) by name, or an event table. They replace the files.

    Returns
    -------
    ProcessResult

    Raises
    ------
    ConfigError
        If the configuration names a column that is missing, or a systematic that needs ROOT files.
    DatasetError
        If a dataset cannot be read as a table, or not be normalised.
    InputFileError
        If a table cannot be read, holds values that are not allowed, or an event twice. Nothing is written then.
    """
    systematics = _prepare(config, datasets)
    by_dataset = {name: _sources(dataset, config, (tables or {}).get(name)) for name, dataset in datasets.items()}
    sources = [source for of_one in by_dataset.values() for source in of_one]
    sources.sort(key=lambda source: not source.dataset.is_observed)
    features = feature_specs(common_features(sources, config), sources)
    made = {name: [(one, make_table(one, features, config)) for one in of_one] for name, of_one in by_dataset.items()}
    for of_one in made.values():
        require_distinct(of_one)
    require_distinct([pair for name, of_one in made.items() if datasets[name].kind == "data" for pair in of_one])
    require_different_rows([pair for name, of_one in made.items() if datasets[name].is_observed for pair in of_one])
    stamp = _digest(config, features)
    results = {name: _write(datasets[name], of_one, config, folder.absolute() / stamp) for name, of_one in made.items()}
    return ProcessResult(stamp, folder.absolute() / stamp, results, systematics)


def _prepare(config: SearchConfig, datasets: Mapping[str, Dataset]) -> Systematics:
    for name, dataset in datasets.items():
        _require_usable(name, dataset)
    systematics = Systematics.prepare(config.systematics, datasets, config.random_state)
    for entry, systematic in systematics.entries:
        if systematic.effect != "rate":
            msg = f"{entry.where}: kind '{entry.kind}' needs ROOT files, and the datasets are tables. Remove the entry."
            raise ConfigError(msg)
    return systematics


def _require_usable(name: str, dataset: Dataset) -> None:
    if dataset.format != FORMAT:
        msg = (
            f"dataset {name} has the format {dataset.format}, but others are tables. Search tables and ROOT files in "
            "separate results folders, or leave one out with --exclude."
        )
        raise DatasetError(msg)
    for key in ("slice", "max_entries"):
        if getattr(dataset, key) is not None:
            msg = f"dataset {name}: {key} is for ROOT files. Write the wanted rows of the table to a file of their own."
            raise DatasetError(msg)
    if dataset.is_normalised and dataset.n_generated is None:
        msg = (
            f"dataset {name}: a table does not tell how many events were generated, so it cannot be normalised to "
            "xsec_pb. Give metadata.n_generated in the datasets file, the sum of weights before any cut."
        )
        raise DatasetError(msg)


def _sources(dataset: Dataset, config: SearchConfig, table: Mapping[str, Any] | EventTable | None) -> list[Source]:
    if isinstance(table, EventTable):
        return [Source.of_table(dataset, f"the table {dataset.name}", 0, table)]
    if table is not None:
        name = f"the table {dataset.name}"
        return [Source.of(dataset, name, 0, to_columns(table, name), config)]
    if not dataset.files:
        msg = f"dataset {dataset.name} has no files and no table in memory."
        raise DatasetError(msg)
    return [
        Source.of(dataset, path, number, _read(path, key), config) for number, (path, key) in enumerate(dataset.files)
    ]


def _read(path: str, key: str) -> dict[str, np.ndarray[Any, Any]]:
    if "://" in path:
        msg = f"{path}: tables are read from local files only. Download it first."
        raise InputFileError(msg)
    return read_columns(Path(path), key)


def _digest(config: SearchConfig, features: Iterable[FeatureSpec]) -> str:
    return fingerprint(
        code=_CODE,
        table=config.table.model_dump(mode="json"),
        selection=[config.selection.abs_dy_search, config.selection.abs_dy_validation, config.selection.jet_order],
        features=[spec.to_json() for spec in features],
    )


def _write(
    dataset: Dataset, made: Sequence[tuple[Source, EventTable]], config: SearchConfig, folder: Location
) -> DatasetResult:
    parts, infos, files = [], [], []
    for source, table in made:
        content = source.content()
        path = events_folder(folder, dataset.name) / f"{source.number}-{content}.parquet"
        info = _info(source, table, config) | {"content": content, "dataset": dataset.name, "kind": dataset.kind}
        write_part(path, table, info)
        parts.append(path)
        infos.append((source.name, info))
        file, tree = dataset.files[source.number] if dataset.files else (MEMORY, "")
        n_rows = len(source.columns[source.fixed["mjj"]])
        files.append(FileRecord(dataset.name, file, tree, content, n_rows, content))
    return DatasetResult(
        name=dataset.name,
        parts=tuple(parts),
        n_entries=sum(file.n_entries for file in files),
        sum_of_weights=dataset.n_generated,
        normalisation="none" if dataset.n_generated is None else "n_generated",
        cutflow=add_up(info["tallies"] for _, info in infos),
        n_minus_one={},
        sanity={},
        files=tuple(files),
        weights=extreme_weights(infos),
    )


def _info(source: Source, table: EventTable, config: SearchConfig) -> dict[str, Any]:
    weight = table.weight
    inside = weight[table.column("abs_dy") < config.selection.abs_dy_search]
    observed = source.dataset.is_observed
    rows = {"all": weight, SEARCH_REGION: inside}
    return {
        "format": FORMAT,
        "file": source.name,
        "settings": digest([FORMAT, config.table.model_dump(mode="json")]),
        "tallies": {name: Tally.of(values).to_json() for name, values in rows.items()},
        "weights": {} if observed else {name: Weights.of(values).to_json() for name, values in rows.items()},
    }
