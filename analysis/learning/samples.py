"""Inputs from which a method builds its contrast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import TableError
from analysis.events.table import EventTable

__all__ = ["Samples"]


@dataclass(frozen=True)
class Samples:
    """Events of the training folds only.

    Attributes
    ----------
    data : EventTable
        Events that are searched.
    simulation : EventTable or None
        Normalised simulated background, divided into folds by event identity like the data, so that it can be scored
        and weighted by models trained without it. None if the method does not need it.
    signal_datasets : tuple of str or None
        Datasets in `data` that are simulated signal. None if the method does not use the truth, and for real data.
    """

    data: EventTable
    simulation: EventTable | None = None
    signal_datasets: tuple[str, ...] | None = None

    def require_simulation(self) -> EventTable:
        """Return the simulation.

        Raises
        ------
        TableError
            If the samples have no simulation.
        """
        if self.simulation is None:
            msg = "this method needs simulated background: add datasets of kind background to the datasets file."
            raise TableError(msg)
        return self.simulation

    def is_signal(self) -> NDArray[np.bool_]:
        """(n_data,) bool: whether an event of `data` is simulated signal.

        Raises
        ------
        TableError
            If the truth is unknown, such as for real data.
        """
        if self.signal_datasets is None:
            msg = "this method uses the truth, which real data do not have: search datasets of kind pseudodata with it."
            raise TableError(msg)
        return self.data.in_datasets(self.signal_datasets)

    def map(self, function: Callable[[EventTable], NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Apply a function to data and, if present, simulation."""
        return function(self.data), None if self.simulation is None else function(self.simulation)

    def apply(self, function: Callable[[EventTable], EventTable]) -> Samples:
        """Transform both tables with a function that acts event by event."""
        return Samples(
            function(self.data), None if self.simulation is None else function(self.simulation), self.signal_datasets
        )

    def select(self, data: NDArray[np.bool_], simulation: NDArray[np.bool_] | None) -> Samples:
        """Return the events of both tables for which the masks, (n_events,) bool, are true."""
        simulated = None
        if self.simulation is not None and simulation is not None:
            simulated = self.simulation.select(simulation)
        return Samples(self.data.select(data), simulated, self.signal_datasets)
