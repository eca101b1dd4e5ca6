"""Parts read one by one: of each only the wanted events and columns stay in memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.core.location import Location
from analysis.errors import ResultsError, TableError
from analysis.events.parts import Part
from analysis.events.schema import FIXED_COLUMNS, FeatureSpec, table_schema

__all__ = [
    "CHECKED",
    "parts_of",
    "read_parts",
    "refuse_not_finite",
    "release_memory",
    "repeated",
    "sorted_events",
    "with_weights",
]

CHECKED = ("mjj", "weight")
"""Columns whose values must be finite."""

_ORDER = ("event_id", "mjj", "abs_dy")
"""Columns that define the order of events: by identity, and by kinematics for repeated identities in simulation."""


_PARTS = 4
"""Bits of an identity that divide all values into parts of which one is in memory twice."""


def parts_of(paths: Sequence[Location]) -> Iterator[Part]:
    """Open parts one by one.

    Raises
    ------
    TableError
        If their features differ.
    """
    features: tuple[FeatureSpec, ...] | None = None
    for path in paths:
        part = Part.open(path)
        features = part.features if features is None else features
        if part.features != features:
            msg = f"{path} has other features than {paths[0]}; delete the folder of parts and process again."
            raise TableError(msg)
        yield part


def read_parts(paths: Sequence[Location]) -> tuple[list[pa.Table], tuple[FeatureSpec, ...]]:
    """Read parts with all columns; returns them with their common features."""
    features: tuple[FeatureSpec, ...] = ()
    tables = []
    for part in parts_of(paths):
        features = part.features
        tables.append(part.read(table_schema(features).names))
    return tables, features


def refuse_not_finite(counts: Mapping[str, int]) -> None:
    """Raise if a column, by name, holds values that are not finite.

    Raises
    ------
    TableError
    """
    for name, bad in counts.items():
        if bad:
            msg = f"column '{name}' holds {bad} values that are not finite; such events must be cut before."
            raise TableError(msg)


def repeated(event_id: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Identities that occur more than once in some arrays, found in one part of all values after the other."""
    found = []
    for part in range(2**_PARTS):
        some = np.concatenate([ids[ids >> np.uint64(64 - _PARTS) == part] for ids in event_id])
        some.sort()
        found.append(np.unique(some[1:][some[1:] == some[:-1]]))
    return np.concatenate(found)


def release_memory() -> None:
    """Give memory that is no longer used back to the system: pyarrow keeps that of tables, the C library of arrays."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.pythonapi, "malloc_trim", None)  # of the GNU C library alone
    if trim is not None:
        trim(0)


def sorted_events(tables: list[pa.Table]) -> pa.Table:
    """Join events, and sort by identity, and by kinematics for repeated identities in simulation.

    The tables are dropped from the list: column by column, their memory is freed when the sorted column is there.
    """
    joined = pa.concat_tables(tables).unify_dictionaries()
    tables.clear()
    schema, order = joined.schema, pc.sort_indices(joined["event_id"])
    identity = pc.take(joined["event_id"], order).to_numpy()
    if np.any(identity[1:] == identity[:-1]):
        keys = [(name, "ascending") for name in _ORDER if name in schema.names]
        order = pc.sort_indices(joined, sort_keys=keys)
    columns = [joined[name] for name in schema.names]
    del joined, identity
    found = []
    while columns:
        found.append(pc.take(columns.pop(0), order).combine_chunks())
    return pa.Table.from_arrays(found, schema=schema)


def with_weights(table: pa.Table, path: Location, names: Sequence[str]) -> pa.Table:
    """Put varied weights before the features."""
    weights = Part.open(path).read(["event_id", *names])
    if not weights["event_id"].equals(table["event_id"]):
        msg = f"{path} holds the weights of other events. Remove it, and run `cwola process` again."
        raise ResultsError(msg)
    for position, name in enumerate(names, len(FIXED_COLUMNS)):
        table = table.add_column(position, name, weights[name])
    return table
