"""The event table: one row per selected dijet event, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.core.counted import counted
from analysis.core.location import Location
from analysis.core.notebook import facts
from analysis.errors import TableError
from analysis.events.identity import event_hash
from analysis.events.reading import CHECKED, read_parts, refuse_not_finite, sorted_events, with_weights
from analysis.events.schema import FIXED_COLUMNS, WEIGHT_PREFIX, FeatureSpec, table_schema

__all__ = ["EventTable", "labels"]

MAX_NAMED_EVENTS = 3
"""Maximum number of duplicate events that a message names."""


@dataclass(frozen=True)
class EventTable:
    """Selected events of one object variation, immutable.

    Attributes
    ----------
    table : pyarrow.Table
        The columns of `analysis.events.schema.FIXED_COLUMNS`, then one float32 column per feature; in a search only
        those that it needs.
    features : tuple of FeatureSpec
        Specifications of the feature columns.

    Examples
    --------
    >>> from analysis.results import load_events
    >>> table = load_events("results", ["hidden_signal"])
    >>> table.matrix(["mj1", "tau21_j1"]).shape
    (253, 2)
    >>> len(table.select(table.column("mj1") > 400))
    213
    """

    table: pa.Table
    features: tuple[FeatureSpec, ...]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"EventTable({len(self)} events, features {', '.join(self.feature_names)})"

    def _repr_html_(self) -> str:
        events = {one["values"]: one["counts"] for one in pc.value_counts(self.table["dataset"]).to_pylist()}
        ends = pc.min_max(self.table["mjj"]).as_py()
        mjj = f"{ends['min']:.1f}–{ends['max']:.1f} GeV" if len(self) else None
        shown = {"Events": events, "Sum of weights": float(self.weight.sum()), "m_jj": mjj}
        return facts(f"{len(self)} events", {**shown, "Features": self.feature_names})

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any], features: Sequence[FeatureSpec]) -> Self:
        """Build a table from arrays.

        Parameters
        ----------
        columns : mapping of str to (n_events,) array
            All fixed columns and all features, and varied weights, if any.
        features : sequence of FeatureSpec

        Returns
        -------
        EventTable

        Raises
        ------
        TableError
            If a column is missing, or `mjj` or `weight` has a value that is not finite.
        """
        unweighted = {*FIXED_COLUMNS, *(spec.name for spec in features)}
        weights = tuple(name for name in columns if name.startswith(WEIGHT_PREFIX) and name not in unweighted)
        schema = table_schema(tuple(features), weights)
        if missing := [name for name in schema.names if name not in columns]:
            msg = f"the event table lacks the columns {', '.join(missing)}."
            raise TableError(msg)
        arrays = [_to_arrow(columns[field.name], field.type) for field in schema]
        result = cls(pa.Table.from_arrays(arrays, schema=schema), tuple(features))
        result.require_finite()
        return result

    @classmethod
    def from_parts(
        cls,
        paths: Iterable[Location],
        scales: Mapping[str, float] | None = None,
        *,
        weights: Sequence[str] = (),
        weight_paths: Iterable[Location] = (),
    ) -> Self:
        """Read parquet parts, normalise their weights and sort the events by identity.

        The order of rows depends only on the events, not on chunks or file names, so later results do not depend on
        how the events were processed.

        Parameters
        ----------
        paths : iterable of Location
            Parts written by `write_part`, all with the same features.
        scales : mapping of dataset name to float, optional
            Factor on the weight of each dataset; 1 by default.
        weights : sequence of str
            Columns with varied weights to read as well; they are scaled in the same way.
        weight_paths : iterable of Location
            Parts written by `write_weights`, one for each of `paths`, that hold them.

        Returns
        -------
        EventTable

        Raises
        ------
        TableError
            If no parts are given, their features differ, or an event occurs twice.
        ResultsError
            If a part is missing or damaged.
        """
        parts, beside = list(paths), list(weight_paths) if weights else []
        if not parts:
            msg = "there are no parts to read: no event was selected, or the stage `process` has not run."
            raise TableError(msg)
        tables, features = read_parts(parts)
        if weights:
            tables = [with_weights(*both, weights) for both in zip(tables, beside, strict=True)]
        result = cls.assembled(tables, features)
        result.require_unique()
        return result.scaled(scales or {})

    @classmethod
    def assembled(cls, tables: list[pa.Table], features: Sequence[FeatureSpec]) -> Self:
        """Join the events of parts in their order, and drop these from the list, which holds the same memory."""
        result = cls(sorted_events(tables), tuple(features))
        result.require_finite()
        return result

    @classmethod
    def joined(cls, tables: Sequence[Self]) -> Self:
        """Concatenate tables with the same columns.

        Raises
        ------
        TableError
            If there are none.
        """
        if not tables:
            msg = "there are no tables to join: name at least one dataset."
            raise TableError(msg)
        if len(tables) == 1:
            return tables[0]
        table = pa.concat_tables([one.table for one in tables]).unify_dictionaries().combine_chunks()
        return cls(table, tables[0].features)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the feature columns."""
        return tuple(spec.name for spec in self.features)

    @property
    def mjj(self) -> NDArray[np.float64]:
        """(n_events,) float64: dijet mass, GeV."""
        return self.column("mjj")

    @property
    def event_id(self) -> NDArray[np.uint64]:
        """(n_events,) uint64: identity of the event."""
        return self.column("event_id")

    @property
    def weight(self) -> NDArray[np.float64]:
        """(n_events,) float64: event weight, normalised."""
        return self.column("weight")

    def column(self, name: str) -> NDArray[Any]:
        """Return one column as a numpy array; labels as strings.

        Raises
        ------
        TableError
            If the column does not exist.
        """
        if name not in self.table.column_names:
            msg = f"the event table has no column '{name}'. Columns: {', '.join(self.table.column_names)}."
            raise TableError(msg)
        values: NDArray[Any] = self.table[name].to_numpy()
        return values

    def matrix(self, names: Sequence[str], rows: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Feature matrix for a classifier.

        Parameters
        ----------
        names : sequence of str
            Feature columns. The dijet mass, identities, weights and labels are rejected: with them, a classifier would
            learn the region or the truth.
        rows : (n_events,) bool, optional
            Events of the matrix; all by default.

        Returns
        -------
        (n_events, n_features) float32
            NaN where a feature is undefined.

        Raises
        ------
        TableError
            If a name is not a feature.
        """
        self.require_features(names)
        matrix = np.empty((len(self) if rows is None else int(rows.sum()), len(names)), np.float32)
        for index, name in enumerate(names):
            matrix[:, index] = self.column(name) if rows is None else self.column(name)[rows]
        return matrix

    def require_features(self, names: Sequence[str]) -> None:
        """Raise if a name is not a feature.

        Raises
        ------
        TableError
            If a name is not a feature; names the first one and the available features.
        """
        if unknown := [name for name in names if name not in self.feature_names]:
            reason = "may not be trained on" if unknown[0] in FIXED_COLUMNS else "is not in the event table"
            msg = f"'{unknown[0]}' {reason}. Features: {', '.join(self.feature_names)}."
            raise TableError(msg)

    def select(self, mask: NDArray[np.bool_]) -> Self:
        """Return the events for which `mask`, (n_events,) bool, is true."""
        return type(self)(self.table.filter(pa.array(mask)), self.features)

    def within(self, masses: tuple[float, float]) -> Self:
        """Return the events with m_jj in [low, high), GeV, in the same order."""
        mjj = self.mjj
        inside = (mjj >= masses[0]) & (mjj < masses[1])
        return self if inside.all() else self.select(inside)

    def in_region(self, region: str) -> Self:
        """Return the events of one rapidity region, "search" or "validation"."""
        return type(self)(self.table.filter(pc.equal(self.table["rapidity_region"], region)), self.features)

    def in_datasets(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """(n_events,) bool: whether the event comes from one of the datasets."""
        mask: NDArray[np.bool_] = pc.is_in(self.table["dataset"], pa.array(list(names), pa.string())).to_numpy()
        return mask

    def replaced(self, columns: Mapping[str, NDArray[Any] | pa.Array]) -> Self:
        """Return the table with new values, (n_events,), in some of its columns; types are preserved."""
        table = self.table
        for name, values in columns.items():
            index = table.column_names.index(name)
            field = table.schema.field(index)
            table = table.set_column(index, field, pa.array(values).cast(field.type))
        return type(self)(table, self.features)

    def reweighted(self, factors: Mapping[str, float]) -> Self:
        """Return the table with weight columns multiplied by factors."""
        return self.replaced({name: self.column(name) * factor for name, factor in factors.items()})

    def scaled(self, scales: Mapping[str, float]) -> Self:
        """Return the table with the weights of each dataset, varied ones too, multiplied by its factor."""
        if all(scale == 1.0 for scale in scales.values()):
            return self
        dataset = self.table["dataset"].unify_dictionaries().combine_chunks()
        factor = np.array([scales.get(name, 1.0) for name in dataset.dictionary.to_pylist()])[
            dataset.indices.to_numpy()
        ]
        scaled = [
            name
            for name in self.table.column_names
            if name == "weight" or (name.startswith(WEIGHT_PREFIX) and name not in self.feature_names)
        ]
        return self.replaced({name: self.column(name) * factor for name in scaled})

    def require_finite(self) -> None:
        """Raise if a mass or weight is not finite.

        Raises
        ------
        TableError
        """
        refuse_not_finite({name: int((~np.isfinite(self.column(name))).sum()) for name in CHECKED})

    def require_unique(self) -> None:
        """Raise if an event occurs twice, in a table sorted by identity and kinematics.

        Raises
        ------
        TableError
            Names some of the events and their datasets.
        """
        copies = self._copies()
        if len(copies) == 0:
            return
        rows = [self.table.slice(int(row), 1).to_pylist()[0] for row in copies[:MAX_NAMED_EVENTS]]
        named = "; ".join(
            f"run {row['run']}, luminosity block {row['luminosity_block']}, event {row['event']}" for row in rows
        )
        pairs = self.table.take(pa.array([int(copies[0]), int(copies[0]) + 1])).to_pylist()
        owners = " and ".join(sorted({row["dataset"] for row in pairs}))
        msg = (
            f"{counted(len(copies), 'event occurs', 'events occur')} twice, such as {named} of dataset {owners}. "
            "Copies end up in window counts and training alike: remove the overlapping file or dataset."
        )
        raise TableError(msg)

    def _copies(self) -> NDArray[np.intp]:
        """Rows whose event is repeated in the next row, in a table sorted by identity and kinematics.

        Equal numbers with different kinematics are different events in simulation, which repeats event numbers, but
        the same event in real data. The dataset is not compared: two datasets of real data may share an event.
        """
        identity = self.event_id
        rows = np.flatnonzero(identity[1:] == identity[:-1])
        numbers = [self.column(name) for name in ("run", "luminosity_block", "event")]
        kinematics = [self.column(name) for name in ("mjj", "abs_dy")]
        same = np.logical_and.reduce([_equal_next(column, rows) for column in numbers])
        alike = np.logical_and.reduce([_equal_next(column, rows) for column in kinematics])
        # Only for real data is the identity computed from the numbers alone.
        real = event_hash(*(column[rows].astype(np.uint64) for column in numbers)) == identity[rows]
        copies: NDArray[np.intp] = rows[same & (alike | real)]
        return copies


def _equal_next(column: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = column[rows] == column[rows + 1]
    return equal


def labels(codes: NDArray[np.integer[Any]], names: Sequence[str]) -> pa.DictionaryArray:
    """Return (n_events,) labels as an Arrow dictionary array: `codes` are indices into `names`."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def _to_arrow(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.DictionaryArray):
        return values.cast(kind)
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)
