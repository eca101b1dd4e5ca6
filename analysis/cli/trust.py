"""Command `cwola trust`: the plugins that this user knows."""

from __future__ import annotations

import click

from analysis.cli.shared import options
from analysis.errors import ConfigError, writing

__all__ = ["trust"]


@click.command()
@click.argument("plugins", nargs=-1, metavar="[PLUGIN]...")
@click.option("--remove", is_flag=True, help="Forget PLUGIN, a path or a SHA-256 of the list.")
@options()
def trust(plugins: tuple[str, ...], remove: bool) -> None:
    """List the plugins that may run although only a results folder names them, or add PLUGIN.

    PLUGIN is a module or .py file as for --plugin. It is not run now. Its files are known by their SHA-256, so that a
    changed plugin is refused again. Plugins that you name with --plugin, or in a configuration of yours, are known by
    themselves.
    """
    from analysis.core.trust import known_files

    for plugin in plugins:
        if remove:
            _remove(plugin)
        else:
            _add(plugin)
    if not plugins:
        click.echo("\n".join(f"{digest}  {path}" for digest, path in known_files().items()) or "No plugin is known.")


def _add(plugin: str) -> None:
    from analysis.core.plugin_files import plugin_files
    from analysis.core.trust import file_digest, trust_files, trust_folder

    if not (files := plugin_files(plugin)):
        msg = f"there is no plugin {plugin}. Give the path of a .py file, or a module that can be imported."
        raise ConfigError(msg)
    with writing(trust_folder()):
        trust_files(files)
    for path in files:
        click.echo(f"trusted: {path}, SHA-256 {file_digest(path)}")


def _remove(plugin: str) -> None:
    from analysis.core.plugin_files import plugin_files
    from analysis.core.trust import forget_files, trust_folder

    with writing(trust_folder()):
        found = [path for one in (plugin, *map(str, plugin_files(plugin))) for path in forget_files(one)]
    if not found:
        msg = f"{plugin} is not known. `cwola trust` lists the paths and SHA-256 of the plugins that are."
        raise ConfigError(msg)
    for path in found:
        click.echo(f"forgotten: {path}")
