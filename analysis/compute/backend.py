"""What every place to run work offers, and the simplest of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from analysis.errors import CwolaError

__all__ = ["MAX_RESUBMISSIONS", "Backend", "Serial", "TaskFailure"]

T = TypeVar("T")
R = TypeVar("R")

MAX_RESUBMISSIONS = 3
"""How often tasks that were lost with their worker are tried again."""


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
    """Something that maps a function over tasks."""

    @property
    def jobs(self) -> int:
        """Number of tasks that run at the same time."""
        ...

    @property
    def here(self) -> Backend:
        """Processes of this machine, for tasks that write where other machines may not see it."""
        ...

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

    @property
    def here(self) -> Backend:
        """Itself."""
        return self

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
