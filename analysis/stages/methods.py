"""Stage `compare`: all methods on the same pseudodata, measured on signal samples."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.fingerprint import fingerprint
from analysis.diagnostics.gains import Benchmark
from analysis.diagnostics.method_values import Closure, MethodResult, MethodsFile, method_regrets
from analysis.diagnostics.methods import Measured, MethodEvents, MethodTask, closure, compared_selection, measure_method
from analysis.diagnostics.regret import Regret
from analysis.errors import ConfigError, CwolaError
from analysis.learning import Samples
from analysis.methods import METHODS, get_method
from analysis.regions import MassWindow
from analysis.results.performance import performance_fingerprint
from analysis.search.requirements import require_known, require_samples
from analysis.search.window import window_task
from analysis.stages.calibrate import load_calibrations
from analysis.stages.inputs import SearchInputs, stage
from analysis.stages.performance import chosen_signals, require_truth, signal_window
from analysis.stages.validation.validate import load_verdicts
from analysis.validation.verdicts import corrections

__all__ = ["CompareSettings", "compare_methods", "compared_regrets"]

_log = logging.getLogger("cwola")

_KIND = "methods"


@dataclass(frozen=True)
class CompareSettings:
    """Settings of the comparison.

    Attributes
    ----------
    methods : tuple of str
        Names of methods; all if empty.
    trainings : int
        Number of trainings of each method, with different random numbers on the same folds.
    window : (low, high) or None
        Window of the scan, GeV; None for the window with the most signal events.
    every_window : bool
        Whether every window that holds signal is compared instead.
    """

    methods: tuple[str, ...] = ()
    trainings: int = 1
    window: tuple[float, float] | None = None
    every_window: bool = False


def compare_methods(
    inputs: SearchInputs, backend: Backend, settings: CompareSettings, *, signals: Sequence[str] = ()
) -> tuple[MethodResult, ...]:
    """Train and measure the methods that are not on disk yet, and write `methods.json`.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    settings : CompareSettings
    signals : sequence of str
        Names of signal datasets; all if empty. None of their events may be hidden in the pseudodata.

    Returns
    -------
    tuple of MethodResult
        By signal, window and method; methods that cannot run on these inputs have a reason.

    Raises
    ------
    ConfigError
        If the data lack truth labels or the results are blinded, a method, a signal or the window is unknown, no signal
        event lies in the window, or no method can run.
    TableError
        If events of a signal are hidden in the pseudodata.
    """
    events, config, folder = inputs.events, inputs.config, inputs.folder
    events.require_selection(config, folder)
    names = chosen_signals(list(inputs.signals), signals)
    require_truth(inputs)
    methods = [get_method(name).name for name in settings.methods or METHODS]
    unable = {name: reason for name in methods if (reason := _reason(inputs, name)) is not None}
    if len(unable) == len(methods):
        msg = f"no method can run on these inputs. {next(iter(unable.values()))}"
        raise ConfigError(msg)
    with stage("compare"):
        able = [name for name in methods if name not in unable]
        data = inputs.read_fitted(inputs.features_of(able), simulation=bool(inputs.background))
        found = MethodEvents(data, {name: inputs.signal(name, inputs.features_of(able)) for name in names})
        for table in found.held_out.values():
            Benchmark(Samples(data.table, data.simulation, data.signal_datasets), table)  # refuses shared events
        plan = _Plan(inputs, settings, found, _places(inputs, found, settings))
        results = plan.measured(able, backend)
        ordered = tuple(
            results.get((name, window.name, signal), replace(plan.empty(name, signal, window), reason=unable.get(name)))
            for signal, windows in plan.places.items()
            for window in windows
            for name in methods
        )
        folder.save_methods(MethodsFile(performance_fingerprint(events, config), ordered, compared_regrets(ordered)))
    return ordered


def compared_regrets(results: Sequence[MethodResult]) -> tuple[Regret, ...]:
    """Compare the methods that do not use the truth over all signals and windows."""
    return method_regrets(results, left_out=[name for name, method in METHODS.items() if method.uses_truth])


def _reason(inputs: SearchInputs, name: str) -> str | None:
    """Why a method cannot run on these inputs; None if it can."""
    config = _with_method(inputs.config, name)
    try:
        require_known(config)
        require_samples(config, truth=bool(inputs.truth), simulation=bool(inputs.background))
    except ConfigError as error:
        return str(error)
    return None


def _with_method(config: SearchConfig, name: str) -> SearchConfig:
    learning = config.learning.model_copy(update={"method": name, "n_seeds": 1})
    return config.model_copy(update={"learning": learning})


def _places(inputs: SearchInputs, events: MethodEvents, settings: CompareSettings) -> dict[str, tuple[MassWindow, ...]]:
    """Windows in which each signal is measured."""
    scan = inputs.regions
    best = {name: signal_window(scan, table, name, settings.window)[0] for name, table in events.held_out.items()}
    if not settings.every_window:
        return {name: (window,) for name, window in best.items()}
    return {
        name: tuple(window for window in scan.windows if window.in_signal(table.mjj).any())
        for name, table in events.held_out.items()
    }


@dataclass(frozen=True)
class _Plan:
    """What is to be measured where."""

    inputs: SearchInputs
    settings: CompareSettings
    events: MethodEvents
    places: Mapping[str, tuple[MassWindow, ...]]

    def empty(self, method: str, signal: str, window: MassWindow) -> MethodResult:
        data, held_out = self.events.data, self.events.held_out[signal]
        hidden = self.events.samples.is_signal() & window.in_signal(data.table.mjj)
        n_held_out = int(window.in_signal(held_out.mjj).sum())
        return MethodResult(
            method=method, signal=signal, window=window, n_held_out=n_held_out, n_hidden=int(hidden.sum())
        )

    def measured(self, methods: Sequence[str], backend: Backend) -> dict[tuple[str, str, str], MethodResult]:
        """Results by method, window and signal; finished ones are read, and others kept as soon as they are there."""
        folder = self.inputs.folder
        wanted = [
            (name, window, signal) for signal, places in self.places.items() for window in places for name in methods
        ]
        keys = {(name, window.name, signal): self._key(name, window, signal) for name, window, signal in wanted}
        stored = folder.load_records(MethodResult, _KIND, keys.values())
        results = {place: stored[key] for place, key in keys.items() if key in stored}
        for result in self._trained([one for one in wanted if (one[0], one[1].name, one[2]) not in results], backend):
            place = (result.method, result.window.name, result.signal)
            results[place] = result
            if result.reason is None:
                folder.save_record(_KIND, keys[place], result)
            _log.info("%s in window %s: %s", result.method, result.window.name, result.reason or "compared")
        return results

    def _key(self, method: str, window: MassWindow, signal: str) -> str:
        config = _with_method(self.inputs.config, method)
        return fingerprint(
            code=["analysis.stages.methods"],
            upstream=[performance_fingerprint(self.inputs.events, config)],
            config=(config, "background", "statistics"),
            window=window.to_json(),
            signal=signal,
            trainings=self.settings.trainings,
        )

    def _trained(self, wanted: Sequence[tuple[str, MassWindow, str]], backend: Backend) -> Iterator[MethodResult]:
        """Train each method in each window once for all signals."""
        groups: dict[tuple[str, MassWindow], list[str]] = {}
        for name, window, signal in wanted:
            groups.setdefault((name, window), []).append(signal)
        tasks = [(group, task) for group, signals in groups.items() for task in self._tasks(*group, signals)]
        left = {group: [index for index, (of, _) in enumerate(tasks) if of == group] for group in groups}
        done: dict[int, Measured | CwolaError] = {}
        measured = backend.map(measure_method, [task for _, task in tasks], shared=self.events)
        for index, found in track(measured, total=len(tasks), description="Trainings of all methods"):
            done[index] = found
            group = tasks[index][0]
            if all(one in done for one in left[group]):
                yield from self._results(*group, groups[group], [done[one] for one in left[group]])

    def _tasks(self, name: str, window: MassWindow, signals: Sequence[str]) -> Iterator[MethodTask]:
        config, scan = _with_method(self.inputs.config, name), self.inputs.regions
        for seed in range(self.settings.trainings):
            yield MethodTask(window_task(window, scan, config, training_seed=seed), tuple(signals))
        if not get_method(name).uses_truth:
            yield MethodTask(window_task(window, scan, config))

    def _results(
        self, name: str, window: MassWindow, signals: Sequence[str], found: Sequence[Measured | CwolaError]
    ) -> Iterator[MethodResult]:
        errors = [one for one in found if isinstance(one, CwolaError)]
        if errors:
            yield from (replace(self.empty(name, signal, window), reason=str(errors[0])) for signal in signals)
            return
        done = [one for one in found if isinstance(one, Measured)]
        own = SearchInputs(self.inputs.events, _with_method(self.inputs.config, name), self.inputs.folder)
        calibrations = load_calibrations(own)
        chosen = [compared_selection(*calibrations.applied([one.search])) for one in done if one.trained]
        label = next((one.name for one in chosen if one is not None), None)
        without_signal = next((closure(one.search) for one in done if not one.trained), None)
        closed = _validated(own, window, label) or without_signal
        for signal in signals:
            trainings = tuple(
                replace(
                    one.trained[signal],
                    z=selection.discovery.z if selection and selection.discovery else None,
                    z_calibrated=selection.calibration.z if selection and selection.calibration else None,
                )
                for one, selection in zip([one for one in done if one.trained], chosen, strict=True)
            )
            yield replace(self.empty(name, signal, window), selection=label, trainings=trainings, closure=closed)


def _validated(inputs: SearchInputs, window: MassWindow, selection: str | None) -> Closure | None:
    """Non-closure that `cwola validate` measured with this method; None without."""
    found = corrections(load_verdicts(inputs)).get(window.name, {}).get(selection or "")
    return None if found is None else Closure(found.delta, found.error, "validation")
