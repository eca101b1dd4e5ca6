"""Command `cwola score`: application of the classifiers of a search to other files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.fit import parse_interval
from analysis.cli.inputs.plugins import loads_plugins
from analysis.cli.inputs.sample import POSITIVE, format_option, generated_option, tree_option
from analysis.cli.shared import options

if TYPE_CHECKING:
    from analysis.core.location import Location
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
@format_option
@tree_option
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help=".parquet, .csv or .txt to write."
)
@click.option("--lumi", "lumi_ifb", type=POSITIVE, metavar="IFB", help="Luminosity, fb⁻¹: adds the events per fb.")
@click.option("--xsec", "xsec_pb", type=POSITIVE, metavar="PB", help="Cross-section, pb: with --lumi, expected events.")
@generated_option
@loads_plugins
@options("parts", "where")
def score(
    files: tuple[str, ...],
    models: Path,
    window: tuple[float, float] | None,
    format_name: str | None,
    tree: str | None,
    output: Path,
    parts: Location | None,
    where: dict[str, Any],
    **rate: float | None,
) -> None:
    """Score simulated events with the classifiers of a finished search.

    FILE... belong to one sample, such as your own signal. Events are selected as in the search; those of tables are
    taken as they are. Each event gets the mean score and, for each selection, the mean over the folds of the fold's own
    cut.
    """
    from analysis.compute import busy, open_backend
    from analysis.stages.score import Rate, score_files

    given: dict[str, Any] = {"window": window, "format_name": format_name, "tree": tree, "rate": Rate(**rate)}
    with open_backend(**where) as backend, busy("Scoring events"):
        summary = score_files(files, models, output, backend, parts=parts, **given)
    _print(summary)


def _print(summary: ScoreSummary) -> None:
    from rich import box
    from rich.table import Table

    from analysis.cli.output.console import open_console

    table = Table("Window [GeV]", "Selection", box=box.SIMPLE_HEAD, pad_edge=False)
    per_fb = any(row.events_per_fb is not None for row in summary.selections)
    for heading in ("Events", "Acceptance", "Efficiency", *(["Events per fb"] if per_fb else [])):
        table.add_column(heading, justify="right")
    for row in summary.selections:
        efficiency = "" if row.efficiency is None else f"{row.efficiency:.4g}"
        rates = [] if row.events_per_fb is None else [f"{row.events_per_fb:.4g}"]
        table.add_row(row.window, row.selection, f"{row.events:.6g}", f"{row.acceptance:.4g}", efficiency, *rates)
    console = open_console()
    console.print(table)
    if not summary.recorded:
        console.print("The files do not record how many events were generated: acceptance counts those in the files.")
    console.print(f"{summary.n_events} events in {summary.path}")
