"""Searches of pseudo-data without signal, each with classifiers trained anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analysis.calibration.nulls import NullEvents
from analysis.calibration.values import NullBatch
from analysis.compute import Backend, track
from analysis.search.values import WindowResult
from analysis.search.window import WindowTask, search_window

__all__ = ["NullTask", "run_null_searches", "significances"]


@dataclass(frozen=True)
class NullTask:
    """Searches of some sets of pseudo-data in one window.

    Attributes
    ----------
    task : WindowTask
        Of the search; every set is trained with the same random numbers, from different events.
    first, count : int
        Numbers of the sets: `first` and the following ones. Equal numbers are equal sets in all windows.
    """

    task: WindowTask
    first: int
    count: int


def run_null_searches(
    tasks: Sequence[NullTask], events: Callable[[], NullEvents], backend: Backend
) -> Iterator[tuple[NullTask, NullBatch]]:
    """Search many sets of pseudo-data.

    Parameters
    ----------
    tasks : sequence of NullTask
    events : callable
        Makes the events that all workers share; not called without tasks.
    backend : Backend
        Backend of the tasks; the results do not depend on it.

    Yields
    ------
    task : NullTask
    batch : NullBatch
    """
    if not tasks:
        return
    results = backend.map(_search, tasks, shared=events())
    number = sum(task.count for task in tasks)
    for index, batch in track(results, total=len(tasks), description=f"{number} searches without signal"):
        yield tasks[index], batch


def significances(result: WindowResult) -> dict[str, float | None]:
    """Signed z by selection, from counts and backgrounds alone; None without a fit."""
    return {
        selection.name: None if selection.background is None else selection.counting.effective(selection.weight).z
        for selection in result.selections
    }


def _search(task: NullTask, events: NullEvents) -> NullBatch:
    seed = task.task.config.random_state
    found = [
        significances(search_window(task.task, events.draw(seed, number), tests=False))
        for number in range(task.first, task.first + task.count)
    ]
    names = dict.fromkeys(name for z in found for name in z)
    return NullBatch(task.task.window.name, task.first, {name: tuple(z.get(name) for z in found) for name in names})
