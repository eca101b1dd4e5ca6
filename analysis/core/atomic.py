"""Atomic writing of files: a file is whole, or it is as it was before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from analysis.errors import writing

__all__ = ["remnants", "replacing_file", "unfinished"]


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces it once the block is done; the folder must exist.

    Remnants of processes that were killed while they wrote the same file are removed.

    Raises
    ------
    ResultsError
        If the file system fails, such as on a full disk.
    """
    for remnant in remnants(path):
        remnant.unlink(missing_ok=True)
    temporary = unfinished(path)
    try:
        with writing(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def unfinished(target: Path) -> Path:
    """Return a new hidden path beside a file or folder, to be renamed to it at the end; nobody can prepare it.

    The number of the process begins the last part, `PROCESS-TOKEN`, and tells who left a remnant.
    """
    return target.with_name(f".{target.name}.{os.getpid()}-{token_hex(8)}.tmp")


def remnants(target: Path) -> list[Path]:
    """Return temporary files or folders of a target whose processes have ended on this machine."""
    start, end = f".{target.name}.", ".tmp"
    try:
        names = [path.name for path in target.parent.iterdir()]
    except OSError:
        return []
    found = [name for name in names if name.startswith(start) and name.endswith(end)]
    return [target.with_name(name) for name in found if _has_ended(name[len(start) : -len(end)].partition("-")[0])]


def _has_ended(process: str) -> bool:
    if not (process.isascii() and process.isdecimal()):
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # of another user
        return False
    return False
