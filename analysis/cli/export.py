"""Command `cwola export`: results for publication and reuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from analysis.cli.shared import open_results, options, resolve_config
from analysis.cli.sharing.search import search
from analysis.core.counted import counted

__all__ = ["export"]

_target = click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="New or empty folder to write to.",
)


def _common(command: Callable[..., None]) -> Callable[..., None]:
    return options("plugin", "output")(_target(command))


@click.group()
def export() -> None:
    """Export a finished search: HEPData tables, pyhf workspaces, classifiers, trees, or all of it as one file.

    Each export is made from the results folder and is usable without it.
    """


export.add_command(search)


@export.command()
@click.option(
    "--abstract",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Text of the HEPData record, instead of a generated one.",
)
@_common
def hepdata(abstract: Path | None, target: Path, output: Path, plugins: tuple[str, ...]) -> None:
    """Write a HEPData submission: spectra, p-values, limits, efficiencies and maps, with units and qualifiers.

    Needs the extra `hepdata`. The submission is checked by the validator of HEPData.
    """
    from analysis.export import export_hepdata
    from analysis.stages.figures import plugin_tables

    text = None if abstract is None else _read_abstract(abstract)
    with open_results(output, create=False) as folder:
        config = resolve_config(preset=None, config=None, plugins=plugins, fallback=folder.config)
        further = plugin_tables(folder, config)
        n_tables = export_hepdata(folder, config, target, abstract=text, further=further)
    click.echo(f"{n_tables} tables in {target / 'submission'}, for upload {target / 'submission.tar.gz'}")


def _read_abstract(path: Path) -> str:
    from analysis.core.text_files import SMALL, read_text
    from analysis.errors import ConfigError

    try:
        return " ".join(read_text(path, SMALL).split())
    except OSError as error:
        msg = f"--abstract: cannot read {path}: {error.strerror or error}."
        raise ConfigError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"--abstract: {path} is not a text file in UTF-8: {error.reason} at byte {error.start}."
        raise ConfigError(msg) from error


@export.command()
@click.option(
    "--hepdata",
    default="ins0000000",
    show_default=True,
    metavar="RECORD",
    help="INSPIRE record of the publication, for the patch sets.",
)
@_common
def pyhf(hepdata: str, target: Path, output: Path, plugins: tuple[str, ...]) -> None:
    """Write a background-only workspace for each window and selection, and a patch set with all signal samples."""
    from analysis.export import export_workspaces

    with open_results(output, create=False) as folder:
        resolve_config(preset=None, config=None, plugins=plugins, fallback=folder.config)
        n_workspaces = export_workspaces(folder, target, hepdata=hepdata)
    click.echo(f"{n_workspaces} background-only workspaces in {target}")


@export.command()
@_common
def classifiers(target: Path, output: Path, plugins: tuple[str, ...]) -> None:
    """Copy the trained classifiers with all files needed for `cwola score --models FOLDER`."""
    from analysis.export import export_classifiers

    with open_results(output, create=False) as folder:
        resolve_config(preset=None, config=None, plugins=plugins, fallback=folder.config)
        n_windows = export_classifiers(folder, target)
    click.echo(f"Classifiers of {counted(n_windows, 'window')} in {target}")


@export.command()
@click.option("--onnx", is_flag=True, help="Also write ONNX (extra `onnx`).")
@_common
def trees(onnx: bool, target: Path, output: Path, plugins: tuple[str, ...]) -> None:
    """Write the classifiers as plain trees, for any program: JSON with evaluators in Python and C++, and ONNX.

    Every form is compared with the classifiers for 10,000 stored events and more; a form that differs is not written.
    """
    from analysis.export import export_trees

    with open_results(output, create=False) as folder:
        resolve_config(preset=None, config=None, plugins=plugins, fallback=folder.config)
        exported = export_trees(folder, target, onnx=onnx)
    for window, forms in exported.checks.items():
        for form, one in forms.items():
            click.echo(f"{window} GeV, {form}: {one.changed} of {one.events} decisions changed, ", nl=False)
            click.echo(f"scores within {one.difference:.1g}")
    click.echo(f"Trees of {len(exported.checks)} windows in {target}")
