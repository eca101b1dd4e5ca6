"""What every input format is turned into: flat arrays of the two leading jets of each event.

There are no jagged arrays after this point. All momenta and masses are in GeV.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import vector
from numpy.typing import NDArray

from analysis.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Dijets", "Floats", "Jet", "Tally", "leading_pair"]

Floats = NDArray[np.float64]
Index = NDArray[np.intp] | NDArray[np.bool_]

EXACT_INTEGERS = 2.0**53
"""Sums of whole numbers below this limit are exact in float64."""

_KINEMATICS = ("pt", "eta", "phi", "mass", "jet_mass")


@dataclass(frozen=True)
class Tally:
    """Number and summed weight of events, exact enough that the way they were split into chunks does not show.

    Attributes
    ----------
    events : int
    weight, residual : float
        Sum of weights, rounded to float64, and what the rounding left over.
    """

    events: int = 0
    weight: float = 0.0
    residual: float = 0.0

    @classmethod
    def of(cls, weights: Floats) -> Self:
        """Count and sum (n_events,) float64 weights."""
        if np.array_equal(weights, np.rint(weights)) and np.abs(weights).sum() < EXACT_INTEGERS:
            return cls(len(weights), float(weights.sum()))
        return cls(len(weights), *_exact_sum(weights.tolist()))

    def __add__(self, other: Tally) -> Tally:
        numbers = [self.weight, self.residual, other.weight, other.residual]
        return Tally(self.events + other.events, *_exact_sum(numbers))

    def to_json(self) -> dict[str, Any]:
        """Return the tally as JSON-ready values."""
        return {"events": self.events, "weight": self.weight, "residual": self.residual}


def _exact_sum(numbers: list[float]) -> tuple[float, float]:
    total = math.fsum(numbers)
    return total, math.fsum([*numbers, -total])


@dataclass(frozen=True)
class Jet:
    """One jet per event.

    Attributes
    ----------
    pt, eta, phi, mass : (n_events,) float64
        Ungroomed four-momentum; GeV, 1, radians, GeV.
    jet_mass : (n_events,) float64
        Mass chosen by `SelectionConfig.jet_mass`, GeV; NaN where grooming left no jet.
    taus : mapping of int to (n_events,) float64
        N-subjettiness τ_N for each N that the file holds.
    absent : mapping of int to str
        For each N that the file does not hold, the message that says so.
    """

    pt: Floats
    eta: Floats
    phi: Floats
    mass: Floats
    jet_mass: Floats
    taus: Mapping[int, Floats]
    absent: Mapping[int, str]

    def tau(self, order: int) -> Floats:
        """N-subjettiness τ_order.

        Parameters
        ----------
        order : int
            N, 1 to 4.

        Returns
        -------
        (n_events,) float64

        Raises
        ------
        InputFileError
            If the file has no such branch.
        """
        if order not in self.taus:
            raise InputFileError(self.absent[order])
        return self.taus[order]

    def four_vector(self) -> Any:
        """Ungroomed four-momentum as (n_events,) `vector` array, GeV."""
        return vector.MomentumNumpy4D({"pt": self.pt, "eta": self.eta, "phi": self.phi, "mass": self.mass})

    def take(self, index: Index) -> Jet:
        """Return the events that a mask or an index selects."""
        columns = {name: getattr(self, name)[index] for name in _KINEMATICS}
        taus = {order: tau[index] for order, tau in self.taus.items()}
        return replace(self, taus=taus, **columns)

    def or_else(self, swap: NDArray[np.bool_], other: Jet) -> Jet:
        """Return `other` where `swap`, (n_events,) bool, is true, and this jet elsewhere."""
        columns = {name: np.where(swap, getattr(other, name), getattr(self, name)) for name in _KINEMATICS}
        taus = {order: np.where(swap, other.taus[order], tau) for order, tau in self.taus.items()}
        return replace(self, taus=taus, **columns)


@dataclass(frozen=True)
class Dijets:
    """The two jets with the largest p_T in each event that has two, flat.

    Attributes
    ----------
    first, second : Jet
        As made by an adapter, the leading and the subleading jet in p_T; see `ordered`.
    mjj : (n_events,) float64
        Invariant mass of the two ungroomed jets, GeV.
    abs_dy : (n_events,) float64
        Absolute difference of their rapidities.
    entry : (n_events,) int64
        Position in the chunk.
    run, luminosity_block, event : (n_events,) uint64
        Numbers of the event; for formats without them 0, 0 and the entry in the file.
    event_id : (n_events,) uint64
        Identity of the event.
    weight : (n_events,) float64
        Generator weight, not normalised; 1 for data and pseudodata.
    read : Tally
        All events of the chunk, those without two jets included.
    generator_weight : float or None
        The one generator weight of observed events whose file has such weights.
    """

    first: Jet
    second: Jet
    mjj: Floats
    abs_dy: Floats
    entry: NDArray[np.intp]
    run: NDArray[np.uint64]
    luminosity_block: NDArray[np.uint64]
    event: NDArray[np.uint64]
    event_id: NDArray[np.uint64]
    weight: Floats
    read: Tally
    generator_weight: float | None = None

    def __len__(self) -> int:
        return len(self.entry)

    def take(self, index: Index) -> Dijets:
        """Return the events that a mask or an index selects."""
        names = ("mjj", "abs_dy", "entry", "run", "luminosity_block", "event", "event_id", "weight")
        columns = {name: getattr(self, name)[index] for name in names}
        return replace(self, first=self.first.take(index), second=self.second.take(index), **columns)

    def ordered(self, order: str) -> Dijets:
        """Return the same events with the jets in the order that features use.

        Parameters
        ----------
        order : str
            "pt" leaves the jets as they are; "mass" puts the one with the larger `jet_mass` first. A missing mass
            is smaller than any; equal masses stay in p_T order.

        Returns
        -------
        Dijets
        """
        if order == "pt":
            return self
        first, second = (np.nan_to_num(jet.jet_mass, nan=-np.inf) for jet in (self.first, self.second))
        swap = second > first
        return replace(self, first=self.first.or_else(swap, self.second), second=self.second.or_else(swap, self.first))


def leading_pair(counts: NDArray[Any], pt: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Find the two jets with the largest p_T of each event that has at least two.

    Parameters
    ----------
    counts : (n_events,) integers
        Number of jets.
    pt : (n_jets,) floats
        Transverse momenta of all jets, event after event, GeV.

    Returns
    -------
    entry, first, second : (n_pairs,) intp
        Index of the event, and of its two jets among all jets. Equal p_T keep the order of the file.
    """
    starts = np.cumsum(counts) - counts
    entry = np.flatnonzero(counts >= 2)
    first = starts[entry]
    key = np.where(np.isnan(pt), np.inf, pt)
    begins = np.zeros(len(pt) + 1, np.bool_)
    begins[starts] = True
    if not np.any((key[1:] > key[:-1]) & ~begins[1:-1]):
        return entry, first, first + 1
    order = np.lexsort((-key, np.repeat(np.arange(len(counts)), counts)))
    return entry, order[first], order[first + 1]
