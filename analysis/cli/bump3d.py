"""Command `cwola bump3d`: bump hunt in cells of features inside each window, without a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.shared import open_results, options, resolve_config
from analysis.errors import ConfigError

if TYPE_CHECKING:
    from analysis.search.cells import Binning, BumpHunt3D

__all__ = ["bump3d"]

_FEATURES = ("mj1_over_mjj", "mj2_over_mjj")
"""Over m_jj, since jet masses grow with it: a cell should be a fraction of all events that hardly changes."""

_BINS = 5


def _parse_features(_: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[Binning]:
    from analysis.search.cells import Binning

    found = []
    for text in value or _FEATURES:
        feature, colon, bins = text.partition(":")
        try:
            number = int(bins) if colon and "," not in bins else _BINS
            edges = tuple(map(float, bins.split(","))) if "," in bins else None
        except ValueError as error:
            msg = f"{parameter.opts[0]}: expected NAME, NAME:BINS or NAME:EDGE,EDGE,..., found '{text}'."
            raise ConfigError(msg) from error
        found.append(Binning(feature, number if edges is None else edges))
    return found


@click.command()
@click.option(
    "--feature",
    "features",
    multiple=True,
    metavar="NAME[:BINS]",
    callback=_parse_features,
    help="Feature of the cells, given once for each; BINS is a number of quantile bins or a list of edges, such as "
    "mj1:50,100,200,500.  [default: mj1_over_mjj:5 and mj2_over_mjj:5]",
)
@options("exclude", "preset", "config", "plugin", "seed", "blind", "output", "where")
def bump3d(
    features: list[Binning], exclude: tuple[str, ...], output: Path, where: dict[str, Any], **settings: Any
) -> None:
    """Search cells of two features in every window, without a classifier, for events selected by `cwola process`.

    A baseline for the search with classifiers: each cell is tested like a selection, and the global p-value counts all
    cells of all windows.
    """
    from analysis.compute import open_backend
    from analysis.stages.bump3d import bump3d as search
    from analysis.stages.inputs import SearchInputs

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(**settings, fallback=folder.config)
        found = search(SearchInputs.load(folder, config, exclude=exclude), features, backend)
    _print(found, output)


def _print(found: BumpHunt3D, output: Path) -> None:
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.cells import cell_lines, cell_table
    from analysis.errors import WindowError

    console = open_console()
    console.print(cell_table(found))
    for line in cell_lines(found):
        console.print(line, highlight=False)
    console.print(f"All cells: {output / 'bump3d.json'}", highlight=False)
    if failed := [window for window in found.windows if not window.n_fitted]:
        reason = failed[0].cells[0].reason
        msg = f"no cell could be fitted in {len(failed)} of {len(found.windows)} windows. {reason}"
        raise WindowError(msg)
