"""Keep a file open, with its trees, while one task after another reads it.

uproot reads a tree with all its branches, which takes seconds of CPU for the thousands of NanoAOD, and coffea opens the
file for its number of events and then once for each chunk.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from uproot.source.chunk import Source
from uproot.source.file import MultithreadedFileSource

from processors.opening import OPTIONS, FileHandler, place_of
from processors.remote import RemoteSource

__all__ = ["forget_file", "kept_options"]

Identity = tuple[str, *tuple[int | str, ...]]


class _Kept(Source):
    """Reader of a file that those who open it cannot close."""

    def __exit__(self, *error: object) -> None:
        """Stay open."""

    def release(self) -> None:
        """Close the file."""
        super().__exit__(None, None, None)


class _KeptLocal(_Kept, MultithreadedFileSource):
    pass


class _KeptRemote(_Kept, RemoteSource):
    pass


class _Latest(threading.local):
    """The file that a thread read last.

    Attributes
    ----------
    identity : tuple or None
        Path, device, inode, size, and times of the last changes of content and of anything else; URL, and what is known
        of the content.
    source : _Kept or None
    objects : dict
        Trees and other objects of the file, by uproot's keys, which hold the UUID that other files may share.
    """

    identity: Identity | None = None
    source: _Kept | None = None

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}


_latest = _Latest()


class _KeptFile(FileHandler):
    """Handler of uproot that opens a file again only if another one was read."""

    local, remote = _KeptLocal, _KeptRemote

    def __new__(cls, address: str, **options: Any) -> Any:
        if _latest.identity is None or _latest.identity[0] != place_of(address):
            return FileHandler(address, **options)
        if _latest.source is None:
            _latest.source = super().__new__(cls, address, **options)
        return _latest.source


def kept_options(address: str, content: str | None = None) -> dict[str, Any]:
    """Return options of `uproot.open` that keep a file open, with what is read of its trees.

    The file that the thread read before is closed, also if it was changed since then.

    Parameters
    ----------
    address : str
        Path or URL.
    content : str, optional
        Digest of the content of a file on a server; without one it is opened as ever.

    Returns
    -------
    dict
    """
    identity = _identity(address, content)
    if identity is None or identity != _latest.identity:
        forget_file()
        _latest.identity = identity
    return OPTIONS if identity is None else {**OPTIONS, "handler": _KeptFile, "object_cache": _latest.objects}


def forget_file() -> None:
    """Close the file that this thread read last, and forget its trees."""
    source, _latest.identity, _latest.source, _latest.objects = _latest.source, None, None, {}
    if source is not None:
        source.release()


def _identity(address: str, content: str | None) -> Identity | None:
    """Return what tells a file from others and from what it was before; None if that is not known."""
    path = place_of(address)
    if "://" in path:
        return None if content is None else (path, content)
    try:
        found = os.stat(path)  # noqa: PTH116 - a path of any text
    except OSError:
        return None
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
