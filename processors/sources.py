"""Origin, jets and events of a chunk, which adapters of formats provide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from processors.tally import Floats

__all__ = ["EventSource", "Index", "JetSource", "Provenance"]

Index = NDArray[np.intp] | NDArray[np.bool_] | slice


@dataclass(frozen=True)
class Provenance:
    """Origin of a chunk.

    Attributes
    ----------
    file, dataset, kind, uuid : str
    entrystart : int
        First entry of the chunk in the file.
    """

    file: str
    dataset: str
    kind: str
    uuid: str
    entrystart: int

    @classmethod
    def of(cls, events: Any) -> Provenance:
        """Read the metadata of coffea NanoEvents."""
        meta = events.metadata
        return cls(meta["filename"], meta["dataset"], meta["kind"], meta["fileuuid"], int(meta["entrystart"]))

    @property
    def where(self) -> str:
        """File and dataset, for messages."""
        return f"{self.file} (dataset {self.dataset})"


class JetSource(Protocol):
    """All jets of a chunk, read from the file on demand."""

    def column(self, name: str, index: Index) -> Floats:
        """Return one column of some jets.

        Parameters
        ----------
        name : str
            "pt", "eta", "phi", "mass", "jet_mass", "tau1" ... "tau4", whatever their names in the file; or the name
            of any other branch of the collection with one number per jet.
        index : (n,) intp
            Positions of the jets among all jets of the chunk.

        Returns
        -------
        (n,) float64
            Masses and momenta in GeV.

        Raises
        ------
        InputFileError
            If the file does not hold it.
        """


class EventSource(Protocol):
    """All events of a chunk, read from the file on demand."""

    def column(self, name: str, index: Index) -> NDArray[Any]:
        """Return one branch of some events, index (n,), by its name in the file: (n,), or (n, k) for k values each.

        Raises
        ------
        InputFileError
            If the file does not hold it.
        ValueError
            If the events hold different numbers of values.
        """

    def holds(self, name: str) -> bool:
        """Whether the file holds a branch, without the search for similar names of an error."""

    def jagged(self, name: str, index: Index) -> Any:
        """Return a branch with several values per event, for some events, as an awkward array of n lists.

        Raises
        ------
        InputFileError
            If the file does not hold it.
        ProcessingError
            If it has one value per event.
        """
