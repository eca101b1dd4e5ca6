"""What each feature and the weight of the simulation add to a search of pseudodata, measured on signal samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.errors import ConfigError
from analysis.learning import FoldTask, Samples
from analysis.performance import Benchmark, Separation, scan_features, scan_simulation_weight
from analysis.processed import ProcessedEvents
from analysis.regions import MassWindow, RegionScan
from analysis.search import SearchData, fold_tasks
from analysis.store import ResultsFolder
from analysis.store.files import write_json
from analysis.table import EventTable
from analysis.workflow import search_data, stage

__all__ = ["FEATURES", "SIMULATION_WEIGHT", "PerformanceSettings", "measure_performance"]

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
    events: ProcessedEvents,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    settings: PerformanceSettings,
    *,
    signals: Sequence[str] = (),
) -> dict[str, Any]:
    """Train classifiers on the pseudodata, measure them on signal samples, and write `performance.json`.

    The method, trees and features are those of the configuration; the scan of λ replaces the method.

    Parameters
    ----------
    events : ProcessedEvents
    config : SearchConfig
    folder : ResultsFolder
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
        If the truth is not known or the results are blinded, or a signal or the window is unknown.
    TableError
        If events of a signal are hidden in the pseudodata.
    """
    events.require_selection(config, folder)
    simulation = any(dataset.kind == "background" for dataset in events.datasets.values())
    names = _signals(events, signals)
    with stage("performance"):
        data = _with_truth(search_data(events, config, folder, simulation=simulation))
        jobs = [_Job.of(data, events.read_signal(name, folder), name, config, settings) for name in names]
        document = {"scans": [job.document(settings, backend) for job in jobs]}
        write_json(folder.path / "performance.json", document)
    return document


def _signals(events: ProcessedEvents, wanted: Sequence[str]) -> list[str]:
    known = [name for name, dataset in events.datasets.items() if dataset.kind == "signal"]
    if unknown := [name for name in wanted if name not in known] or (not known and ["any"]):
        msg = (
            f"there is no dataset {unknown[0]} of kind signal to measure with. Signals: {', '.join(known) or 'none'}. "
            "Add one to the datasets file and run `cwola process` again."
        )
        raise ConfigError(msg)
    return list(wanted or known)


def _with_truth(data: SearchData) -> SearchData:
    if data.blinded or data.signal_datasets is None:
        what = "statistics.blind is set" if data.signal_datasets is not None else "the searched events are data"
        msg = (
            f"performance is measured where it is known which events are signal, and {what}. Use pseudodata, with "
            "signal of a dataset with `masses` among it or none, that is not blinded."
        )
        raise ConfigError(msg)
    return data


@dataclass(frozen=True)
class _Job:
    """One signal in one window, with one task a training."""

    benchmark: Benchmark
    signal: str
    window: MassWindow
    tasks: tuple[FoldTask, ...]
    efficiencies: tuple[float, ...]

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
        window = _window(scan, held_out, settings.window)
        tasks = (fold_tasks(window, scan.edges(window), config, seed)[0] for seed in range(settings.trainings))
        samples = Samples(data.table, data.simulation, data.signal_datasets)
        return cls(
            Benchmark(samples, held_out),
            signal,
            window,
            tuple(replace(task, template=False) for task in tasks),
            config.learning.efficiencies,
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
            "n_held_out": int(self.window.in_signal(self.benchmark.held_out.mjj).sum()),
            "simulation_weight": list(self._weights(settings.weights, backend)) if weighed else [],
            "feature_scan": list(self._features(backend)) if FEATURES in settings.scans else [],
        }

    def _weights(self, weights: Sequence[float], backend: Backend) -> Iterator[dict[str, Any]]:
        found = [scan_simulation_weight(task, weights, self.benchmark, backend) for task in self.tasks]
        for weight in weights:
            yield {"weight": weight, **self._measured([one[weight] for one in found])}

    def _features(self, backend: Backend) -> Iterator[dict[str, Any]]:
        found = [scan_features(task, self.benchmark, backend) for task in self.tasks]
        yield {"use": "together", "feature": None, **self._measured([one.together for one in found])}
        for name in found[0].alone:
            yield {"use": "alone", "feature": name, **self._measured([one.alone[name] for one in found])}
        for name in found[0].without:
            yield {"use": "without", "feature": name, **self._measured([one.without[name] for one in found])}

    def _measured(self, separations: Sequence[Separation]) -> Mapping[str, Any]:
        """By training: "sic" at each background efficiency, and the areas of signal and of window against sidebands."""
        return {
            "sic": [[one.signal.sic(efficiency) for efficiency in self.efficiencies] for one in separations],
            "auc": [one.signal.auc for one in separations],
            "window_sideband_auc": [one.sculpting.auc for one in separations],
        }


def _window(scan: RegionScan, held_out: EventTable, wanted: tuple[float, float] | None) -> MassWindow:
    if wanted is None:
        return max(scan.windows, key=lambda window: int(window.in_signal(held_out.mjj).sum()))
    for window in scan.windows:
        if window.signal == wanted:
            return window
    known = ", ".join(f"{one.signal[0]:g}:{one.signal[1]:g}" for one in scan.windows)
    msg = f"--window {wanted[0]:g}:{wanted[1]:g} is not in the scan. Windows: {known}."
    raise ConfigError(msg)
