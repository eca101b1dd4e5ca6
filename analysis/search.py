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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.background import require_functions
from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.errors import ConfigError, CwolaError, TableError, WindowError
from analysis.evaluation import SearchData, SelectionResult, WindowResult, evaluate_window
from analysis.identity import digest, source_digest
from analysis.learning import (
    BoostedTrees,
    CrossFit,
    FoldResult,
    FoldTask,
    Nested,
    PassWeights,
    Template,
    TemplateMethod,
    choose_working_points,
    collect_folds,
    run_fold,
)
from analysis.learning.decorrelation import PercentileScaling
from analysis.methods import configured_method, get_method
from analysis.regions import MassWindow, RegionScan
from analysis.table import EventTable

__all__ = [
    "SearchData",
    "SelectionResult",
    "WindowResult",
    "n_trials",
    "require_known",
    "require_samples",
    "run_scan",
    "run_window",
    "window_key",
]

_TASKS_PER_JOB = 4
"""Training tasks per worker in one batch of windows; windows are complete, and can be stored, batch by batch."""


_NOT_SEARCH = (
    *("bump.py", "cli.py", "cli_events.py", "cli_files.py", "cli_fit.py", "cli_score.py", "cli_where.py"),
    *("compute", "console.py", "control.py", "control_comparison.py", "demo", "event_list.py", "homogeneity.py"),
    *("look_elsewhere.py", "mass_point.py", "plots", "processed.py", "pseudo_experiments.py", "published.py"),
    *(
        "sculpting.py",
        "signal.py",
        "spectrum_file.py",
        "store.py",
        "summary.py",
        "workflow.py",
        "workflow_events.py",
        "workflow_score.py",
    ),
)
"""Modules that a window's result does not depend on."""


def run_window(data: SearchData, window: MassWindow, scan: RegionScan, config: SearchConfig) -> WindowResult:
    """Search one window in this process.

    Parameters
    ----------
    data : SearchData
    window : MassWindow
    scan : RegionScan
        Gives the fit grid.
    config : SearchConfig

    Returns
    -------
    WindowResult
    """
    require_samples(config, truth=data.signal_datasets is not None, simulation=data.simulation is not None)
    tasks = _fold_tasks(window, scan.edges(window), config)
    folds = [_attempt_fold(task, data) for task in tasks]
    return _evaluate(_Evaluation(window, scan.edges(window), folds, tasks[0], config), data)


def run_scan(
    data: SearchData,
    scan: RegionScan,
    config: SearchConfig,
    backend: Backend,
    *,
    inputs: str = "",
    done: Container[str] = (),
) -> Iterator[tuple[str, WindowResult]]:
    """Search all windows, in parallel over folds and then over windows.

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
        Keys of windows that need not be searched again.

    Yields
    ------
    key : str
        Digest of all that the result depends on.
    result : WindowResult
        A window without events comes back with a reason, not as an exception: the others are not lost.
    """
    require_known(config)
    require_samples(config, truth=data.signal_datasets is not None, simulation=data.simulation is not None)
    data.table.require_features(config.learning.features)
    if data.simulation is not None:
        data.simulation.require_features(config.learning.features)
    keys = {window: window_key(window, scan, config, inputs) for window in scan.windows}
    todo = [window for window in scan.windows if keys[window] not in done]
    size = ceil(_TASKS_PER_JOB * backend.jobs / config.learning.n_folds)
    for start in range(0, len(todo), size):
        batch = todo[start : start + size]
        tasks = [task for window in batch for task in _fold_tasks(window, scan.edges(window), config)]
        label = f"window {batch[0].name}" if len(batch) == 1 else f"windows {batch[0].name} to {batch[-1].name}"
        trained = backend.map(_attempt_fold, tasks, shared=data)
        folds = dict(track(trained, total=len(tasks), description=f"Training {label}"))
        n_folds = config.learning.n_folds
        evaluations = [
            _Evaluation(
                window, scan.edges(window), [folds[i * n_folds + k] for k in range(n_folds)], tasks[i * n_folds], config
            )
            for i, window in enumerate(batch)
        ]
        evaluated = backend.map(_evaluate, evaluations, shared=data)
        for index, result in track(evaluated, total=len(batch), description=f"Fitting {label}"):
            yield keys[batch[index]], result


