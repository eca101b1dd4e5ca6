"""Command `cwola turnon`: efficiency of the triggers against m_jj."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.fit import parse_interval
from analysis.cli.shared import DatasetsFile, open_results, options, resolve_config

if TYPE_CHECKING:
    from analysis.core.location import Location
    from analysis.results.turn_on import TurnOnFile

__all__ = ["turnon"]


@click.command()
@click.option(
    "--reference",
    required=True,
    multiple=True,
    metavar="TRIGGER",
    help="Trigger whose events are looked at, such as one with a lower threshold; given several times, any of them.",
)
@click.option(
    "--sample", "samples", multiple=True, metavar="NAME", help="Dataset to use.  [default: all that are searched]"
)
@click.option(
    "--range",
    "interval",
    metavar="LO:HI",
    callback=parse_interval,
    help="Range of m_jj, GeV.  [default: that of the reference events]",
)
@click.option(
    "--bin-width",
    type=click.FloatRange(0, min_open=True),
    default=25.0,
    show_default=True,
    help="Width of the bins, GeV.",
)
@click.option(
    "--loss",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Largest loss at the smooth edge, a fraction of the plateau.",
)
@options("datasets", "exclude", "preset", "config", "plugin", "output", "skip", "timeout", "parts", "where")
def turnon(
    datasets: DatasetsFile,
    exclude: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    skip_bad_files: bool,
    timeout: int,
    parts: Location | None,
    **settings: Any,
) -> None:
    """Measure the turn-on of selection.triggers with events of a reference trigger, and propose scan.smooth_edge.

    All cuts but the one on m_jj apply. `cwola scan` warns if its fit range begins below the proposal.
    """
    from analysis.compute import open_backend
    from analysis.plots.events.turn_on import save_turn_on
    from analysis.stages.turn_on import TurnOnRequest, measure

    request = TurnOnRequest(**{one.name: settings.pop(one.name) for one in fields(TurnOnRequest)})
    config, chosen = resolve_config(**settings), datasets.load(exclude)
    rest: dict[str, Any] = {"skip_bad_files": skip_bad_files, "timeout": timeout, "parts": parts}
    with open_results(output) as folder, open_backend(**where) as backend:
        found = measure(chosen, config, folder, backend, request, **rest)
        figures = save_turn_on(found, folder.plots, config.plots)
        notes = _notes(found, config)
    _print(found, notes, [folder.path / "turnon.json", *figures])


def _notes(found: TurnOnFile, config: Any) -> tuple[str, ...]:
    from analysis.regions import RegionScan
    from analysis.results.turn_on import turn_on_notes

    return turn_on_notes(found, config.selection.triggers, RegionScan.from_config(config.scan))


def _print(found: TurnOnFile, notes: tuple[str, ...], files: list[Path]) -> None:
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.turn_on import turn_on_lines, turn_on_table

    console = open_console()
    console.print(turn_on_table(found))
    for line in (*turn_on_lines(found), *notes):
        console.print(line, highlight=False)
    console.print(f"Written: {', '.join(map(str, files))}", highlight=False)
