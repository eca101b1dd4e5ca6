"""Open and create ROOT files, so that neither the text of an address nor a UUID is taken for anything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uproot
from uproot.source.chunk import Source
from uproot.source.file import MultithreadedFileSource

from analysis.core.address import full_address
from processors.remote import RemoteSource

__all__ = ["OPTIONS", "FileHandler", "create_root", "open_root", "place_of"]


class FileHandler(Source):
    """Reader of files whose paths may hold what means a protocol (`file:`) or an archive (`::`) to fsspec."""

    local: type[MultithreadedFileSource] = MultithreadedFileSource
    remote: type[RemoteSource] = RemoteSource

    def __new__(cls, address: str, **options: Any) -> Any:
        """Open a path or URL."""
        options.pop("timeout", None)  # of coffea; uproot would hand it to file systems that do not know it
        place = place_of(address)
        return (cls.remote if "://" in place else cls.local)(place, **options)


def place_of(address: str) -> str:
    """Return the absolute path of a local file, or a URL as it is."""
    return address if "://" in address else os.path.abspath(address)  # noqa: PTH100 - keeps symbolic links


OPTIONS: dict[str, Any] = {"handler": FileHandler, "object_cache": None, "array_cache": None}
"""Options of `uproot.open`. Its caches go by the UUID of a file and outlive it, so that one of two files with the same
UUID would be read for the other. No column is read twice, and arrays of 100 MB per file would be kept."""


def open_root(address: str, **options: Any) -> Any:
    """Open a ROOT file; colons in a path are part of it.

    Parameters
    ----------
    address : str
        Path or URL.
    **options
        Options of `uproot.open`.

    Returns
    -------
    uproot.ReadOnlyDirectory
        Also a context manager, which closes the file.
    """
    return uproot.open({full_address(address): None}, **{**OPTIONS, **options})


@contextmanager
def create_root(path: Path, **options: Any) -> Iterator[Any]:
    """Create a ROOT file, or write over it, at a path of any name.

    Parameters
    ----------
    path : pathlib.Path
    **options
        Options of `uproot.recreate`.

    Yields
    ------
    uproot.WritableDirectory
    """
    with path.open("w+b") as stream, uproot.recreate(stream, **options) as file:
        yield file
