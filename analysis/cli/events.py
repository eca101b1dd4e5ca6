"""Command `cwola select`: list of the events that pass a selection."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.cli.fit import parse_interval
from analysis.cli.inputs.plugins import plugin_option
from analysis.cli.shared import resolve_config

__all__ = ["select"]


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--window", required=True, metavar="LO:HI", callback=parse_interval, help="Window of the scan, GeV.")
@click.option("--selection", required=True, metavar="NAME", help="Selection, such as inclusive or eff_0.1.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=".csv with a header, .parquet, or .txt with run:lumi:event lines.  [default: RESULTS/selected/]",
)
@click.option(
    "--order", type=click.Choice(["score", "identity"]), default="score", show_default=True, help="Order of the events."
)
@plugin_option
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def select(
    results: Path,
    window: tuple[float, float],
    selection: str,
    output: Path | None,
    order: str,
    plugins: tuple[str, ...],
) -> None:
    """List the events that pass a selection in a window, with their features and scores.

    RESULTS is a results folder of `cwola run`. Events of blinded results cannot be listed.
    """
    from analysis.compute import busy
    from analysis.results import ResultsFolder
    from analysis.stages.events import select_events

    folder = ResultsFolder(results)
    resolve_config(preset=None, config=None, plugins=plugins, fallback=folder.config)
    with busy("Selecting events"):
        selected = select_events(folder, window, selection, output, order=order)
    click.echo(f"{selected.count} events in {selected.path}")
