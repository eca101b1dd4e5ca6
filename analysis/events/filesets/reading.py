"""Read a fileset from a JSON file, plain or gzipped, within limits."""

from __future__ import annotations

import errno
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

from analysis.core.text_files import MEDIUM, check_document, load_json, read_bytes

__all__ = ["read_fileset"]

_GZIP = b"\x1f\x8b"
_FORMS = ("form", "compressed_form")
"""Keys of coffea with the layout of all branches, which is read from the files instead."""


def read_fileset(path: Path) -> Any:
    """Read a fileset, and leave out the forms of branches that coffea adds to it.

    Raises
    ------
    OSError
        If the file cannot be read or is too large.
    ValueError
        If it is not JSON within the limits of `analysis.core.text_files`.
    """
    document = load_json(_unpacked(path).decode("utf-8-sig"), longest=None)
    if isinstance(document, dict):
        document = {name: _without_form(entry) for name, entry in document.items()}
    check_document(document)
    return document


def _without_form(entry: Any) -> Any:
    if not isinstance(entry, dict) or "files" not in entry:
        return entry
    return {key: value for key, value in entry.items() if key not in _FORMS}


def _unpacked(path: Path) -> bytes:
    content = read_bytes(path, MEDIUM)
    if not content.startswith(_GZIP):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            unpacked = stream.read(MEDIUM + 1)
    except (OSError, EOFError, zlib.error) as error:
        msg = f"it cannot be unpacked ({error})"
        raise ValueError(msg) from error
    if len(unpacked) > MEDIUM:
        raise OSError(errno.EFBIG, f"unpacked it is larger than {MEDIUM / 1e6:g} MB", str(path))
    return unpacked
