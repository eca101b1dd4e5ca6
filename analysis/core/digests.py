"""Digests of JSON documents and of source files."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["digest", "source_digest"]


def digest(document: Any) -> str:
    """SHA-256 (first 16 hex digits) of a JSON-serialisable document, independent of key order."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def source_digest(folder: Path, *, exclude: tuple[str, ...] = ()) -> str:
    """Digest of the Python sources below a folder, so that results of older code are not taken for new ones.

    Parameters
    ----------
    folder : pathlib.Path
    exclude : tuple of str
        Names of files or folders directly below it that do not matter.

    Returns
    -------
    str
        16 hex digits.
    """
    sources = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
        if path.relative_to(folder).parts[0] not in exclude
    }
    return digest(sources)
