"""Progress bar for interactive use, and messages beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["say", "track", "without_bars"]

R = TypeVar("R")

_bars: ContextVar[bool] = ContextVar("_bars", default=True)


@contextmanager
def without_bars() -> Iterator[None]:
    """Show no progress bars."""
    token = _bars.set(False)
    try:
        yield
    finally:
        _bars.reset(token)


def track(results: Iterator[R], *, total: int, description: str) -> Iterator[R]:
    """Yield results while a progress bar counts them; no bar if stderr is not a terminal."""
    if not (_bars.get() and sys.stderr.isatty()):
        yield from results
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(results, total=total, description=description)


def say(text: str) -> None:
    """Print a message on stderr at once, above the progress bar if there is one."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
