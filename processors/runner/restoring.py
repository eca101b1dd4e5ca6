"""State of the process that tasks change while they run, such as settings of a library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["Restored"]


class Restored:
    """State that is restored once no task that may change it is running: a dask worker may have several threads.

    Parameters
    ----------
    save : callable
        Takes the present state, and returns a function that restores it.
    """

    def __init__(self, save: Callable[[], Callable[[], None]]) -> None:
        self._save = save
        self._lock = Lock()
        self._tasks = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let a task change the state."""
        with self._lock:
            if self._tasks == 0:
                self._restore = self._save()
            self._tasks += 1
        try:
            yield
        finally:
            with self._lock:
                self._tasks -= 1
                if self._tasks == 0:
                    self._restore()
