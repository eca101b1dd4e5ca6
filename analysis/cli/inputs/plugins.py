"""Option `--plugin`: modules of the user that add features, cuts, systematics, methods and more.

Plugins are code. One that the user names runs, and its files are known from then on; one that a results folder names
runs only if its files are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.errors import ConfigError

if TYPE_CHECKING:
    from analysis.config import SearchConfig

__all__ = ["loads_plugins", "plugin_option", "with_found_plugins", "with_plugins"]

_HELP: dict[str, Any] = {
    "multiple": True,
    "metavar": "MODULE",
    "help": "Module or .py file that adds features, cuts, formats, methods or background functions.",
}


def _load(_: click.Context, __: click.Parameter, value: Sequence[str]) -> None:
    from analysis.core.plugins import load_plugins

    load_plugins(value)
    _remember(value)


plugin_option = click.option("--plugin", "plugins", **_HELP)
"""Option for commands with a configuration, which may also name plugins; see `with_plugins`."""

loads_plugins = click.option("--plugin", **_HELP, expose_value=False, callback=_load)
"""Option for commands without a configuration; plugins are loaded before the command starts."""


def with_plugins(config: SearchConfig, names: Sequence[str]) -> SearchConfig:
    """Load the plugins of the user's configuration and command line; the latter replace plugins of the same name.

    Parameters
    ----------
    config : SearchConfig
    names : sequence of str
        Modules, or paths of `.py` files.

    Returns
    -------
    SearchConfig
        Configuration with all plugins.

    Raises
    ------
    ConfigError
        If a plugin cannot be loaded.
    """
    from analysis.core.plugins import load_plugins

    plugins = _merged(config, names)
    load_plugins(plugins)
    _remember(plugins)
    return config.model_copy(update={"plugins": plugins})


def with_found_plugins(config: SearchConfig, names: Sequence[str], where: Path, *, needed: bool) -> SearchConfig:
    """Load the plugins of the command line, and those of a configuration of unknown origin that this user knows.

    Parameters
    ----------
    config : SearchConfig
    names : sequence of str
        Modules, or paths of `.py` files, of the command line.
    where : pathlib.Path
        File of the configuration, such as `config.json` of a results folder.
    needed : bool
        Refuse unknown plugins; otherwise say that they are not run, and go on without them.

    Returns
    -------
    SearchConfig
        Configuration with all plugins.

    Raises
    ------
    ConfigError
        If a plugin is needed and unknown, or cannot be loaded.
    """
    from analysis.core.plugins import installed_plugins, load_plugins

    plugins, given = _merged(config, names), _merged(config.model_copy(update={"plugins": ()}), names)
    harmless = {*given, *installed_plugins()}
    problems = {name: problem for name in plugins if name not in harmless and (problem := _problem(name, where))}
    if problems and needed:
        raise ConfigError(next(iter(problems.values())))
    for problem in problems.values():
        click.echo(f"note: {problem} The stored results are shown without it.", err=True)
    load_plugins([name for name in plugins if name not in problems])
    if problems:
        _stand_in(where.parent)
    _remember(given)
    return config.model_copy(update={"plugins": plugins})


def _merged(config: SearchConfig, names: Sequence[str]) -> tuple[str, ...]:
    given = {Path(name).name: str(Path(name).absolute()) if name.endswith(".py") else name for name in names}
    kept = [name for name in config.plugins if Path(name).name not in given]
    return tuple(dict.fromkeys([*kept, *given.values()]))


def _problem(source: str, where: Path) -> str | None:
    """Why a plugin that a file of unknown origin names is not run; None if all its files are known."""
    from analysis.core.plugin_files import plugin_files
    from analysis.core.trust import file_digest, known_files

    files, known = plugin_files(source), known_files()
    named = f"plugin {Path(source).name if source.endswith('.py') else source}, named in {where}"
    if not files:
        kind = f"there is no file {source}" if source.endswith(".py") else f"there is no file of the module {source}"
        return f"{named}, is not run: {kind}. Name the plugin with --plugin."
    digests = {path: file_digest(path) for path in files}
    unknown = [f"{path}, SHA-256 {digest}" for path, digest in digests.items() if digest not in known]
    if not unknown:
        return None
    changed = any(str(path) in known.values() for path, digest in digests.items() if digest not in known)
    reason = "has changed since you named it" if changed else "is code that you have not named so far"
    return (
        f"{named}, {reason}, and is not run: {'; '.join(unknown)}. Read it. If you trust it, name it with --plugin "
        f"{source}, or say `cwola trust {source}` once."
    )


def _stand_in(folder: Path) -> None:
    from analysis.core.plugins import stand_in
    from analysis.errors import ResultsError
    from analysis.results import ResultsFolder

    try:
        stand_in(ResultsFolder(folder, read_only=True).stored_plugins())
    except ResultsError:  # a damaged record: the command itself says so if it needs it
        return


def _remember(plugins: Iterable[str]) -> None:
    """Make the files of plugins that the user named known; a failure does not stop the command."""
    from analysis.core.plugin_files import plugin_files
    from analysis.core.trust import trust_files

    files = [path for name in plugins for path in plugin_files(name)]
    try:
        trust_files(files)
    except OSError as error:
        click.echo(
            f"warning: the plugins that you named cannot be remembered: {error}. The command goes on; a command that "
            "finds them in a results folder will ask you to name them with --plugin.",
            err=True,
        )
