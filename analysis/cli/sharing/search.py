"""Command `cwola export search`: a finished search as one file, for the signals of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analysis.cli.shared import open_results, options, resolve_config
from analysis.errors import ConfigError

__all__ = ["search"]

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output", "target", type=click.Path(path_type=Path), required=True, metavar="ARCHIVE", help="File to write."
)
@click.option(
    "--synthetic",
    is_flag=True,
    help="Give away synthetic events of the background model; always so while the search is blinded.",
)
@click.option("--licence", type=_FILE, metavar="FILE", help="Licence of the archive, becomes LICENCE.txt.")
@click.option("--citation", type=_FILE, metavar="FILE", help="How to cite it, becomes CITATION.cff.")
@options("plugin", "where")
def search(
    folder: Path,
    target: Path,
    where: dict[str, Any],
    plugins: tuple[str, ...],
    licence: Path | None,
    citation: Path | None,
    *,
    synthetic: bool,
) -> None:
    """Write the search in FOLDER to one file, with which others set limits on signals of their own.

    The archive holds configuration, selected events, windows with their classifiers and limits, with checksums; plugins
    by SHA-256 only. Synthetic events have the m_jj spectrum and features of the background beside the windows; how well
    they stand for the others is measured and printed. See `cwola reinterpret`.
    """
    from analysis.cli.sharing.words import synthetic_lines
    from analysis.compute import open_backend
    from analysis.stages.archives.export import export_search
    from analysis.stages.inputs import SearchInputs

    texts = {name: _read(f"--{name}", path) for name, path in (("licence", licence), ("citation", citation)) if path}
    with open_results(folder, create=False) as results, open_backend(**where) as backend:
        config = resolve_config(preset=None, config=None, plugins=plugins, fallback=results.config)
        inputs = SearchInputs.load(results, config)
        made = export_search(inputs, backend, target, synthetic=synthetic, texts=texts)
    if made.document.synthetic is not None:
        click.echo("\n".join(synthetic_lines(made.document.synthetic)))
    elif real := [name for name, dataset in inputs.observed.items() if dataset.kind == "data"]:
        click.echo(f"The archive holds events of real data ({', '.join(real)}); --synthetic leaves them out.")
    if not licence:
        click.echo("No licence is in the archive: name one with --licence FILE, so that others may use it.")
    for plugin in made.document.plugins:
        click.echo(f"Publish the plugin {plugin.name} too (SHA-256 {plugin.sha256}): the archive holds no code.")
    click.echo(f"{len(made.document.datasets)} datasets, {made.size / 1e6:.1f} MB in {target}")
    click.echo(f"SHA-256 {made.sha256}")


def _read(option: str, path: Path) -> bytes:
    from analysis.core.text_files import SMALL, read_bytes

    try:
        return read_bytes(path, SMALL)
    except OSError as error:
        msg = f"{option}: cannot read {path}: {error.strerror or error}."
        raise ConfigError(msg) from error
