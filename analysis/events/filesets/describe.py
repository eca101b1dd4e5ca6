"""Entries of `datasets.json` from filesets, lists of files and answers of catalogues."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.core.atomic import replacing_file
from analysis.core.text_files import load_json, read_text
from analysis.errors import DatasetError
from analysis.events.filesets.catalogues import CataloguedDataset, read_catalogue
from analysis.events.filesets.lists import TREES, FilesetError, ListedFile, list_files, read_list
from analysis.events.filesets.metadata import complete
from analysis.events.filesets.reading import read_fileset

__all__ = ["Given", "add_to_file", "describe_datasets"]


@dataclass(frozen=True)
class Given:
    """Values for all datasets that replace those that are found.

    Attributes
    ----------
    name, kind, format, tree : str or None
    """

    name: str | None = None
    kind: str | None = None
    format: str | None = None
    tree: str | None = None


def describe_datasets(paths: Sequence[Path], given: Given) -> dict[str, Any]:
    """Make entries of `datasets.json`.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        JSON of DAS, rucio, coffea, PocketCoffea or columnflow, or texts with one file per line.
    given : Given

    Returns
    -------
    dict
        Entries by the name of the dataset; paths are absolute.

    Raises
    ------
    DatasetError
        If a file is none of these, the kind of a dataset is not known, or two datasets have the same name.
    """
    entries: dict[str, Any] = {}
    for path in paths:
        for name, entry in _entries(path, given):
            if name in entries and given.name is None:
                msg = f"{path}: the dataset {name} was listed before. Convert the files one by one, with --name."
                raise DatasetError(msg)
            known = entries.setdefault(name, entry)
            if known is not entry:
                known["files"] |= entry["files"]
    return entries


def add_to_file(path: Path, entries: Mapping[str, Any]) -> None:
    """Write entries to a datasets file, and keep those that it has.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has a dataset of the same name.
    ResultsError
        If it cannot be written.
    """
    try:
        before = read_fileset(path) if path.exists() else {}
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be added to: {error}. Name another --output."
        raise DatasetError(msg) from error
    if not isinstance(before, dict):
        msg = f"{path} cannot be added to: it is no fileset. Name another --output."
        raise DatasetError(msg)
    if doubled := sorted(set(before) & set(entries)):
        msg = f"{path} cannot be added to: it has {', '.join(doubled)} already. Name another --output, or a --name."
        raise DatasetError(msg)
    with replacing_file(path) as unfinished:
        unfinished.write_text(json.dumps({**before, **entries}, indent=2) + "\n", encoding="utf-8")


def _entries(path: Path, given: Given) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for name, files, metadata in _found(path):
            yield _entry(path, given.name or _plain(name or path.stem), files, metadata, given)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}."
        raise DatasetError(msg) from error
    except (ValueError, UnicodeDecodeError) as error:
        place = "" if str(error).startswith(("/", ":")) else ": "
        msg = f"{path}{place}{error}."
        raise DatasetError(msg) from error


def _found(path: Path) -> Iterator[tuple[str, list[ListedFile], dict[str, Any]]]:
    """Name, files and metadata of each dataset in a file of any kind."""
    if path.suffix == ".gz":
        yield from _fileset(read_fileset(path), path)
        return
    text = read_text(path)
    if not text.lstrip().startswith(("[", "{")):
        yield "", read_list(path), {}
    elif (catalogued := read_catalogue(text)) is not None:
        for dataset in catalogued:
            yield dataset.name, list(_catalogued(dataset, path)), _known(kind=dataset.kind, format=dataset.format)
    elif isinstance(document := load_json(text, longest=None), list):
        yield "", list_files(document, path.parent), {}
    else:
        yield from _fileset(read_fileset(path), path)


def _catalogued(dataset: CataloguedDataset, path: Path) -> Iterator[ListedFile]:
    for name, replicas in dataset.files.items():
        first, *others = replicas or (name,)
        yield ListedFile(first, None, path.parent, tuple(others))


def _fileset(document: Any, path: Path) -> Iterator[tuple[str, list[ListedFile], dict[str, Any]]]:
    for name, entry in document.items():
        content = entry if isinstance(entry, dict) and "files" in entry else {"files": entry}
        try:
            files = list_files(content["files"], path.parent)
        except FilesetError as error:
            msg = f"/{name}/files{error}"
            raise FilesetError(msg) from error
        yield name, files, dict(content.get("metadata") or {})


def _known(**values: str | None) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _plain(name: str) -> str:
    """Return a name of letters, digits and a few marks, which can name a folder."""
    return re.sub(r"[^A-Za-z0-9_.\-]+", "_", name.removesuffix("/NANOAOD").removesuffix("/NANOAODSIM")).strip("_")


def _entry(
    path: Path, name: str, files: Sequence[ListedFile], metadata: dict[str, Any], given: Given
) -> tuple[str, dict[str, Any]]:
    if given.kind is not None:
        metadata = {**metadata, "kind": given.kind}
    if given.format is not None:
        metadata = {**metadata, "format": given.format}
    metadata = complete(metadata, {given.tree, *(file.tree for file in files)})
    if "kind" not in metadata:
        msg = f": dataset {name}: {path.name} does not tell whether it is data or simulation. Give its --kind"
        raise FilesetError(msg)
    tree = TREES.get(metadata["format"], "Events")
    described = {_absolute(file.address, file.folder): _file(file, given.tree or file.tree or tree) for file in files}
    first = {key: metadata[key] for key in ("kind", "format")}
    return name, {"files": described, "metadata": {**first, **metadata}}


def _file(file: ListedFile, tree: str) -> Any:
    if not file.replicas:
        return tree
    return {"object_path": tree, "replicas": [_absolute(one, file.folder) for one in file.replicas]}


def _absolute(address: str, folder: Path) -> str:
    return address if "://" in address else os.path.abspath(folder / address)  # noqa: PTH100 - keeps symbolic links
