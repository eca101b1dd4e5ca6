"""Options for the execution backend, shared by all commands with parallel work."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

__all__ = ["where_options"]

_NAMES = ("jobs", "executor", "dask_address", "dask_tls", "dask_timeout", "cluster")

_OF_TASKS = (
    "analysis.stages.scan",
    "analysis.stages.diagnose",
    "analysis.stages.figures",
    "analysis.stages.limit",
    "analysis.stages.process",
    "analysis.stages.validation.validate",
    "processors.runner.run",
)
"""Modules that import what tasks need."""

_OPTIONS = (
    click.option(
        "--jobs",
        type=click.IntRange(1),
        help="Number of worker processes on this machine; does not affect the results. [default: all cores]",
    ),
    click.option(
        "--executor",
        type=click.Choice(["serial", "processes", "dask"]),
        help="Execution backend. [default: processes, or dask if a cluster is given]",
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
        default=600.0,
        show_default=True,
        metavar="SECONDS",
        help="Time without any dask worker, at the start or later, after which the command gives up.",
    ),
    click.option("--cluster", metavar="MODULE:FUNCTION", help="Function that returns a dask client."),
)


def where_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, passed together as `where` for `open_backend`."""

    @wraps(command)
    def wrapped(**options: Any) -> None:
        from analysis.compute import expect_workers

        where = {name: options.pop(name) for name in _NAMES}
        expect_workers(_OF_TASKS, **{name: value for name, value in where.items() if name != "dask_timeout"})
        command(**options, where=where)

    decorated: Callable[..., None] = wrapped
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
