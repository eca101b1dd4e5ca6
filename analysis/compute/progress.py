"""Progress for interactive use: bars of counted work, a clock for other long work, and messages beside them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["busy", "paused", "say", "track", "without_bars"]

R = TypeVar("R")

_LONG = 2.0
"""Seconds without a bar after which a clock is shown."""

_bars: ContextVar[bool] = ContextVar("_bars", default=True)


@contextmanager
def without_bars() -> Iterator[None]:
    """Show no progress."""
    token = _bars.set(False)
    try:
        yield
    finally:
        _bars.reset(token)


def track(results: Iterator[R], *, total: int, description: str) -> Iterator[R]:
    """Yield results while a progress bar counts them; no bar if stderr is not a terminal."""
    if not _is_shown():
        yield from results
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with paused(), Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(results, total=total, description=description)


@contextmanager
def busy(description: str) -> Iterator[None]:
    """Show a clock if the work takes longer than two seconds, except under a bar; none if stderr is not a terminal.

    Nothing may be written to standard output meanwhile, unless `paused`.

    Parameters
    ----------
    description : str
        The work.
    """
    if not _is_shown():
        yield
        return
    with paused():
        clock = _Clock(description)
        token = _clock.set(clock)
        try:
            yield
        finally:
            _clock.reset(token)
            clock.pause()  # for good


@contextmanager
def paused() -> Iterator[None]:
    """Hide the clock of `busy`, if there is one."""
    clock = _clock.get()
    if clock is None:
        yield
        return
    clock.pause()
    try:
        yield
    finally:
        clock.resume()


def say(text: str) -> None:
    """Print a message on stderr at once, above the progress bar if there is one."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _is_shown() -> bool:
    return _bars.get() and sys.stderr.isatty()


class _Clock:
    """Line with a description and the time since the start, which appears after a while without a pause."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._lock = threading.Lock()
        self._pauses = 1
        self._timer: threading.Timer | None = None
        self._shown: Progress | None = None
        self.resume()

    def pause(self) -> None:
        """Hide the clock until `resume`; both may be nested."""
        with self._lock:
            self._pauses += 1
            if self._timer is not None:
                self._timer.cancel()
            if self._shown is not None:
                self._shown.stop()
            self._timer = self._shown = None

    def resume(self) -> None:
        """End a pause; after the last one the clock appears in a while."""
        with self._lock:
            self._pauses -= 1
            if self._pauses == 0:
                self._timer = threading.Timer(_LONG, self._show)
                self._timer.daemon = True
                self._timer.start()

    def _show(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return
            columns = (SpinnerColumn("line"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._shown = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
            self._shown.add_task(self._description, total=None)
            self._shown.start()


_clock: ContextVar[_Clock | None] = ContextVar("_clock", default=None)
