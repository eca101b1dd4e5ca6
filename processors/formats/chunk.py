"""Shared code of the adapters: branches of a chunk as flat arrays, event weights, and construction of `Dijets`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from analysis.errors import InputFileError, ProcessingError
from analysis.events.dataset import OBSERVED
from processors.objects import Dijets, Floats, Index, Jet, JetSource, Provenance, Tally, as_float64, dijet_kinematics

__all__ = ["MASSES", "EventColumns", "JetCollection", "Provenance", "clean_mass", "event_weights", "make_dijets"]

_OFFSETS = ".offsets"
"""End of the names of fields that coffea makes itself: running indices, which no file holds."""

MASSES = ("mass", "jet_mass", "groomed_mass", "ungroomed_mass")
"""Columns of a jet that are masses."""

MISSING_MASS = -1.0
"""Masses at or below this value, GeV, stand for a missing mass."""


class JetCollection:
    """A jet collection of one chunk, its branches as flat arrays.

    Parameters
    ----------
    events : coffea NanoEvents
    name : str
        Name of the collection.
    label : str
        Pattern of the branch names, such as "{collection}_{field}".

    Raises
    ------
    InputFileError
        If the file has no such collection.
    """

    def __init__(self, events: Any, name: str, label: str) -> None:
        self.source, self.name, self.label = Provenance.of(events), name, label
        if name not in events.fields:
            raise InputFileError(self._no_collection(list(events.fields)))
        self.collection = events[name]
        self.fields = list(self.collection.fields)
        self._flat: dict[str, NDArray[Any]] = {}

    def records(self, field: str) -> Any:
        """Values of a branch for all jets of the chunk, as an awkward array (n_jets, ...)."""
        return ak.flatten(self._jagged(field), axis=1)

    def flat(self, field: str) -> NDArray[Any]:
        """Values of a branch for all jets of the chunk, (n_jets, ...), with the dtype of the file."""
        if field not in self._flat:
            self._flat[field] = ak.to_numpy(self.records(field))  # mostly a view of memory
        return self._flat[field]

    def take(self, field: str, index: Index) -> Floats:
        """Values of a branch for some jets, (n,) float64."""
        known = self._flat.get(field)
        values = self.records(field) if known is None else known
        if values.ndim != 1:
            msg = (
                f"{self.source.where}: branch {self.branch(field)} holds several values for each jet, where one number "
                f"is needed. Take dijets.jagged('{self.branch(field)}') and make one number of them."
            )
            raise ProcessingError(msg)
        if known is None:
            self._flat[field] = ak.to_numpy(values)
        return as_float64(self._flat[field][index])

    def counts(self, field: str) -> NDArray[np.int64]:
        """Count the jets of each event, (n_events,), from one branch."""
        counts: NDArray[np.int64] = ak.to_numpy(ak.num(self._jagged(field), axis=1))
        return counts

    def _jagged(self, field: str) -> Any:
        if field not in self.fields:
            raise InputFileError(self.missing(field))
        values = self.collection[field]
        if values.ndim < 2:
            msg = (
                f"{self.source.where}: branch {self.branch(field)} has one number an event, not one a jet: the branch "
                "that counts the jets is missing. Make the file again with it."
            )
            raise InputFileError(msg)
        return values

    def missing(self, field: str) -> str:
        """Message for a missing branch, with branches of similar names."""
        near = [self.branch(name) for name in similar(field, self.fields)]
        return (
            f"{self.source.where}: branch {self.branch(field)} is missing. "
            f"Similar branches: {', '.join(near) or 'none'}. Use a file that holds it, a configuration that does not "
            "need it (selection.jet_mass, learning.features), or another selection.jet_collection; check that "
            "metadata.format is right."
        )

    def branch(self, field: str) -> str:
        """Return the name of a branch in the file."""
        return self.label.format(collection=self.name, field=field).replace("_5", "[5]")

    def _no_collection(self, found: list[str]) -> str:
        names = [name for name in found if not _is_internal(name)]
        if not names:
            return f"{self.source.where}: no branch of the tree can be read. `cwola inspect` tells what the file holds."
        jets = [name for name in names if "jet" in name.lower()]
        near = dict.fromkeys([*similar(self.name, names), *sorted(jets)] or names)
        return (
            f"{self.source.where}: there is no jet collection '{self.name}'. Collections with similar names: "
            f"{', '.join(list(near)[:8]) or 'none'}. Set selection.jet_collection, or correct metadata.format."
        )


@dataclass(frozen=True)
class EventColumns:
    """Event branches of one chunk, by their names in the file.

    Attributes
    ----------
    events : coffea NanoEvents
    separator : str
        Separator between a group and a branch: "_" (`HLT_PFHT1050`) or "." (`Event.Weight`).
    counter : str
        Pattern of the branches that count the objects of a collection; see `Layout`. coffea makes offsets of them.
    """

    events: Any
    separator: str
    counter: str = ""

    def column(self, name: str, index: Index) -> NDArray[Any]:
        """Return one branch of some events; see `processors.objects.EventSource`."""
        values: NDArray[Any] = ak.to_numpy(self._find(name))
        return values[index]

    def holds(self, name: str) -> bool:
        """Whether the file holds a branch; see `processors.objects.EventSource`."""
        return self._lookup(name) is not None

    def jagged(self, name: str, index: Index) -> Any:
        """Return the lists of some events; see `processors.objects.EventSource`."""
        values = self._find(name)
        if values.ndim < 2:
            msg = (
                f"{Provenance.of(self.events).where}: branch {name} holds one value for each event, not a list. Take "
                f"dijets.column('{name}')."
            )
            raise ProcessingError(msg)
        return values[index]

    def _lookup(self, name: str) -> Any | None:
        if (counts := self._count(name)) is not None:
            return counts
        if name in self.events.fields and not _is_internal(name):
            return self.events[name]
        group, _, rest = name.partition(self.separator)
        rest = rest.replace("[", "_").replace("]", "")
        if group in self.events.fields and rest in self.events[group].fields:
            return self.events[group][rest]
        return None

    def _find(self, name: str) -> Any:
        if (values := self._lookup(name)) is not None:
            return self._values(values, name) if name in self.events.fields else values
        group, _, _ = name.partition(self.separator)
        known = (
            [f"{group}{self.separator}{one}" for one in self.events[group].fields]
            if group in self.events.fields
            else []
        )
        plain = [one for one in self.events.fields if not (_is_internal(one) or ak.fields(self.events[one]))]
        names = [*plain, *self._counters(), *known]
        near = ", ".join(similar(name.removesuffix(_OFFSETS), names)) or "none"
        msg = (
            f"{Provenance.of(self.events).where}: branch {name} is missing. Similar branches: {near}. Correct the name "
            "in [selection] or in the datasets file, or use a file that holds it."
        )
        raise InputFileError(msg)

    def _counters(self) -> list[str]:
        """Names of the branches that count the objects of collections."""
        names = [name for name in self.events.fields if self.counter and not _is_internal(name)]
        counters = [self.counter.format(collection=name) for name in names]
        return [name for name in counters if self._count(name) is not None]

    def _count(self, name: str) -> Any | None:
        """Count the objects of each event, if the branch is a counter: coffea makes offsets of counters."""
        before, _, after = self.counter.partition("{collection}")
        group = name.removeprefix(before).removesuffix(after)
        if group not in self.events.fields or self.counter.format(collection=group) != name:
            return None
        if (values := self.events[group]).ndim > 1:
            return ak.num(values, axis=1)
        # Where Delphes always writes one object, coffea has no lists.
        return np.ones(len(values), np.int64) if f"{group}{_OFFSETS}" in self.events.fields else None

    def _values(self, values: Any, name: str) -> Any:
        if fields := ak.fields(values):
            msg = (
                f"{Provenance.of(self.events).where}: {name} is a collection, not a branch. Name one of its branches, "
                f"such as {name}{self.separator}{fields[0]}."
            )
            raise ProcessingError(msg)
        return values


def _is_internal(name: str) -> bool:
    return name.endswith(_OFFSETS)


def similar(name: str, names: Iterable[str]) -> list[str]:
    """Return up to six names with a similar spelling."""
    lowered = {other.lower(): other for other in names}
    return [lowered[found] for found in get_close_matches(name.lower(), lowered, n=6, cutoff=0.5)]


def clean_mass(mass: Floats) -> Floats:
    """Masses (n,), GeV, with negative rounding errors set to zero and sentinels for "missing" replaced by NaN."""
    return np.where(mass <= MISSING_MASS, np.nan, np.maximum(mass, 0.0))


def event_weights(source: Provenance, raw: NDArray[Any] | None, count: int) -> tuple[Floats, float | None, bool]:
    """Return the weights of all events of a chunk.

    Parameters
    ----------
    source : Provenance
    raw : (count,) floats, or None
        Generator weights, if the file has any.
    count : int

    Returns
    -------
    weights : (count,) float64
        1 for observed events.
    common : float or None
        Generator weight that all observed events have.
    weighted : bool
        Whether the file has generator weights.

    Raises
    ------
    InputFileError
        If weights are not finite, or the weights of observed events differ.
    """
    if raw is None or len(raw) == 0:
        return np.ones(count), None, raw is not None
    weights = as_float64(raw)
    if bad := int((~np.isfinite(weights)).sum()):
        msg = f"{source.where}: {bad} generator weights are not finite. The file is damaged: make it again."
        raise InputFileError(msg)
    if source.kind not in OBSERVED:
        return weights, None, True
    low, high = float(weights.min()), float(weights.max())
    if low != high:
        msg = (
            f"{source.where}: events of kind '{source.kind}' must be unweighted, but their generator weights run from "
            f"{low:g} to {high:g}. Unweight the sample first, or declare it as background."
        )
        raise InputFileError(msg)
    return np.ones(count), low, True


def make_dijets(
    pair: tuple[NDArray[np.intp], ...],
    jets: JetSource,
    events: EventColumns,
    numbers: Mapping[str, NDArray[np.uint64]],
    weighting: tuple[Floats, float | None, bool],
    jet_counts: NDArray[np.int64],
    *,
    calibrated: bool = True,
) -> Dijets:
    """Build `Dijets` from the results of an adapter.

    Parameters
    ----------
    pair : entry, first, second
        Result of `leading_pair`.
    jets : JetSource
    events : EventColumns
    numbers : mapping of str to (n_pairs,) uint64
        run, luminosity_block, event and event_id.
    weighting : tuple
        Result of `event_weights`.
    jet_counts : (n_read,) int64
        Number of jets of each event of the chunk.
    calibrated : bool
        Whether the jets are final; m_jj and |Δy| of jets that `processors.calibration` is to choose again are NaN.

    Returns
    -------
    Dijets
    """
    entry, first, second = pair
    one, two = Jet(jets, first), Jet(jets, second)
    mjj, abs_dy = dijet_kinematics(one, two) if calibrated else np.full((2, len(entry)), np.nan)
    weights, common, weighted = weighting
    return Dijets(
        one,
        two,
        mjj,
        abs_dy,
        entry,
        weight=weights[entry],
        events=events,
        origin=Provenance.of(events.events),
        read=Tally.of(weights),
        read_weights=weights,
        jet_counts=jet_counts,
        generator_weight=common,
        weighted=weighted,
        **numbers,
    )
