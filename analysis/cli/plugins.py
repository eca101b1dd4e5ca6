"""Option `--plugin`: modules of the user that add features, cuts, systematics, methods and more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from analysis.config import SearchConfig

__all__ = ["loads_plugins", "plugin_option", "with_plugins"]

_HELP: dict[str, Any] = {
    "multiple": True,
    "metavar": "MODULE",
    "help": "Module or .py file that adds features, cuts, formats, methods or background functions.",
}


def _load(_: click.Context, __: click.Parameter, value: Sequence[str]) -> None:
    from analysis.core.plugins import load_plugins

    load_plugins(value)


plugin_option = click.option("--plugin", "plugins", **_HELP)
"""Option for commands with a configuration, which may also name plugins; see `with_plugins`."""

loads_plugins = click.option("--plugin", **_HELP, expose_value=False, callback=_load)
"""Option for commands without a configuration; plugins are loaded before the command starts."""


def with_plugins(config: SearchConfig, names: Sequence[str]) -> SearchConfig:
    """Load the plugins of a configuration and of the command line; the latter replace plugins of the same name.

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

    given = {Path(name).name: str(Path(name).absolute()) if name.endswith(".py") else name for name in names}
    kept = [name for name in config.plugins if Path(name).name not in given]
    plugins = tuple(dict.fromkeys([*kept, *given.values()]))
    load_plugins(plugins)
    return config.model_copy(update={"plugins": plugins})
