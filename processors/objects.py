"""Common representation of all input formats: flat arrays of the two leading jets of each event.

Arrays are no longer jagged after this point. All momenta and masses are in GeV.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import ProcessingError
from processors.sources import EventSource, Index, JetSource, Provenance
from processors.tally import Floats, Tally, as_float64

__all__ = [
    "ALL",
    "RAPIDITY",
    "VECTOR",
    "Dijets",
    "EventSource",
    "Floats",
    "Index",
    "Jet",
    "JetSource",
    "Provenance",
    "Tally",
    "as_float64",
    "dijet_kinematics",
    "leading_pair",
    "naming",
]

Vector = tuple[Floats, Floats, Floats, Floats]

ALL = slice(None)
"""Index of all jets or events of a chunk."""

VECTOR = (".energy", ".px", ".py", ".pz")
RAPIDITY = ".rapidity"
"""Columns that are computed once per jet."""


@dataclass(frozen=True)
class Jet:
    """One jet per event, with columns that are read at the first access.

    Attributes
    ----------
    source : JetSource
        All jets of the chunk.
    index : (n_events,) intp
        Positions of the jets among all jets of the chunk.
    known : dict of str to (n_events,) float64
        Cached columns. Names of derived columns begin with a dot.
    above : tuple of (Jet, (n_events,) intp), or None
        Jets from which these were selected, and their positions among them.
    """

    source: JetSource
    index: NDArray[np.intp]
    known: dict[str, Floats] = field(default_factory=dict, repr=False, compare=False)
    above: tuple[Jet, NDArray[np.intp]] | None = field(default=None, repr=False, compare=False)

    def column(self, name: str) -> Floats:
        """Return a column (n_events,) float64 by name; see `JetSource.column`.

        Raises
        ------
        InputFileError
            If the file does not hold it.
        """
        if name not in self.known:
            if self.above is not None and name in self.above[0].known:
                self.known[name] = self.above[0].known[name][self.above[1]]
            else:
                self.known[name] = self.source.column(name, self.index)
        return self.known[name]

    @property
    def pt(self) -> Floats:
        """(n_events,) float64: transverse momentum, GeV."""
        return self.column("pt")

    @property
    def eta(self) -> Floats:
        """(n_events,) float64: pseudorapidity."""
        return self.column("eta")

    @property
    def phi(self) -> Floats:
        """(n_events,) float64: azimuth, radians."""
        return self.column("phi")

    @property
    def mass(self) -> Floats:
        """(n_events,) float64: ungroomed mass, GeV."""
        return self.column("mass")

    @property
    def jet_mass(self) -> Floats:
        """(n_events,) float64: mass chosen by `SelectionConfig.jet_mass`, GeV; NaN where grooming left no jet."""
        return self.column("jet_mass")

    def tau(self, order: int) -> Floats:
        """N-subjettiness τ_order, order 1 to 4.

        Returns
        -------
        (n_events,) float64

        Raises
        ------
        InputFileError
            If the file has no such branch.
        """
        return self.column(f"tau{order}")

    @property
    def vector(self) -> Vector:
        """Ungroomed four-momentum E, p_x, p_y, p_z, each (n_events,) float64, GeV."""
        if VECTOR[0] not in self.known:
            pt = self.pt
            px, py, pz = pt * np.cos(self.phi), pt * np.sin(self.phi), pt * np.sinh(self.eta)
            energy = np.sqrt(pt**2 + pz**2 + self.mass**2)
            self.known.update(zip(VECTOR, (energy, px, py, pz), strict=True))
        energy, px, py, pz = (self.known[name] for name in VECTOR)
        return energy, px, py, pz

    @property
    def rapidity(self) -> Floats:
        """(n_events,) float64."""
        if RAPIDITY not in self.known:
            self.known[RAPIDITY] = np.arcsinh(self.vector[3] / np.hypot(self.pt, self.mass))
        return self.known[RAPIDITY]

    def take(self, index: Index) -> Jet:
        """Return the events that a mask or an index selects."""
        rows = _rows(index, len(self.index))
        return Jet(self.source, self.index[rows], above=(self, rows))


def dijet_kinematics(first: Jet, second: Jet) -> tuple[Floats, Floats]:
    """Invariant mass and rapidity difference of two jets, from their ungroomed four-momenta.

    Returns
    -------
    mjj : (n_events,) float64
        GeV; NaN where a momentum is not finite.
    abs_dy : (n_events,) float64
        |Δy|.
    """
    with np.errstate(all="ignore"):  # jets that are not finite fail a cut later
        energy, px, py, pz = (a + b for a, b in zip(first.vector, second.vector, strict=True))
        mjj = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
        return mjj, np.abs(first.rapidity - second.rapidity)


@contextmanager
def naming(function: str) -> Iterator[None]:
    """Name a cut or a feature in the errors of its function that are not due to a file.

    Raises
    ------
    ProcessingError
    """
    try:
        yield
    except ProcessingError as error:
        msg = f"{function}: {error}"
        raise ProcessingError(msg) from error


def _rows(index: Index, count: int) -> NDArray[np.intp]:
    """Positions that an index selects among `count`."""
    if isinstance(index, slice):
        return np.arange(count)[index]
    return np.flatnonzero(index) if index.dtype == np.bool_ else index.astype(np.intp, copy=False)


@dataclass(frozen=True)
class Dijets:
    """The two jets with the largest p_T of each event with at least two jets, as flat arrays.

    Attributes
    ----------
    first, second : Jet
        Leading and subleading jet in p_T, as returned by an adapter; see `ordered`.
    mjj : (n_events,) float64
        Invariant mass of the two ungroomed jets, GeV.
    abs_dy : (n_events,) float64
        Absolute difference of their rapidities.
    entry : (n_events,) int64
        Position of the event in the chunk.
    run, luminosity_block, event : (n_events,) uint64
        Numbers of the event; for formats without them 0, 0 and the entry in the file.
    event_id : (n_events,) uint64
        Identity of the event.
    weight : (n_events,) float64
        Generator weight, not normalised; 1 for data and pseudodata.
    events : EventSource
        Other branches of the events; see `column`.
    origin : Provenance
        File, dataset and kind.
    read : Tally
        All events of the chunk, including events with fewer than two jets.
    read_weights : (n_read,) float64
        Weights of all events of the chunk.
    jet_counts : (n_read,) int64
        Number of jets of each event of the chunk.
    generator_weight : float or None
        Common generator weight of observed events, if their file has generator weights.
    weighted : bool
        Whether the file has generator weights.
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
    events: EventSource
    origin: Provenance
    read: Tally
    read_weights: Floats
    jet_counts: NDArray[np.int64]
    generator_weight: float | None = None
    weighted: bool = False

    def __len__(self) -> int:
        return len(self.entry)

    def column(self, name: str) -> NDArray[Any]:
        """Return an event branch (n_events,) by its name in the file, such as "HLT_PFHT1050" or the counter "nMuon".

        Raises
        ------
        InputFileError
            If the file does not hold it.
        ProcessingError
            If it has a list of values per event; see `jagged`.
        """
        try:
            values = self.events.column(name, self.entry)
        except ValueError as error:
            raise ProcessingError(self._not_one(name)) from error
        if values.ndim != 1:
            raise ProcessingError(self._not_one(name))
        return values

    def jagged(self, name: str) -> Any:
        """Return a branch with a list of values per event, such as "Jet_pt", by its name in the file.

        Returns
        -------
        awkward.Array
            n_events lists, in the order and unit of the file; without the variations of systematics.

        Raises
        ------
        InputFileError
            If the file does not hold it.
        ProcessingError
            If it has one value per event; see `column`.
        """
        return self.events.jagged(name, self.entry)

    def _not_one(self, name: str) -> str:
        return (
            f"{self.origin.where}: branch {name} holds a list of values for each event, where one number is needed. "
            f"Take dijets.jagged('{name}') and make one number of each list, such as its sum, length or third value."
        )

    def jet_identity(self, jets: Index = ALL) -> NDArray[np.uint64]:
        """(n_jets,) uint64: for jets of the chunk, identity of the event, shifted by the place of the jet in it.

        Only meaningful for jets of events with at least two jets.
        """
        counts = self.jet_counts
        of_event = np.zeros(len(counts), np.uint64)
        of_event[self.entry] = self.event_id
        event = np.repeat(np.arange(len(counts)), counts)[jets]
        place = np.arange(counts.sum())[jets] - (np.cumsum(counts) - counts)[event]
        with np.errstate(over="ignore"):
            identity: NDArray[np.uint64] = of_event[event] + place.astype(np.uint64)
        return identity

    def take(self, index: Index) -> Dijets:
        """Return the events that a mask or an index selects."""
        names = ("mjj", "abs_dy", "entry", "run", "luminosity_block", "event", "event_id", "weight")
        rows = _rows(index, len(self))
        columns = {name: getattr(self, name)[rows] for name in names}
        return replace(self, first=self.first.take(rows), second=self.second.take(rows), **columns)

    def ordered(self, order: str) -> Dijets:
        """Return the same events with the jets in the order that features use.

        Parameters
        ----------
        order : str
            "pt" keeps the order; "mass" puts the jet with the larger `jet_mass` first. A missing mass counts as the
            smallest; equal masses keep the p_T order.

        Returns
        -------
        Dijets
        """
        if order == "pt":
            return self
        masses = (self.first.jet_mass, self.second.jet_mass)
        first, second = (np.nan_to_num(mass, nan=-np.inf) for mass in masses)
        swap = second > first

        def mixed(where_swapped: int) -> Jet:
            one, two = (self.first, self.second)[:: 1 if where_swapped else -1]
            mass = np.where(swap, masses[where_swapped], masses[1 - where_swapped])
            return Jet(self.first.source, np.where(swap, two.index, one.index), {"jet_mass": mass})

        return replace(self, first=mixed(1), second=mixed(0))


