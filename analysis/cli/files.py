"""Commands `cwola inspect`, `cwola convert` and `cwola datasets` for input files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.inputs.plugins import loads_plugins
from analysis.errors import InputFileError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["convert", "datasets", "inspect"]

_SHOWN = 4
"""Maximum number of triggers and filters shown by name."""

_debug = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")


@click.command()
@click.argument("file")
@click.option("--tree", metavar="NAME", help="Tree of the events.  [default: tree of the format]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@loads_plugins
@_debug
def inspect(file: str, tree: str | None, as_json: bool) -> None:
    """Show the content of a ROOT file that a search can use, and missing branches.

    FILE is a path or a URL. The exit code is 1 if the file cannot be processed.
    """
    from analysis.compute import busy
    from analysis.stages import files

    with busy(f"Reading {file}"):
        report = files.inspect(file, tree)
    if as_json:
        click.echo(json.dumps(report, indent=1, allow_nan=False))
    else:
        _print(report)
    if report["problem"] is not None:
        msg = f"{report['file']}: {report['problem']}"
        raise InputFileError(msg)


@click.group()
def convert() -> None:
    """Convert files of other formats to ROOT files that can be searched.

    The LHC Olympics table is the only such format so far.
    """


@convert.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), required=True, help="ROOT file to write.")
@click.option("--label-column", metavar="NAME", help="Column of the truth label.  [default: label, if present]")
@_debug
def lhco(file: Path, output: Path, label_column: str | None) -> None:
    """Convert the LHC Olympics table of high-level features to NanoAOD layout (extra `lhco`).

    FILE is the pandas HDF5 file with pxj1, pyj1, pzj1, mj1, tau1j1 ... The label is written to the event branch
    truth_label, which searches do not read.
    """
    from analysis.compute import busy
    from analysis.stages import files

    with busy(f"Converting {file}"):
        count = files.convert_lhco(file, output, label_column)
    click.echo(f"{count} events in {output}")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Datasets file to write, or to add to.  [default: terminal]",
)
@click.option("--name", help="Name of the dataset, with all files.  [default: as FILES name it]")
@click.option(
    "--kind",
    type=click.Choice(["data", "pseudodata", "background", "signal"]),
    help="Kind of all datasets.  [default: as FILES tell]",
)
@click.option("--format", "file_format", metavar="NAME", help="Format of all datasets.  [default: nanoaod]")
@click.option("--tree", metavar="NAME", help="Tree of the events.  [default: tree of the format]")
@_debug
def datasets(files: tuple[Path, ...], output: Path | None, **given: str | None) -> None:
    """Write entries of datasets.json from lists of files that other tools made.

    FILES are answers of dasgoclient (-json) and of rucio (list of replicas, JSON), filesets of coffea and PocketCoffea,
    JSON lists of columnflow, or texts with one file per line.
    """
    from analysis.events.filesets.describe import Given, add_to_file, describe_datasets

    given["format"] = given.pop("file_format")
    entries = describe_datasets(files, Given(**given))
    if output is None:
        click.echo(json.dumps(entries, indent=2))
        return
    add_to_file(output, entries)
    for name, entry in entries.items():
        click.echo(f"{name}: {entry['metadata']['kind']}, {len(entry['files'])} files")
    click.echo(f"Written to {output}. Check kind; simulation of a known process also needs xsec_pb and lumi_ifb.")


def _print(report: Mapping[str, Any]) -> None:
    from rich.text import Text

    from analysis.cli.output.console import open_console

    console = open_console()
    console.print(Text(f"{report['file']}: {report['format']}, tree {report['tree']}, {report['events']} events"))
    if report["collections"]:
        console.print(_collections(report))
    console.print(_branches(report))
    _print_lines(console, report)
    if report["problem"] is None:
        console.print("For datasets.json (check kind; simulation of a known process also needs xsec_pb and lumi_ifb):")
        console.print(Text(json.dumps(report["datasets"], indent=2)), soft_wrap=True)


def _collections(report: Mapping[str, Any]) -> Table:
    table = _empty_table("jet collection", "jets", "jets/event", "events with two")
    for number, jets in enumerate(report["collections"]):
        name = f"{jets['name']} (used)" if number == 0 else jets["name"]
        table.add_row(name, str(jets["jets"]), f"{jets['mean']:.2f}", str(jets["two_or_more"]))
    if report["counted"] < report["events"]:
        table.caption = f"first {report['counted']} events"
    return table


def _branches(report: Mapping[str, Any]) -> Table:
    from rich.text import Text

    table = _empty_table("column", "branch")
    for name, branch in {**report["columns"], **report["event_columns"]}.items():
        table.add_row(name, Text(branch) if branch else Text("missing", style="yellow"))
    return table


def _empty_table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 or len(columns) == 2 else "right")
    return table


def _print_lines(console: Console, report: Mapping[str, Any]) -> None:
    from rich.text import Text

    total = report["generator_sum"]
    console.print(f"Sum of generator weights before skims: {'not in the file' if total is None else f'{total:.10g}'}")
    console.print(Text(f"Optional features: {', '.join(report['optional_features']) or 'none'}"))
    for kind in ("triggers", "filters", "taggers"):
        names = report[kind]
        shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
        console.print(Text(f"{kind.capitalize()}: {len(names)}{f' ({shown})' if names else ''}"))
    for missing in report["missing"]:
        console.print(Text(f"Missing: {missing['what']}: {missing['cost']}", style="yellow"))
