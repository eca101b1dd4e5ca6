"""Digest of the content of an input file from a few reads, so that a file that was changed in place is read again.

The UUID of a file and its number of events do not change when it is rewritten by a tool that preserves them. Its size,
its head and its end (where ROOT stores the tree with the sizes and positions of all baskets, and the dates of the keys)
do, and blocks in between detect changes inside the file. A file that was copied or moved keeps its digest.
"""

from __future__ import annotations

from hashlib import sha256
from inspect import signature
from typing import Any

from coffea.processor import Runner, set_accumulator
from coffea.processor.executor import FileMeta, UprootMissTreeError
from uproot.exceptions import KeyInFileError

from analysis.errors import InputFileError
from processors.keeping import kept_options
from processors.opening import open_root

__all__ = ["CONTENT", "ContentRunner", "content_digest"]

CONTENT = "content"
"""Name of the digest in the metadata of a chunk."""

_END = 65_536
_BLOCKS, _BLOCK = 16, 2_048


class ContentRunner(Runner):
    """coffea runner whose chunks carry the digest of the content of their file, which stays open for them."""

    @staticmethod
    def _work_function(*arguments: Any, **further: Any) -> Any:
        """Select the events of a chunk."""
        call = signature(Runner._work_function).bind(*arguments, **further)
        item = call.arguments["item"]
        kept = kept_options(item.filename, (item.usermeta or {}).get(CONTENT))
        call.arguments["uproot_options"] = {**call.arguments["uproot_options"], **kept}
        return Runner._work_function(*call.args, **call.kwargs)

    @staticmethod
    def metadata_fetcher_root(
        _xrootdtimeout: int, align_clusters: bool, uproot_options: dict[str, Any], item: FileMeta
    ) -> Any:
        """Read the UUID, the number of events and the content digest of a file, as coffea does but for the digest."""
        assert not align_clusters
        with open_root(item.filename, **{**uproot_options, **kept_options(item.filename)}) as file:
            try:
                tree = file[item.treename]
            except KeyInFileError as error:
                raise UprootMissTreeError(str(error)) from error
            known = {
                "numentries": _count(tree, item),
                "uuid": file.file.fUUID,
                CONTENT: content_digest(file.file.source),
            }
        return set_accumulator(
            [FileMeta(item.dataset, item.filename, item.treename, {**(item.metadata or {}), **known})]
        )


def _count(tree: Any, item: FileMeta) -> int:
    """Return the number of events; a wrong one would drop events, or fill the memory with the plan for them.

    Raises
    ------
    InputFileError
        If it is not a tree, or no branch has as many entries as the tree.
    """
    if not hasattr(tree, "num_entries"):
        msg = (
            f"{item.filename} (dataset {item.dataset}): '{item.treename}' is not a tree. Correct the tree in the "
            "datasets file."
        )
        raise InputFileError(msg)
    stated = int(tree.num_entries)
    found = sorted({int(branch.num_entries) for branch in getattr(tree, "branches", ())})
    if found and stated not in found:
        msg = (
            f"{item.filename} (dataset {item.dataset}): the tree '{item.treename}' states {stated} events, but its "
            f"branches hold {found[-1]}. The file is damaged: download or make it again."
        )
        raise InputFileError(msg)
    return stated


def content_digest(source: Any) -> str:
    """Digest of the size, the head, the end and blocks of a file.

    Parameters
    ----------
    source : uproot.source.chunk.Source
        Of an opened file, at any address.

    Returns
    -------
    str
        16 hex digits; of the whole content for files below 100 kB.
    """
    size = int(source.num_bytes)
    total = sha256(str(size).encode())
    for start, stop in _ranges(size):
        total.update(bytes(source.chunk(start, stop).raw_data))
    return total.hexdigest()[:16]


def _ranges(size: int) -> list[tuple[int, int]]:
    """Byte ranges to read: a small file as a whole; equidistant blocks and the end of a large file."""
    rest = size - _END
    if rest <= _BLOCKS * _BLOCK:
        return [(0, size)]
    starts = [rest * number // _BLOCKS for number in range(_BLOCKS)]
    return [*((start, start + _BLOCK) for start in starts), (rest, size)]
