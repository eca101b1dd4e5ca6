"""Interface of all backends, and the serial backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from analysis.errors import CwolaError

__all__ = ["MAX_RESUBMISSIONS", "Backend", "Serial", "TaskFailure"]

T = TypeVar("T")
R = TypeVar("R")

MAX_RESUBMISSIONS = 3
"""Maximum number of resubmissions of tasks that were lost with their worker."""


class TaskFailure(Exception):  # noqa: N818 - an envelope; the error is its cause
    """A task raised an exception from outside this package, which is the `__cause__`.

    Attributes
    ----------
    index : int
        Position of the task in the mapped sequence.
    """

    def __init__(self, index: int, cause: BaseException) -> None:
        super().__init__(f"task {index} failed: {cause}")
        self.index = index
        self.__cause__ = cause


class Backend(Protocol):
    """Backend that maps a function over tasks."""

    @property
    def jobs(self) -> int:
        """Number of concurrent tasks."""
        ...

    @property
    def here(self) -> Backend:
        """Processes of this machine, for tasks that write to places that other machines may not see."""
        ...

    @property
    def other_versions(self) -> Mapping[str, tuple[str, ...]]:
        """Versions of libraries with which tasks ran elsewhere, by name, where they differ from those here."""
        ...

    def map(self, function: Callable[..., R], tasks: Sequence[T], *, shared: Any = None) -> Iterator[tuple[int, R]]:
        """Yield (index, function(task)) or (index, function(task, shared)) as tasks finish, in any order.

        Parameters
        ----------
        function : callable
            Picklable; called with the task, and with `shared` if it is given.
        tasks : sequence
        shared : object, optional
            Sent once to each worker.

        Raises
        ------
        CwolaError
            If a task raises it.
        TaskFailure
            If a task raises any other exception.
        ComputeError
            If tasks are lost with their worker too often.
        """
        ...


class Serial:
    """Runs tasks sequentially in this process."""

    jobs = 1

    @property
    def here(self) -> Backend:
        """The backend itself."""
        return self

    @property
    def other_versions(self) -> Mapping[str, tuple[str, ...]]:
        """None: tasks run here."""
        return {}

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
