"""Command `cwola score`: application of the classifiers of a search to other files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.fit import parse_interval
from analysis.cli.plugins import loads_plugins
from analysis.cli.where import where_options

if TYPE_CHECKING:
    from analysis.stages.score import ScoreSummary

__all__ = ["score"]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Results folder, or a copy of its models.",
)
@click.option("--window", metavar="LO:HI", callback=parse_interval, help="One window, GeV.  [default: all]")
@click.option("--format", "format_name", metavar="NAME", help="Format of the files.  [default: detected]")
@click.option("--tree", metavar="NAME", help="Tree of the events.  [default: tree of the format]")
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help=".parquet, .csv or .txt to write."
)
@where_options
@loads_plugins
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def score(
    files: tuple[str, ...],
    models: Path,
    window: tuple[float, float] | None,
    format_name: str | None,
    tree: str | None,
    output: Path,
    where: dict[str, Any],
) -> None:
    """Score simulated events with the classifiers of a finished search.

    FILE... belong to one sample, such as your own signal. Events are selected as in the search. Each event gets the
    mean score and, for each selection, the mean over the folds of the fold's own cut.
    """
    from analysis.compute import open_backend
    from analysis.stages.score import score_files

    with open_backend(**where) as backend:
        summary = score_files(files, models, output, backend, window=window, format_name=format_name, tree=tree)
    _print(summary)


def _print(summary: ScoreSummary) -> None:
    from rich import box
    from rich.table import Table

    from analysis.cli.output.console import open_console

    table = Table("Window [GeV]", "Selection", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Events", "Acceptance", "Efficiency"):
        table.add_column(heading, justify="right")
    for row in summary.selections:
        efficiency = "" if row.efficiency is None else f"{row.efficiency:.4g}"
        table.add_row(row.window, row.selection, f"{row.events:.6g}", f"{row.acceptance:.4g}", efficiency)
    console = open_console()
    console.print(table)
    if not summary.recorded:
        console.print("The files do not record how many events were generated: acceptance counts those in the files.")
    console.print(f"{summary.n_events} events in {summary.path}")
