"""Plan of the processing: the chunks of each dataset, and which of them are already processed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from coffea.processor import Runner
from coffea.processor.executor import WorkItem

from analysis.core.location import Location
from analysis.errors import DatasetError, InputFileError
from analysis.events.dataset import Dataset
from analysis.events.parts import events_folder, read_part_info, variation_folder, weights_folder
from processors.dijet import DijetProcessor, part_name
from processors.runner.content import CONTENT
from processors.runner.executor import BadFile, BadFiles
from processors.variations import Systematics

__all__ = ["FileRecord", "Plan", "make_plans", "require_no_shared_files"]


@dataclass(frozen=True)
class FileRecord:
    """One input file.

    Attributes
    ----------
    dataset, filename, treename : str
    uuid : str
        Identifier of the file from ROOT; files with the same one and another content are different files.
    n_entries : int
        Number of events in the tree.
    content : str
        Digest of the content of the file, see `processors.runner.content`.
    """

    dataset: str
    filename: str
    treename: str
    uuid: str
    n_entries: int
    content: str

    @property
    def identity(self) -> tuple[str, str]:
        """UUID and content, which a copy shares."""
        return self.uuid, self.content


@dataclass(frozen=True)
class Plan:
    """Chunks of one dataset, with the runner and the processor for them.

    Attributes
    ----------
    dataset : Dataset
    runner : coffea.processor.Runner
    processor : DijetProcessor
    files : tuple of FileRecord
        All files, including files without events.
    items : tuple of WorkItem
        Chunks to process, none of them empty.
    skipped : tuple of BadFile
        Files that are left out; `files` and `items` do not include them.
    """

    dataset: Dataset
    runner: Runner
    processor: DijetProcessor
    files: tuple[FileRecord, ...]
    items: tuple[WorkItem, ...]
    skipped: tuple[BadFile, ...] = ()

    def path(self, item: WorkItem) -> Location:
        """Return the location of the part of a chunk."""
        return events_folder(self.processor.folder, item.dataset) / _name(item)

    @property
    def systematics(self) -> Systematics:
        """Systematics that apply to the dataset."""
        return self.processor.systematics.of(self.dataset.name, self.dataset.kind)

    def varied_path(self, item: WorkItem, variation: str) -> Location:
        """Return the location of the part of a chunk with varied jets."""
        return variation_folder(self.processor.folder, variation, item.dataset) / _name(item)

    def weights_path(self, item: WorkItem) -> Location:
        """Return the location of the varied weights of a chunk."""
        return weights_folder(self.processor.folder, item.dataset) / _name(item)

    def paths(self, item: WorkItem) -> list[Location]:
        """Return the locations of all parts that a chunk may have, the nominal one first."""
        varied = [self.varied_path(item, variation) for variation in self.systematics.tables]
        return [self.path(item), *varied, self.weights_path(item)]

    def info(self, item: WorkItem) -> dict[str, Any] | None:
        """Return the record of the part of a chunk, or None if the chunk has to be processed."""
        info = read_part_info(self.path(item))
        if info is None or self.processor.required & set(info.get("unavailable", ())):
            return None
        wanted = self.processor.origin(
            {
                **self.dataset.run_metadata(),
                "dataset": item.dataset,
                "treename": item.treename,
                "entrystart": item.entrystart,
                "entrystop": item.entrystop,
                CONTENT: _content(item),
            }
        )
        *paths, weights = self.paths(item)
        paths += [weights] if info.get("varied_weights") else []
        infos = [info, *map(read_part_info, paths[1:])]
        return info if all(one is not None and _is_of(one, wanted) for one in infos) else None

    def missing(self) -> list[WorkItem]:
        """Return the chunks that have to be processed."""
        return [item for item in self.items if self.info(item) is None]

    def without(self, bad: BadFiles) -> Plan:
        """Return the plan without bad files, each left out as a whole."""
        entries = {record.filename: record.n_entries for record in self.files}
        skipped = [file for file in bad.values() if file.dataset == self.dataset.name]
        return replace(
            self,
            files=tuple(record for record in self.files if not bad.covers(record)),
            items=tuple(item for item in self.items if not bad.covers(item)),
            skipped=tuple(replace(file, n_entries=entries.get(file.filename)) for file in skipped),
        )


def _is_of(info: Mapping[str, Any], origin: Mapping[str, Any]) -> bool:
    return all(info.get(key) == value for key, value in origin.items())


def _content(item: WorkItem) -> str:
    return str((item.usermeta or {})[CONTENT])


def _name(item: WorkItem) -> str:
    return part_name(str(UUID(bytes=item.fileuuid)), item.entrystart, item.entrystop)


def make_plans(datasets: Sequence[Dataset], runner: Runner, processor: DijetProcessor, bad: BadFiles) -> list[Plan]:
    """Open the files of datasets and divide them into chunks.

    Parameters
    ----------
    datasets : sequence of Dataset
        Datasets in the format that the runner reads.
    runner : coffea.processor.Runner
    processor : DijetProcessor
    bad : BadFiles
        Extended by the runner with the files that cannot be opened; they have no chunks.

    Returns
    -------
    list of Plan
        One per dataset, in order.

    Raises
    ------
    InputFileError
        If a file is listed twice, or no file of a dataset holds events although all of them can be opened.
    """
    fileset = {name: entry for dataset in datasets for name, entry in dataset.to_runner().items()}
    chunks = list(runner.preprocess(fileset))
    plans = []
    for dataset in datasets:
        items = [item for item in chunks if item.dataset == dataset.name]
        files = _file_records(dataset, items, bad)
        if not any(record.n_entries for record in files) and len(files) == len(dataset.files):
            msg = (
                f"dataset {dataset.name}: its files hold no events: {', '.join(name for name, _ in dataset.files)}. "
                "Make them again, or remove the dataset."
            )
            raise InputFileError(msg)
        kept = _truncate([item for item in _told_apart(items) if len(item)], dataset.max_entries)
        plans.append(Plan(dataset, runner, processor, files, kept))
    return plans


def _file_records(dataset: Dataset, items: Sequence[WorkItem], bad: BadFiles) -> tuple[FileRecord, ...]:
    records: dict[tuple[str, str], FileRecord] = {}
    for filename, tree in dataset.files:
        if (dataset.name, filename) in bad:
            continue
        chunks = [item for item in items if item.filename == filename]
        uuid, entries = str(UUID(bytes=chunks[0].fileuuid)), max(item.entrystop for item in chunks)
        record = FileRecord(dataset.name, filename, tree, uuid, entries, _content(chunks[0]))
        first = records.setdefault(record.identity, record)
        if first is not record:
            msg = (
                f"dataset {dataset.name}: {filename} is a copy of {first.filename} (UUID {uuid}); its events would be "
                "counted twice. Remove one of them."
            )
            raise InputFileError(msg)
    return tuple(records.values())


def _told_apart(items: Sequence[WorkItem]) -> list[WorkItem]:
    """Replace the UUID of different files that share it, as files of a reproducible production do.

    Parts and Delphes events are known by the UUID. The new one follows from UUID and content, not from the order of
    the files.
    """
    contents: dict[str, set[str]] = defaultdict(set)
    for item in items:
        contents[item.fileuuid].add(_content(item))
    return [replace(item, fileuuid=_own_uuid(item)) if len(contents[item.fileuuid]) > 1 else item for item in items]


def _own_uuid(item: WorkItem) -> bytes:
    return uuid5(UUID(bytes=item.fileuuid), _content(item)).bytes


def _truncate(items: Sequence[WorkItem], max_entries: int | None) -> tuple[WorkItem, ...]:
    remaining = sum(map(len, items)) if max_entries is None else max_entries
    kept = []
    for item in items:
        if remaining <= 0:
            break
        kept.append(replace(item, entrystop=min(item.entrystop, item.entrystart + remaining)))
        remaining -= len(kept[-1])
    return tuple(kept)


def require_no_shared_files(plans: Sequence[Plan]) -> None:
    """Raise if two observed datasets share a file.

    Raises
    ------
    DatasetError
        If the same file belongs to two observed datasets.
    """
    owner: dict[tuple[str, str], FileRecord] = {}
    for record in (file for plan in plans if plan.dataset.is_observed for file in plan.files):
        first = owner.setdefault(record.identity, record)
        if first is not record:
            msg = (
                f"datasets {first.dataset} and {record.dataset} hold the same file ({first.filename} and "
                f"{record.filename}); its events would be searched twice. Remove it from one of them."
            )
            raise DatasetError(msg)
