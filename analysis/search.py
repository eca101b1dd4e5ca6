"""The search: windows in, results out. Start reading here.

For each mass window: train classifiers to tell the window from its sidebands, score every event with models that have
not seen it, cut, count, fit the smooth background beside the window, and turn the comparison into a workspace, a
significance and a limit. `run_window` is that chain for one window; `run_scan` runs many at once on any backend.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import BackgroundFit, choose_order, require_functions
from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.errors import CwolaError, FitError, StatisticsError, TableError, WindowError
from analysis.identity import digest, source_digest
from analysis.learning import (
    BoostedTrees,
    CrossFit,
    FoldResult,
    FoldTask,
    PassWeights,
    choose_working_points,
    collect_folds,
    run_fold,
)
from analysis.methods import get_method
from analysis.regions import MassWindow, RegionScan
from analysis.spectra import fill_spectrum, selection_counts, selection_variances, window_counts
from analysis.statistics import (
    Counting,
    DiscoveryResult,
    LimitResult,
    counting_workspace,
    discovery,
    upper_limit,
)
from analysis.table import EventTable

__all__ = [
    "SearchData",
    "SelectionResult",
    "WindowResult",
    "n_trials",
    "require_known",
    "run_scan",
    "run_window",
    "window_key",
]

_TASKS_PER_JOB = 4
"""Training tasks per worker in one batch of windows; windows are complete, and can be stored, batch by batch."""


_NOT_SEARCH = (
    *("bump.py", "cli.py", "cli_events.py", "cli_fit.py", "console.py", "control.py", "control_comparison.py", "demo"),
    *("event_list.py", "homogeneity.py", "look_elsewhere.py", "plots", "pseudo_experiments.py", "signal.py"),
    *("spectrum_file.py", "store.py", "summary.py", "workflow.py", "workflow_events.py"),
)
"""Modules that a window's result does not depend on."""


@dataclass(frozen=True)
class SearchData:
    """The events that are searched.

    Attributes
    ----------
    table : EventTable
        Events of the search region, |Δy| below the configured maximum.
    blinded : bool
        Count nothing inside the windows.
    signal_datasets : tuple of str or None
        Datasets that are simulated signal mixed into pseudodata, for the report of S/√B only; None for real data.
    """

    table: EventTable
    blinded: bool = False
    signal_datasets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SelectionResult:
    """One selection in one window.

    Attributes
    ----------
    name : str
        "inclusive", or such as "eff_0.1".
    method : str
    features : tuple of str
    efficiency, efficiency_achieved : float
        Requested, and reached on the reference events.
    n_obs : float or None
        Observed events in the window; None while blinded.
    background, background_error : float or None
        From the sideband fit, events; None where the fit failed.
    discovery : DiscoveryResult or None
    s_over_sqrt_b : float or None
        From truth; None for data.
    fit : BackgroundFit or None
    limit : LimitResult or None
    workspace : dict or None
        pyhf workspace.
    reason : str or None
        Why something is None, where that is a failure.
    calibrated : bool
        False where so few background events are expected that p-values are not uniform: `discovery.p0_averaged` is
        conservative there.
    """

    name: str
    method: str
    features: tuple[str, ...]
    efficiency: float
    efficiency_achieved: float
    n_obs: float | None
    background: float | None = None
    background_error: float | None = None
    discovery: DiscoveryResult | None = None
    s_over_sqrt_b: float | None = None
    fit: BackgroundFit | None = None
    limit: LimitResult | None = None
    workspace: dict[str, Any] | None = None
    reason: str | None = None
    calibrated: bool = True


@dataclass(frozen=True)
class WindowResult:
    """All selections of one window.

    Attributes
    ----------
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    selections : tuple of SelectionResult
        Inclusive first; empty where the window failed.
    spectrum : hist.Hist or None
        Axes `mjj`, `selection`, `variation`.
    models : tuple of tuple of bytes
        xgboost UBJ documents, by fold and member.
    passes : (n_events, n_selections) bool or float64, or None
        Pass weights of all searched events; None where the window failed, and while blinded.
    reason : str or None
        Why the window failed, or None.
    scores : (n_events,) float32, or None
        Member mean of the out-of-fold scores, NaN outside the fit range; None where there are no `passes`, and where
        the window was read from disk.
    """

    window: MassWindow
    edges: NDArray[np.float64]
    selections: tuple[SelectionResult, ...] = ()
    spectrum: hist.Hist[Any] | None = None
    models: tuple[tuple[bytes, ...], ...] = ()
    passes: NDArray[Any] | None = None
    reason: str | None = None
    scores: NDArray[np.float32] | None = None

    @property
    def status(self) -> str:
        """Return "ok"; "incomplete" where a selection failed; "failed" where the whole window did."""
        if self.reason is not None:
            return "failed"
        return "incomplete" if any(selection.reason for selection in self.selections) else "ok"


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
    tasks = _fold_tasks(window, config)
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
    data.table.require_features(config.learning.features)
    keys = {window: window_key(window, scan, config, inputs) for window in scan.windows}
    todo = [window for window in scan.windows if keys[window] not in done]
    size = ceil(_TASKS_PER_JOB * backend.jobs / config.learning.n_folds)
    for start in range(0, len(todo), size):
        batch = todo[start : start + size]
        tasks = [task for window in batch for task in _fold_tasks(window, config)]
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
    get_method(config.learning.method)
    require_functions(config.background.functions, config.background.strategy)


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


