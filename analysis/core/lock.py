"""One command at a time in a results folder, and files there that are added to."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from analysis.core.text_files import one_line
from analysis.errors import ResultsError, writing

__all__ = ["descriptor_to_append", "holder", "locked"]

_NAME = ".lock"
_LONGEST = 1000


def descriptor_to_append(path: Path) -> int:
    """Open a file to add to it, unless it is a link: in the folder of somebody else, it may lead to any file.

    Raises
    ------
    ResultsError
        If the file is a link, or cannot be written.
    """
    if path.is_symlink():
        msg = f"{path} is a link, which cwola never makes, and is not written through. Remove it, and run again."
        raise ResultsError(msg)
    with writing(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a results folder; the system releases it at the end of the process, however that ends.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    ResultsError
        If another command holds it. The message names the command and its process.
    """
    with os.fdopen(descriptor_to_append(folder / _NAME), "a+", encoding="utf-8") as file:
        _acquire(file, folder)
        try:
            yield
        finally:
            file.truncate(0)


def holder(folder: Path) -> str | None:
    """Return the command and the process that hold the lock of a results folder; None if none does.

    Nothing is written. The lock is taken for an instant only if a command has left its name, as a killed one does.
    """
    try:
        opened = os.open(folder / _NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            return None
        name = one_line(file.read(_LONGEST).decode(errors="replace"))
        if not name:
            return None
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return name
        except OSError:  # a file system without locks
            return f"{name} (or it was killed: this file system has no locks)"
        return None


def _acquire(file: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another command"
        msg = f"{folder} is in use by {holder}. Wait until it is done, or name another --output."
        raise ResultsError(msg) from None
    except OSError:  # a file system without locks
        return
    file.truncate(0)
    file.write(f"`{' '.join(['cwola', *sys.argv[1:2]])}`, process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
