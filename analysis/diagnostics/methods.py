"""Comparison of methods: every one is trained, measured and searched with on the same events.

Measured as in `gains`: signal outside of the data against background in the window, fold by fold. The same classifiers
then search the pseudodata, which may hide signal, and others the pseudodata without it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.diagnostics.gains import Benchmark, Separation, fold_separation, smallest_discovery
from analysis.diagnostics.method_values import CUTS, Closure, TrainedMethod
from analysis.errors import CwolaError
from analysis.events.table import EventTable
from analysis.learning import INCLUSIVE, FoldResult, Samples, run_fold
from analysis.learning.metrics import mean_roc
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.search.window import WindowEvaluation, WindowTask, evaluate_folds, search_window

__all__ = ["MethodEvents", "MethodTask", "closure", "compared_selection", "measure_method"]


@dataclass(frozen=True)
class MethodEvents:
    """Events for the comparison.

    Attributes
    ----------
    data : SearchData
        Pseudodata with known truth, and simulated background where there is any.
    held_out : dict of str to EventTable
        Signal samples by name; none of their events are among the data.
    """

    data: SearchData
    held_out: Mapping[str, EventTable]

    @property
    def samples(self) -> Samples:
        """Everything, as training folds of `run_fold`."""
        return Samples(self.data.table, self.data.simulation, self.data.signal_datasets)

    @property
    def without_signal(self) -> SearchData:
        """Pseudodata without the hidden signal."""
        truth = self.samples.is_signal()
        return replace(self.data, table=self.data.table.select(~truth), signal_datasets=())


@dataclass(frozen=True)
class MethodTask:
    """One training of one method in one window.

    Attributes
    ----------
    task : WindowTask
    signals : tuple of str
        Signal samples for the measurement; without them, the pseudodata without signal are searched.
    """

    task: WindowTask
    signals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Result of a `MethodTask`: the search, without models and events, and the measurement by signal sample."""

    search: WindowResult
    trained: Mapping[str, TrainedMethod]


def measure_method(task: MethodTask, events: MethodEvents) -> Measured | CwolaError:
    """Train and measure in this process; an error that concerns this method alone is returned, not raised."""
    try:
        return _measured(task, events) if task.signals else Measured(_searched(task, events), {})
    except CwolaError as error:
        return error


def _searched(task: MethodTask, events: MethodEvents) -> WindowResult:
    return _slim(search_window(task.task, events.without_signal, limits=False, tests=False))


def _measured(job: MethodTask, events: MethodEvents) -> Measured:
    task = job.task
    data = events.data.within(task.window)
    samples = replace(events, data=data).samples
    start = time.process_time()
    folds = [run_fold(fold, samples) for fold in task.folds]
    spent = time.process_time() - start
    search = WindowEvaluation(task.window, task.edges, folds, task.folds[0], task.config, task.functions, limits=False)
    trained = {name: _separated(task, folds, Benchmark(samples, events.held_out[name]), spent) for name in job.signals}
    return Measured(_slim(evaluate_folds(search, data)), trained)


def _separated(task: WindowTask, folds: Sequence[FoldResult], benchmark: Benchmark, spent: float) -> TrainedMethod:
    parts = [fold_separation(task.folds[0], benchmark, fold) for fold in folds]
    found = Separation(mean_roc([one.signal for one in parts]), mean_roc([one.sculpting for one in parts]))
    return TrainedMethod(
        sic=tuple(found.signal.sic(efficiency) for efficiency in CUTS),
        auc=found.signal.auc,
        window_sideband_auc=found.sculpting.auc,
        sigma_min=smallest_discovery(found.signal, benchmark, task.window),
        cpu_seconds=round(spent, 2),
    )


def compared_selection(result: WindowResult) -> SelectionResult | None:
    """Return the selection with the efficiency nearest to 1 %; None if the window failed."""
    cuts = [one for one in result.selections if one.name != INCLUSIVE]
    return min(cuts, key=lambda one: abs(np.log(one.efficiency / CUTS[0])), default=None)


def closure(result: WindowResult) -> Closure | None:
    """Return the relative excess of a search without signal, with the error of the count and of the background."""
    found = compared_selection(result)
    if found is None or found.n_obs is None or not found.background or found.background_error is None:
        return None
    variance = found.weight * max(found.n_obs, found.background) + found.background_error**2
    return Closure(found.n_obs / found.background - 1, variance**0.5 / found.background, "no signal")


def _slim(result: WindowResult) -> WindowResult:
    """Leave out what a comparison does not need, and a worker need not send."""
    selections = tuple(replace(one, workspace=None) for one in result.selections)
    return replace(
        result, selections=selections, spectrum=None, models=(), passes=None, scores=None, thresholds=None, scalings=()
    )
