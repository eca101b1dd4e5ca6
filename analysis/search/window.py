"""Search in one window. Start reading here.

Train classifiers to separate the signal region from its sidebands, score every event with models that were not trained
on it, cut, count, fit the smooth background in the sidebands, and turn the comparison into a workspace, a
significance and a limit. `run_window` runs all steps for one window, `analysis.search.scan` for many at once on any
backend. Step by step, as in the notebook::

    window = scan.windows[0]
    edges = scan.edges(window)  # bins of the fit
    tasks = fold_tasks(window, edges, config, training_seed=0)  # one training per fold
    fit = train_folds(tasks, data)  # out-of-fold scores
    passes = working_points(fit, window, data.table, config)  # cuts
    models = tuple(model.members for model in fit.models)
    result = evaluate_window(data, window, edges, passes, models, config)  # counts, fit, tests, limits
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.background import BY_TEMPLATE, MassFunction, require_functions
from analysis.config import SearchConfig
from analysis.errors import CwolaError, TableError, WindowError
from analysis.events.reading import release_memory
from analysis.events.table import EventTable
from analysis.learning import (
    CrossFit,
    FoldResult,
    FoldTask,
    LearnerEntry,
    Model,
    ModelStorage,
    Nested,
    PassWeights,
    Template,
    choose_working_points,
    collect_folds,
    configured_learner,
    run_fold,
    stored_name,
)
from analysis.learning.decorrelation import configured_scaling
from analysis.methods import configured_method, storage_of
from analysis.regions import MassWindow, RegionScan
from analysis.search.evaluation import evaluate_window
from analysis.search.non_closure import Corrections
from analysis.search.requirements import measured_corrections, require_samples, uses_template
from analysis.search.values import SearchData, WindowResult

__all__ = [
    "WindowEvaluation",
    "WindowTask",
    "attempt_fold",
    "configured_functions",
    "evaluate_folds",
    "fold_tasks",
    "run_window",
    "search_window",
    "train_folds",
    "window_task",
    "working_points",
]


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
        Defines the fit grid.
    config : SearchConfig
    training_seed : int
        Index of the training, below `learning.n_seeds`; 0 is the result, see `analysis.search.seeds` for the others.
    corrections : mapping of window to selection to (delta, error), optional
        Measured non-closure, see `measured_corrections`.

    Returns
    -------
    WindowResult

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.search import run_window
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> quick = {"n_folds": 2, "n_members": 1, "efficiencies": [0.1], "classifier": {"n_estimators": 5}}
    >>> config = load_config(overrides={"learning": quick})
    >>> result = run_window(inputs.fitted, inputs.regions.windows[0], inputs.regions, config)
    >>> inclusive, cut = result.selections
    >>> int(inclusive.n_obs), round(inclusive.background), round(inclusive.background_error)
    (8279, 8188, 214)
    >>> cut.name, round(cut.efficiency_achieved, 3)
    ('eff_0.1', 0.1)
    """
    require_samples(config, truth=data.signal_datasets is not None, simulation=data.simulation is not None)
    data = replace(data, corrections=measured_corrections(corrections, scan, config))
    return search_window(window_task(window, scan, config, training_seed=training_seed), data)


