"""Searches of pseudo-data without signal, each with classifiers trained anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.calibration.coupling import FoldSums, labels_of, template_masses
from analysis.calibration.nulls import NullEvents
from analysis.calibration.values import NullBatch
from analysis.compute import Backend, track
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import WindowTask, search_window

__all__ = ["NullTask", "fold_excesses", "run_null_searches", "search_nulls", "significances"]

Array = NDArray[np.float64]


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
    results = backend.map(search_nulls, tasks, shared=events())
    number = sum(task.count for task in tasks)
    for index, batch in track(results, total=len(tasks), description=f"{number} searches without signal"):
        yield tasks[index], batch


def significances(result: WindowResult) -> dict[str, float | None]:
    """Signed z by selection, from counts and backgrounds alone; None without a fit."""
    return {
        selection.name: None if selection.background is None else selection.counting.effective(selection.weight).z
        for selection in result.selections
    }


def fold_excesses(result: WindowResult, data: SearchData, task: WindowTask, probability: float) -> dict[str, Array]:
    """Excess of the selected events of each fold over their known expectation.

    Parameters
    ----------
    result : WindowResult
    data : SearchData
        Searched pseudo-data in the fit range, in the order of the pass weights.
    task : WindowTask
    probability : float
        Known probability that an event lies in the signal region, whatever its features.

    Returns
    -------
    dict of str to (n_folds,) float64
        By selection, in standard deviations; NaN for folds without selected events.
    """
    if result.passes is None:
        return {}
    n_folds = task.folds[0].n_folds
    fold = task.folds[0].folds(data.table)
    inside = task.window.in_signal(data.table.mjj) - probability
    found = {}
    for index, selection in enumerate(result.selections):
        weight = np.asarray(result.passes[:, index], np.float64) * data.table.weight
        excess = np.bincount(fold, weight * inside, n_folds)
        variance = np.bincount(fold, weight**2, n_folds) * probability * (1 - probability)
        found[selection.name] = np.where(variance > 0, excess, np.nan) / np.sqrt(np.maximum(variance, 1e-300))
    return found


def search_nulls(task: NullTask, events: NullEvents) -> NullBatch:
    """Draw and search the sets of one task in this process."""
    seed, window = task.task.config.random_state, task.task.window
    simulated = template_masses(task.task.folds[0].method, events.simulation)
    probability = events.probability(window)
    z, correlations, folds = [], [], dict[str, FoldSums]()
    for number in range(task.first, task.first + task.count):
        data = events.draw(seed, number)
        result = search_window(task.task, data, tests=False)
        z.append(significances(result))
        correlations.append(labels_of(window, data.table.mjj, simulated).count_correlation(window))
        for name, excess in fold_excesses(result, data.within(window), task.task, probability).items():
            folds[name] = folds.get(name, FoldSums()) + FoldSums.of(excess)
    names = dict.fromkeys(name for found in z for name in found)
    by_name = {name: tuple(found.get(name) for found in z) for name in names}
    return NullBatch(window.name, task.first, by_name, folds, float(np.mean(correlations)))
