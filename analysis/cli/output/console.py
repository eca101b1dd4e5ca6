"""Console for tables."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from analysis.cli.output.tables_as_json import keep

__all__ = ["Terminal", "open_console"]

_UNLIMITED = 10_000
"""Columns."""


class Terminal(Console):
    """Console that prints all text as it is, and neither folds nor cuts a number or a name.

    Tables take the width that they need, also beyond the terminal; words of text stay whole. Brackets, as of units, and
    colons are no markup, since names come from users and files.
    """

    def __init__(self, width: int | None = None) -> None:
        super().__init__(width=width, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; see the class. With --json it is kept for the document."""
        if keep(objects):
            return
        before = self.width
        unlimited = self.options.update(max_width=_UNLIMITED)
        needed = (Measurement.get(self, unlimited, one).maximum for one in objects if isinstance(one, Table))
        self.width = max([before, *needed])
        try:
            super().print(*objects, **{"overflow": "ignore", "crop": False, **options})
        finally:
            self.width = before


def open_console() -> Terminal:
    """Open standard output with the width of the terminal, or wide enough for most tables without a terminal."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Terminal(None if known else 120)
