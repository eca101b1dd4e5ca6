"""Run coffea's tasks on our backends; a file that cannot be used is set aside, so that the others are processed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from coffea.processor import accumulate, executor
from coffea.processor.executor import ExecutorBase, FileMeta, WorkItem

from analysis.compute import Backend, Serial, TaskFailure, track
from analysis.core.address import Address, full_address, hide_secrets, replicas_of
from analysis.errors import InputFileError
from processors.keeping import forget_file
from processors.remote import TIMEOUT
from processors.runner.isolation import isolated_classes
from processors.runner.patience import patience
from processors.runner.problems import FileTask, explain, is_passing, require_regular

__all__ = ["BackendExecutor", "BadFile", "BadFiles", "run_tasks"]

R = TypeVar("R")


def _hash_names(items: Iterable[object]) -> int:
    """Hash names of files and datasets as coffea does, but in any script: coffea 2026.9 allows ASCII only."""
    text = ";".join(map(str, items)).encode("utf-8", "surrogateescape")
    return int(hashlib.md5(text, usedforsecurity=False).hexdigest()[:16], base=16)


executor._hash = _hash_names

ATTEMPTS = 3
"""Number of attempts to read a file before it counts as bad."""

PAUSE = 0.5
"""Seconds before a file is read again; twice as long before the last attempt."""

_LAST_READ: dict[str, str] = {}
"""Replica of a file that this process read last, which is tried first for its next chunk."""


@dataclass(frozen=True)
class BadFile:
    """A file that cannot be used.

    Attributes
    ----------
    dataset, filename : str
    reason : str
        Problem of the file, and the remedy.
    n_entries : int or None
        Number of events in the file; None if it cannot be opened.
    """

    dataset: str
    filename: str
    reason: str
    n_entries: int | None = None

    def __str__(self) -> str:
        return f"{self.filename} (dataset {self.dataset}): {self.reason}"


class BadFiles(dict[tuple[str, str], BadFile]):
    """Files that cannot be used, by dataset and name; the first reason is kept."""

    def note(self, bad: BadFile) -> None:
        """Add a file, unless it is already listed."""
        self.setdefault((bad.dataset, bad.filename), bad)

    def covers(self, task: Any) -> bool:
        """Return whether the file of a task is listed."""
        return (task.dataset, task.filename) in self


@dataclass
class BackendExecutor(ExecutorBase):
    """A coffea executor that maps over one of our backends.

    Attributes
    ----------
    backend : Backend
    bad : BadFiles
        Files that cannot be used, extended during the run; shared with the copies that coffea makes.
    timeout : float
        Seconds that a server may take to answer.
    retries : int
        0, since reading is retried here and not by coffea. Tasks lost with their worker are resubmitted by the backend.
    """

    backend: Backend = field(default_factory=Serial)
    bad: BadFiles = field(default_factory=BadFiles)
    timeout: float = TIMEOUT
    retries: int = 0

    def __call__(self, items: Iterable[Any], function: Callable[[Any], Any], accumulator: Any) -> tuple[Any, int]:
        """Run the function on all items and accumulate its results; add files that cannot be used to `bad`.

        Parameters
        ----------
        items : iterable of FileTask
        function : callable
            Picklable; its results can be accumulated by coffea.
        accumulator : object
            Initial value, may be None.

        Returns
        -------
        tuple
            The sum, and 0 as coffea expects if no exception is kept.

        Raises
        ------
        CwolaError
            The first error that is not due to a file.
        """
        # Files to open come as a set; sorted, the errors of a run are reproducible.
        tasks = sorted(items, key=lambda item: (item.dataset, item.filename)) if isinstance(items, set) else list(items)
        outcomes = run_tasks(self.backend, partial(_open_fully, function), tasks, self.desc, timeout=self.timeout)
        total = accumulate(self._good(outcomes), accumulator)
        # coffea treats None as an error; here all files may be bad
        return ({"out": {}} if total is None else total), 0

    def _good(self, outcomes: Iterator[tuple[int, Any]]) -> Iterator[Any]:
        for _, outcome in outcomes:
            if isinstance(outcome, BadFile):
                self.bad.note(outcome)
            else:
                yield outcome


def run_tasks(
    backend: Backend,
    function: Callable[[Any], R],
    tasks: list[Any],
    description: str,
    *,
    timeout: float = TIMEOUT,
) -> Iterator[tuple[int, R | BadFile]]:
    """Map a function over tasks on files, with a progress bar. Failed reads are retried.

    Parameters
    ----------
    backend : Backend
    function : callable
        Picklable.
    tasks : list of FileTask
    description : str
        Shown beside the progress bar.
    timeout : float
        Seconds that a server may take to answer.

    Yields
    ------
    (index, result)
        As tasks finish; a `BadFile` instead of a result if the file cannot be used.

    Raises
    ------
    CwolaError
        The first error that is not due to a file, with an explanation.
    """
    try:
        results = backend.map(partial(_guarded, function, timeout), tasks)
        yield from track(results, total=len(tasks), description=description)
    except TaskFailure as failure:
        explained = explain(failure, tasks[failure.index])
    else:
        return
    raise explained


def _open_fully(function: Callable[[Any], R], item: Any) -> R:
    """Let coffea open the file of a chunk by its address with secrets."""
    return function(replace(item, filename=full_address(item.filename)) if isinstance(item, WorkItem) else item)


def _guarded(function: Callable[[Any], R], timeout: float, task: FileTask) -> R | BadFile:
    """Run a task on its file, or on the first of its replicas that can be read."""
    given = replicas_of(task.filename)
    last = _LAST_READ.get(task.filename, given[0])
    replicas = sorted(given, key=lambda address: address != last)
    reasons: dict[str, str] = {}
    with patience(replicas, timeout), isolated_classes():
        for attempt in range(1, ATTEMPTS + 1):
            for address in [replica for replica in replicas if replica not in reasons]:
                try:
                    require_regular(_at(task, address))
                    result = function(_at(task, _opened_as(task.filename, address)))
                except Exception as error:  # noqa: BLE001 - any exception is classified and explained
                    forget_file()
                    if attempt == ATTEMPTS or not is_passing(error):
                        reasons[address] = _reason(error, _at(task, address))
                else:
                    if len(given) > 1:
                        _LAST_READ[task.filename] = address
                    return result
            if len(reasons) == len(replicas):
                break
            time.sleep(PAUSE * attempt)
    return BadFile(task.dataset, task.filename, _joined(reasons))


def _at(task: Any, address: str) -> Any:
    """Return a task with the file at another address."""
    if isinstance(task, FileMeta):
        return FileMeta(task.dataset, address, task.treename, task.metadata, task.preload)
    return task if task.filename is address else replace(task, filename=address)


def _opened_as(shown: str, replica: str) -> str:
    """Return the address that a file is known by, which opens one of its replicas."""
    return Address(full_address(replica), shown=str(shown)) if shown != replica else replica


def _reason(error: Exception, task: FileTask) -> str:
    """Return the reason why a file cannot be used; raise any error that is not one of the file."""
    # Explained here, in the worker, since the cause of an exception is lost on the way back.
    explained = explain(error, task)
    text = hide_secrets(str(explained), task.filename)
    if isinstance(explained, InputFileError):
        return text.removeprefix(f"{task.filename} (dataset {task.dataset}): ")
    raise (explained if text == str(explained) else type(explained)(text)) from None


def _joined(reasons: dict[str, str]) -> str:
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return "no replica can be used. " + " ".join(f"{address}: {reason}" for address, reason in reasons.items())
