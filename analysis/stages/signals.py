"""The mass points of a search: signal samples scored by its classifiers, and what is written of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.code_digest import code_digest
from analysis.core.digests import digest
from analysis.errors import ResultsError
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.histograms.spectra import NOMINAL
from analysis.results import ResultsFolder
from analysis.results.processed_events import ProcessedEvents, is_blinded
from analysis.search.classifiers import Classifier, load_classifiers
from analysis.search.values import WindowResult
from analysis.signals.points import RULE, PointResult, PointTask, evaluate_point
from analysis.signals.yields import SignalSample, weight_columns

__all__ = ["evaluate_signals", "searched_too", "signal_sample"]


def evaluate_signals(
    events: ProcessedEvents,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    windows: Mapping[str, WindowResult],
) -> list[dict[str, Any]]:
    """Count and limit all datasets of kind signal, and write their workspaces and spectra.

    Parameters
    ----------
    events : ProcessedEvents
    config : SearchConfig
    folder : ResultsFolder
        Of a finished scan: its results are saved.
    backend : Backend
    windows : mapping of str to WindowResult
        By key.

    Returns
    -------
    list of dict
        "signals" of `results.json`.
    """
    signals = {name: dataset for name, dataset in events.datasets.items() if dataset.kind == "signal"}
    key = _key(events, config, list(windows), list(signals))
    known = folder.load_signals(key)
    if known is not None:
        return known
    try:
        classifiers = load_classifiers(folder.path)[1] if signals else []
    except ResultsError as error:
        documents = [_failed(dataset, str(error)) for dataset in signals.values()]
        folder.save_signals(key, documents)
        return documents
    documents, found = _evaluate(events, config, folder, backend, windows, signals, classifiers)
    workspaces = {name: point.workspaces for name, point in found.items()}
    folder.save_signals(key, documents, workspaces, {name: point.spectra for name, point in found.items()})
    return documents


def _evaluate(
    events: ProcessedEvents,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
    windows: Mapping[str, WindowResult],
    signals: Mapping[str, Dataset],
    classifiers: list[Classifier],
) -> tuple[list[dict[str, Any]], dict[str, PointResult]]:
    results = {result.window.name: result for result in windows.values()}
    documents, tasks = {}, []
    for name, dataset in signals.items():
        if (reason := searched_too(events, name)) is not None:
            documents[name] = _failed(dataset, reason)
            continue
        sample = signal_sample(events, dataset, folder)
        chosen = tuple(results[one.window.name] for one in classifiers)
        tasks.append(PointTask(sample, tuple(classifiers), chosen, config, is_blinded(events, config)))
    scored = backend.map(evaluate_point, tasks)
    found = {}
    for index, point in track(scored, total=len(tasks), description="Scoring signals"):
        name = tasks[index].sample.name
        documents[name], found[name] = point.document, point
    return [documents[name] for name in signals], found


def searched_too(events: ProcessedEvents, name: str) -> str | None:
    """Say why a signal sample cannot be used where one of its files is searched as well; None where none is."""
    trained = {file["uuid"]: file["dataset"] for file in events.inputs if events.datasets[file["dataset"]].is_observed}
    shared = [trained[file["uuid"]] for file in events.records[name]["files"] if file["uuid"] in trained]
    if not shared:
        return None
    return f"its file is searched as dataset {shared[0]}: models that saw an event must not score it."


def signal_sample(events: ProcessedEvents, dataset: Dataset, folder: ResultsFolder) -> SignalSample:
    """Read the events of a signal dataset, with all their variations."""
    name, systematics = dataset.name, events.systematics_of(dataset.name)
    tables: dict[str, EventTable] = {NOMINAL: events.read_signal(name, folder, weight_columns(systematics))}
    for variation in events.records[name].get("variations", []):
        tables[variation] = events.read_variation(name, variation, folder)
    total = events.records[name]["sum_of_weights"]
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


def _failed(dataset: Dataset, reason: str) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "masses": dict(dataset.masses),
        "rule": RULE,
        "normalised": dataset.is_normalised,
        "xsec_pb": dataset.xsec_pb,
        "lumi_ifb": dataset.lumi_ifb,
        "selections": [],
        "yields": [],
        "reason": reason,
    }


def _key(events: ProcessedEvents, config: SearchConfig, windows: list[str], signals: list[str]) -> str:
    """Digest of all that the signals' results depend on."""
    records = [
        [name, events.scale(name), events.records[name]["parts"], events.records[name].get("systematics")]
        for name in signals
    ]
    code = code_digest("analysis.signals.points", "analysis.stages.signals")
    settings = config.digest("learning", "background", "statistics")
    return digest([events.digest, records, windows, settings, config.random_state, code])
