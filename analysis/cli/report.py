"""Command `cwola report`: report on a finished search as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.cli.shared import open_results, options, resolve_config

__all__ = ["report"]


@click.command()
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="FILE", help="HTML file to write. [default: OUTPUT/report.html]"
)
@options("plugin", "output")
def report(to: Path | None, plugins: tuple[str, ...], output: Path) -> None:
    """Write a report on a finished search as one HTML file, with figures and their data, readable offline.

    Shows the results on disk: figures drawn by `cwola run` or `cwola plot`, and limits on signal samples after
    `cwola limit`.
    """
    from analysis.stages import figures

    with open_results(output, create=False) as folder:
        # Figures of plugins are shown too, if this user knows the plugins.
        resolve_config(preset=None, config=None, plugins=plugins, fallback=folder.config, needs_plugins=False)
        path = figures.report(folder, to)
    click.echo(f"Report: {path}")