@dataclass(frozen=True)
class WindowTask:
    """One training of one window for a worker, with resolved names, so that workers need no plugins.

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
    """Prepare the task of `search_window`; see `run_window` for the parameters."""
    edges = scan.edges(window)
    folds = tuple(fold_tasks(window, edges, config, training_seed))
    return WindowTask(window, edges, folds, config, configured_functions(config))


def search_window(task: WindowTask, data: SearchData, *, limits: bool = True, tests: bool = True) -> WindowResult:
    """Search one window in the current process, with or without limits and tests, see `evaluate_window`."""
    job = WindowEvaluation(task.window, task.edges, (), task.folds[0], task.config, task.functions, limits, tests)
    data = data.within(task.window)
    try:
        fit = train_folds(task.folds, data)
    except (TableError, WindowError) as error:
        return _failed(job, error)
    return _evaluate(fit, job, data)


def train_folds(tasks: Sequence[FoldTask], data: SearchData) -> CrossFit:
    """Train and score all folds of a window in this process, every event with a model not trained on it.

    Parameters
    ----------
    tasks : sequence of FoldTask
        From `fold_tasks`.
    data : SearchData

    Returns
    -------
    CrossFit

    Raises
    ------
    TableError, WindowError
        If no events remain for the training.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.search.window import fold_tasks, train_folds
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> table, window = inputs.fitted.table, inputs.regions.windows[0]
    >>> quick = {"n_folds": 2, "n_members": 1, "classifier": {"n_estimators": 5}}
    >>> config = load_config(overrides={"learning": quick})
    >>> fit = train_folds(fold_tasks(window, inputs.regions.edges(window), config, training_seed=0), inputs.fitted)
    >>> len(fit.models)
    2
    >>> hidden, inside = table.in_datasets(["hidden_signal"]), window.in_signal(table.mjj)
    >>> score = fit.scores.mean()
    >>> bool(score[inside & hidden].mean() > score[inside & ~hidden].mean())
    True
    """
    return collect_folds([run_fold(task, data.samples(task.method)) for task in tasks], data.table, tasks[0])


@dataclass(frozen=True)
class WindowEvaluation:
    """Trained folds of one window, as input of the evaluation."""

    window: MassWindow
    edges: NDArray[np.float64]
    folds: Sequence[FoldResult | CwolaError]
    task: FoldTask
    config: SearchConfig
    functions: tuple[MassFunction, ...]
    limits: bool = True
    tests: bool = True


def configured_functions(config: SearchConfig) -> tuple[MassFunction, ...]:
    """Background functions of the configuration, resolved, so that workers need no plugins."""
    return require_functions(config.background.functions, config.background.strategy)


def fold_tasks(
    window: MassWindow, edges: NDArray[np.float64], config: SearchConfig, training_seed: int
) -> list[FoldTask]:
    """List the training tasks of a window, one per scored fold, in order.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.regions import RegionScan
    >>> from analysis.search.window import fold_tasks
    >>> config = load_config(preset="demo")
    >>> scan = RegionScan.from_config(config.scan)
    >>> tasks = fold_tasks(scan.windows[0], scan.edges(scan.windows[0]), config, training_seed=0)
    >>> [task.fold for task in tasks]
    [0, 1, 2, 3, 4]
    >>> tasks[0].method.name
    'cwola'
    """
    learning = config.learning
    nested = learning.cross_fitting == "nested"
    n_models = learning.n_candidates if nested else learning.n_members
    method = configured_method(learning)
    task = FoldTask(
        window,
        0,
        learning.n_folds,
        learning.features,
        method,
        configured_learner(learning, n_models),
        config.random_state,
        Nested(learning.n_candidates, learning.candidate_efficiency, tuple(edges.tolist())) if nested else None,
        sequential=learning.cross_fitting == "sequential",
        template=uses_template(config),
        decorrelation=configured_scaling(learning, window, edges, config.random_state),
        training_seed=training_seed,
        storage=storage_of(method, stored_name(learning)),
        averaged=learning.ensemble == "mean-score",
    )
    return task.every_fold


def attempt_fold(task: FoldTask, data: SearchData) -> FoldResult | CwolaError:
    """Train and score one fold of a window; an error that affects only this window is returned, not raised.

    The rows of the result are positions among the events in the fit range, as of `EventTable.within`.
    """
    try:
        return run_fold(task, data.within(task.window).samples(task.method))
    except (TableError, WindowError) as error:
        return error


def evaluate_folds(job: WindowEvaluation, data: SearchData) -> WindowResult:
    """Cut, count, fit and test one window with its trained folds."""
    failures = [fold for fold in job.folds if isinstance(fold, CwolaError)]
    if failures:
        return _failed(job, failures[0])
    folds = [fold for fold in job.folds if isinstance(fold, FoldResult)]
    data = data.within(job.window)
    return _evaluate(collect_folds(folds, data.table, job.task), job, data)


def _failed(job: WindowEvaluation, error: CwolaError) -> WindowResult:
    return WindowResult(job.window, job.edges, reason=str(error), training_seed=job.task.training_seed)


def _evaluate(fit: CrossFit, job: WindowEvaluation, data: SearchData) -> WindowResult:
    release_memory()
    seed = job.task.training_seed
    passes = working_points(fit, job.window, data.table, job.config)
    models = tuple(_stored(model, job.task.storage, blinded=data.blinded) for model in fit.models)
    given = (data, job.window, job.edges, passes, models, job.config, job.functions)
    result = evaluate_window(*given, training_seed=seed, limits=job.limits, tests=job.tests)
    result = replace(result, learner=job.task.storage.name if isinstance(job.task.storage, LearnerEntry) else None)
    if seed:
        return result
    if data.blinded:
        return replace(result, scalings=tuple(scaling for scaling in fit.scalings if not scaling.TELLS_COUNTS))
    return replace(result, scores=fit.scores.mean(), scalings=fit.scalings, choices=fit.choices)


def _stored(model: Model, storage: ModelStorage | None, *, blinded: bool) -> tuple[bytes, ...]:
    """Return the members that are kept; none without a stored form, or if that reveals counts while blinded."""
    if storage is None:
        return ()
    if not blinded:
        return model.members
    return () if storage.forget_counts is None else tuple(map(storage.forget_counts, model.members))


def working_points(fit: CrossFit, window: MassWindow, table: EventTable, config: SearchConfig) -> PassWeights:
    """Cut the scores of the events in a table as configured.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.search.window import fold_tasks, train_folds, working_points
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> window = inputs.regions.windows[0]
    >>> quick = {"n_folds": 2, "n_members": 1, "efficiencies": [0.1], "classifier": {"n_estimators": 5}}
    >>> config = load_config(overrides={"learning": quick})
    >>> fit = train_folds(fold_tasks(window, inputs.regions.edges(window), config, training_seed=0), inputs.fitted)
    >>> passes = working_points(fit, window, inputs.fitted.table, config)
    >>> passes.names, [round(efficiency, 3) for efficiency in passes.achieved]
    (('inclusive', 'eff_0.1'), [1.0, 0.1])
    """
    reference: NDArray[np.bool_] | Template = window.in_fit_range(table.mjj)
    if config.learning.threshold_reference == "sidebands":
        reference = window.in_lower(table.mjj) | window.in_upper(table.mjj)
    elif fit.template is not None and config.learning.threshold_reference == "background-template":
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
        apart=config.learning.cross_fitting == "half",
        template=fit.template if config.background.strategy == BY_TEMPLATE else None,
    )
