"""Command `cwola status`: what is finished, running, stale and not started in a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analysis.cli.shared import options, resolve_config

__all__ = ["status"]


@click.command()
@click.argument("results", type=click.Path(path_type=Path), default=Path("results"))
@options("exclude", "preset", "config", "plugin")
def status(results: Path, exclude: tuple[str, ...], **settings: Any) -> None:
    """Show what is finished, running, stale and not started in the results folder RESULTS.

    Stale is what was made with other settings, events, plugins or code than now, and would be made again. Settings are
    those of the last command in the folder, unless you give --preset or --config. Nothing is written or run.
    """
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.status import status_notes, status_table
    from analysis.compute import busy
    from analysis.results import ResultsFolder
    from analysis.stages.status import folder_status

    folder = ResultsFolder(results, read_only=True)
    known = settings["preset"] is not None or settings["config"] is not None or folder.config.exists()
    config = resolve_config(**settings, fallback=folder.config, needs_plugins=False) if known else None
    with busy("Comparing"):
        found = folder_status(folder, config, exclude=exclude)
    console = open_console()
    console.print(status_table(found, results))
    for note in status_notes(found):
        console.print(note, highlight=False)
