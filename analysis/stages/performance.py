"""What each feature and the weight of the simulation add to a search of pseudodata, measured on signal samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.diagnostics.gains import Benchmark, Separation, scan_features, scan_simulation_weight
from analysis.errors import ConfigError
from analysis.events.table import EventTable
from analysis.learning import FoldTask, Samples
from analysis.regions import MassWindow, RegionScan
from analysis.results.performance import performance_fingerprint
from analysis.search.values import SearchData
from analysis.search.window import fold_tasks
from analysis.stages.inputs import SearchInputs, stage

__all__ = ["FEATURES", "SIMULATION_WEIGHT", "PerformanceSettings", "figure_kinds", "measure_performance"]

FEATURES, SIMULATION_WEIGHT = "features", "simulation-weight"


@dataclass(frozen=True)
class PerformanceSettings:
    """What is measured.

    Attributes
    ----------
    scans : tuple of str
        `FEATURES`, `SIMULATION_WEIGHT`. The latter is left out where there is no simulated background.
    weights : tuple of float
        Values of λ, not negative; 0 is CWoLa.
    trainings : int
        How often each classifier is trained, with other random numbers on the same folds.
    window : (low, high) or None
        A window of the scan, GeV; None for the one that holds most events of the signal.
    """

    scans: tuple[str, ...] = (FEATURES, SIMULATION_WEIGHT)
    weights: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    trainings: int = 3
    window: tuple[float, float] | None = None


def measure_performance(
    inputs: SearchInputs, backend: Backend, settings: PerformanceSettings, *, signals: Sequence[str] = ()
) -> dict[str, Any]:
    """Train classifiers on the pseudodata, measure them on signal samples, and write `performance.json`.

    The method, trees and features are those of the configuration; the scan of λ replaces the method.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    settings : PerformanceSettings
    signals : sequence of str
        Datasets of kind signal; all where empty. None of their events may be hidden in the pseudodata.

    Returns
    -------
    dict
        What was written: "scans", a list by signal.

    Raises
    ------
    ConfigError
        If the truth is not known or the results are blinded, a signal or the window is unknown, or none is in it.
    TableError
        If events of a signal are hidden in the pseudodata.
    """
    events, config, folder = inputs.events, inputs.config, inputs.folder
    events.require_selection(config, folder)
    simulation = bool(inputs.background)
    names = _signals(list(inputs.signals), signals)
    _require_truth(inputs)
    if settings.scans == (SIMULATION_WEIGHT,) and not simulation:
        msg = (
            "there is no dataset of kind background, which a scan of the weight of the simulation needs. Add one to "
            "the datasets file and run `cwola process` again."
        )
        raise ConfigError(msg)
    with stage("performance"):
        data = inputs.read(simulation=simulation)
        jobs = [_Job.of(data, events.read_signal(name, folder), name, config, settings) for name in names]
        document = {"scans": [job.document(settings, backend) for job in jobs]}
        folder.save_performance(performance_fingerprint(events, config), document)
    return document


def figure_kinds(document: Mapping[str, Any]) -> list[str]:
    """Return the kinds of figures that there are of `performance.json`, as `cwola plot --only` takes them."""
    kinds = {"lambda": "simulation_weight", "subsets": "subsets"}
    return [kind for kind, name in kinds.items() if any(scan[name] for scan in document["scans"])]


def _signals(known: list[str], wanted: Sequence[str]) -> list[str]:
    if unknown := [name for name in wanted if name not in known] or (not known and ["any"]):
        msg = (
            f"there is no dataset {unknown[0]} of kind signal to measure with. Signals: {', '.join(known) or 'none'}. "
            "Add one to the datasets file and run `cwola process` again."
        )
        raise ConfigError(msg)
    return list(wanted or known)


def _require_truth(inputs: SearchInputs) -> None:
    if inputs.truth is None or inputs.blinded:
        what = "the searched events are data" if inputs.truth is None else "statistics.blind is set"
        msg = (
            f"performance is measured where it is known, and may be shown, which events are signal, and {what}. Search "
            "datasets of kind pseudodata, with hidden signal or without."
        )
        raise ConfigError(msg)


@dataclass(frozen=True)
class _Job:
    """One signal in one window, with one task a training."""

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
        window, n_held_out = _window(scan, held_out, signal, settings.window)
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

    def document(self, settings: PerformanceSettings, backend: Backend) -> dict[str, Any]:
        labels = {spec.name: spec.label for spec in self.benchmark.samples.data.features}
        task = self.tasks[0]
        weighed = SIMULATION_WEIGHT in settings.scans and self.benchmark.samples.simulation is not None
        return {
            "signal": self.signal,
            "window": self.window.to_json(),
            "method": task.method.name,
            "features": list(task.features),
            "labels": [labels[name] for name in task.features],
            "background_efficiencies": list(self.efficiencies),
            "trainings": len(self.tasks),
            "n_held_out": self.n_held_out,
            "simulation_weight": list(self._weights(settings.weights, backend)) if weighed else [],
            "subsets": list(self._features(backend)) if FEATURES in settings.scans else [],
        }

    def _weights(self, weights: Sequence[float], backend: Backend) -> Iterator[dict[str, Any]]:
        found = [scan_simulation_weight(task, weights, self.benchmark, backend) for task in self._each("λ on")]
        for weight in weights:
            yield {"weight": weight, **self._measured([one[weight] for one in found])}

    def _features(self, backend: Backend) -> Iterator[dict[str, Any]]:
        found = [scan_features(task, self.benchmark, backend) for task in self._each("features on")]
        yield {"use": "together", "feature": None, **self._measured([one.together for one in found])}
        for name in found[0].alone:
            yield {"use": "alone", "feature": name, **self._measured([one.alone[name] for one in found])}
        for name in found[0].without:
            yield {"use": "without", "feature": name, **self._measured([one.without[name] for one in found])}

    def _each(self, what: str) -> Iterator[FoldTask]:
        return track(iter(self.tasks), total=len(self.tasks), description=f"Trainings, {what} {self.signal}")

    def _measured(self, separations: Sequence[Separation]) -> Mapping[str, Any]:
        """By training: "sic" at each background efficiency, and the areas of signal and of window against sidebands."""
        return {
            "sic": [[one.signal.sic(efficiency) for efficiency in self.efficiencies] for one in separations],
            "auc": [one.signal.auc for one in separations],
            "window_sideband_auc": [one.sculpting.auc for one in separations],
        }


def _window(
    scan: RegionScan, held_out: EventTable, signal: str, wanted: tuple[float, float] | None
) -> tuple[MassWindow, int]:
    """Return a window and the number of signal events in it."""
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
    known = ", ".join(f"{one.signal[0]:g}:{one.signal[1]:g}" for one in scan.windows)
    msg = f"--window {wanted[0]:g}:{wanted[1]:g} is not in the scan. Windows: {known}."
    raise ConfigError(msg)
