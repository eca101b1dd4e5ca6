"""Selected events on disk, more than memory holds: read by mass range and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.core.location import Location
from analysis.errors import TableError
from analysis.events.parts import Part
from analysis.events.reading import CHECKED, parts_of, refuse_not_finite, release_memory, repeated
from analysis.events.schema import FIXED_COLUMNS, FeatureSpec, table_schema
from analysis.events.table import EventTable

__all__ = ["StoredEvents"]

_NEEDED = ("event_id", "dataset", "mjj", "weight")
"""Fixed columns that training, counting and fitting need."""

_JOINED = 10
"""Number of parts whose events are joined at a time."""

_EXAMINED = ("event_id", *CHECKED)
"""Columns that are read of every event, once."""

_SORTED_BY = ("abs_dy",)
"""Columns that order events of equal identity, beside those that are always read."""


@dataclass
class _Examined:
    """Identities that different events of some parts have in common; None before all events were examined."""

    copies: NDArray[np.uint64] | None = None


@dataclass(frozen=True)
class StoredEvents:
    """Selected events of some datasets, in parts.

    The parts are read one after another, so that memory is needed for the wanted events and columns alone.

    Attributes
    ----------
    paths : tuple of Location
        Parts written by `write_part`, all with the same features.
    scales : mapping of dataset name to float
        Factor on the weight of each dataset.
    region : str
        Rapidity region, "search" or "validation".
    abs_dy_max : float or None
        Upper end in |Δy|; None for the whole region.
    """

    paths: tuple[Location, ...]
    scales: Mapping[str, float]
    region: str
    abs_dy_max: float | None = None
    _examined: _Examined = field(default_factory=_Examined, repr=False, compare=False)

    @cached_property
    def features(self) -> tuple[FeatureSpec, ...]:
        """Features of all parts.

        Raises
        ------
        TableError
            If there are no parts.
        ResultsError
            If the first part is missing or damaged.
        """
        if not self.paths:
            msg = "there are no parts to read: no event was selected, or the stage `process` has not run."
            raise TableError(msg)
        return Part.open(self.paths[0]).features

    def read(self, masses: tuple[float, float] | None = None, features: Sequence[str] | None = None) -> EventTable:
        """Read the events in a mass range, in the order of `EventTable.from_parts`.

        The first reading checks all events as that does; later ones, also of copies made with `dataclasses.replace`, do
        not check again. The first has the identities of all events in memory for a while, 8 bytes per event, since
        copies may have other masses.

        Parameters
        ----------
        masses : (low, high), optional
            m_jj in [low, high), GeV. Default: all events.
        features : sequence of str, optional
            Features to read, with identity, dataset, m_jj and weight; by default all columns are read.

        Returns
        -------
        EventTable

        Raises
        ------
        TableError
            If there are no parts, their features differ, a feature is not in them, a mass or weight is not finite, or
            an event occurs twice.
        ResultsError
            If a part is missing or damaged.
        """
        specs = self.features
        fixed: tuple[str, ...] = tuple(FIXED_COLUMNS)
        if features is not None:
            self.require_features(features)
            specs, fixed = tuple(spec for spec in specs if spec.name in features), _NEEDED
        names = [*fixed, *(spec.name for spec in specs)]
        tables, copies = None, self._examined.copies
        if copies is None:
            tables, copies = self._examine(names, masses)
            self._examined.copies = copies
        sorted_by = [name for name in _SORTED_BY if name not in names] if len(copies) else []
        if tables is None or sorted_by:
            tables = self._collect([*names, *sorted_by], masses)
        result = EventTable.assembled(tables, specs).scaled(self.scales)
        if sorted_by:
            result = EventTable(result.table.select(names), specs)
        release_memory()
        return result

    def _examine(
        self, names: Sequence[str], masses: tuple[float, float] | None
    ) -> tuple[list[pa.Table], NDArray[np.uint64]]:
        """Read the chosen events and check all; returns identities that several different events have, too."""
        identities: list[NDArray[np.uint64]] = []
        bad = dict.fromkeys(CHECKED, 0)

        def look(number: int, table: pa.Table) -> None:
            for name in bad:
                bad[name] += int((~np.isfinite(table[name].to_numpy())).sum())
            identities.append(table["event_id"].to_numpy().copy())
            if number % _JOINED == 0:
                identities[-_JOINED:] = [np.concatenate(identities[-_JOINED:])]

        tables = self._collect(names, masses, look)
        refuse_not_finite(bad)
        found = repeated(identities)
        if len(found):
            self._require_unique(found)
        return tables, found

    def _collect(
        self,
        names: Sequence[str],
        masses: tuple[float, float] | None,
        look: Callable[[int, pa.Table], None] | None = None,
    ) -> list[pa.Table]:
        """Read some columns of the chosen events; `look` is shown those that are examined, of all events."""
        beside = self._deciding if look is None else (*self._deciding, *_EXAMINED)
        tables: list[pa.Table] = []
        for number, part in enumerate(self._parts, 1):
            table = part.read(list(dict.fromkeys([*names, *beside])))
            if look is not None:
                look(number, table)
            tables.append(self._chosen(table, masses).select(names))
            if number % _JOINED == 0:  # small pieces would keep the memory of all that was decoded beside them
                tables[-_JOINED:] = [pa.concat_tables(tables[-_JOINED:]).unify_dictionaries().combine_chunks()]
        return tables

    def require_features(self, names: Sequence[str]) -> None:
        """Raise if a name is not a feature, as `EventTable.require_features`."""
        EventTable(table_schema(self.features).empty_table(), self.features).require_features(names)

    def masses(self) -> Iterator[NDArray[np.float64]]:
        """Yield m_jj of all events, (n,) float64, GeV, part by part."""
        for part in self._parts:
            yield self._chosen(part.read(self._deciding), None)["mjj"].to_numpy()

    @property
    def _parts(self) -> Iterator[Part]:
        return parts_of(self.paths)

    @property
    def _deciding(self) -> list[str]:
        """Columns that tell whether an event is chosen."""
        return ["mjj", "rapidity_region", *(["abs_dy"] if self.abs_dy_max is not None else [])]

    def _chosen(self, table: pa.Table, masses: tuple[float, float] | None) -> pa.Table:
        keep = pc.equal(table["rapidity_region"], self.region)
        if self.abs_dy_max is not None:
            keep = pc.and_(keep, pc.less(table["abs_dy"], self.abs_dy_max))
        if masses is not None:
            inside = pc.and_(pc.greater_equal(table["mjj"], masses[0]), pc.less(table["mjj"], masses[1]))
            keep = pc.and_(keep, inside)
        return table.filter(keep)

    def _require_unique(self, repeated_ids: NDArray[np.uint64]) -> None:
        """Raise if events of these identities, which occur more than once, are the same."""
        chosen, names = pa.array(repeated_ids), table_schema(self.features).names
        tables = [
            table.filter(pc.is_in(table["event_id"], chosen)) for table in (one.read(names) for one in self._parts)
        ]
        EventTable.assembled(tables, self.features).require_unique()
