"""Table of the state of a results folder for the terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.stages.status import FolderStatus
from analysis.stages.status.values import FINISHED, INCOMPLETE, RUNNING, STALE, UNKNOWN

__all__ = ["status_notes", "status_table"]

_STYLES = {FINISHED: "green", RUNNING: "bold cyan", INCOMPLETE: "yellow", STALE: "bold red", UNKNOWN: "yellow"}


def status_table(found: FolderStatus, path: Path) -> Table:
    """Tabulate the state of each stage and window.

    Parameters
    ----------
    found : FolderStatus
    path : pathlib.Path
        Results folder, for the title.

    Returns
    -------
    rich.table.Table
    """
    table = Table(title=Text(f"Status of {path}"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("stage", "window", "state", "note"):
        table.add_column(name)
    for one in found.stages:
        table.add_row(one.stage, one.window or "all", Text(one.state, style=_STYLES.get(one.state, "")), Text(one.note))
    return table


def status_notes(found: FolderStatus) -> list[str]:
    """Name the running or the last command, the reasons in full, and how to go on, as plain text."""
    lines = [f"Running: {found.holder}."] if found.holder else []
    lines += [f"Last command: {found.last}."] if found.last else []
    lines += found.notes
    if found.holder is None and any(one.state in (INCOMPLETE, STALE) for one in found.stages):
        lines.append("`cwola run` with these settings goes on: finished work is kept, and stale work is made again.")
    return lines