def leading_pair(counts: NDArray[Any], pt: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Find the two jets with the largest p_T of each event with at least two jets.

    Parameters
    ----------
    counts : (n_events,) integers
        Number of jets of each event.
    pt : (n_jets,) floats
        Transverse momenta of all jets, event by event, GeV.

    Returns
    -------
    entry, first, second : (n_pairs,) intp
        Index of the event, and of its two jets among all jets. Jets of equal p_T keep the order of the file.
    """
    starts = np.cumsum(counts) - counts
    entry = np.flatnonzero(counts >= 2)
    first = starts[entry]
    second = first + 1
    missing = np.isnan(pt)
    key = np.where(missing, np.inf, pt) if missing.any() else pt
    begins = np.zeros(len(pt) + 1, np.bool_)
    begins[starts] = True
    rises = np.flatnonzero((key[1:] > key[:-1]) & ~begins[1:-1])
    if len(rises):
        # Sort only the events that are out of order.
        odd = np.unique(np.searchsorted(first, rises, side="right") - 1)
        first[odd], second[odd] = _sorted_pairs(starts[entry[odd]], counts[entry[odd]], key)
    return entry, first, second


def _sorted_pairs(
    starts: NDArray[np.intp], counts: NDArray[Any], key: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Index of the two jets with the largest key of each event, given its first jet and its number of jets."""
    begins = np.cumsum(counts) - counts
    jets = np.arange(counts.sum()) + np.repeat(starts - begins, counts)
    order = jets[np.lexsort((-key[jets], np.repeat(np.arange(len(counts)), counts)))]
    return order[begins], order[begins + 1]
