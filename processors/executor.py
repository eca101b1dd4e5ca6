"""Runs coffea's tasks on our backends, and says in plain words what went wrong with a file."""

from __future__ import annotations

import struct
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from coffea.processor import accumulate
from coffea.processor.executor import ExecutorBase, UprootMissTreeError

from analysis.compute import Backend, Serial, TaskFailure, track
from analysis.errors import CwolaError, InputFileError

__all__ = ["BackendExecutor", "FileTask", "explain", "run_tasks"]

R = TypeVar("R")

ROOT_HEADER_BYTES = 64
LARGE_FILE_VERSION = 1_000_000
"""From this version number on, a ROOT header holds 8-byte positions."""


class FileTask(Protocol):
    """A task on one input file, such as coffea's WorkItem."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""

    @property
    def filename(self) -> str:
        """Path or URL."""

    @property
    def treename(self) -> str:
        """Name of the tree."""


@dataclass
class BackendExecutor(ExecutorBase):
    """A coffea executor that maps over one of our backends.

    Attributes
    ----------
    backend : Backend
    retries : int
        0: an error is reported at once. Tasks lost with their worker are resubmitted by the backend.
    """

    backend: Backend = field(default_factory=Serial)
    retries: int = 0

    def __call__(self, items: Iterable[Any], function: Callable[[Any], Any], accumulator: Any) -> tuple[Any, int]:
        """Run the function on all items and add up what it returns.

        Parameters
        ----------
        items : iterable of FileTask
        function : callable
            Picklable; returns something that coffea can accumulate.
        accumulator : object
            Start value, may be None.

        Returns
        -------
        tuple
            The sum, and 0 as coffea expects where no exception is kept.

        Raises
        ------
        CwolaError
            The first error of a task, explained.
        """
        # Files to open come as a set; their order decides which of several errors is reported.
        tasks = sorted(items, key=lambda item: (item.dataset, item.filename)) if isinstance(items, set) else list(items)
        results = (result for _, result in run_tasks(self.backend, function, tasks, self.desc))
        return accumulate(results, accumulator), 0


def run_tasks(
    backend: Backend, function: Callable[[Any], R], tasks: list[Any], description: str
) -> Iterator[tuple[int, R]]:
    """Map a function over tasks on files, with progress.

    Parameters
    ----------
    backend : Backend
    function : callable
        Picklable.
    tasks : list of FileTask
    description : str
        Shown beside the progress bar.

    Yields
    ------
    (index, result)
        As tasks finish.

    Raises
    ------
    CwolaError
        The first error of a task, explained.
    """
    try:
        results = backend.map(partial(_guarded, function), tasks)
        yield from track(results, total=len(tasks), description=description)
    except TaskFailure as failure:
        explained = explain(failure, tasks[failure.index])
    else:
        return
    raise explained


def _guarded(function: Callable[[Any], R], task: Any) -> R:
    # Explained here, in the worker: what an exception was caused by is lost on the way back.
    try:
        return function(task)
    except Exception as error:
        ours = _own_error(error)
        if ours is None:
            raise explain(error, task) from error
    raise ours


def explain(error: BaseException, task: FileTask) -> CwolaError:
    """Turn an exception raised while a file was read into one that names the file and what to do.

    Parameters
    ----------
    error : BaseException
    task : FileTask

    Returns
    -------
    CwolaError
        The error of this package in the chain of causes, if there is one, else an `InputFileError`.
    """
    if ours := _own_error(error):
        return ours
    chain = _causes(error)
    where = f"{task.filename} (dataset {task.dataset})"
    if problem := _file_problem(chain, task):
        return InputFileError(f"{where}: {problem}")
    root = chain[-1]
    text = f"{type(root).__name__}: {root}".splitlines()[0]
    return InputFileError(f"{where}: {text} ({_place(root)}). {_remedy(chain)}")


def _own_error(error: BaseException) -> CwolaError | None:
    return next((one for one in _causes(error) if isinstance(one, CwolaError)), None)


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception, what caused it, and so on down to the root."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _file_problem(chain: list[BaseException], task: FileTask) -> str | None:
    if any(isinstance(one, FileNotFoundError) for one in chain):
        return "there is no such file. Correct the path in the datasets file."
    if any(isinstance(one, PermissionError) for one in chain):
        return "the file may not be read (permission denied)."
    lengths = _lengths(Path(task.filename))
    if lengths is None:
        return "this is not a ROOT file. Download or make it again."
    found, stated = lengths
    if found < stated:
        return f"the file is cut off: it has {found} of {stated} bytes. Download or copy it again."
    if any(isinstance(one, UprootMissTreeError) for one in chain):
        keys = ", ".join(str(key).split(";")[0] for key in getattr(chain[-1], "keys", None) or [])
        hint = f" and accounts for {stated} of {found} bytes only" if found > stated else ""
        return (
            f"there is no tree '{task.treename}'; the file holds {keys or 'nothing'}{hint}. Correct the tree in the "
            "datasets file; if the job that writes the file is still running, wait for it; if it died, make the "
            "file again."
        )
    return None


def _lengths(path: Path) -> tuple[int, int] | None:
    """Length of a local ROOT file, found and as its header states it; (0, 0) if unknown, None if not a ROOT file."""
    try:
        with path.open("rb") as stream:
            header = stream.read(ROOT_HEADER_BYTES)
        found = path.stat().st_size
    except OSError:
        return 0, 0
    if len(header) < ROOT_HEADER_BYTES or not header.startswith(b"root"):
        return None
    version, stated = struct.unpack(">i4xi", header[4:16])
    if version >= LARGE_FILE_VERSION:
        (stated,) = struct.unpack(">q", header[12:20])
    return found, stated


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "no line known"


def _remedy(chain: list[BaseException]) -> str:
    if any(str(one).startswith("Failed creating nanoevents") for one in chain):
        return "The branches do not have the layout of metadata.format: correct it in the datasets file."
    return (
        "Check that the file is complete and has the layout of metadata.format; if the line named here is in a module "
        "of yours, correct it there."
    )
