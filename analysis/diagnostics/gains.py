"""Gain of a method from each feature and from each simulation weight, on pseudodata with truth.

Every classifier here is cross-fitted as in the search and measured in two ways. The first compares signal outside of
the data with background in the window, which the models of each fold were not trained on: each fold is cut at its own
quantile, and the efficiencies of the folds are averaged. The second compares background in the window with background
in the sidebands: an area of 1/2 means that the scores do not sculpt the mass spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.compute import Backend
from analysis.errors import TableError
from analysis.events.table import EventTable
from analysis.learning import FoldResult, FoldTask, Samples, run_fold, score_table
from analysis.learning.metrics import RocCurve, background_floor, mean_roc, roc_curve, sigma_min
from analysis.learning.training_set import positive_weights
from analysis.methods import SACWoLa
from analysis.regions import MassWindow

__all__ = [
    "Benchmark",
    "FeatureScan",
    "Separation",
    "fold_separation",
    "scan_features",
    "scan_simulation_weight",
    "separations",
    "smallest_discovery",
]


@dataclass(frozen=True)
class Benchmark:
    """Events with known truth for the training, and signal for the measurement.

    Attributes
    ----------
    samples : Samples
        Data with or without hidden signal. The names of the signal datasets are required, and simulation if a method
        needs it.
    held_out : EventTable
        Signal events that are not among the data; only events in the window are used.

    Raises
    ------
    TableError
        If the truth is unknown, or a held-out event is among the data.
    """

    samples: Samples
    held_out: EventTable

    def __post_init__(self) -> None:
        self.samples.is_signal()
        if shared := int(np.isin(self.held_out.event_id, self.samples.data.event_id).sum()):
            msg = (
                f"{shared} of {len(self.held_out)} held-out signal events are among the data that are trained on: "
                "measure with signal events that were not injected."
            )
            raise TableError(msg)


@dataclass(frozen=True)
class Separation:
    """Separation by out-of-fold scores, averaged over the folds.

    Attributes
    ----------
    signal : RocCurve
        Held-out signal against background, both in the window.
    sculpting : RocCurve
        Background in the window against background in the sidebands, each sideband counted as one half. Its area is 1/2
        if the scores are independent of the mass.
    """

    signal: RocCurve
    sculpting: RocCurve


@dataclass(frozen=True)
class FeatureScan:
    """Separation with each feature alone, without each feature, and with all features.

    Attributes
    ----------
    together : Separation
    alone : dict of str to Separation
    without : dict of str to Separation
        Empty for a single feature.
    """

    together: Separation
    alone: dict[str, Separation]
    without: dict[str, Separation]


def separations(tasks: Sequence[FoldTask], benchmark: Benchmark, backend: Backend) -> list[Separation]:
    """Cross-fit classifiers and measure their separation.

    Parameters
    ----------
    tasks : sequence of FoldTask
        One per classifier; all of its scored folds are run, regardless of the fold of the task. The fit range must
        include the sidebands.
    benchmark : Benchmark
    backend : Backend
        Runs the folds of all classifiers in parallel; the results do not depend on it.

    Returns
    -------
    list of Separation
        In the order of the tasks.

    Raises
    ------
    TableError
        If a fold has no background in the window or in a sideband, or no signal is held out.
    WindowError
        If no events are left to train on.
    """
    jobs = [task.every_fold for task in tasks]
    folds = iter(_in_order(backend, [job for of_task in jobs for job in of_task], benchmark))
    by_task = [[next(folds) for _ in of_task] for of_task in jobs]
    return [
        Separation(mean_roc([fold.signal for fold in curves]), mean_roc([fold.sculpting for fold in curves]))
        for curves in by_task
    ]


def smallest_discovery(curve: RocCurve, benchmark: Benchmark, window: MassWindow) -> float | None:
    """Return `sigma_min` of a curve over the background of a window, with cuts that keep 25 effective events.

    Parameters
    ----------
    curve : RocCurve
    benchmark : Benchmark
    window : MassWindow

    Returns
    -------
    float or None
        None if no cut keeps signal, or there are fewer events.
    """
    data = benchmark.samples.data
    background = data.select(~benchmark.samples.is_signal() & window.in_signal(data.mjj))
    weight = _weight(background, "background")
    try:
        floor = background_floor(weight)
    except TableError:
        return None
    return sigma_min(curve, float(weight.sum()), floor)


def scan_features(task: FoldTask, benchmark: Benchmark, backend: Backend) -> FeatureScan:
    """Measure the contribution of each feature of a task.

    Parameters
    ----------
    task : FoldTask
        With the features to compare. `Supervised` gives the possible gain of a feature, another method its actual gain.
    benchmark : Benchmark
    backend : Backend

    Returns
    -------
    FeatureScan
    """
    names = task.features
    subsets = [names, *((name,) for name in names)]
    if len(names) > 1:
        subsets += [tuple(other for other in names if other != name) for name in names]
    together, *rest = separations([task.with_features(subset) for subset in subsets], benchmark, backend)
    return FeatureScan(
        together,
        dict(zip(names, rest, strict=False)),
        dict(zip(names, rest[len(names) :], strict=False)),
    )


def scan_simulation_weight(
    task: FoldTask, weights: Sequence[float], benchmark: Benchmark, backend: Backend
) -> dict[float, Separation]:
    """Measure SA-CWoLa at several simulation weights λ (arXiv:2009.02205, fig. 5).

    Parameters
    ----------
    task : FoldTask
        Its method is replaced.
    weights : sequence of float
        Non-negative; 0 is CWoLa.
    benchmark : Benchmark
        With simulation.
    backend : Backend

    Returns
    -------
    dict of float to Separation
    """
    tasks = [replace(task, method=SACWoLa(simulation_weight=weight)) for weight in weights]
    return dict(zip(weights, separations(tasks, benchmark, backend), strict=True))


def _in_order(backend: Backend, tasks: Sequence[FoldTask], benchmark: Benchmark) -> list[Separation]:
    measured = dict(backend.map(_measure_fold, tasks, shared=benchmark))
    return [measured[index] for index in range(len(tasks))]


def _measure_fold(task: FoldTask, benchmark: Benchmark) -> Separation:
    return fold_separation(task, benchmark, run_fold(task, benchmark.samples))


def fold_separation(task: FoldTask, benchmark: Benchmark, result: FoldResult) -> Separation:
    """Measure the separation of one fold by the models that have not seen it.

    Parameters
    ----------
    task : FoldTask
        Any task of the classifier.
    benchmark : Benchmark
    result : FoldResult

    Returns
    -------
    Separation

    Raises
    ------
    TableError
        If the fold has no background in the window or in a sideband, or no signal is held out.
    """
    truth = benchmark.samples.is_signal()[result.rows]
    data = benchmark.samples.data.table.take(result.rows)
    background = EventTable(data, benchmark.samples.data.features).select(~truth)
    scores, weight = _mean(result.scores[~truth]), _weight(background, "background")
    window = task.window.in_signal(background.mjj)
    lower, upper = task.window.in_lower(background.mjj), task.window.in_upper(background.mjj)
    beside = np.concatenate([_normalised(weight[side], task, result) for side in (lower, upper)])
    return Separation(
        _signal_curve(task, benchmark.held_out, result, scores[window], weight[window]),
        roc_curve(
            scores[window],
            np.concatenate([scores[lower], scores[upper]]),
            signal_weight=weight[window],
            background_weight=beside,
        ),
    )


def _signal_curve(
    task: FoldTask,
    held_out: EventTable,
    result: FoldResult,
    background: NDArray[np.float64],
    background_weight: NDArray[np.float64],
) -> RocCurve:
    signal = held_out.select(task.window.in_signal(held_out.mjj))
    weight = _weight(signal, "held-out signal")
    if result.scaling is not None:
        signal = result.scaling.apply(signal)
    scores = _mean(score_table(result.model, signal, task.features))
    return roc_curve(scores, background, signal_weight=weight, background_weight=background_weight)


def _mean(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = scores.mean(axis=1, dtype=np.float64)
    return mean


def _weight(table: EventTable, what: str) -> NDArray[np.float64]:
    return positive_weights(table.weight, what)


def _normalised(weight: NDArray[np.float64], task: FoldTask, result: FoldResult) -> NDArray[np.float64]:
    if weight.sum() <= 0:
        msg = (
            f"window {task.window.name} GeV: no background of fold {result.fold} in one of the sidebands to measure "
            "sculpting with. Use fewer folds, wider sidebands, or a fit range that holds them."
        )
        raise TableError(msg)
    return np.asarray(weight / weight.sum())
