"""Values that `process.json` holds: the selected events of each dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.core.documents import ABSENT, from_json
from analysis.core.text_files import shown
from analysis.events.dataset import Dataset
from analysis.results.values import Cut

__all__ = ["LargestWeight", "ProcessFile", "ProcessedDataset", "ReadFile", "UnreadFile"]


@dataclass(frozen=True)
class ReadFile:
    """One input file that was read."""

    dataset: str
    filename: str
    treename: str
    uuid: str
    n_entries: int
    content: str | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True)
class UnreadFile:
    """One skipped input file; `n_entries` is None if it cannot be opened."""

    dataset: str
    filename: str
    reason: str
    n_entries: int | None = None


@dataclass(frozen=True)
class LargestWeight:
    """Largest generator weight in a row of the cutflow; see `processors.runner.weights.ExtremeWeights`."""

    events: int
    effective_events: float
    largest: float
    share: float
    file: str


@dataclass(frozen=True, kw_only=True)
class ProcessedDataset:
    """Selected events of one dataset; see `processors.runner.run.DatasetResult`.

    Attributes
    ----------
    parts : tuple of str
        Names of the parquet files.
    n_entries : int
        Number of events read.
    sum_of_weights : float or None
    normalisation : str
    cutflow, n_minus_one : mapping of str to Cut
    sanity : mapping of str to int
    files : tuple of ReadFile
    skipped_files : tuple of UnreadFile
    systematics : str or None
    variations : tuple of str
    varied_sums : mapping of str to float
    weights : mapping of str to LargestWeight
        By row of the cutflow; of simulation only.
    dataset : mapping
        Entry in the datasets file.
    """

    parts: tuple[str, ...]
    n_entries: int
    sum_of_weights: float | None
    normalisation: str = ""
    cutflow: Mapping[str, Cut]
    n_minus_one: Mapping[str, Cut]
    sanity: Mapping[str, int]
    files: tuple[ReadFile, ...]
    skipped_files: tuple[UnreadFile, ...]
    systematics: str | None = None
    variations: tuple[str, ...] = ()
    varied_sums: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, LargestWeight] = field(default_factory=dict)
    dataset: Mapping[str, Any]


@dataclass(frozen=True)
class _Systematic:
    """Entry of `ProcessFile.systematics`; see `processors.variations`."""

    name: str
    kind: str
    effect: str
    datasets: tuple[str, ...]
    sides: tuple[str, ...]
    members: tuple[int | str, ...]
    combine: str | None
    value: float | None


@dataclass(frozen=True, kw_only=True)
class ProcessFile:
    """Content of `process.json`.

    Attributes
    ----------
    digest : str
        Fingerprint of the selection; names the folder of the parts.
    datasets : mapping of str to ProcessedDataset
    selection : mapping
        Section `[selection]` of the configuration.
    systematics, configured_systematics : tuple of mapping
    plugins : tuple of mapping
    parts : str or None
        Address of the parts; None if they are in the results folder.
    """

    digest: str
    systematics: tuple[Mapping[str, Any], ...] = ()
    datasets: Mapping[str, ProcessedDataset]
    parts: str | None = None
    selection: Mapping[str, Any]
    configured_systematics: tuple[Mapping[str, Any], ...] = ()
    plugins: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name, record in self.datasets.items():
            try:
                Dataset.from_json(record.dataset)
            except ValueError as error:
                msg = f"dataset {shown(name)}, {error}"
                raise ValueError(msg) from error
        from_json(tuple[_Systematic, ...], self.systematics)
