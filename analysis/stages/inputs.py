"""Inputs of a stage: events to be searched, and digests of all that a result depends on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from analysis.config import SearchConfig
from analysis.core.digests import digest
from analysis.events.dataset import Dataset
from analysis.events.datasets import background_datasets, observed_datasets
from analysis.methods import get_method
from analysis.results import ResultsFolder
from analysis.results.processed_events import ProcessedEvents, is_blinded
from analysis.search.values import SearchData

__all__ = ["inputs_digest", "search_data", "search_digest", "stage", "truth_datasets"]


_log = logging.getLogger("cwola")


def search_data(
    events: ProcessedEvents, config: SearchConfig, folder: ResultsFolder, *, simulation: bool
) -> SearchData:
    """Read the events that are searched, and simulated background where it is asked for."""
    truth = truth_datasets(observed_datasets(events.datasets).values())
    background = events.read_simulation(folder) if simulation else None
    return SearchData(events.read_searched(folder), is_blinded(events, config), truth, background)


def inputs_digest(events: ProcessedEvents, config: SearchConfig, *, simulation: bool) -> str:
    """Digest of the events that are searched, and of the simulated background where that is used."""
    inputs = events.identity(blinded=is_blinded(events, config))
    if not simulation:
        return inputs
    names = background_datasets(events.datasets)
    return digest([inputs, *([name, events.scale(name), events.records[name]["parts"]] for name in names)])


def search_digest(events: ProcessedEvents, config: SearchConfig) -> str:
    """Digest of what is searched and how, for results that are made beside a scan."""
    settings = config.digest("learning", "background", "statistics", "scan")
    inputs = inputs_digest(events, config, simulation=get_method(config.learning.method).needs_simulation)
    return digest([inputs, settings, config.random_state])


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Log the beginning and the end of a stage."""
    _log.info("%s: started", name)
    start = time.monotonic()
    yield
    _log.info("%s: finished in %.1f s", name, time.monotonic() - start)


def truth_datasets(observed: Iterable[Dataset]) -> tuple[str, ...] | None:
    """Names of the observed datasets that are simulated signal; None where truth is not known (real data)."""
    datasets = list(observed)
    if any(dataset.kind == "data" for dataset in datasets):
        return None
    return tuple(dataset.name for dataset in datasets if dataset.is_signal)
