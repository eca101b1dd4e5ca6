"""Selected events on disk, more than memory holds: read by mass range and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.core.location import Location
from analysis.errors import TableError
from analysis.events.parts import Part
from analysis.events.reading import CHECKED, filtered, parts_of, refuse_not_finite, repeated
from analysis.events.schema import FIXED_COLUMNS, FeatureSpec, table_schema
from analysis.events.table import EventTable

__all__ = ["StoredEvents"]

_NEEDED = ("event_id", "dataset", "mjj", "weight")
"""Fixed columns that training, counting and fitting need."""


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
    """

    paths: tuple[Location, ...]
    scales: Mapping[str, float]
    region: str

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

    @cached_property
    def n_events(self) -> int:
        """Number of events in the region, after a check of all events, as of `EventTable.from_parts`.

        All identities are in memory for it, 8 bytes per event.

        Raises
        ------
        TableError
            If the features of parts differ, a mass or weight is not finite, or an event occurs twice.
        ResultsError
            If a part is missing or damaged.
        """
        identities, count, bad = [], 0, dict.fromkeys(CHECKED, 0)
        features = self.features  # raises without parts
        for part in parts_of(self.paths):
            table = part.read(["event_id", "rapidity_region", *bad])
            for name in bad:
                bad[name] += int((~np.isfinite(table[name].to_numpy())).sum())
            identities.append(table["event_id"].to_numpy())
            count += int(pc.sum(pc.equal(table["rapidity_region"], self.region)).as_py() or 0)
        refuse_not_finite(bad)
        copies = repeated(_joined(identities))
        if len(copies):
            chosen = pa.array(copies)
            names = table_schema(features).names
            tables = [
                table.filter(pc.is_in(table["event_id"], chosen))
                for table in (part.read(names) for part in parts_of(self.paths))
            ]
            EventTable.assembled(tables, features).require_unique()
        return count

    def read(self, masses: tuple[float, float] | None = None, features: Sequence[str] | None = None) -> EventTable:
        """Read the events in a mass range, in the order of `EventTable.from_parts`.

        Copies of an event are not looked for: `n_events` does so.

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
            If there are no parts, their features differ, or a feature is not in them.
        ResultsError
            If a part is missing or damaged.
        """
        specs = self.features
        fixed: Sequence[str] = tuple(FIXED_COLUMNS)
        if features is not None:
            self.require_features(features)
            specs, fixed = tuple(spec for spec in specs if spec.name in features), _NEEDED
        table = self._read(fixed, specs, masses)
        identity = table.event_id
        if features is not None and np.any(identity[1:] == identity[:-1]):  # ordered by their kinematics
            table = self._read((*fixed, "abs_dy"), specs, masses)
        return table.scaled(self.scales)

    def require_features(self, names: Sequence[str]) -> None:
        """Raise if a name is not a feature, as `EventTable.require_features`."""
        EventTable(table_schema(self.features).empty_table(), self.features).require_features(names)

    def masses(self) -> Iterator[NDArray[np.float64]]:
        """Yield m_jj of all events, (n,) float64, GeV, part by part."""
        for part in parts_of(self.paths):
            yield filtered(part, ["mjj"], region=self.region, masses=None)["mjj"].to_numpy()

    def _read(
        self, fixed: Sequence[str], specs: tuple[FeatureSpec, ...], masses: tuple[float, float] | None
    ) -> EventTable:
        names = [*fixed, *(spec.name for spec in specs)]
        tables = [filtered(part, names, region=self.region, masses=masses) for part in parts_of(self.paths)]
        return EventTable.assembled(tables, specs)


def _joined(arrays: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Join arrays, freeing each as soon as it is copied."""
    result = np.empty(sum(map(len, arrays)), np.uint64)
    end = len(result)
    while arrays:
        last = arrays.pop()
        result[end - len(last) : end] = last
        end -= len(last)
    return result
