"""Where work runs: in this process, in local worker processes, or on the workers of a dask cluster.

A `Backend` is opened once and passed down. Every parallel step maps one picklable function over many small tasks;
data that all tasks need are sent once to each worker (locally as a memory-mapped file), not copied into each task.
Tasks never submit tasks. All is pickled with cloudpickle, so that what a plugin defines travels by value.
"""

from __future__ import annotations

import mmap
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cloudpickle
import loky
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.errors import ComputeError, CwolaError

__all__ = [
    "Backend",
    "DaskWorkers",
    "LocalProcesses",
    "Serial",
    "TaskFailure",
    "available_cpus",
    "open_backend",
    "track",
]

T = TypeVar("T")
R = TypeVar("R")

MAX_RESUBMISSIONS = 3
"""How often tasks that were lost with their worker are tried again."""

_ALIGNMENT = 64


class TaskFailure(Exception):  # noqa: N818 - an envelope; the error is its cause
    """A task raised an exception that is not one of ours; `index` tells which, `__cause__` what.

    Attributes
    ----------
    index : int
        Position of the task in the sequence that was mapped.
    """

    def __init__(self, index: int, cause: BaseException) -> None:
        super().__init__(f"task {index} failed: {cause}")
        self.index = index
        self.__cause__ = cause


class Backend(Protocol):
    """Something that maps a function over tasks.

    Attributes
    ----------
    jobs : int
        Number of tasks that run at the same time.
    """

    jobs: int

    def map(self, function: Callable[..., R], tasks: Sequence[T], *, shared: Any = None) -> Iterator[tuple[int, R]]:
        """Yield (index, function(task)) or (index, function(task, shared)) as tasks finish, in any order.

        Parameters
        ----------
        function : callable
            Picklable; called with the task, and with `shared` where that is given.
        tasks : sequence
        shared : object, optional
            Handed to each worker once.

        Raises
        ------
        CwolaError
            As a task raised it.
        TaskFailure
            If a task raises anything else.
        ComputeError
            If tasks are lost with their worker too often.
        """
        ...


class Serial:
    """Runs tasks one after the other in this process."""

    jobs = 1

    def map(self, function: Callable[..., R], tasks: Sequence[T], *, shared: Any = None) -> Iterator[tuple[int, R]]:
        """Yield (index, result) in order; see `Backend.map`."""
        for index, task in enumerate(tasks):
            try:
                result = function(task) if shared is None else function(task, shared)
            except CwolaError:
                raise
            except Exception as error:
                raise TaskFailure(index, error) from error
            yield index, result


