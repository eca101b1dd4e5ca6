"""Shared parts of the commands of a search: options, resolved configuration, and results folder."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis import __version__
from analysis.cli.inputs.completion import complete_datasets, complete_presets
from analysis.cli.inputs.plugins import plugin_option, with_found_plugins, with_plugins
from analysis.cli.output.amount import LOGGERS, WithoutSecrets
from analysis.cli.terminal.streams import open_log
from analysis.cli.where import where_options
from analysis.core.lock import descriptor_to_append, locked
from analysis.errors import ConfigError

if TYPE_CHECKING:
    from analysis.config import SearchConfig
    from analysis.core.location import Location
    from analysis.events.dataset import Dataset
    from analysis.results import ResultsFolder

__all__ = ["DatasetsFile", "open_results", "options", "resolve_config"]

_log = logging.getLogger("cwola")


def _location(_: click.Context, __: click.Parameter, value: str | None) -> Location | None:
    from analysis.core.location import parse_location

    return None if value is None else parse_location(value)


@dataclass(frozen=True)
class DatasetsFile:
    """Datasets file, and the servers or folders of its logical names.

    Attributes
    ----------
    path : pathlib.Path
    redirectors : tuple of str
    """

    path: Path
    redirectors: tuple[str, ...]

    def load(self, exclude: tuple[str, ...]) -> dict[str, Dataset]:
        """Read the datasets but the excluded ones; see `load_datasets` for the errors."""
        from analysis.events.datasets import exclude_datasets, load_datasets

        return exclude_datasets(load_datasets(self.path, self.redirectors), exclude)


def _datasets_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of the datasets file to a command, passed together as `datasets`."""

    @wraps(command)
    def wrapped(datasets: Path, redirector: tuple[str, ...], **options: Any) -> None:
        command(datasets=DatasetsFile(datasets, redirector), **options)

    redirector = click.option(
        "--redirector",
        multiple=True,
        envvar="CWOLA_REDIRECTOR",
        show_envvar=True,
        metavar="URL",
        help="Server or folder that has the files named /store/...; several are tried in turn.",
    )
    datasets = click.option(
        "--datasets",
        type=click.Path(path_type=Path),
        default=Path("datasets.json"),
        show_default=True,
        help="Datasets file, with the files to search; a fileset of coffea or PocketCoffea will do.",
    )
    return datasets(redirector(wrapped))


def options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options shared by several commands, by name, and `--debug`."""
    shared: dict[str, Callable[[Callable[..., None]], Callable[..., None]]] = {
        "datasets": _datasets_options,
        "exclude": click.option(
            "--exclude",
            multiple=True,
            metavar="NAME",
            shell_complete=complete_datasets,
            help="Exclude a dataset; may be given several times.",
        ),
        "preset": click.option(
            "--preset",
            metavar="NAME",
            shell_complete=complete_presets,
            help="Published or recommended set-up; see `cwola presets`.  [default: demo]",
        ),
        "config": click.option(
            "--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML file that overrides the preset."
        ),
        "plugin": plugin_option,
        "seed": click.option("--seed", type=click.IntRange(0), help="Replaces random_state of the configuration."),
        "seeds": click.option(
            "--seeds",
            type=click.IntRange(1),
            help="Trainings of each window, for median and band of z; replaces learning.n_seeds.",
        ),
        "blind": click.option(
            "--blind",
            is_flag=True,
            help="Show no count, p-value or observed limit inside the windows; sets statistics.blind.",
        ),
        "debug": click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
        "output": click.option(
            "--output",
            type=click.Path(path_type=Path),
            default=Path("results"),
            show_default=True,
            help="Results folder.",
        ),
        "skip": click.option("--skip-bad-files", is_flag=True, help="Skip files that cannot be used, and list them."),
        "timeout": click.option(
            "--timeout",
            type=click.IntRange(1),
            default=60,
            show_default=True,
            metavar="SECONDS",
            help="Timeout of a server before its file is tried again, three times in total.",
        ),
        "parts": click.option(
            "--parts",
            metavar="URL",
            callback=_location,
            help="Folder of intermediate files, any path or URL of fsspec.  [default: in or beside the output]",
        ),
        "where": where_options,
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for name in reversed((*names, "debug")):
            command = shared[name](command)
        return command

    return decorate


def resolve_config(
    *,
    preset: str | None,
    config: Path | None,
    plugins: tuple[str, ...],
    seed: int | None = None,
    seeds: int | None = None,
    blind: bool = False,
    fallback: Path | None = None,
    needs_plugins: bool = True,
) -> SearchConfig:
    """Resolve the configuration from the options; by default from the configuration of the results folder.

    Plugins that a results folder names run only if this user knows them. Without `needs_plugins`, the command goes on
    without the others.
    """
    from analysis.config import load_config
    from analysis.results import ResultsFolder

    if preset is None and config is None and fallback is not None and fallback.exists():
        ResultsFolder(fallback.parent, read_only=True).require_config()
        config = fallback
    overrides: dict[str, Any] = {} if seed is None else {"random_state": seed}
    if seeds is not None:
        overrides["learning"] = {"n_seeds": seeds}
    if blind:
        overrides["statistics"] = {"blind": True}
    resolved = load_config(preset=preset, path=config, overrides=overrides)
    _require_windows(resolved)
    if config is None or not _is_found(config):
        return with_plugins(resolved, plugins)
    return with_found_plugins(resolved, plugins, config, needed=needs_plugins)


def _require_windows(config: SearchConfig) -> None:
    if not config.scan.sets_windows:
        msg = (
            "the configuration sets no windows, and a preset such as `best` sets none, since they belong to the data. "
            "Give a file with --config whose section [scan] has fit_range, beginning where your spectrum is smooth, "
            "and windows, or first, last, width and step. For the packaged demo, `cwola demo FOLDER` writes it."
        )
        raise ConfigError(msg)


def _is_found(config: Path) -> bool:
    """Whether a configuration may be of somebody else: JSON, as cwola writes it, or a file in a results folder."""
    if config.suffix == ".json":
        return True
    above = {*Path(os.path.abspath(config)).parents, *config.resolve().parents}  # noqa: PTH100 - keeps symbolic links
    return any((folder / "config.json").is_file() and (folder / "process.json").is_file() for folder in above)


@contextmanager
def open_results(path: Path, *, create: bool = True) -> Iterator[ResultsFolder]:
    """Open a results folder, and write log messages and warnings to its log file."""
    from analysis.compute import busy
    from analysis.results import ResultsFolder

    folder = ResultsFolder(path, create=create)
    with locked(folder.path), _logged(folder), busy(_command()):
        yield folder


def _command() -> str:
    context = click.get_current_context(silent=True)
    return f"cwola {'' if context is None else context.info_name or ''}".strip()


@contextmanager
def _logged(folder: ResultsFolder) -> Iterator[None]:
    handler = logging.StreamHandler(open_log(descriptor_to_append(folder.log)))
    handler.setFormatter(WithoutSecrets("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    logging.captureWarnings(True)
    _log.setLevel(logging.INFO)
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(handler)
    _log.info("cwola %s: %s", __version__, " ".join(sys.argv[1:]))
    try:
        yield
    except Exception as error:
        _log.error("%s", error)
        raise
    finally:
        logging.captureWarnings(False)
        for logger in loggers:
            logger.removeHandler(handler)
        handler.stream.close()
        handler.close()
