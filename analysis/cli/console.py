"""Console for tables."""

from __future__ import annotations

import os
import sys

from rich.console import Console

__all__ = ["open_console"]


def open_console() -> Console:
    """Open standard output with the width of the terminal, or wide enough for the tables without a terminal."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if known else 120)
