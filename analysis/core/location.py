"""Locations of local or remote files: paths, and addresses of any file system that fsspec supports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from analysis.core.address import full_address, hide_secrets, parse_address
from analysis.core.atomic import replacing_file
from analysis.errors import ConfigError, writing

__all__ = ["Location", "RemotePath", "parse_location", "read_file", "reading", "remove_file", "write_file"]

_LOCAL = ("file://", "local://")


@dataclass(frozen=True)
class RemotePath:
    """A file or folder below an address, with a subset of the interface of `pathlib.Path`.

    Attributes
    ----------
    root : str
        Address, such as `root://host//store/user/me` or `s3://bucket/folder`; with secrets, an
        `analysis.core.address.Address`.
    below : str
        Path relative to the address.
    """

    root: str
    below: str = ""

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.root, f"{self.below}/{name}".lstrip("/"))

    def __str__(self) -> str:
        return f"{self.root.rstrip('/')}/{self.below}".rstrip("/")

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.below.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """Folder of the path; the address itself for that."""
        return RemotePath(self.root, self.below.rpartition("/")[0])

    def absolute(self) -> RemotePath:
        """Return the path itself."""
        return self

    def resolve(self) -> tuple[Any, str]:
        """Return the fsspec file system and the path in that file system."""
        top, mark, query = full_address(self.root).partition("?")
        system, path = fsspec.core.url_to_fs(f"{top.rstrip('/')}/{self.below}{mark}{query}" if query else top)
        return system, path if query else f"{path.rstrip('/')}/{self.below}"


Location = Path | RemotePath


def parse_location(text: str) -> Location:
    """Parse a path or an address.

    Raises
    ------
    ConfigError
        If fsspec does not support the file system, or the package for it is not installed.
    """
    for scheme in _LOCAL:
        if text.startswith(scheme) and "::" not in text:
            return Path(text.removeprefix(scheme))
    if "://" not in text:
        return Path(text)
    root = parse_address(text)
    try:
        RemotePath(root).resolve()
    except (ImportError, ValueError) as error:
        reason = hide_secrets(str(error), root)
        msg = f"the file system of {root} cannot be used: {reason}. root:// needs the extra `xrootd`."
        raise ConfigError(msg) from error
    return RemotePath(root)


@contextmanager
def reading(location: Location) -> Iterator[Any]:
    """Open a file for pyarrow.

    Yields
    ------
    pathlib.Path or file object

    Raises
    ------
    OSError
    """
    if isinstance(location, Path):
        yield location
        return
    system, path = location.resolve()
    system.invalidate_cache(path)  # workers write, and the listing cached by this process may be old
    with system.open(path, "rb") as stream:
        yield stream


def read_file(location: Location) -> bytes:
    """Read a whole file.

    Raises
    ------
    OSError
    """
    if isinstance(location, Path):
        return location.read_bytes()
    with reading(location) as stream:
        content: bytes = stream.read()
    return content


def remove_file(location: Location) -> None:
    """Remove a file.

    Raises
    ------
    ResultsError
        If the file system fails.
    """
    with writing(location):
        if isinstance(location, Path):
            location.unlink()
        else:
            system, path = location.resolve()
            system.rm_file(path)


def write_file(location: Location, content: bytes) -> None:
    """Write a file atomically: local files are renamed when complete, remote files are detected by their end.

    Some file systems of fsspec, such as XRootD, cannot rename, so a process that dies may leave an incomplete remote
    file. The format must allow to detect it: a parquet file is complete only with its footer, which is written last.

    Parameters
    ----------
    location : Location
        File to write. Its folder is created, and an existing file is replaced.
    content : bytes

    Raises
    ------
    ResultsError
        If the file system fails, such as on a full disk.
    """
    with writing(location):
        if isinstance(location, Path):
            _write_local(location, content)
        else:
            _write_remote(location, content)


def _write_local(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as temporary:
        temporary.write_bytes(content)


def _write_remote(location: RemotePath, content: bytes) -> None:
    system, path = location.resolve()
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    with system.open(path, "wb") as stream:
        stream.write(content)
