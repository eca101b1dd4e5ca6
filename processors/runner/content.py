"""What an input file holds, as far as a few reads can say: a file that was changed in place is read again.

The UUID of a file and its number of events stay the same when it is rewritten by a tool that keeps them. Its size, its
head and its end (where ROOT keeps the tree with the sizes and places of all baskets, and the dates of the keys) do not,
and blocks between them catch what was changed inside. A file that was copied or moved keeps its content.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import uproot
from coffea.processor import Runner
from coffea.processor.executor import FileMeta

__all__ = ["CONTENT", "ContentRunner", "file_content"]

CONTENT = "content"
"""Name of the digest in the metadata of a chunk."""

_END = 65_536
_BLOCKS, _BLOCK = 16, 2_048


class ContentRunner(Runner):
    """coffea's runner, whose chunks know what their file holds."""

    @staticmethod
    def metadata_fetcher_root(
        xrootdtimeout: int, align_clusters: bool, uproot_options: dict[str, Any], item: FileMeta
    ) -> Any:
        """Read UUID, number of events and content of a file."""
        found = Runner.metadata_fetcher_root(xrootdtimeout, align_clusters, uproot_options, item)
        content = file_content(item.filename, timeout=xrootdtimeout)
        for one in found:
            one.metadata[CONTENT] = content
        return found


def file_content(address: str, **options: Any) -> str:
    """Digest of the size, the head, the end and blocks of a file, wherever uproot can read it.

    Parameters
    ----------
    address : str
        Path or address.
    **options
        Of `uproot.open`.

    Returns
    -------
    str
        16 hex digits; the whole content where the file is below 100 kB.
    """
    with uproot.open({address: None}, **options) as directory:
        source = directory.file.source
        size = int(source.num_bytes)
        total = sha256(str(size).encode())
        for start, stop in _ranges(size):
            total.update(bytes(source.chunk(start, stop).raw_data))
    return total.hexdigest()[:16]


def _ranges(size: int) -> list[tuple[int, int]]:
    """Bytes that are read: all of a small file, and of a large one blocks at even distances and the end."""
    rest = size - _END
    if rest <= _BLOCKS * _BLOCK:
        return [(0, size)]
    starts = [rest * number // _BLOCKS for number in range(_BLOCKS)]
    return [*((start, start + _BLOCK) for start in starts), (rest, size)]
