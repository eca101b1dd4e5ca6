"""Read the first events of a file as processing would read them, to learn what cannot be computed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import awkward as ak
import numpy as np
from coffea.nanoevents import NanoEventsFactory
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.errors import InputFileError
from processors.features import FEATURES
from processors.formats import Adapter
from processors.objects import Dijets, Jet
from processors.opening import open_root

__all__ = ["Task", "Trial", "try_reading"]

TRIED = 1000
"""Maximum number of events that are read."""


@dataclass(frozen=True)
class Task:
    """File as named by `explain` and in messages, with the dataset name of the entry for `datasets.json`."""

    dataset: str
    filename: str
    treename: str


@dataclass(frozen=True)
class Trial:
    """Outcome of reading the first events: a problem, or the features that lack a column, and optional ones at hand."""

    problem: str | None = None
    lacking: dict[str, list[str]] = field(default_factory=dict)
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Recorder:
    """Wraps a source of columns: records missing columns, and returns NaN for them."""

    source: Any
    missing: set[str]

    def column(self, name: str, index: Any) -> NDArray[Any]:
        """Return a column as the source does."""
        try:
            values: NDArray[Any] = self.source.column(name, index)
        except InputFileError:
            self.missing.add(name)
            values = np.full(len(index), np.nan)
        return values

    def holds(self, name: str) -> bool:
        """Whether the source holds a branch."""
        found: bool = self.source.holds(name)
        return found

    def jagged(self, name: str, index: Any) -> Any:
        """Return lists as the source does."""
        try:
            return self.source.jagged(name, index)
        except InputFileError:
            self.missing.add(name)
            return ak.unflatten(np.empty(0), np.zeros(len(index), np.int64))


def try_reading(adapter: Adapter, collection: str, task: Task, uuid: str) -> Trial:
    """Read the first events as simulation, and compute all features."""
    meta = {"filename": task.filename, "dataset": task.dataset, "kind": "background", "fileuuid": uuid, "entrystart": 0}
    with open_root(task.filename) as file:
        events = NanoEventsFactory.from_root(
            file=file,
            treepath=task.treename,
            schemaclass=adapter.schema,
            metadata=meta,
            mode="virtual",
            entry_stop=TRIED,
            iteritems_options=adapter.iteritems_options,
        ).events()
        try:
            dijets = adapter.read(events, SelectionConfig(jet_collection=collection))
        except InputFileError as error:
            return Trial(str(error).removeprefix(f"{task.filename} (dataset {task.dataset}): "))
        lacking: dict[str, list[str]] = {}
        for name in (name for name, feature in FEATURES.items() if not feature.optional):
            for column in _missing(name, dijets):
                lacking.setdefault(column, []).append(name)
        optional = (name for name, feature in FEATURES.items() if feature.optional and not _missing(name, dijets))
        return Trial(lacking=lacking, optional=tuple(optional))


def _missing(name: str, dijets: Dijets) -> set[str]:
    """Columns without which a feature cannot be computed."""
    missing: set[str] = set()
    jets = [Jet(_Recorder(jet.source, missing), jet.index) for jet in (dijets.first, dijets.second)]
    recorded = replace(dijets, first=jets[0], second=jets[1], events=_Recorder(dijets.events, missing))
    with np.errstate(all="ignore"):
        FEATURES[name].evaluate(recorded)
    return missing
