"""Backend on worker processes of this machine, which share large arrays through files.

The pickle that refers to the arrays travels with the tasks: files hold raw arrays, and nothing on disk is unpickled.
"""

from __future__ import annotations

import mmap
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import cloudpickle
import loky
import numpy as np

from analysis.compute.backend import MAX_RESUBMISSIONS, Backend, TaskFailure
from analysis.compute.fork_server import work_like_command, worker_context
from analysis.core.counted import counted
from analysis.core.scratch import ScratchFolder
from analysis.errors import ComputeError, CwolaError

__all__ = ["LocalProcesses", "available_cpus"]

T = TypeVar("T")
R = TypeVar("R")

_ALIGNMENT = 64

_IDLE = 24 * 3600
"""Seconds after which idle workers stop: so long that none stops while tasks are submitted."""

_WATCH = 1.0
"""Seconds between looks of a worker at its parent."""


@dataclass(frozen=True)
class _Shared:
    """Data that all tasks share.

    Attributes
    ----------
    path : pathlib.Path
        File of the large arrays.
    head : bytes
        Pickle of all else.
    spans : bytes
        Begin and end of each array in the file, bytes; packed, since it is pickled with every task.
    """

    path: Path
    head: bytes = field(compare=False, repr=False)
    spans: bytes = field(compare=False, repr=False)


class LocalProcesses:
    """Runs tasks in worker processes of this machine (loky).

    Parameters
    ----------
    jobs : int
        Number of worker processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._folder = ScratchFolder("cwola-")
        self._shared: list[tuple[Any, _Shared]] = []
        self._executor: Any = None
        self._abandoned: list[Future[Any]] = []
        self._context = worker_context()
        self._prepare: tuple[Callable[..., None], tuple[Any, ...]] = (_end_with_parent, (os.getpid(),))
        if self._context is not None:
            self._prepare = (work_like_command, (str(Path.cwd()), dict(os.environ)))

    @property
    def here(self) -> Backend:
        """The backend itself."""
        return self

    @property
    def other_versions(self) -> Mapping[str, tuple[str, ...]]:
        """None: tasks run on this machine, in the same environment."""
        return {}

    def map(self, function: Callable[..., R], tasks: Sequence[T], *, shared: Any = None) -> Iterator[tuple[int, R]]:
        """Yield (index, result) as tasks finish; see `Backend.map`."""
        for future in self._abandoned:
            future.cancel()
        sent = self._write_shared(shared) if shared is not None else None
        waiting = set(range(len(tasks)))
        for _ in range(MAX_RESUBMISSIONS + 1):
            executor = self._executor = self._start()
            futures = {executor.submit(_run_task, function, tasks[index], sent): index for index in sorted(waiting)}
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
                # Not cancelled yet: loky fails on cancelled futures, with a traceback, if it is shut down next.
                self._abandoned = [future for future in futures if not future.done()]
            return
        msg = (
            f"{counted(len(waiting), 'task was', 'tasks were')} lost {MAX_RESUBMISSIONS + 1} times because "
            "worker processes died (often: out of memory). Finished work is kept: run again with fewer --jobs."
        )
        raise ComputeError(msg)

    def close(self) -> None:
        """Stop the workers, if any were started, and remove the shared files."""
        executor, self._executor = self._executor, None
        if executor is not None:
            with suppress(BrokenExecutor, OSError):  # workers that died are gone already
                executor.shutdown(wait=True, kill_workers=True)
        self._folder.remove()

    def _start(self) -> Any:
        prepare, arguments = self._prepare
        return loky.get_reusable_executor(
            max_workers=self.jobs, context=self._context, timeout=_IDLE, initializer=prepare, initargs=arguments
        )

    def _write_shared(self, shared: Any) -> _Shared:
        for written, sent in self._shared:
            if written is shared:
                return sent
        path = self._folder.path / f"shared-{len(self._shared)}"
        sent = _write_buffers(shared, path)
        self._shared.append((shared, sent))
        return sent


def available_cpus() -> int:
    """Return the number of processors available to this process, within cgroup and affinity limits."""
    return int(loky.cpu_count())


def _end_with_parent(parent: int) -> None:
    """Let this worker process end soon after its parent, which may be killed without a word."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _run_task(function: Callable[..., R], task: Any, shared: _Shared | None) -> R:
    return function(task) if shared is None else function(task, _read_buffers(shared))


def _write_buffers(value: Any, path: Path) -> _Shared:
    """Pickle a value with its large arrays out of band and aligned, so that they can be memory-mapped."""
    buffers: list[pickle.PickleBuffer] = []
    head = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    spans, end = [], 0
    with path.open("xb") as stream:
        for buffer in buffers:
            raw = buffer.raw()
            stream.write(b"\0" * (-end % _ALIGNMENT))
            start = end + -end % _ALIGNMENT
            stream.write(raw)
            end = start + raw.nbytes
            spans.append((start, end))
    return _Shared(path, head, np.array(spans, np.int64).tobytes())


@lru_cache(maxsize=2)
def _read_buffers(shared: _Shared) -> Any:
    spans = np.frombuffer(shared.spans, np.int64).reshape(-1, 2).tolist()
    if not spans:
        return pickle.loads(shared.head)
    with shared.path.open("rb") as stream:
        mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)) if spans[-1][1] else memoryview(b"")
    return pickle.loads(shared.head, buffers=[mapped[start:end] for start, end in spans])
