"""The search: windows in, results out. Start reading here.

For each mass window: train classifiers to tell the window from its sidebands, score every event with models that have
not seen it, cut, count, fit the smooth background beside the window, and turn the comparison into a workspace, a
significance and a limit. `run_window` is that chain for one window, of which `evaluation` is all that follows the
cut; `run_scan` runs many at once on any backend.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from analysis.background import FUNCTIONS, MassFunction, require_functions
from analysis.code_digest import code_digest
from analysis.compute import Backend, track
from analysis.config import LearningConfig, SearchConfig
from analysis.errors import CwolaError, TableError, WindowError
from analysis.evaluation import evaluate_window
from analysis.identity import digest
from analysis.learning import (
    BoostedTrees,
    CrossFit,
    FoldResult,
    FoldTask,
    Learner,
    Nested,
    PassWeights,
    Template,
    TunedTrees,
    choose_working_points,
    collect_folds,
    run_fold,
)
from analysis.learning.decorrelation import PercentileScaling
from analysis.learning.ensemble import without_counts
from analysis.methods import METHODS, configured_method
from analysis.non_closure import Corrections
from analysis.plugins import plugin_digests
from analysis.regions import MassWindow, RegionScan
from analysis.requirements import measured_corrections, require_known, require_samples
from analysis.search_values import SearchData, SelectionResult, WindowResult
from analysis.table import EventTable

__all__ = [
    "SearchData",
    "SelectionResult",
    "WindowResult",
    "WindowTask",
    "fold_tasks",
    "n_trials",
    "run_scan",
    "run_window",
    "search_window",
    "trainings",
    "window_key",
    "window_task",
    "working_points",
]

_TASKS_PER_JOB = 4
"""Training tasks per worker in one batch of windows; windows are complete, and can be stored, batch by batch."""


def run_window(
    data: SearchData,
    window: MassWindow,
    scan: RegionScan,
    config: SearchConfig,
    *,
    training_seed: int = 0,
    corrections: Corrections | None = None,
) -> WindowResult:
    """Search one window in this process.

    Parameters
    ----------
    data : SearchData
    window : MassWindow
    scan : RegionScan
        Gives the fit grid.
    config : SearchConfig
    training_seed : int
        Which of `learning.n_seeds` trainings; 0 is the result, see `analysis.seeds` for the others.
    corrections : mapping of window to selection to (delta, error), optional
        Measured non-closure, see `measured_corrections`.

    Returns
    -------
    WindowResult
    """
    require_samples(config, truth=data.signal_datasets is not None, simulation=data.simulation is not None)
    data = replace(data, corrections=measured_corrections(corrections, scan, config))
    return search_window(window_task(window, scan, config, training_seed=training_seed), data)


@dataclass(frozen=True)
class WindowTask:
    """One training of one window for a worker, which looks nothing up: plugins need not be loaded there.

    Attributes
    ----------
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    folds : tuple of FoldTask
    config : SearchConfig
    functions : tuple of MassFunction
    """

    window: MassWindow
    edges: NDArray[np.float64]
    folds: tuple[FoldTask, ...]
    config: SearchConfig
    functions: tuple[MassFunction, ...]


def window_task(window: MassWindow, scan: RegionScan, config: SearchConfig, *, training_seed: int = 0) -> WindowTask:
    """Prepare what `search_window` does; see `run_window` for the parameters."""
    edges = scan.edges(window)
    folds = tuple(fold_tasks(window, edges, config, training_seed))
    return WindowTask(window, edges, folds, config, _functions(config))


def search_window(task: WindowTask, data: SearchData, *, limits: bool = True) -> WindowResult:
    """Search one window in this process, whatever process that is, with or without limits."""
    folds = [_attempt_fold(one, data) for one in task.folds]
    job = _Evaluation(task.window, task.edges, folds, task.folds[0], task.config, task.functions, limits)
    return _evaluate(job, data)


def run_scan(
    data: SearchData,
    scan: RegionScan,
    config: SearchConfig,
    backend: Backend,
    *,
    inputs: str = "",
    done: Container[str] = (),
    corrections: Corrections | None = None,
) -> Iterator[tuple[str, WindowResult]]:
    """Search all windows with all training seeds, in parallel over folds and then over trainings of windows.

    Parameters
    ----------
    data : SearchData
    scan : RegionScan
    config : SearchConfig
    backend : Backend
        Where tasks run; the results do not depend on it.
    inputs : str
        Digest of the events, for the keys.
    done : container of str
        Keys of trainings of windows that need not be made again.
    corrections : mapping of window to selection to (delta, error), optional
        Measured non-closure, see `measured_corrections`.

    Yields
    ------
    key : str
        Digest of all that the result depends on.
    result : WindowResult
        One training of one window. A window without events comes back with a reason, not as an exception: the others
        are not lost.

    Raises
    ------
    ConfigError
        If a name is unknown, or something that the configuration needs is not there.
    """
    require_known(config)
    data = replace(data, corrections=measured_corrections(corrections, scan, config))
    require_samples(config, truth=data.signal_datasets is not None, simulation=data.simulation is not None)
    data.table.require_features(config.learning.features)
    if data.simulation is not None:
        data.simulation.require_features(config.learning.features)
    functions = _functions(config)
    keys = {
        (window, seed): window_key(window, scan, config, inputs, training_seed=seed, corrections=data.corrections)
        for window, seed in trainings(scan, config)
    }
    todo = [one for one, key in keys.items() if key not in done]
    size = ceil(_TASKS_PER_JOB * backend.jobs / config.learning.n_folds)
    for start in range(0, len(todo), size):
        batch = todo[start : start + size]
        tasks = [task for window, seed in batch for task in fold_tasks(window, scan.edges(window), config, seed)]
        names = list(dict.fromkeys(window.name for window, _ in batch))
        label = f"window {names[0]}" if len(names) == 1 else f"windows {names[0]} to {names[-1]}"
        trained = backend.map(_attempt_fold, tasks, shared=data)
        folds = dict(track(trained, total=len(tasks), description=f"Training {label}"))
        n_folds = config.learning.n_folds
        evaluations = [
            _Evaluation(
                window,
                scan.edges(window),
                [folds[i * n_folds + k] for k in range(n_folds)],
                tasks[i * n_folds],
                config,
                functions,
            )
            for i, (window, _) in enumerate(batch)
        ]
        evaluated = backend.map(_evaluate, evaluations, shared=data)
        for index, result in track(evaluated, total=len(batch), description=f"Fitting {label}"):
            yield keys[batch[index]], result


def trainings(scan: RegionScan, config: SearchConfig) -> list[tuple[MassWindow, int]]:
    """List windows with training seeds: all seeds of a window, then the next window."""
    return [(window, seed) for window in scan.windows for seed in range(config.learning.n_seeds)]


def window_key(
    window: MassWindow,
    scan: RegionScan,
    config: SearchConfig,
    inputs: str,
    *,
    training_seed: int = 0,
    corrections: Corrections | None = None,
) -> str:
    """Digest of everything that one training of a window depends on: events, configuration, corrections and code.

    How many others there are does not matter: a scan with more seeds makes those alone that are missing.
    """
    learning = config.learning.model_copy(update={"n_seeds": 1})
    config = config.model_copy(update={"learning": learning})
    plugins = plugin_digests((METHODS, [config.learning.method]), (FUNCTIONS, config.background.functions))
    document = {
        "window": window.to_json(),
        "training_seed": training_seed,
        "bin_width": scan.bin_width,
        "inputs": inputs,
        "random_state": config.random_state,
        "config": config.digest("learning", "background", "statistics"),
        "code": code_digest("search"),
        **({"plugins": plugins} if plugins else {}),
        **({"non_closure": corrections[window.name]} if corrections else {}),
    }
    return digest(document)


def n_trials(scan: RegionScan, config: SearchConfig) -> int:
    """Count the p-values that are looked at: in every window one inclusive, and one a selection and training seed."""
    return len(scan.windows) * ((config.learning.n_selections - 1) * config.learning.n_seeds + 1)


@dataclass(frozen=True)
class _Evaluation:
    window: MassWindow
    edges: NDArray[np.float64]
    folds: Sequence[FoldResult | CwolaError]
    task: FoldTask
    config: SearchConfig
    functions: tuple[MassFunction, ...]
    limits: bool = True


def _functions(config: SearchConfig) -> tuple[MassFunction, ...]:
    return require_functions(config.background.functions, config.background.strategy)


def fold_tasks(
    window: MassWindow, edges: NDArray[np.float64], config: SearchConfig, training_seed: int
) -> list[FoldTask]:
    """List the training tasks of a window, one a fold, in order."""
    learning = config.learning
    nested = learning.cross_fitting == "nested"
    n_models = learning.n_candidates if nested else learning.n_members
    task = FoldTask(
        window,
        0,
        learning.n_folds,
        learning.features,
        configured_method(learning),
        _learner(learning, n_models),
        config.random_state,
        Nested(learning.n_candidates, learning.candidate_efficiency, tuple(edges.tolist())) if nested else None,
        template=learning.threshold_reference == "background-template",
        decorrelation=PercentileScaling.of_window(window, edges) if learning.decorrelation == "percentile" else None,
        training_seed=training_seed,
    )
    return [replace(task, fold=fold) for fold in range(learning.n_folds)]


def _learner(learning: LearningConfig, n_models: int) -> Learner:
    trees = BoostedTrees(learning.classifier, n_models, learning.bagged_features)
    if learning.tuning.criterion == "none":
        return trees
    return TunedTrees(trees, learning.tuning, learning.efficiencies if learning.working_point == "argos" else ())


def _attempt_fold(task: FoldTask, data: SearchData) -> FoldResult | CwolaError:
    try:
        return run_fold(task, data.samples(task.method))
    except (TableError, WindowError) as error:
        return error


def _evaluate(job: _Evaluation, data: SearchData) -> WindowResult:
    failures = [fold for fold in job.folds if isinstance(fold, CwolaError)]
    seed = job.task.training_seed
    if failures:
        return WindowResult(job.window, job.edges, reason=str(failures[0]), training_seed=seed)
    fit = collect_folds([fold for fold in job.folds if isinstance(fold, FoldResult)], data.table, job.task)
    passes = working_points(fit, job.window, data.table, job.config)
    models = tuple(model.members for model in fit.models)
    if data.blinded:
        models = tuple(tuple(map(without_counts, members)) for members in models)
    given = (data, job.window, job.edges, passes, models, job.config, job.functions)
    result = evaluate_window(*given, training_seed=seed, limits=job.limits)
    if seed or data.blinded:
        return result
    return replace(result, scores=fit.scores.mean(), scalings=fit.scalings, choices=fit.choices)


def working_points(fit: CrossFit, window: MassWindow, table: EventTable, config: SearchConfig) -> PassWeights:
    """Cut the scores of the events in a table as configured."""
    reference: NDArray[np.bool_] | Template = window.in_fit_range(table.mjj)
    if config.learning.threshold_reference == "sidebands":
        reference = window.in_lower(table.mjj) | window.in_upper(table.mjj)
    elif fit.template is not None:
        reference = fit.template
    return choose_working_points(
        fit.scores,
        reference,
        config.learning.efficiencies,
        event_id=table.event_id,
        weight=table.weight,
        random_state=config.random_state,
        ensemble=config.learning.ensemble,
        chosen=fit.working_points if config.learning.working_point == "argos" else None,
    )
