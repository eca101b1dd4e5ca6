"""Files of a dataset: as a dictionary, a list, or the name of a file that lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from analysis.core.text_files import load_json, read_text, shown

__all__ = ["TREES", "FilesetError", "ListedFile", "list_files", "read_list"]

TREES = {"nanoaod": "Events", "delphes": "Delphes", "physlite": "CollectionTree"}
"""Tree of each format, for filesets that name only one of the two."""

_KNOWN = frozenset(
    {"object_path", "steps", "num_entries", "num_selected_entries", "uuid", "format", "lfn", "pfn", "replicas", "form"}
    | {"compressed_form", "is_directory"}
)
"""Keys of a file: those of coffea, and `replicas`."""

_COMMENT = re.compile(r"(?:^|\s)#.*")


class FilesetError(ValueError):
    """A form that cannot be read. The message begins with the place, as a JSON pointer."""


@dataclass(frozen=True)
class ListedFile:
    """A file, or a pattern for several, as a fileset names it.

    Attributes
    ----------
    address : str
        Path or URL, maybe with wildcards.
    tree : str or None
        None if the fileset does not name it.
    replicas : tuple of str
        Other addresses of the same file.
    folder : pathlib.Path
        Folder to which a path is relative.
    """

    address: str
    tree: str | None
    folder: Path
    replicas: tuple[str, ...] = ()


def list_files(files: Any, folder: Path) -> list[ListedFile]:
    """Read the files of a dataset in any of the forms in use.

    Parameters
    ----------
    files : dict, list or str
        `{path: tree}`, `{path: {"object_path": tree, "steps": ..., ...}}` as coffea's `preprocess` writes it, a list of
        paths, each of which may be a list of replicas, or the name of a file that lists them.
    folder : pathlib.Path
        Folder to which paths are relative.

    Raises
    ------
    FilesetError
        If the form is none of these. The message begins with the place, as a JSON pointer relative to the files.
    """
    if isinstance(files, str):
        return _named(files, folder)
    listed = list(_listed(files, folder))
    if not listed:
        msg = ": List should have at least 1 item"
        raise FilesetError(msg)
    return listed


def read_list(path: Path) -> list[ListedFile]:
    """Read a list of files: JSON, or text with one file per line, where `#` begins a comment.

    Raises
    ------
    OSError
        If the list cannot be read.
    ValueError
        If it is no such list, or is empty.
    """
    text = read_text(path)
    if text.lstrip().startswith(("[", "{")):
        return list_files(load_json(text), path.parent)
    lines = [_COMMENT.sub("", line).strip() for line in text.splitlines()]
    if not any(lines):
        msg = ": it lists no file"
        raise FilesetError(msg)
    return [ListedFile(line, None, path.parent) for line in lines if line]


def _named(name: str, folder: Path) -> list[ListedFile]:
    """Read a text that is the name of a list, or of the only file."""
    if "://" in name or name.endswith(".root") or Path(name).suffix not in (".txt", ".list", ".lst", ".json"):
        return [ListedFile(name, None, folder)]
    path = folder / name
    try:
        return read_list(path)
    except OSError as error:
        msg = f": cannot read the list {path}: {error.strerror}"
        raise FilesetError(msg) from error
    except (ValueError, UnicodeDecodeError) as error:
        msg = f": the list {path} cannot be used: {str(error).removeprefix(': ')}"
        raise FilesetError(msg) from error


def _listed(files: Any, folder: Path) -> Iterator[ListedFile]:
    if isinstance(files, Mapping):
        for address, tree in files.items():
            yield _described(address, tree, folder)
    elif isinstance(files, list):
        for number, one in enumerate(files):
            addresses = one if isinstance(one, list) else [one]
            if not addresses or not all(isinstance(address, str) and address for address in addresses):
                msg = f"/{number}: {shown(one)} is no path, nor a list of replicas"
                raise FilesetError(msg)
            yield ListedFile(addresses[0], None, folder, tuple(addresses[1:]))
    else:
        msg = ": Input should be a valid dictionary, a list of paths, or the name of a list"
        raise FilesetError(msg)


def _described(address: str, tree: Any, folder: Path) -> ListedFile:
    file = ListedFile(address, None, folder)
    if tree is None or isinstance(tree, str):
        return replace(file, tree=tree)
    where = f"/{address.replace('~', '~0').replace('/', '~1')}"
    if not isinstance(tree, Mapping):
        msg = f"{where}: Input should be a valid string, the name of the tree, or an object with object_path"
        raise FilesetError(msg)
    if unknown := [key for key in tree if key not in _KNOWN]:
        msg = f"{where}/{unknown[0]}: unknown key; known keys here: {', '.join(sorted(_KNOWN))}"
        raise FilesetError(msg)
    if tree.get("format") not in (None, "root"):
        msg = f"{where}/format: {shown(tree['format'])} files cannot be read, ROOT files only"
        raise FilesetError(msg)
    _require_whole(tree, where)
    path, replicas = tree.get("object_path"), tree.get("replicas", [])
    if not isinstance(path, str | None):
        msg = f"{where}/object_path: Input should be a valid string"
        raise FilesetError(msg)
    if not isinstance(replicas, list) or not all(isinstance(one, str) for one in replicas):
        msg = f"{where}/replicas: Input should be a list of addresses"
        raise FilesetError(msg)
    return replace(file, tree=path, replicas=tuple(replicas))


def _require_whole(described: Mapping[str, Any], where: str) -> None:
    """Refuse steps that choose a part of a file; steps that cover it are not needed, since chunks are planned anew.

    Raises
    ------
    ValueError
    """
    steps, entries = described.get("steps"), described.get("num_entries")
    if steps is None:
        return
    try:
        ordered = sorted((int(start), int(stop)) for start, stop in steps)
    except (TypeError, ValueError) as error:
        msg = f"{where}/steps: Input should be a list of [start, stop]"
        raise FilesetError(msg) from error
    starts, stops = [start for start, _ in ordered], [stop for _, stop in ordered]
    closed = all(before[1] == after[0] for before, after in pairwise(ordered))
    if not (entries == 0 or (ordered and closed and starts[0] == 0 and stops[-1] == entries)):
        msg = (
            f"{where}/steps: the steps choose a part of the {shown(entries)} events of the file, which is not "
            "supported. Remove them to use all events, or set metadata.max_entries"
        )
        raise FilesetError(msg)
