"""Command `cwola plot`: figures of one results folder, or comparison of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.shared import open_results, options, resolve_config
from analysis.errors import ConfigError

if TYPE_CHECKING:
    from analysis.config import PlotConfig, SearchConfig, StyleName
    from analysis.results import ResultsFolder

__all__ = ["plot"]

COMPARISON = Path("comparison")
STYLES: tuple[StyleName, ...] = ("plain", "cms", "atlas")


@click.command()
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--only", multiple=True, metavar="NAME", help="Figure, such as scan, spectrum or 'map_*_eff_0.01'; repeatable."
)
@click.option("--style", type=click.Choice(STYLES), help="Replaces plots.style of the configuration.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder of the figures.  [default: RESULTS/plots, or comparison for several RESULTS]",
)
@click.option(
    "--control", is_flag=True, help="Draw all features in data and simulation instead; needs only `cwola process`."
)
@options("preset", "config", "plugin", "blind", "output", "where")
def plot(
    results: tuple[Path, ...],
    only: tuple[str, ...],
    style: StyleName | None,
    to: Path | None,
    control: bool,
    output: Path,
    where: dict[str, Any],
    **settings: Any,
) -> None:
    """Draw all or some figures of the results folder RESULTS, or compare several folders.

    With one folder (by default the folder of --output) its figures are drawn again, such as after a change in [plots].
    Several searches of the same windows are compared in common figures, with ratios to the first one.
    """
    from analysis.compute import open_backend
    from analysis.stages.events import plot_control
    from analysis.stages.figures import plot as draw
    from analysis.stages.inputs import SearchInputs

    if control and (len(results) > 1 or to is not None):
        msg = "--control draws one results folder, to plots/control in it: leave out --to and further folders."
        raise ConfigError(msg)
    if len(results) > 1:
        _compare(results, to or COMPARISON, only, style, where, settings)
        return
    with open_results(results[0] if results else output, create=False) as folder, open_backend(**where) as backend:
        config = _config(settings, style, folder)
        if control:
            inputs = SearchInputs.load(folder, config)
            figures, place = plot_control(inputs, backend, only=only), folder.plots / "control"
        else:
            figures, place = draw(folder, config, backend, only=only, to=to), to or folder.plots
    click.echo(f"{len(figures)} files in {place}")


def _compare(
    paths: tuple[Path, ...],
    to: Path,
    only: tuple[str, ...],
    style: StyleName | None,
    where: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    from analysis.cli.tables.plain import plain
    from analysis.compute import open_backend
    from analysis.results import ResultsFolder
    from analysis.stages.figures import compare

    folders = [ResultsFolder(path) for path in paths]
    config = _config(settings, style, folders[0])
    with open_backend(**where) as backend:
        figures, sentences = compare(folders, config, backend, to, only=only)
    click.echo("\n".join([plain(sentence) for sentence in sentences] + [f"{len(figures)} files in {to}"]))


def _config(settings: dict[str, Any], style: StyleName | None, folder: ResultsFolder) -> SearchConfig:
    config = resolve_config(**settings, fallback=folder.config, needs_plugins=False)
    if style is None:
        return config
    plots: PlotConfig = config.plots.model_copy(update={"style": style})
    return config.model_copy(update={"plots": plots})
