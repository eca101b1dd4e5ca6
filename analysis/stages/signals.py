"""Evaluation of the signal samples with the classifiers of a search, and storage of the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.compute import Backend, track
from analysis.core.fingerprint import fingerprint
from analysis.errors import ResultsError
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.histograms.spectra import NOMINAL
from analysis.results.processed_events import ProcessedEvents
from analysis.search.classifiers import Classifier, load_classifiers
from analysis.search.values import WindowResult
from analysis.signals.points import RULE, PointResult, PointTask, evaluate_point
from analysis.signals.values import SignalResult
from analysis.signals.yields import SignalSample, weight_columns
from analysis.stages.calibrate import calibration_identity
from analysis.stages.inputs import SearchInputs

__all__ = ["evaluate_signals", "searched_too", "signal_sample", "signals_key"]


def evaluate_signals(
    inputs: SearchInputs, backend: Backend, windows: Mapping[str, WindowResult]
) -> tuple[SignalResult, ...]:
    """Determine yields and limits of all signal datasets, and write their workspaces and spectra.

    Parameters
    ----------
    inputs : SearchInputs
        Inputs with the folder of a finished scan, whose results are saved.
    backend : Backend
    windows : mapping of str to WindowResult
        Windows by key.

    Returns
    -------
    tuple of SignalResult
    """
    folder, signals = inputs.folder, inputs.signals
    key = signals_key(inputs, list(windows))
    stored = folder.load_signals(key)
    if stored is not None:
        return stored
    try:
        classifiers = load_classifiers(folder.path)[1] if signals else []
    except ResultsError as error:
        failed = tuple(_failed(dataset, str(error)) for dataset in signals.values())
        folder.save_signals(key, failed)
        return failed
    results, points = _evaluate(inputs, backend, windows, classifiers)
    workspaces = {name: point.workspaces for name, point in points.items()}
    folder.save_signals(key, results, workspaces, {name: point.spectra for name, point in points.items()})
    return results


def _evaluate(
    inputs: SearchInputs, backend: Backend, windows: Mapping[str, WindowResult], classifiers: list[Classifier]
) -> tuple[tuple[SignalResult, ...], dict[str, PointResult]]:
    events, signals = inputs.events, inputs.signals
    results = {result.window.name: result for result in windows.values()}
    evaluated, tasks = {}, []
    for name, dataset in signals.items():
        if (reason := searched_too(events, name)) is not None:
            evaluated[name] = _failed(dataset, reason)
            continue
        sample = signal_sample(inputs, name)
        chosen = tuple(results[classifier.window.name] for classifier in classifiers)
        tasks.append(PointTask(sample, tuple(classifiers), chosen, inputs.config))
    scored = backend.map(evaluate_point, tasks)
    points = {}
    for index, point in track(scored, total=len(tasks), description="Scoring signals"):
        name = tasks[index].sample.name
        evaluated[name], points[name] = point.result, point
    return tuple(evaluated[name] for name in signals), points


def searched_too(events: ProcessedEvents, name: str) -> str | None:
    """Return the reason if a file of a signal sample is also searched, so that the sample cannot be used; else None."""
    trained = {file.identity: file.dataset for file in events.inputs if events.datasets[file.dataset].is_observed}
    sample = [file.identity for file in events.inputs if file.dataset == name]
    shared = [trained[identity] for identity in sample if identity in trained]
    if not shared:
        return None
    return f"its file is searched as dataset {shared[0]}: models that saw an event must not score it."


def signal_sample(inputs: SearchInputs, name: str) -> SignalSample:
    """Read the events of a signal dataset, with all their variations."""
    events, folder, dataset = inputs.events, inputs.folder, inputs.signals[name]
    systematics = events.systematics_of(name)
    tables: dict[str, EventTable] = {NOMINAL: events.read_signal(name, folder, weight_columns(systematics))}
    for variation in events.records[name].variations:
        tables[variation] = events.read_variation(name, variation, folder)
    total = events.records[name].sum_of_weights
    return SignalSample(
        name,
        dataset.masses,
        tables,
        None if total is None else total * events.scale(name),
        dataset.xsec_pb,
        dataset.lumi_ifb,
        dataset.is_normalised,
        systematics,
    )


def _failed(dataset: Dataset, reason: str) -> SignalResult:
    return SignalResult(
        dataset=dataset.name,
        masses=dict(dataset.masses),
        rule=RULE,
        normalised=dataset.is_normalised,
        xsec_pb=dataset.xsec_pb,
        lumi_ifb=dataset.lumi_ifb,
        selections=(),
        yields=(),
        reason=reason,
    )


def signals_key(inputs: SearchInputs, windows: Sequence[str]) -> str:
    """Return the fingerprint of the results of all signal samples, with the classifiers of windows of these keys."""
    config = inputs.config
    model: dict[str, Any] = {} if config.statistics.model == "counting" else {"model": config.statistics.model}
    return fingerprint(
        code=["analysis.signals.points", "analysis.stages.signals"],
        events=[inputs.events.digest, *([name, *inputs.sample(name)] for name in inputs.signals)],
        config=(config, "learning", "background", "statistics"),
        seed=config.random_state,
        upstream=list(windows),
        calibration=calibration_identity(inputs),
        **model,
    )
