"""Options of every command for the amount and form of its output: --verbose, --quiet and --json."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import wraps
from typing import Any

import click

from analysis.cli.output.tables_as_json import collecting
from analysis.core.address import hide_secrets

__all__ = ["WithoutSecrets", "add_output_options"]

LOGGERS = ("cwola", "py.warnings")
"""Loggers of this package, and of the warnings of libraries."""

_KEY = "analysis.cli.output"


class WithoutSecrets(logging.Formatter):
    """Formatter that removes passwords and tokens of addresses, also from command lines and messages of libraries."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; see the class."""
        return hide_secrets(super().format(record))


class _AboveBars(logging.Handler):
    """Handler that writes to standard error as it is at the moment: a progress bar takes its place meanwhile."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        sys.stderr.write(f"{self.format(record)}\n")
        sys.stderr.flush()


def add_output_options(command: click.Command) -> None:
    """Add the options to a command, but for --json if it has one of its own."""
    options = [
        _flag("-v", "--verbose", "Print the messages of the log file as they come, on stderr."),
        _flag("-q", "--quiet", "Print nothing but errors and warnings, and no progress bars."),
        _flag("--json", "Print tables and notes as one JSON document; other text on stderr."),
    ]
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params += [option for option in options if taken.isdisjoint(option.opts)]
    if command.callback is not None:
        command.callback = _with_output(command.callback)


def _flag(*declared: str) -> click.Option:
    *names, text = declared

    def keep(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        context.meta[f"{_KEY}.{parameter.name}"] = value

    return click.Option(names, is_flag=True, expose_value=False, callback=keep, help=text)


def _with_output(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        context = click.get_current_context()
        verbose, quiet, as_json = (context.meta.get(f"{_KEY}.{name}") for name in ("verbose", "quiet", "json"))
        with ExitStack() as stack:
            if as_json:
                stack.enter_context(collecting(context.info_name or "", sys.stdout))
                stack.enter_context(redirect_stdout(sys.stderr))
            if quiet:
                stack.enter_context(_quiet())
            if verbose:
                stack.enter_context(_logged_on_stderr())
            return callback(*arguments, **options)

    return wrapped


@contextmanager
def _quiet() -> Iterator[None]:
    from analysis.compute.progress import without_bars

    with redirect_stdout(io.StringIO()), without_bars():
        yield


@contextmanager
def _logged_on_stderr() -> Iterator[None]:
    handler = _AboveBars()
    handler.setFormatter(WithoutSecrets("%(asctime)s %(message)s", "%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = loggers[0].level
    loggers[0].setLevel(logging.INFO)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        loggers[0].setLevel(before)
        for logger in loggers:
            logger.removeHandler(handler)
