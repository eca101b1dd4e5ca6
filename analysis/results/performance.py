"""`performance.json` and `methods.json` of a results folder, used only if all they depend on is unchanged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

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

_COMMANDS = {"performance": "performance", "methods": "compare"}
"""Commands by the file that they write."""

T = TypeVar("T")


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
    """Read `performance.json`; empty without the file, and with a warning if it is damaged or not current.

    Parameters
    ----------
    folder : ResultsFolder
    config : SearchConfig

    Raises
    ------
    ResultsError
        If the record of the selected events is damaged.
    """
    return _current(folder, config, "performance", folder.load_performance)


def load_methods(folder: ResultsFolder, config: SearchConfig) -> tuple[MethodResult, ...]:
    """Read `methods.json`, as `load_performance` does."""
    return _current(folder, config, "methods", folder.load_methods)


def _current(
    folder: ResultsFolder, config: SearchConfig, name: str, load: Callable[[str], tuple[T, ...]]
) -> tuple[T, ...]:
    path = folder.path / f"{name}.json"
    if not path.exists():
        return ()
    found = load(performance_fingerprint(load_processed(folder), config))
    if not found:
        _log.warning(
            "%s is damaged, or of other events, settings, plugins or code, and is left out. Measure again: `cwola %s "
            "--output %s`.",
            path,
            _COMMANDS[name],
            folder.path,
        )
    return found
