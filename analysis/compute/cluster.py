"""Backend on the workers of a dask cluster (extra `dask`)."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError as Abandoned
from concurrent.futures import wait
from typing import Any, TypeVar
from uuid import uuid4

from analysis.compute.backend import MAX_RESUBMISSIONS, Backend, Serial, TaskFailure
from analysis.compute.cloudpickled import ByValue, Sent, by_value
from analysis.compute.processes import LocalProcesses, available_cpus
from analysis.compute.versions import ask_client, require_same_versions, version_advice
from analysis.compute.workers import ANSWER, POLL, WORKER_TIMEOUT, Workers
from analysis.core.counted import counted
from analysis.errors import ComputeError, CwolaError

__all__ = ["DaskWorkers"]

T = TypeVar("T")
R = TypeVar("R")

_KEPT = 2
"""Number of shared values kept on the workers; each new one replaces the oldest."""

_LARGE = 100_000
"""Size in bytes above which a task bypasses the scheduler."""

_BATCH = 100
"""Tasks per message to the scheduler; dask warns above 10 MB."""

_PAUSE = 0.02
"""Seconds between looks at finished tasks."""


class DaskWorkers:
    """Runs tasks on the workers of a dask cluster. This package is sent to workers that lack it.

    Parameters
    ----------
    client : distributed.Client
        Connected client with at least one worker; not closed here.
    local_jobs : int, optional
        Processes of this machine, for figures and other files of the results folder. Default: all processors.
    timeout : float
        Seconds without any worker after which `map` gives up.

    Raises
    ------
    ComputeError
        If there is no worker, or workers have a different version of Python or of a package that affects results.
    """

    def __init__(self, client: Any, *, local_jobs: int | None = None, timeout: float = WORKER_TIMEOUT) -> None:
        self._client = client
        from analysis.compute.worker import compared, installed, recorded

        self._workers = Workers(client, timeout)
        self._local_jobs = local_jobs or available_cpus()
        self._local: LocalProcesses | None = None
        self._shared: list[tuple[Any, Any]] = []
        self._found: dict[str, set[str]] = defaultdict(set)
        here = installed()
        self._here = recorded(here)
        with self._workers.kept():
            require_same_versions(compared(here), ask_client(client, ANSWER))
            _ship(client, compared(here))

    @property
    def jobs(self) -> int:
        """Number of threads of all current workers."""
        return max(1, self._workers.count_threads())

    @property
    def here(self) -> Backend:
        """Processes of this machine, started at the first access."""
        if self._local_jobs == 1:
            return Serial()
        if self._local is None:
            self._local = LocalProcesses(self._local_jobs)
        return self._local

    @property
    def other_versions(self) -> dict[str, tuple[str, ...]]:
        """Versions of libraries on workers that ran tasks, by name, where they differ from those here."""
        return {name: tuple(sorted(found)) for name, found in self._found.items() if found != {self._here[name]}}

    def close(self) -> None:
        """Stop the processes of this machine; the client stays open."""
        if self._local is not None:
            self._local.close()
            self._local = None

    def map(self, function: Callable[..., R], tasks: Sequence[T], *, shared: Any = None) -> Iterator[tuple[int, R]]:
        """Yield (index, result) as tasks finish; see `Backend.map`."""
        from distributed import CancelledError, KilledWorker

        waiting = set(range(len(tasks)))
        for _ in range(MAX_RESUBMISSIONS + 1):
            futures = self._submit(function, {index: tasks[index] for index in sorted(waiting)}, shared)
            try:
                for future in self._finished(futures):
                    index = futures[future]
                    try:
                        refusal, versions, result = self._fetch(future)
                    except CwolaError:
                        raise
                    except (CancelledError, Abandoned, KilledWorker):
                        continue  # lost with its worker, or with data that were sent to the worker
                    except Exception as error:
                        raise TaskFailure(index, error) from error
                    if refusal is not None:
                        raise ComputeError(version_advice([refusal]))
                    for name, version in versions.items():
                        self._found[name].add(version)
                    future.release()  # the worker need not keep it
                    waiting.discard(index)
                    yield index, result
            finally:
                if self._workers.connected:
                    self._client.cancel([future for future in futures if not future.cancelled()], force=True)
            if not waiting:
                return
            self._shared.clear()
        msg = (
            f"{counted(len(waiting), 'task was', 'tasks were')} lost {MAX_RESUBMISSIONS + 1} times because "
            "dask workers died (often: out of memory). Finished work is kept: run again on workers with more memory."
        )
        raise ComputeError(msg)

    def _finished(self, futures: Mapping[Any, int]) -> Iterator[Any]:
        """Yield futures as they finish, and check meanwhile that there are workers."""
        from distributed import as_completed

        ready = as_completed(list(futures), loop=self._client.loop)  # type: ignore[no-untyped-call]
        while not ready.is_empty():  # type: ignore[no-untyped-call]
            if not ready.has_ready():  # type: ignore[no-untyped-call]
                time.sleep(_PAUSE)
                self._check()
                continue
            yield from ready.next_batch(block=False)  # type: ignore[no-untyped-call]

    def _fetch(self, future: Any) -> Any:
        """Get a result; its worker may die before it is here, and then it is made again."""
        return self._await(self._client.gather(future, asynchronous=True))

    def _await(self, coroutine: Any) -> Any:
        """Wait for an answer of the cluster, and check meanwhile that there are workers."""
        pending = asyncio.run_coroutine_threadsafe(coroutine, self._client.loop.asyncio_loop)
        try:
            while not wait([pending], timeout=POLL).done:
                self._check()
            return pending.result()
        finally:
            pending.cancel()

    def _check(self) -> None:
        """Check that there are workers; without a connection all futures are cancelled anyway."""
        if self._workers.connected:
            self._workers.check()

    def _submit(self, function: Callable[..., R], tasks: dict[int, T], shared: Any) -> dict[Any, int]:
        from analysis.compute.worker import packed, run_task

        batch = f"{_name(function)}-{uuid4().hex}"
        with self._workers.kept():
            futures = self._client.map(
                ByValue(run_task),
                [self._place(packed((function, task))) for task in tasks.values()],
                *([] if shared is None else [[self._send(shared)] * len(tasks)]),
                key=[f"{batch}-{index}" for index in tasks],
                batch_size=_BATCH,
                pure=False,
            )
        return dict(zip(futures, tasks, strict=True))

    def _place(self, content: bytes) -> Any:
        """Send a large task directly to a worker: the scheduler would keep it until it is done."""
        return content if len(content) < _LARGE else self._scatter(content)

    def _scatter(self, value: Any, *, broadcast: bool = False) -> Any:
        for _ in range(MAX_RESUBMISSIONS + 1):
            self._workers.wait()
            try:
                sent = self._client.scatter([value], broadcast=broadcast, hash=False, timeout=ANSWER, asynchronous=True)
                return self._await(sent)[0]
            except (OSError, KeyError):  # workers died, or were stopped, which the scheduler may notice too late
                continue
        msg = "data cannot be sent to the dask workers, which die or cannot be reached. Finished work is kept."
        raise ComputeError(msg)

    def _send(self, shared: Any) -> Any:
        for sent, future in self._shared:
            if sent is shared:
                return future
        del self._shared[: max(0, len(self._shared) - _KEPT + 1)]
        # dask would scatter a bare dict by its keys.
        future = self._scatter(Sent(shared), broadcast=True)
        self._shared.append((shared, future))
        return future


def _name(function: Any) -> str:
    """Name of a function for the dashboard; for a partial, the name of its function."""
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__name__", type(inner).__name__))


def _ship(client: Any, expected: dict[str, str | None]) -> None:
    """Send this package to workers that lack it, including workers that join later."""
    from analysis.compute import worker

    places = worker.folders(worker.PACKAGES)
    shipment = worker.Shipment(worker.archive(places), worker.tree_digest(places), expected)
    with by_value(worker):
        client.register_plugin(shipment, name=worker.PLUGIN)
