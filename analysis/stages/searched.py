"""Events of a search on disk: the columns and the mass range that its windows need, and no more, are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.events.stored import StoredEvents
from analysis.methods import METHODS
from analysis.regions import Interval, MassWindow, span_of
from analysis.search.values import SearchData
from analysis.stages.inputs import SearchInputs

__all__ = ["AT_ONCE", "StoredSearch"]

AT_ONCE = 10_000_000
"""Number of selected events up to which those of all windows are read at once: at most 0.6 GB with ten features."""


@dataclass
class StoredSearch:
    """Searched events on disk, and simulated background: those of a few windows at a time if memory may not hold all.

    Attributes
    ----------
    inputs : SearchInputs
    searched : StoredEvents
    background : StoredEvents or None
        Simulated background; None if it is not wanted.
    """

    inputs: SearchInputs
    searched: StoredEvents
    background: StoredEvents | None
    _latest: dict[tuple[Interval, tuple[str, ...] | None], SearchData] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, inputs: SearchInputs, *, simulation: bool) -> StoredSearch:
        """Return the searched events, with or without simulated background."""
        return cls(inputs, inputs.stored, inputs.stored_background if simulation else None)

    @property
    def at_once(self) -> bool:
        """Whether the events of all windows are read at once."""
        stored = (self.searched, self.background)
        return sum(one.n_events for one in stored if one is not None) <= AT_ONCE

    @property
    def batches(self) -> list[tuple[MassWindow, ...]]:
        """All windows, divided into those whose events are read together."""
        windows = self.inputs.regions.windows
        return [windows] if self.at_once else [(window,) for window in windows]

    def covering(self, windows: Sequence[MassWindow], *, only_masses: bool = False) -> SearchData:
        """Read what a search of some windows needs; the same data again if nothing else is needed.

        Parameters
        ----------
        windows : sequence of MassWindow
        only_masses : bool
            Leave out the features.

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
        span = span_of(self.inputs.regions.windows if self.at_once else windows)
        key = span, () if only_masses else self._features
        if key not in self._latest:
            self._latest.clear()  # before more is read
            self._latest[key] = self._read(*key)
        return self._latest[key]

    @property
    def _features(self) -> tuple[str, ...] | None:
        """Features to read; None for all columns, which a method of a plugin may use."""
        learning = self.inputs.config.learning
        built_in = METHODS.givers.get(learning.method, "").startswith("analysis.")
        return learning.features if built_in else None

    def _read(self, span: Interval, features: tuple[str, ...] | None) -> SearchData:
        inputs = self.inputs
        simulated = None if self.background is None else self.background.read(span, features)
        table = self.searched.read(span, features)
        return SearchData(table, inputs.blinded, inputs.truth, simulated, hidden=inputs.hidden)