def _fold_tasks(window: MassWindow, config: SearchConfig) -> list[FoldTask]:
    learning = config.learning
    learner = BoostedTrees(learning.classifier, learning.n_members)
    method = get_method(learning.method)
    return [
        FoldTask(window, fold, learning.n_folds, learning.features, method, learner, config.random_state)
        for fold in range(learning.n_folds)
    ]


def _attempt_fold(task: FoldTask, data: SearchData) -> FoldResult | CwolaError:
    try:
        return run_fold(task, data.table)
    except (TableError, WindowError) as error:
        return error


def _evaluate(job: _Evaluation, data: SearchData) -> WindowResult:
    failures = [fold for fold in job.folds if isinstance(fold, CwolaError)]
    if failures:
        return WindowResult(job.window, job.edges, reason=str(failures[0]))
    table, config = data.table, job.config
    fit = collect_folds([fold for fold in job.folds if isinstance(fold, FoldResult)], table.event_id, job.task)
    passes = _working_points(fit, job.window, table, config)
    spectrum = fill_spectrum(table, job.edges, passes)
    counts = window_counts(table, job.window, passes)
    truth = _truth(data, job.window, passes)
    selections = tuple(
        _evaluate_selection(job, data, passes, i, spectrum, float(counts[i]), truth[i])
        for i in range(len(passes.names))
    )
    models = tuple(model.members for model in fit.models)
    return WindowResult(
        job.window,
        job.edges,
        selections,
        _hide(spectrum, job.window, data.blinded),
        models,
        None if data.blinded else _compact(passes.values),
        scores=None if data.blinded else fit.scores.mean(),
    )


def _compact(passes: NDArray[np.float64]) -> NDArray[Any]:
    """Return weights that are all 0 or 1 as bool: an eighth of the memory."""
    flags = passes.astype(bool)
    return flags if (flags == passes).all() else passes


def _working_points(fit: CrossFit, window: MassWindow, table: EventTable, config: SearchConfig) -> PassWeights:
    reference = window.in_fit_range(table.mjj)
    if config.learning.threshold_reference == "sidebands":
        reference = window.in_lower(table.mjj) | window.in_upper(table.mjj)
    return choose_working_points(
        fit.scores,
        reference,
        config.learning.efficiencies,
        event_id=table.event_id,
        weight=table.weight,
        random_state=config.random_state,
    )


def _evaluate_selection(
    job: _Evaluation,
    data: SearchData,
    passes: PassWeights,
    index: int,
    spectrum: hist.Hist[Any],
    count: float,
    s_over_sqrt_b: float | None,
) -> SelectionResult:
    name, config = passes.names[index], job.config
    common: dict[str, Any] = {
        "name": name,
        "method": config.learning.method,
        "features": config.learning.features,
        "efficiency": passes.efficiencies[index],
        "efficiency_achieved": passes.achieved[index],
        "n_obs": None if data.blinded else count,
        "s_over_sqrt_b": s_over_sqrt_b,
    }
    try:
        fit = choose_order(
            selection_counts(spectrum, name),
            job.edges,
            mask=job.window.mask,
            functions=config.background.functions,
            alpha=config.background.alpha,
            sqrt_s_gev=config.background.sqrt_s_gev,
            strategy=config.background.strategy,
            variances=selection_variances(spectrum, name),
        )
        expected = fit.estimate(*job.window.signal)
        counting = Counting(common["n_obs"], expected.value, expected.up)
        workspace = counting_workspace(counting, channel=f"window_{job.window.name}_{name}", measurement="search")
        return SelectionResult(
            **common,
            background=expected.value,
            background_error=expected.up,
            calibrated=expected.calibrated,
            discovery=None if data.blinded else discovery(workspace),
            fit=fit,
            limit=upper_limit(
                workspace,
                level=config.statistics.cls_level,
                blinded=data.blinded,
                calculator=config.statistics.calculator,
            ),
            workspace=workspace,
        )
    except (FitError, StatisticsError) as error:
        return SelectionResult(**common, reason=f"window {job.window.name} GeV, selection {name}: {error}")


def _truth(data: SearchData, window: MassWindow, passes: PassWeights) -> list[float | None]:
    """S/√B of each selection from the simulated truth."""
    if data.signal_datasets is None:
        return [None] * len(passes.names)
    inside = window.in_signal(data.table.mjj)
    weights = (data.table.weight[:, None] * passes.values)[inside]
    is_signal = data.table.in_datasets(data.signal_datasets)[inside]
    signal, background = weights[is_signal].sum(axis=0), weights[~is_signal].sum(axis=0)
    return [float(s / np.sqrt(b)) if b > 0 else None for s, b in zip(signal, background, strict=True)]


def _hide(spectrum: hist.Hist[Any], window: MassWindow, blinded: bool) -> hist.Hist[Any]:
    """Empty the masked bins while blinded, so that no file shows them."""
    if not blinded:
        return spectrum
    hidden = spectrum.copy()
    low, high = hidden.axes["mjj"].edges[:-1], hidden.axes["mjj"].edges[1:]
    nothing = np.zeros((1, 1, 1, 2))  # broadcast over (mjj, selection, variation); value and variance
    hidden.view(flow=False)[(high > window.mask[0]) & (low < window.mask[1])] = nothing
    # Kept as metadata in the file, so that nobody takes the empty bins for a deficit.
    hidden.blinded = True  # type: ignore[attr-defined]
    return hidden
