"""Search of all windows of a scan, in parallel over folds and then over windows, on any backend."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from math import ceil

from analysis.background import FUNCTIONS
from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.fingerprint import fingerprint
from analysis.errors import CwolaError
from analysis.learning import LEARNERS, FoldResult, FoldTask, KeptFolds
from analysis.methods import METHODS
from analysis.regions import MassWindow, RegionScan
from analysis.search.non_closure import Corrections
from analysis.search.requirements import measured_corrections, require_known, require_samples
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import WindowEvaluation, attempt_fold, configured_functions, evaluate_folds, fold_tasks

__all__ = ["n_trials", "run_scan", "trainings", "window_key"]

_TASKS_PER_JOB = 4
"""Training tasks per worker in one batch of windows; each batch completes its windows, which can be stored."""


def run_scan(
    data: SearchData,
    scan: RegionScan,
    config: SearchConfig,
    backend: Backend,
    *,
    inputs: str = "",
    done: Container[str] = (),
    corrections: Corrections | None = None,
    kept: KeptFolds | None = None,
) -> Iterator[tuple[str, WindowResult]]:
    """Search all windows with all training seeds, in parallel over folds and then over trainings of windows.

    Parameters
    ----------
    data : SearchData
    scan : RegionScan
    config : SearchConfig
    backend : Backend
        Backend of the tasks; the results do not depend on it.
    inputs : str
        Digest of the events, for the keys.
    done : container of str
        Keys of trainings of windows to skip.
    corrections : mapping of window to selection to (delta, error), optional
        Measured non-closure, see `measured_corrections`.
    kept : KeptFolds, optional
        Where finished folds are kept until their window was yielded and the next one is asked for.

    Yields
    ------
    key : str
        Digest of all inputs of the result.
    result : WindowResult
        One training of one window. A window without events is returned with a reason instead of an exception, so that
        the other windows are not lost.

    Raises
    ------
    ConfigError
        If a name is unknown, or a requirement of the configuration is missing.

    Examples
    --------
    >>> from analysis.compute import open_backend
    >>> from analysis.config import load_config
    >>> from analysis.regions import RegionScan
    >>> from analysis.search import run_scan
    >>> from analysis.stages.inputs import SearchInputs
    >>> quick = {"n_folds": 2, "n_members": 1, "efficiencies": [0.1], "classifier": {"n_estimators": 5}}
    >>> config = load_config(overrides={"learning": quick, "scan": {"last": 3700}})
    >>> data = SearchInputs.load("results").fitted
    >>> with open_backend(1) as backend:
    ...     for _, result in run_scan(data, RegionScan.from_config(config.scan), config, backend):
    ...         print(result.window.name, [selection.name for selection in result.selections])
    3300-3700 ['inclusive', 'eff_0.1']
    """
    require_known(config)
    data = replace(data, corrections=measured_corrections(corrections, scan, config))
    require_samples(config, truth=data.signal_datasets is not None, simulation=data.simulation is not None)
    data.table.require_features(config.learning.features)
    if data.simulation is not None:
        data.simulation.require_features(config.learning.features)
    functions = configured_functions(config)
    keys = {
        (window, seed): window_key(window, scan, config, inputs, training_seed=seed, corrections=data.corrections)
        for window, seed in trainings(scan, config)
    }
    todo = [training for training, key in keys.items() if key not in done]
    size = ceil(_TASKS_PER_JOB * backend.jobs / config.learning.n_folds)
    for start in range(0, len(todo), size):
        batch = todo[start : start + size]
        by_training = [fold_tasks(window, scan.edges(window), config, seed) for window, seed in batch]
        tasks = [task for of_one in by_training for task in of_one]
        names = list(dict.fromkeys(window.name for window, _ in batch))
        label = f"window {names[0]}" if len(names) == 1 else f"windows {names[0]} to {names[-1]}"
        fold_keys = [[f"{keys[one]}-{task.fold}" for task in by_training[i]] for i, one in enumerate(batch)]
        folds = iter(_train(tasks, list(chain(*fold_keys)), data, backend, kept, label))
        evaluations = [
            WindowEvaluation(window, scan.edges(window), list(islice(folds, len(of_one))), of_one[0], config, functions)
            for (window, _), of_one in zip(batch, by_training, strict=True)
        ]
        evaluated = backend.map(evaluate_folds, evaluations, shared=data)
        for index, result in track(evaluated, total=len(batch), description=f"Fitting {label}"):
            yield keys[batch[index]], result
            if kept is not None:
                kept.forget(fold_keys[index])


def _train(
    tasks: Sequence[FoldTask],
    keys: Sequence[str],
    data: SearchData,
    backend: Backend,
    kept: KeptFolds | None,
    label: str,
) -> list[FoldResult | CwolaError]:
    """Train the folds that are not kept, and keep each as it finishes; returns all in order."""
    found: dict[int, FoldResult | CwolaError] = {}
    for index, key in enumerate(keys):
        if kept is not None and (stored := kept.load(key)) is not None:
            found[index] = stored
    pending = [index for index in range(len(tasks)) if index not in found]
    trained = backend.map(attempt_fold, [tasks[index] for index in pending], shared=data)
    for position, result in track(trained, total=len(pending), description=f"Training {label}"):
        found[pending[position]] = result
        if kept is not None and isinstance(result, FoldResult):
            kept.save(keys[pending[position]], result)
    return [found[index] for index in range(len(tasks))]


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
    """Digest of all inputs of one training of a window: events, configuration, corrections and code.

    It does not depend on the number of trainings: a scan with more seeds computes only the missing ones.
    """
    learning = config.learning.model_copy(update={"n_seeds": 1})
    config = config.model_copy(update={"learning": learning})
    return fingerprint(
        code=["analysis.search.window"],
        events=inputs,
        config=(config, "learning", "background", "statistics"),
        seed=config.random_state,
        plugins=[
            (METHODS, [config.learning.method]),
            (LEARNERS, [config.learning.learner]),
            (FUNCTIONS, config.background.functions),
        ],
        corrections=corrections[window.name] if corrections else None,
        window=window.to_json(),
        training_seed=training_seed,
        bin_width=scan.bin_width,
    )


def n_trials(scan: RegionScan, config: SearchConfig) -> int:
    """Count the p-values of a scan: in every window one inclusive, and one per selection and training seed.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.regions import RegionScan
    >>> from analysis.search import n_trials
    >>> config = load_config(preset="demo")
    >>> scan = RegionScan.from_config(config.scan)
    >>> len(scan.windows), config.learning.efficiencies
    (5, (0.1, 0.05, 0.02, 0.01))
    >>> n_trials(scan, config)
    25
    """
    return len(scan.windows) * ((config.learning.n_selections - 1) * config.learning.n_seeds + 1)
