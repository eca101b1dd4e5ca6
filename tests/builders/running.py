"""Process files with one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import uproot
from coffea.nanoevents import NanoEventsFactory

from analysis.compute import Serial
from analysis.config import SearchConfig, SelectionConfig
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from processors.formats import find_adapter
from processors.objects import Dijets
from processors.runner.run import DatasetResult, load_table, process_datasets

TREES = {"nanoaod": "Events", "delphes": "Delphes", "physlite": "CollectionTree"}


def dataset(*paths: Path, layout: str = "nanoaod", **options: Any) -> Dataset:
    """A dataset of background simulation named "sample", unless the options say otherwise."""
    files = tuple((str(path), TREES[layout]) for path in paths)
    return replace(Dataset("sample", "background", layout, files), **options)


def run(
    one: Dataset, folder: Path, selection: Mapping[str, Any] | None = None, **options: Any
) -> tuple[DatasetResult, EventTable]:
    """Process one dataset and read its events; `config` replaces the one that `selection` makes."""
    config = options.pop("config", None) or SearchConfig(selection=selection or {})
    result = process_datasets({one.name: one}, config, folder, options.pop("backend", Serial()), **options)
    return result.datasets[one.name], load_table(result, {one.name: one}, [one.name])


def read(path: Path, layout: str = "nanoaod", kind: str = "background", log: Any = None, **selection: Any) -> Dijets:
    """Dijets of a whole file."""
    adapter = find_adapter(layout, "toy")
    meta = {"filename": str(path), "dataset": "sample", "kind": kind, "fileuuid": "0", "entrystart": 0}
    file = uproot.open({path: None})  # stays open: columns are read when they are asked for
    events = NanoEventsFactory.from_root(
        file=file,
        treepath=TREES[layout],
        schemaclass=adapter.schema,
        metadata=meta,
        mode="virtual",
        access_log=log,
        iteritems_options=adapter.iteritems_options,
    ).events()
    return adapter.read(events, SelectionConfig(**selection))
