"""Console for tables."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.cli.output.fitting import broken_text, fitted, natural_width
from analysis.cli.output.tables_as_json import keep
from analysis.compute.progress import paused

__all__ = ["Terminal", "open_console"]

_WITHOUT_TERMINAL = 120
"""Columns; wide enough for most tables."""


class Terminal(Console):
    """Console that prints all text as it is, and neither folds nor cuts a number or a name.

    Tables that are too wide are printed in blocks of columns; without `fits` they take the width that they need. Words
    of text stay whole. Brackets, as of units, and colons are no markup, since names come from users and files.

    Parameters
    ----------
    width : int, optional
        Columns; by default those of the terminal.
    fits : bool
        Whether the reader sees no more than the width.
    """

    def __init__(self, width: int | None = None, *, fits: bool = True) -> None:
        super().__init__(width=width, markup=False, emoji=False)
        self._fits = fits

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; see the class. With --json it is kept for the document."""
        if keep(objects):
            return
        before = self.width
        fits = self._fits and not options.get("soft_wrap")
        shown = [one for given in objects for one in (self._fitted(given) if fits else [given])]
        self.width = max([before, *(natural_width(self, one) for one in shown if isinstance(one, Table))])
        try:
            with paused():
                super().print(*shown, **{"overflow": "ignore", "crop": False, **options})
        finally:
            self.width = before

    def _fitted(self, given: Any) -> list[Any]:
        if isinstance(given, Table):
            return [*fitted(self, given, self.width)]
        # Only for the eye: a program that sets COLUMNS reads whole lines.
        return [broken_text(given, self.width)] if isinstance(given, str | Text) and self.is_terminal else [given]


def open_console() -> Terminal:
    """Open standard output with the width of the terminal, or wide enough for most tables without a terminal."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Terminal(None if known else _WITHOUT_TERMINAL, fits=known)
