"""Command `cwola reinterpret`: limits of an archived search on a signal of somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.inputs.sample import POSITIVE, format_option, generated_option, tree_option
from analysis.cli.shared import open_results, options, resolve_config

if TYPE_CHECKING:
    from analysis.stages.archives.reinterpret import Reinterpretation

__all__ = ["reinterpret"]


@click.command()
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--signal",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Simulated file of the signal; repeatable, for files of the same sample.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Results folder, new or empty.",
)
@click.option("--name", metavar="NAME", help="Name of the signal.  [default: that of the first file]")
@format_option
@tree_option
@click.option("--xsec", "xsec_pb", type=POSITIVE, metavar="PB", help="Cross-section of the signal, pb.")
@click.option(
    "--lumi", "lumi_ifb", type=POSITIVE, metavar="IFB", help="Luminosity, fb⁻¹.  [default: that of the search]"
)
@generated_option
@options("plugin", "where")
def reinterpret(
    archive: Path,
    files: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    plugins: tuple[str, ...],
    name: str | None,
    format_name: str | None,
    tree: str | None,
    **rate: float | None,
) -> None:
    """Set limits on your signal with the search in ARCHIVE, which `cwola export search` wrote.

    The events of your files are selected as in the search, injected in several strengths, and all classifiers are
    trained again. No other input is needed. DIR becomes a results folder; the same command resumes where it stopped,
    and further signals with other names may go to the same DIR.
    """
    import time

    from analysis.compute import open_backend
    from analysis.stages.archives.reinterpret import NewSignal, unpack_archive
    from analysis.stages.archives.reinterpret import reinterpret as run
    from analysis.stages.score import Rate

    start = time.monotonic()
    signal = NewSignal(files, name, format_name, tree, Rate(**rate))
    document = unpack_archive(archive, output)
    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(preset=None, config=None, plugins=plugins, fallback=folder.config)
        found = run(document, signal, config, folder, backend)
    _print(found)
    if document.synthetic is not None:
        from analysis.cli.sharing.words import synthetic_lines

        click.echo("\n".join(synthetic_lines(document.synthetic)))
    click.echo(f"{len(found.figures)} figures in {folder.plots}")
    click.echo(f"Time: {time.monotonic() - start:.0f} s")


def _print(found: Reinterpretation) -> None:
    from analysis.cli.limit import print_limits
    from analysis.cli.output.console import open_console

    console = open_console()
    print_limits(found.limits)
    for note in found.notes:
        console.print(note)
    if found.archived:
        console.print("For comparison, the archived search on its own signals:")
        print_limits(found.archived)
