"""Answers of the catalogues DAS (CMS) and rucio, saved as JSON, as datasets with their files and replicas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.core.counted import counted
from analysis.core.text_files import check_document, load_json
from analysis.events.filesets.lists import FilesetError

__all__ = ["CataloguedDataset", "read_catalogue"]

_READABLE = {"root": "root", "xroot": "root", "https": "https", "davs": "https", "http": "http", "file": "file"}
"""Protocols of replicas that can be read, and the one that they are read with."""

_LOGICAL = re.compile(r"/store/(?P<kind>data|mc)/(?P<era>[^/]+)/(?P<primary>[^/]+)/(?P<tier>[^/]+)/(?P<version>[^/]+)/")
"""Logical name of a file in CMS."""

_TIERS = {"NANOAODSIM": "nanoaod", "NANOAOD": "nanoaod", "DAOD_PHYSLITE": "physlite"}


@dataclass
class CataloguedDataset:
    """A dataset as a catalogue knows it.

    Attributes
    ----------
    name : str
        Such as "/JetHT/Run2016G-UL2016_MiniAODv2_NanoAODv9-v1/NANOAOD"; empty if the catalogue does not tell.
    files : dict of str to tuple of str
        Replicas of each file, the best first; none for a logical name.
    kind, format : str or None
        None if the catalogue does not tell.
    """

    name: str
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kind: str | None = None
    format: str | None = None


def read_catalogue(text: str) -> list[CataloguedDataset] | None:
    """Read the JSON output of `dasgoclient -query="file dataset=..." -json` or of rucio's list of replicas.

    Parameters
    ----------
    text : str
        A JSON list, or one JSON object per line.

    Returns
    -------
    list of CataloguedDataset or None
        None if the text is neither.

    Raises
    ------
    FilesetError
        If it is such an output, but names no file that can be read.
    """
    records = _records(text)
    if not records:
        return None
    if all("das" in record for record in records):
        found = _das_files(records)
    elif all("name" in record and ("pfns" in record or "rses" in record) for record in records):
        found = map(_rucio_file, records)
    else:
        return None
    datasets: dict[str, CataloguedDataset] = {}
    lost: list[str] = []
    for name, file, replicas in found:
        if replicas is None:
            lost.append(file)
            continue
        dataset = datasets.setdefault(name, _dataset(name, file))
        dataset.files.setdefault(file, replicas)
    if lost:
        msg = (
            f": {counted(len(lost), 'file has', 'files have')} no replica that is available on disk by root://, "
            f"https:// or davs://, such as {lost[0]}. Ask the catalogue for others, or leave them out"
        )
        raise FilesetError(msg)
    if not datasets:
        msg = ": the answer of DAS names no valid file. Query it with `file dataset=...` and the option -json"
        raise FilesetError(msg)
    return list(datasets.values())


def _records(text: str) -> list[dict[str, Any]]:
    """Return the records of a list, or of lines; an empty list if it is neither."""
    try:
        document = load_json(text, longest=None)
    except ValueError:
        document = list(_lines(text))
    records = document if isinstance(document, list) else [document]
    return records if all(isinstance(record, dict) for record in records) else []


def _lines(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        if line.strip(" ,[]"):
            try:
                record = json.loads(line.strip().rstrip(","))
            except (ValueError, RecursionError):
                yield None
                return
            check_document(record)
            yield record


def _das_files(records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, tuple[str, ...] | None]]:
    """Yield the valid files; a file may occur several times, once for each service that DAS asked."""
    for record in records:
        for file in record.get("file") or []:
            if isinstance(file, dict) and isinstance(file.get("name"), str) and file.get("is_file_valid", 1):
                yield _das_dataset(file), file["name"], ()


def _das_dataset(file: Mapping[str, Any]) -> str:
    block = file.get("block.name") or file.get("block_name") or ""
    return str(file.get("dataset") or str(block).partition("#")[0] or _logical_dataset(file["name"]))


def _rucio_file(record: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...] | None]:
    """Dataset, file and replicas of a record; None for the replicas if none can be read."""
    name, scope = str(record["name"]), str(record.get("scope") or "")
    dataset = _parent(record) or _logical_dataset(name) or scope
    states: Mapping[str, Any] = record.get("states") or {}
    available = []
    for pfn, place in _places(record):
        readable = _readable(pfn)
        if readable and states.get(str(place.get("rse")), "AVAILABLE") == "AVAILABLE" and place.get("type") != "TAPE":
            available.append((place.get("priority") or 1, readable))
    replicas = tuple(dict.fromkeys(address for _, address in sorted(available, key=lambda one: one[0])))
    return dataset, name, replicas or None


def _places(record: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if record.get("pfns"):
        yield from record["pfns"].items()
        return
    for rse, pfns in (record.get("rses") or {}).items():
        yield from ((pfn, {"rse": rse}) for pfn in pfns)


def _readable(pfn: str) -> str | None:
    protocol, mark, rest = pfn.partition("://")
    return f"{_READABLE[protocol]}://{rest}" if mark and protocol in _READABLE else None


def _parent(record: Mapping[str, Any]) -> str:
    """Dataset of a record that was asked for with its parents."""
    parents = [str(one).partition(":")[2] for one in record.get("parents") or []]
    return min(parents, key=len).partition("#")[0] if parents else ""


def _logical_dataset(name: str) -> str:
    found = _LOGICAL.match(name)
    return f"/{found['primary']}/{found['era']}-{found['version']}/{found['tier']}" if found else ""


def _dataset(name: str, file: str) -> CataloguedDataset:
    """Tell kind and format from the names that CMS and ATLAS give."""
    tier = next((tier for tier in _TIERS if tier in name.split("/") or tier in f"{name}.{file}".split(".")), None)
    logical = _LOGICAL.match(file)
    kind = None
    if logical:
        kind = "data" if logical["kind"] == "data" else "background"
    elif found := re.match(r"(data|mc)\d\d_", name):
        kind = "data" if found[1] == "data" else "background"
    return CataloguedDataset(name, kind=kind, format=_TIERS.get(tier or ""))
