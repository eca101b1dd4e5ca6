"""Options that say where work runs, the same for every command that does much of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

__all__ = ["where_options"]

_NAMES = ("jobs", "executor", "dask_address", "dask_tls", "dask_timeout", "cluster")

_OPTIONS = (
    click.option(
        "--jobs",
        type=click.IntRange(1),
        help="Worker processes on this machine. The results do not depend on it. [default: all cores]",
    ),
    click.option(
        "--executor",
        type=click.Choice(["serial", "processes", "dask"]),
        help="Where work runs. [default: processes, or dask where a cluster is given]",
    ),
    click.option(
        "--dask-address",
        metavar="URL",
        help="Scheduler, tcp://HOST:PORT or tls://HOST:PORT. [default: DASK_SCHEDULER_ADDRESS]",
    ),
    click.option(
        "--dask-tls", metavar="CA,CERT,KEY", help="Certificates for tls://. [default: the configuration of dask]"
    ),
    click.option(
        "--dask-timeout",
        type=click.FloatRange(0, min_open=True),
        default=300.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the first dask worker.",
    ),
    click.option("--cluster", metavar="MODULE:FUNCTION", help="Function that returns a dask client."),
)


def where_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets them together as `where`, keywords of `open_backend`."""

    @wraps(command)
    def wrapped(**options: Any) -> None:
        where = {name: options.pop(name) for name in _NAMES}
        command(**options, where=where)

    decorated: Callable[..., None] = wrapped
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