def require_known(config: SearchConfig) -> None:
    """Refuse names of methods and functions that do not exist, before any work is done.

    Raises
    ------
    ConfigError
        Naming the unknown one and those that there are.
    """
    method = get_method(config.learning.method)
    if config.learning.threshold_reference == "background-template" and not isinstance(method, TemplateMethod):
        msg = (
            f"method {method.name} has no template of the background: set learning.threshold_reference to spectrum or "
            "sidebands."
        )
        raise ConfigError(msg)
    require_functions(config.background.functions, config.background.strategy)


def require_samples(config: SearchConfig, *, truth: bool, simulation: bool) -> None:
    """Refuse a method that needs what there is not, before any work is done.

    Parameters
    ----------
    config : SearchConfig
    truth : bool
        Whether it is known which events are simulated signal, as in pseudodata.
    simulation : bool
        Whether there is simulated background.

    Raises
    ------
    ConfigError
        Naming the method and what to add.
    """
    method = get_method(config.learning.method)
    if method.uses_truth and not truth:
        msg = (
            f"method {method.name} uses the truth of simulated events, which datasets of kind data do not have. Search "
            "datasets of kind pseudodata with it, or set learning.method to another one."
        )
        raise ConfigError(msg)
    if method.needs_simulation and not simulation:
        msg = (
            f"method {method.name} needs datasets of kind background, and there are none. Add one to the datasets file "
            "and run `cwola process` again, or set learning.method to another one."
        )
        raise ConfigError(msg)


def window_key(window: MassWindow, scan: RegionScan, config: SearchConfig, inputs: str) -> str:
    """Digest of everything that the result of a window depends on: events, configuration and code."""
    document = {
        "window": window.to_json(),
        "bin_width": scan.bin_width,
        "inputs": inputs,
        "random_state": config.random_state,
        "config": config.digest("learning", "background", "statistics"),
        "code": source_digest(Path(__file__).parent, exclude=_NOT_SEARCH),
    }
    return digest(document)


def n_trials(scan: RegionScan, config: SearchConfig) -> int:
    """Count the p-values that are looked at: windows times selections, the inclusive one counted."""
    return len(scan.windows) * (len(config.learning.efficiencies) + 1)


@dataclass(frozen=True)
class _Evaluation:
    window: MassWindow
    edges: NDArray[np.float64]
    folds: Sequence[FoldResult | CwolaError]
    task: FoldTask
    config: SearchConfig


def _fold_tasks(window: MassWindow, edges: NDArray[np.float64], config: SearchConfig) -> list[FoldTask]:
    learning = config.learning
    nested = learning.cross_fitting == "nested"
    n_models = learning.n_candidates if nested else learning.n_members
    task = FoldTask(
        window,
        0,
        learning.n_folds,
        learning.features,
        configured_method(learning),
        BoostedTrees(learning.classifier, n_models, learning.bagged_features),
        config.random_state,
        Nested(learning.n_candidates, learning.candidate_efficiency, tuple(edges.tolist())) if nested else None,
        template=learning.threshold_reference == "background-template",
        decorrelation=PercentileScaling.of_window(window, edges) if learning.decorrelation == "percentile" else None,
    )
    return [replace(task, fold=fold) for fold in range(learning.n_folds)]


def _attempt_fold(task: FoldTask, data: SearchData) -> FoldResult | CwolaError:
    try:
        return run_fold(task, data.samples(task.method))
    except (TableError, WindowError) as error:
        return error


def _evaluate(job: _Evaluation, data: SearchData) -> WindowResult:
    failures = [fold for fold in job.folds if isinstance(fold, CwolaError)]
    if failures:
        return WindowResult(job.window, job.edges, reason=str(failures[0]))
    fit = collect_folds([fold for fold in job.folds if isinstance(fold, FoldResult)], data.table, job.task)
    passes = _working_points(fit, job.window, data.table, job.config)
    models = tuple(model.members for model in fit.models)
    result = evaluate_window(data, job.window, job.edges, passes, models, job.config)
    return result if data.blinded else replace(result, scores=fit.scores.mean(), scalings=fit.scalings)


def _working_points(fit: CrossFit, window: MassWindow, table: EventTable, config: SearchConfig) -> PassWeights:
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
    )