class LocalProcesses:
    """Runs tasks in worker processes of this machine (loky).

    Parameters
    ----------
    jobs : int
        Number of worker processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._folder = Path(tempfile.mkdtemp(prefix="cwola-"))
        self._shared: list[tuple[Any, Path]] = []

    def map(self, function: Callable[..., R], tasks: Sequence[T], *, shared: Any = None) -> Iterator[tuple[int, R]]:
        """Yield (index, result) as tasks finish; see `Backend.map`."""
        path = self._write_shared(shared) if shared is not None else None
        waiting = set(range(len(tasks)))
        for _ in range(MAX_RESUBMISSIONS + 1):
            executor = loky.get_reusable_executor(max_workers=self.jobs, timeout=300)
            futures = {executor.submit(_run_task, function, tasks[index], path): index for index in sorted(waiting)}
            try:
                for future in as_completed(futures):
                    index = futures[future]
                    try:
                        result = future.result()
                    except (BrokenExecutor, CwolaError):
                        raise
                    except Exception as error:
                        raise TaskFailure(index, error) from error
                    waiting.discard(index)
                    yield index, result
            except BrokenExecutor:
                continue
            finally:
                for future in futures:
                    future.cancel()
            return
        msg = (
            f"{len(waiting)} tasks were lost {MAX_RESUBMISSIONS + 1} times because their worker process died (often: "
            "out of memory). Finished work is kept: run again with fewer --jobs."
        )
        raise ComputeError(msg)

    def close(self) -> None:
        """Stop the workers and remove the shared files."""
        loky.get_reusable_executor(max_workers=self.jobs).shutdown(wait=True, kill_workers=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_shared(self, shared: Any) -> Path:
        for known, path in self._shared:
            if known is shared:
                return path
        path = self._folder / f"shared-{len(self._shared)}"
        _write_buffers(shared, path)
        self._shared.append((shared, path))
        return path


class DaskWorkers:
    """Runs tasks on the workers of a dask cluster (extra `dask`). Workers must have this package.

    Parameters
    ----------
    client : distributed.Client
        Stays open.
    """

    def __init__(self, client: Any) -> None:
        self.jobs = max(1, sum(client.nthreads().values()))
        self._client = client
        self._shared: list[tuple[Any, Any]] = []

    def map(self, function: Callable[..., R], tasks: Sequence[T], *, shared: Any = None) -> Iterator[tuple[int, R]]:
        """Yield (index, result) as tasks finish; see `Backend.map`."""
        from distributed import CancelledError, KilledWorker, as_completed

        waiting = set(range(len(tasks)))
        for _ in range(MAX_RESUBMISSIONS + 1):
            futures = self._submit(function, {index: tasks[index] for index in sorted(waiting)}, shared)
            try:
                for future in as_completed(list(futures)):  # type: ignore[no-untyped-call]
                    index = futures[future]
                    try:
                        result = future.result()
                    except CwolaError:
                        raise
                    except (CancelledError, KilledWorker):
                        continue  # lost with its worker, or with what the worker had been sent
                    except Exception as error:
                        raise TaskFailure(index, error) from error
                    waiting.discard(index)
                    yield index, result
            finally:
                self._client.cancel(list(futures), force=True)
            if not waiting:
                return
            self._shared.clear()
        msg = (
            f"{len(waiting)} tasks were lost {MAX_RESUBMISSIONS + 1} times because their dask workers died (often: out "
            "of memory). Finished work is kept: run again on workers with more memory."
        )
        raise ComputeError(msg)

    def _submit(self, function: Callable[..., R], tasks: dict[int, T], shared: Any) -> dict[Any, int]:
        arguments = () if shared is None else (self._send(shared),)
        return {
            self._client.submit(_call, cloudpickle.dumps((function, task)), *arguments, pure=False): index
            for index, task in tasks.items()
        }

    def _send(self, shared: Any) -> Any:
        for known, future in self._shared:
            if known is shared:
                return future
        # a bare dict would be sent by its keys
        (future,) = self._client.scatter([_ByValue(shared)], broadcast=True, hash=False)
        self._shared.append((shared, future))
        return future


def available_cpus() -> int:
    """Processors that this process may use, with cgroup and affinity limits respected."""
    return int(loky.cpu_count())


@contextmanager
def open_backend(jobs: int | None = None) -> Iterator[Backend]:
    """Open the place where work runs.

    Parameters
    ----------
    jobs : int, optional
        Worker processes; 1 runs everything in this process. Default: all available processors.

    Yields
    ------
    Backend
    """
    jobs = available_cpus() if jobs is None else jobs
    if jobs == 1:
        yield Serial()
        return
    backend = LocalProcesses(jobs)
    try:
        yield backend
    finally:
        backend.close()


def track(results: Iterator[R], *, total: int, description: str) -> Iterator[R]:
    """Pass results through while a progress bar counts them; silent where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield from results
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(results, total=total, description=description)


class _ByValue:
    """Arrives as the value it holds, pickled with cloudpickle; a worker in this process gets it as it is.

    dask tries plain pickle first, which names functions and classes of a plugin, and workers may not have it.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        buffers: list[pickle.PickleBuffer] = []
        head = cloudpickle.dumps(self.value, protocol=5, buffer_callback=buffers.append)
        return _restore, (head, buffers)


def _restore(head: bytes, buffers: Sequence[Any]) -> Any:
    return pickle.loads(head, buffers=buffers)


def _call(work: bytes, *sent: Any) -> Any:
    """Call a function on a dask worker; before, the work is but bytes: the scheduler would pickle it once more."""
    function, task = pickle.loads(work)
    return function(task, *(one.value if isinstance(one, _ByValue) else one for one in sent))


def _run_task(function: Callable[..., R], task: Any, path: Path | None) -> R:
    return function(task) if path is None else function(task, _read_buffers(path))


def _write_buffers(value: Any, path: Path) -> None:
    """Pickle a value with its large arrays laid out of band, aligned, so that they can be memory-mapped."""
    buffers: list[pickle.PickleBuffer] = []
    head = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    spans, end = [], 0
    with path.with_suffix(".data").open("wb") as stream:
        for buffer in buffers:
            raw = buffer.raw()
            stream.write(b"\0" * (-end % _ALIGNMENT))
            start = end + -end % _ALIGNMENT
            stream.write(raw)
            end = start + raw.nbytes
            spans.append((start, end))
    path.write_bytes(pickle.dumps((head, spans)))


@lru_cache(maxsize=2)
def _read_buffers(path: Path) -> Any:
    head, spans = pickle.loads(path.read_bytes())
    if not spans:
        return pickle.loads(head)
    with path.with_suffix(".data").open("rb") as stream:
        mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)) if spans[-1][1] else memoryview(b"")
    return pickle.loads(head, buffers=[mapped[start:end] for start, end in spans])
