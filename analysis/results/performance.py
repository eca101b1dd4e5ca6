"""`performance.json` and `methods.json` of a results folder, used only if all they depend on is unchanged."""

from __future__ import annotations

import logging

from analysis.config import SearchConfig
from analysis.core.fingerprint import fingerprint
from analysis.diagnostics.gain_values import GainScan
from analysis.diagnostics.method_values import MethodResult
from analysis.learning import LEARNERS
from analysis.methods import METHODS
from analysis.results.folder import ResultsFolder
from analysis.results.processed_events import ProcessedEvents, load_processed

__all__ = ["load_methods", "load_performance", "performance_fingerprint"]

_log = logging.getLogger("cwola")


def performance_fingerprint(events: ProcessedEvents, config: SearchConfig) -> str:
    """Return the fingerprint of the gains of features and simulation weight, for any choice of signals and weights.

    Parameters
    ----------
    events : ProcessedEvents
        All selected events.
    config : SearchConfig
    """
    learning = config.learning.model_copy(update={"n_seeds": 1})
    return fingerprint(
        code=["analysis.stages.performance"],
        events=[events.digest, *([name, events.scale(name), events.content(name)] for name in events.datasets)],
        config=(config.model_copy(update={"learning": learning}), "learning", "scan"),
        seed=config.random_state,
        plugins=[(METHODS, [config.learning.method]), (LEARNERS, [config.learning.learner])],
        datasets=[[name, dataset.kind, dataset.is_signal] for name, dataset in events.datasets.items()],
    )


def load_performance(folder: ResultsFolder, config: SearchConfig) -> tuple[GainScan, ...]:
    """Read `performance.json`; empty without the file, or if its fingerprint differs from the current one.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig

    Raises
    ------
    ResultsError
        If the file, or the record of the selected events, is damaged.
    """
    if not folder.has_performance:
        return ()
    scans = folder.load_performance(performance_fingerprint(load_processed(folder), config))
    if not scans:
        _log.warning(
            "%s is of other events, settings, plugins or code, and is left out. Measure again: `cwola performance "
            "--output %s`.",
            folder.path / "performance.json",
            folder.path,
        )
    return scans


def load_methods(folder: ResultsFolder, config: SearchConfig) -> tuple[MethodResult, ...]:
    """Read `methods.json`; empty without the file, or if its fingerprint differs from the current one.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig

    Raises
    ------
    ResultsError
        If the record of the selected events is damaged.
    """
    if not (folder.path / "methods.json").exists():
        return ()
    return folder.load_methods(performance_fingerprint(load_processed(folder), config))
