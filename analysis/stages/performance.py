"""Gain from each feature and from the simulation weight in a search of pseudodata, measured on signal samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.diagnostics.gain_values import FeatureGain, GainScan, WeightGain
from analysis.diagnostics.gains import (
    Benchmark,
    Separation,
    scan_features,
    scan_simulation_weight,
    smallest_discovery,
)
from analysis.errors import ConfigError
from analysis.events.table import EventTable
from analysis.learning import FoldTask, Samples
from analysis.regions import MassWindow, RegionScan
from analysis.results.performance import performance_fingerprint
from analysis.search.values import SearchData
from analysis.search.window import fold_tasks
from analysis.stages.inputs import SearchInputs, stage

__all__ = [
    "FEATURES",
    "SIMULATION_WEIGHT",
    "PerformanceSettings",
    "chosen_signals",
    "figure_kinds",
    "measure_performance",
    "require_truth",
    "signal_window",
]

FEATURES, SIMULATION_WEIGHT = "features", "simulation-weight"


@dataclass(frozen=True)
class PerformanceSettings:
    """Settings of the performance measurement.

    Attributes
    ----------
    scans : tuple of str
        `FEATURES`, `SIMULATION_WEIGHT`. The latter is skipped without simulated background.
    weights : tuple of float
        Non-negative values of λ; 0 is CWoLa.
    trainings : int
        Number of trainings of each classifier, with different random numbers on the same folds.
    window : (low, high) or None
        Window of the scan, GeV; None for the window with the most signal events.
    """

    scans: tuple[str, ...] = (FEATURES, SIMULATION_WEIGHT)
    weights: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    trainings: int = 3
    window: tuple[float, float] | None = None


def measure_performance(
    inputs: SearchInputs, backend: Backend, settings: PerformanceSettings, *, signals: Sequence[str] = ()
) -> tuple[GainScan, ...]:
    """Train classifiers on the pseudodata, evaluate them on signal samples, and write `performance.json`.

    Method, trees and features are taken from the configuration; the scan of λ replaces the method.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    settings : PerformanceSettings
    signals : sequence of str
        Names of signal datasets; all if empty. None of their events may be hidden in the pseudodata.

    Returns
    -------
    tuple of GainScan
        Written results, by signal.

    Raises
    ------
    ConfigError
        If the data lack truth labels or the results are blinded, a signal or the window is unknown, no signal event
        lies in the window, or only the simulation weight is scanned without simulated background.
    TableError
        If events of a signal are hidden in the pseudodata.
    """
    events, config, folder = inputs.events, inputs.config, inputs.folder
    events.require_selection(config, folder)
    simulation = bool(inputs.background)
    names = chosen_signals(list(inputs.signals), signals)
    require_truth(inputs)
    if settings.scans == (SIMULATION_WEIGHT,) and not simulation:
        msg = (
            "there is no dataset of kind background, which a scan of the weight of the simulation needs. Add one to "
            "the datasets file and run `cwola process` again."
        )
        raise ConfigError(msg)
    with stage("performance"):
        data = inputs.read_fitted(inputs.features, simulation=simulation)
        jobs = [_Job.of(data, inputs.signal(name, inputs.features), name, config, settings) for name in names]
        scans = tuple(job.scan(settings, backend) for job in jobs)
        folder.save_performance(performance_fingerprint(events, config), scans)
    return scans


def figure_kinds(scans: Sequence[GainScan]) -> list[str]:
    """Return the kinds of figures of `performance.json`, as accepted by `cwola plot --only`."""
    measured = {
        "lambda": any(scan.simulation_weight for scan in scans),
        "subsets": any(scan.subsets for scan in scans),
    }
    return [kind for kind, drawn in measured.items() if drawn]


def chosen_signals(known: list[str], wanted: Sequence[str]) -> list[str]:
    """Return the wanted signal samples, by default all known ones.

    Raises
    ------
    ConfigError
        If one is unknown, or there is none.
    """
    if unknown := [name for name in wanted if name not in known] or (not known and ["any"]):
        msg = (
            f"there is no dataset {unknown[0]} of kind signal to measure with. Signals: {', '.join(known) or 'none'}. "
            "Add one to the datasets file and run `cwola process` again."
        )
        raise ConfigError(msg)
    return list(wanted or known)


def require_truth(inputs: SearchInputs) -> None:
    """Raise unless it is known, and may be shown, which of the searched events are signal.

    Raises
    ------
    ConfigError
        For real data, and while blinded.
    """
    if inputs.truth is None or inputs.blinded:
        what = "the searched events are data" if inputs.truth is None else "statistics.blind is set"
        msg = (
            f"performance is measured where it is known, and may be shown, which events are signal, and {what}. Search "
            "datasets of kind pseudodata, with hidden signal or without."
        )
        raise ConfigError(msg)


class _Measured(TypedDict):
    """Measured values by training, common to `WeightGain` and `FeatureGain`."""

    sic: tuple[tuple[float, ...], ...]
    auc: tuple[float, ...]
    window_sideband_auc: tuple[float, ...]
    sigma_min: tuple[float | None, ...]


@dataclass(frozen=True)
class _Job:
    """One signal in one window, with one task per training."""

    benchmark: Benchmark
    signal: str
    window: MassWindow
    tasks: tuple[FoldTask, ...]
    efficiencies: tuple[float, ...]
    n_held_out: int

    @classmethod
    def of(
        cls,
        data: SearchData,
        held_out: EventTable,
        signal: str,
        config: SearchConfig,
        settings: PerformanceSettings,
    ) -> _Job:
        scan = RegionScan.from_config(config.scan)
        window, n_held_out = signal_window(scan, held_out, signal, settings.window)
        tasks = (fold_tasks(window, scan.edges(window), config, seed)[0] for seed in range(settings.trainings))
        samples = Samples(data.table, data.simulation, data.signal_datasets)
        return cls(
            Benchmark(samples, held_out),
            signal,
            window,
            tuple(replace(task, template=False) for task in tasks),
            config.learning.efficiencies,
            n_held_out,
        )

    def scan(self, settings: PerformanceSettings, backend: Backend) -> GainScan:
        labels = {spec.name: spec.label for spec in self.benchmark.samples.data.features}
        task = self.tasks[0]
        weighed = SIMULATION_WEIGHT in settings.scans and self.benchmark.samples.simulation is not None
        return GainScan(
            signal=self.signal,
            window=self.window,
            method=task.method.name,
            features=tuple(task.features),
            labels=tuple(labels[name] for name in task.features),
            background_efficiencies=self.efficiencies,
            trainings=len(self.tasks),
            n_held_out=self.n_held_out,
            simulation_weight=tuple(self._weights(settings.weights, backend)) if weighed else (),
            subsets=tuple(self._features(backend)) if FEATURES in settings.scans else (),
        )

    def _weights(self, weights: Sequence[float], backend: Backend) -> Iterator[WeightGain]:
        scans = [scan_simulation_weight(task, weights, self.benchmark, backend) for task in self._each("λ on")]
        for weight in weights:
            yield WeightGain(weight=weight, **self._measured([scan[weight] for scan in scans]))

    def _features(self, backend: Backend) -> Iterator[FeatureGain]:
        scans = [scan_features(task, self.benchmark, backend) for task in self._each("features on")]
        together = self._measured([scan.together for scan in scans])
        yield FeatureGain(use="together", feature=None, **together)
        for name in scans[0].alone:
            yield FeatureGain(use="alone", feature=name, **self._measured([scan.alone[name] for scan in scans]))
        for name in scans[0].without:
            yield FeatureGain(use="without", feature=name, **self._measured([scan.without[name] for scan in scans]))

    def _each(self, what: str) -> Iterator[FoldTask]:
        return track(iter(self.tasks), total=len(self.tasks), description=f"Trainings, {what} {self.signal}")

    def _measured(self, separations: Sequence[Separation]) -> _Measured:
        return {
            "sic": tuple(tuple(one.signal.sic(efficiency) for efficiency in self.efficiencies) for one in separations),
            "auc": tuple(one.signal.auc for one in separations),
            "window_sideband_auc": tuple(one.sculpting.auc for one in separations),
            "sigma_min": tuple(smallest_discovery(one.signal, self.benchmark, self.window) for one in separations),
        }


def signal_window(
    scan: RegionScan, held_out: EventTable, signal: str, wanted: tuple[float, float] | None
) -> tuple[MassWindow, int]:
    """Return the requested window, or the window with the most signal events, and its number of signal events."""
    windows = scan.windows if wanted is None else [_named(scan, wanted)]
    counts = [int(window.in_signal(held_out.mjj).sum()) for window in windows]
    if not any(counts):
        where = " or ".join(window.name for window in windows)
        msg = f"no event of {signal} has its dijet mass in {where} GeV: name another --window or --signal."
        raise ConfigError(msg)
    best = counts.index(max(counts))
    return windows[best], counts[best]


def _named(scan: RegionScan, wanted: tuple[float, float]) -> MassWindow:
    for window in scan.windows:
        if window.signal == wanted:
            return window
    names = ", ".join(f"{window.signal[0]:g}:{window.signal[1]:g}" for window in scan.windows)
    msg = f"--window {wanted[0]:g}:{wanted[1]:g} is not in the scan. Windows: {names}."
    raise ConfigError(msg)
