"""Run coffea's tasks on our backends; a file that cannot be used is set aside, so that the others are processed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import fsspec.config
from aiohttp import ClientTimeout
from coffea.processor import accumulate, executor
from coffea.processor.executor import ExecutorBase, WorkItem

from analysis.compute import Backend, Serial, TaskFailure, track
from analysis.core.address import full_address, hide_secrets
from analysis.errors import InputFileError
from processors.runner.isolation import isolated_classes
from processors.runner.problems import FileTask, explain, is_passing, require_regular
from processors.runner.restoring import Restored

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

TIMEOUT = 60
"""Seconds that a server may take to answer."""


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
    timeout : int
        Seconds that a server may take to answer.
    retries : int
        0, since reading is retried here and not by coffea. Tasks lost with their worker are resubmitted by the backend.
    """

    backend: Backend = field(default_factory=Serial)
    bad: BadFiles = field(default_factory=BadFiles)
    timeout: int = TIMEOUT
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
    timeout: int = TIMEOUT,
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
    timeout : int
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


def _guarded(function: Callable[[Any], R], timeout: int, task: FileTask) -> R | BadFile:
    # Explained here, in the worker, since the cause of an exception is lost on the way back.
    try:
        with _patience(task.filename, timeout), isolated_classes():
            require_regular(task)
            return _attempt(function, task)
    except Exception as error:  # noqa: BLE001 - any exception is classified and explained
        explained = explain(error, task)
    text = hide_secrets(str(explained), task.filename)
    if isinstance(explained, InputFileError):
        reason = text.removeprefix(f"{task.filename} (dataset {task.dataset}): ")
        return BadFile(task.dataset, task.filename, reason)
    raise explained if text == str(explained) else type(explained)(text)


def _attempt(function: Callable[[Any], R], task: FileTask) -> R:
    for attempt in range(1, ATTEMPTS):
        try:
            return function(task)
        except Exception as error:
            if not is_passing(error):
                raise
        time.sleep(PAUSE * attempt)
    return function(task)


@contextmanager
def _patience(address: str, timeout: int) -> Iterator[None]:
    """Set a timeout for requests to a server if the caller cannot: by default fsspec waits for five minutes."""
    protocol = address.partition("://")[0] if "://" in address else ""
    options: dict[str, Any] = {"root": {"timeout": timeout}}.get(protocol, {})
    if protocol in ("http", "https"):
        options = {"client_kwargs": {"timeout": ClientTimeout(total=timeout)}}
    settings = fsspec.config.conf
    with _SETTINGS.changing():
        if options:
            settings[protocol] = {**settings.get(protocol, {}), **options}
        yield


def _save_settings() -> Callable[[], None]:
    settings, before = fsspec.config.conf, dict(fsspec.config.conf)

    def restore() -> None:
        settings.clear()
        settings.update(before)

    return restore


_SETTINGS = Restored(_save_settings)
