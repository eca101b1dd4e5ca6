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

from analysis.background import FUNCTIONS, MassFunction, require_functions
from analysis.compute import Backend, track
from analysis.config import LearningConfig, SearchConfig
from analysis.errors import ConfigError, CwolaError, TableError, WindowError
from analysis.evaluation import SearchData, SelectionResult, WindowResult, evaluate_window
from analysis.identity import digest, source_digest
from analysis.learning import (
    ARGOS,
    INCLUSIVE,
    BoostedTrees,
    CrossFit,
    FoldResult,
    FoldTask,
    Learner,
    Nested,
    PassWeights,
    Template,
    TemplateMethod,
    TunedTrees,
    choose_working_points,
    collect_folds,
    run_fold,
    selection_name,
)
from analysis.learning.decorrelation import PercentileScaling
from analysis.learning.ensemble import without_counts
from analysis.methods import METHODS, configured_method, get_method
from analysis.non_closure import Corrections, NonClosure, check_corrections
from analysis.plugins import plugin_digests
from analysis.regions import MassWindow, RegionScan
from analysis.table import EventTable

__all__ = [
    "SearchData",
    "SelectionResult",
    "WindowResult",
    "fold_tasks",
    "measured_corrections",
    "n_trials",
    "require_known",
    "require_samples",
    "run_scan",
    "run_window",
    "trainings",
    "window_key",
    "working_points",
]

_TASKS_PER_JOB = 4
"""Training tasks per worker in one batch of windows; windows are complete, and can be stored, batch by batch."""


_NOT_SEARCH = (
    *(
        "bump.py",
        "cli",
        "compute",
        "console.py",
        "control.py",
        "control_comparison.py",
        "demo",
        "event_list.py",
        "export",
    ),
    *("homogeneity.py", "injection", "limits", "location.py", "look_elsewhere.py"),
    *("mass_point.py", "performance.py", "plots"),
    *("plugins.py", "processed.py", "pseudo_experiments.py", "published.py", "registry.py", "sculpting.py"),
    *("seeds.py", "signal.py", "signal_points.py", "signal_yields.py", "spectrum_file.py", "store.py"),
    *("summary.py", "summary_limits.py", "summary_signals.py", "unblinding.py"),
    *("workflow.py", "workflow_events.py", "workflow_limits.py", "workflow_score.py", "workflow_signals.py"),
)
"""Modules that a window's result does not depend on."""


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
    tasks = fold_tasks(window, scan.edges(window), config, training_seed)
    folds = [_attempt_fold(task, data) for task in tasks]
    return _evaluate(_Evaluation(window, scan.edges(window), folds, tasks[0], config, _functions(config)), data)


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
    _functions(config)


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


def measured_corrections(
    found: Corrections | None, scan: RegionScan, config: SearchConfig
) -> dict[str, dict[str, NonClosure]]:
    """Take the corrections that the configuration asks for.

    Parameters
    ----------
    found : mapping of window to selection to (delta, error), or None
        Relative non-closure (n - b) / b on samples without signal, with its error. The inclusive selection may be left
        out: it stays as it is.
    scan : RegionScan
    config : SearchConfig

    Returns
    -------
    dict of str to dict of str to NonClosure
        Empty with `statistics.non_closure = "none"`.

    Raises
    ------
    ConfigError
        If the non-closure of a selection of a window was not measured.
    """
    if config.statistics.non_closure == "none":
        return {}
    learning = config.learning
    names = [ARGOS] if learning.working_point == "argos" else map(selection_name, learning.efficiencies)
    return check_corrections(found, [window.name for window in scan.windows], [INCLUSIVE, *names])


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
        "code": source_digest(Path(__file__).parent, exclude=_NOT_SEARCH),
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
    result = evaluate_window(data, job.window, job.edges, passes, models, job.config, job.functions, training_seed=seed)
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
