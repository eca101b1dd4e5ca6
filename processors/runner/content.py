"""Digest of the content of an input file from a few reads, so that a file that was changed in place is read again.

The UUID of a file and its number of events do not change when it is rewritten by a tool that preserves them. Its size,
its head and its end (where ROOT stores the tree with the sizes and positions of all baskets, and the dates of the keys)
do, and blocks in between detect changes inside the file. A file that was copied or moved keeps its digest.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from coffea.processor import Runner
from coffea.processor.executor import FileMeta

from analysis.errors import InputFileError
from processors.opening import OPTIONS, open_root

__all__ = ["CONTENT", "ContentRunner", "file_content"]

CONTENT = "content"
"""Name of the digest in the metadata of a chunk."""

_END = 65_536
_BLOCKS, _BLOCK = 16, 2_048


class ContentRunner(Runner):
    """coffea runner whose chunks carry the digest of the content of their file."""

    @staticmethod
    def metadata_fetcher_root(
        xrootdtimeout: int, align_clusters: bool, uproot_options: dict[str, Any], item: FileMeta
    ) -> Any:
        """Read the UUID, the number of events and the content digest of a file."""
        try:
            files = Runner.metadata_fetcher_root(xrootdtimeout, align_clusters, {**uproot_options, **OPTIONS}, item)
        except AttributeError as error:
            if error.name != "num_entries":
                raise
            msg = (
                f"{item.filename} (dataset {item.dataset}): '{item.treename}' is not a tree. Correct the tree in the "
                "datasets file."
            )
            raise InputFileError(msg) from error
        content = file_content(item.filename, timeout=xrootdtimeout)
        for file in files:
            file.metadata[CONTENT] = content
        return files


def file_content(address: str, **options: Any) -> str:
    """Digest of the size, the head, the end and blocks of a file, from any address that uproot can read.

    Parameters
    ----------
    address : str
        Path or address.
    **options
        Options of `uproot.open`.

    Returns
    -------
    str
        16 hex digits; of the whole content for files below 100 kB.
    """
    with open_root(address, **options) as directory:
        source = directory.file.source
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
