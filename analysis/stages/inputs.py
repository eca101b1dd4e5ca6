"""Inputs of a stage: events, configuration and results folder, with their fingerprints."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from analysis.background import FUNCTIONS
from analysis.compute import busy
from analysis.config import SearchConfig
from analysis.core.fingerprint import fingerprint
from analysis.events.dataset import Dataset
from analysis.events.datasets import background_datasets, observed_datasets
from analysis.events.stitching import generator_threshold
from analysis.events.stored import StoredEvents
from analysis.events.table import EventTable
from analysis.learning import LEARNERS
from analysis.methods import METHODS, get_method
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.results.processed_events import ProcessedEvents, is_blinded, load_processed
from analysis.search.non_closure import NonClosure
from analysis.search.values import SearchData

__all__ = ["SearchInputs", "is_built_in", "stage"]

_log = logging.getLogger("cwola")


@dataclass(frozen=True)
class SearchInputs:
    """Inputs of a search, shared by all stages.

    Attributes
    ----------
    events : ProcessedEvents
    config : SearchConfig
    folder : ResultsFolder
        Folder of the events and of the results.

    Examples
    --------
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> list(inputs.observed), len(inputs.fitted.table)
    (['qcd', 'hidden_signal'], 26559)
    >>> inputs.regions.windows[0].name
    '3300-3700'
    """

    events: ProcessedEvents
    config: SearchConfig
    folder: ResultsFolder

    @classmethod
    def load(
        cls, folder: ResultsFolder | Path | str, config: SearchConfig | None = None, *, exclude: Iterable[str] = ()
    ) -> SearchInputs:
        """Read the inputs of a search from a results folder.

        Parameters
        ----------
        folder : ResultsFolder, pathlib.Path or str
            Folder of a finished `cwola process` or `cwola run`.
        config : SearchConfig, optional
            By default the configuration of the folder.
        exclude : iterable of str
            Datasets to leave out.

        Returns
        -------
        SearchInputs

        Raises
        ------
        ConfigError
            If the configuration of the folder cannot be read.
        ResultsError
            If the folder does not exist or has no selected events.
        """
        opened = folder if isinstance(folder, ResultsFolder) else ResultsFolder(Path(folder))
        events = load_processed(opened).without(exclude)
        return cls(events, opened.load_config() if config is None else config, opened)

    @cached_property
    def observed(self) -> dict[str, Dataset]:
        """Searched datasets."""
        return observed_datasets(self.events.datasets)

    @cached_property
    def signals(self) -> dict[str, Dataset]:
        """Signal samples."""
        return {name: dataset for name, dataset in self.events.datasets.items() if dataset.kind == "signal"}

    @cached_property
    def background(self) -> dict[str, Dataset]:
        """Simulated background."""
        return background_datasets(self.events.datasets)

    @cached_property
    def regions(self) -> RegionScan:
        """Windows of the scan."""
        return RegionScan.from_config(self.config.scan)

    @property
    def blinded(self) -> bool:
        """Whether the inside of the windows must not be shown."""
        return is_blinded(self.events, self.config)

    @property
    def truth(self) -> tuple[str, ...] | None:
        """Names of the observed datasets that are simulated signal; None for real data, without truth labels."""
        if any(dataset.kind == "data" for dataset in self.observed.values()):
            return None
        return tuple(dataset.name for dataset in self.observed.values() if dataset.is_signal)

    @property
    def threshold(self) -> float | None:
        """Generator threshold of the searched datasets, GeV."""
        return generator_threshold(self.observed.values())

    @property
    def needs_simulation(self) -> bool:
        """Whether the configured method uses simulated background."""
        return get_method(self.config.learning.method).needs_simulation

    @cached_property
    def fitted(self) -> SearchData:
        """Searched events in the fit range, with the columns that a search needs, and simulated background if needed.

        Read at first use: of a large sample only these fit into memory.
        """
        return self.read_fitted(self.features, simulation=self.needs_simulation)

    @property
    def features(self) -> tuple[str, ...] | None:
        """Features that a search needs; None for all columns."""
        return self.features_of([self.config.learning.method])

    def features_of(self, methods: Iterable[str]) -> tuple[str, ...] | None:
        """Return the features that methods need; None for all columns, which methods of plugins may use."""
        return self.config.learning.features if all(map(is_built_in, methods)) else None

    def read_fitted(self, features: Iterable[str] | None, *, simulation: bool) -> SearchData:
        """Read the events in the fit range, with or without simulated background.

        Parameters
        ----------
        features : iterable of str or None
            Features to read, with identity, dataset, m_jj and weight; None for all columns.
        simulation : bool

        Returns
        -------
        SearchData

        Raises
        ------
        TableError
            If the events lack a feature, or an event occurs twice.
        ResultsError
            If a file is missing or damaged.
        """
        names = None if features is None else tuple(features)
        return self._read(self.config.scan.fit_range, names, simulation=simulation)

    @cached_property
    def data(self) -> SearchData:
        """All searched events with all columns, and simulated background if needed: for a notebook, not for a search.

        No command reads them: of a large sample they may not fit into memory, where `fitted` does.
        """
        return self._read(None, None, simulation=self.needs_simulation)

    def _read(
        self, masses: tuple[float, float] | None, features: tuple[str, ...] | None, *, simulation: bool
    ) -> SearchData:
        background = self.stored_background.read(masses, features) if simulation else None
        events = self.stored.read(masses, features)
        return SearchData(events, self.blinded, self.truth, background, hidden=self.hidden)

    @cached_property
    def stored(self) -> StoredEvents:
        """Searched events on disk."""
        return self.events.searched(self.folder)

    @cached_property
    def stored_background(self) -> StoredEvents:
        """Simulated background on disk."""
        return self.events.stored(self.background, self.folder)

    def signal(self, name: str, features: Iterable[str] | None) -> EventTable:
        """Read the events of a signal sample in the fit range, as `read_fitted` does those that are searched."""
        names = None if features is None else tuple(features)
        return self.events.stored([name], self.folder).read(self.config.scan.fit_range, names)

    @property
    def hidden(self) -> tuple[tuple[float, float], ...]:
        """Masks of all windows, in GeV, while blinded; else empty."""
        return tuple(window.mask for window in self.regions.windows) if self.blinded else ()

    @cached_property
    def searched(self) -> str:
        """Identity of the searched events."""
        identity = self.events.identity(blinded=self.blinded)
        return fingerprint(code=(), upstream=[identity], hidden=self.hidden) if self.hidden else identity

    @property
    def identity(self) -> str:
        """Identity of the searched events, and of the simulated background if the method needs it."""
        return self.identity_with(self.needs_simulation)

    def identity_with(self, simulation: bool) -> str:
        """Return the identity of the searched events, with or without the simulated background."""
        if not simulation:
            return self.searched
        names = self.background
        simulated = [[name, self.events.scale(name), self.events.content(name)] for name in names]
        return fingerprint(code=(), upstream=[self.searched], simulated=simulated)

    def sample(self, name: str) -> list[Any]:
        """Return the identity of a signal sample: normalisation, events and variations."""
        return [self.events.scale(name), self.events.content(name), self.events.records[name].systematics]

    def limits_fingerprint(self, corrections: Mapping[str, Mapping[str, NonClosure]]) -> str:
        """Return the fingerprint of the inputs of injections; signal samples have their own fingerprints.

        Parameters
        ----------
        corrections : mapping of window to selection to NonClosure
            Corrections of the background; empty without correction.
        """
        config = self.config
        methods = [config.learning.method, *config.limits.methods]
        return fingerprint(
            code=["analysis.stages.limit"],
            events=self.identity_with(any(get_method(name).needs_simulation for name in methods)),
            config=(config, "learning", "background", "statistics", "scan", "limits"),
            seed=config.random_state,
            plugins=[
                (METHODS, methods),
                (LEARNERS, [config.learning.learner]),
                (FUNCTIONS, config.background.functions),
            ],
            corrections=corrections,
        )

    def samples_fingerprints(self) -> dict[str, str]:
        """Return the fingerprints of the signal samples, by name."""
        return {name: fingerprint(code=(), events=self.sample(name)) for name in self.signals}


def is_built_in(method: str) -> bool:
    """Whether a method is one of this package, which uses no columns but the configured features."""
    return METHODS.givers.get(method, "").startswith("analysis.")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Log the beginning and the end of a stage, and show on a terminal that it goes on."""
    _log.info("%s: started", name)
    start = time.monotonic()
    with busy(f"Stage {name}"):
        yield
    _log.info("%s: finished in %.1f s", name, time.monotonic() - start)
