"""Temporary folders that do not outlive their process for long, however it ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["ScratchFolder"]

_LOCK = ".in-use"


class ScratchFolder:
    """Temporary folder; those of killed processes, of the same user and with the same prefix, are removed before.

    The system releases the lock on a file in the folder at the end of the process.

    Parameters
    ----------
    prefix : str
        Beginning of the name.
    parent : pathlib.Path, optional
        Default: where the system keeps temporary files.

    Attributes
    ----------
    path : pathlib.Path
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        above = Path(tempfile.gettempdir()) if parent is None else parent
        for stale in above.glob(f"{prefix}*/{_LOCK}"):
            _remove_if_unused(stale)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        _acquire(self._lock)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *raised: object) -> None:
        self.remove()


def _remove_if_unused(lock: Path) -> None:
    try:
        if lock.parent.is_symlink() or lock.parent.stat().st_uid != os.getuid():
            return
        opened = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if _acquire(opened):
            shutil.rmtree(lock.parent, ignore_errors=True)
    finally:
        os.close(opened)


def _acquire(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
