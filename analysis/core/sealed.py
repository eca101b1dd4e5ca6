"""Files that hold the SHA-256 of their own bytes, so that a copy anywhere tells whether it is still the written one.

The value stands in the file as text, in a place that the format has for text: the prefix `§sha256:` and 64 hex digits,
computed with 64 zeros in their place. No JSON text of ASCII characters holds the prefix.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

__all__ = ["UNSEALED", "is_sound", "is_sound_file", "seal", "seal_file"]

_PREFIX = "§sha256:".encode()
_DIGITS = 64
_ZEROS = b"0" * _DIGITS

UNSEALED = _PREFIX + _ZEROS
"""Value to write before `seal` puts the digest there."""


def seal(content: bytes) -> bytes:
    """Put the digest of a file into it.

    Parameters
    ----------
    content : bytes
        The whole file, with `UNSEALED` as the last place that begins with the prefix.

    Returns
    -------
    bytes
        The file to store, of the same length.
    """
    start = _digits(content)
    if content[start : start + _DIGITS] != _ZEROS:
        msg = "the content has no place for its digest"
        raise ValueError(msg)
    with memoryview(content) as view:
        return b"".join((view[:start], _digest(content, start), view[start + _DIGITS :]))


def is_sound(content: bytes) -> bool:
    """Return whether a file is as `seal` returned it; false for any other file."""
    start = _digits(content)
    return content[start : start + _DIGITS] == _digest(content, start)


def seal_file(path: Path) -> None:
    """Put the digest of a file into it, in place, without reading it into memory; see `seal`."""
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as content:
        start = _digits(content)
        if content[start : start + _DIGITS] != _ZEROS:
            msg = "the file has no place for its digest"
            raise ValueError(msg)
        content[start : start + _DIGITS] = _digest(content, start)


def is_sound_file(path: Path) -> bool:
    """Return whether a file is as `seal_file` left it, without reading it into memory; false for any other file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as stream:
        if not stream.seek(0, 2):
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = _digits(content)
            return content[start : start + _DIGITS] == _digest(content, start)


def _digits(content: bytes | mmap.mmap) -> int:
    """Position of the hex digits; of the end, where there are none, if the prefix is missing."""
    found = content.rfind(_PREFIX)
    return len(content) if found < 0 else found + len(_PREFIX)


def _digest(content: bytes | mmap.mmap, start: int) -> bytes:
    with memoryview(content) as view, view[:start] as before, view[start + _DIGITS :] as after:
        total = hashlib.sha256(before)
        total.update(_ZEROS)
        total.update(after)
    return total.hexdigest().encode()
