"""Choice of the backend."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from analysis.compute.backend import Backend, Serial
from analysis.compute.connect import open_dask
from analysis.compute.fork_server import start_fork_server
from analysis.compute.processes import LocalProcesses, available_cpus
from analysis.compute.workers import WORKER_TIMEOUT
from analysis.errors import ComputeError, ConfigError

__all__ = ["ADDRESS_VARIABLE", "EXECUTORS", "Executor", "choose_executor", "expect_workers", "open_backend"]

Executor = Literal["serial", "processes", "dask"]

EXECUTORS: tuple[Executor, ...] = ("serial", "processes", "dask")

ADDRESS_VARIABLE = "DASK_SCHEDULER_ADDRESS"
"""Environment variable in which facilities, and dask itself, store the address of a scheduler."""


def expect_workers(
    modules: Sequence[str],
    *,
    jobs: int | None = None,
    executor: Executor | None = None,
    dask_address: str | None = None,
    dask_tls: str | None = None,
    cluster: str | None = None,
) -> None:
    """Let workers of this machine, if there will be any, find the modules of their tasks imported; see `open_backend`.

    Parameters
    ----------
    modules : sequence of str
        Names of modules.
    jobs, executor, dask_address, dask_tls, cluster
        As will be given to `open_backend`.

    Raises
    ------
    ConfigError
        If the choices contradict each other.
    """
    if choose_executor(jobs, executor, dask_address, cluster, dask_tls) == "processes":
        start_fork_server(modules)


@contextmanager
def open_backend(
    jobs: int | None = None,
    *,
    executor: Executor | None = None,
    dask_address: str | None = None,
    dask_tls: str | None = None,
    dask_timeout: float = WORKER_TIMEOUT,
    cluster: str | None = None,
) -> Iterator[Backend]:
    """Open a backend.

    Parameters
    ----------
    jobs : int, optional
        Worker processes of this machine; 1 runs everything in this process. Default: all available processors.
    executor : str, optional
        One of `EXECUTORS`. By default chosen by `choose_executor`.
    dask_address : str, optional
        Address of a dask scheduler.
    dask_tls : str, optional
        Files "CA,CERT,KEY" for an address that begins with tls.
    dask_timeout : float
        Seconds to wait for workers if there are none, at the start and later.
    cluster : str, optional
        "module:function"; the function returns a dask client.

    Yields
    ------
    Backend

    Raises
    ------
    ConfigError
        If the choices contradict each other or are invalid.
    ComputeError
        If a cluster, or several processes on this machine, cannot be used.

    Examples
    --------
    >>> from analysis.compute import open_backend
    >>> with open_backend(1) as backend:
    ...     dict(backend.map(abs, [-2, 1]))
    {0: 2, 1: 1}
    """
    chosen = choose_executor(jobs, executor, dask_address, cluster, dask_tls)
    if chosen == "dask":
        address = dask_address or (os.environ.get(ADDRESS_VARIABLE) if cluster is None else None)
        if address is None and cluster is None:
            _require_semaphores()
        with open_dask(address, cluster, dask_tls, timeout=dask_timeout, local_jobs=jobs) as workers:
            yield workers
        return
    if chosen == "serial":
        yield Serial()
        return
    _require_semaphores()
    backend = LocalProcesses(jobs or available_cpus())
    try:
        yield backend
    finally:
        backend.close()


def _require_semaphores() -> None:
    """Raise unless processes can share semaphores, which are files in /dev/shm on Linux."""
    try:
        multiprocessing.get_context("fork").Semaphore()
    except (ImportError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = (
            f"worker processes cannot be started: semaphores of this system fail ({reason}). Run with --jobs 1, in one "
            "process, or make /dev/shm writable, with space left: containers have options for it."
        )
        raise ComputeError(msg) from error


def choose_executor(
    jobs: int | None, executor: Executor | None, dask_address: str | None, cluster: str | None, dask_tls: str | None
) -> Executor:
    """Choose the executor; see `open_backend` for the parameters.

    An address, a cluster or certificates select dask. So does an address in the environment if neither executor nor
    jobs are given.

    Raises
    ------
    ConfigError
        If the choices contradict each other.
    """
    given = {"--dask-address": dask_address, "--cluster": cluster, "--dask-tls": dask_tls}
    of_dask = [name for name, value in given.items() if value is not None]
    if of_dask and executor not in (None, "dask"):
        msg = f"--executor {executor} and {of_dask[0]} contradict each other: leave one of them out."
        raise ConfigError(msg)
    if cluster is not None and len(of_dask) > 1:
        other = next(name for name in of_dask if name != "--cluster")
        msg = f"--cluster makes a client of its own: leave {other} or --cluster out."
        raise ConfigError(msg)
    if executor == "serial" and jobs not in (None, 1):
        msg = f"--executor serial runs in one process, but --jobs is {jobs}: leave one of them out."
        raise ConfigError(msg)
    if of_dask:
        return "dask"
    if executor is None and jobs is None and os.environ.get(ADDRESS_VARIABLE):
        return "dask"
    return executor or _local(jobs)


def _local(jobs: int | None) -> Executor:
    return "serial" if (jobs or available_cpus()) == 1 else "processes"
