"""The event table: one row per selected dijet event, in memory as Arrow and on disk as parquet parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.core.location import Location, reading, write_file
from analysis.core.notebook import facts
from analysis.errors import TableError
from analysis.events.identity import event_hash
from analysis.events.schema import FIXED_COLUMNS, METADATA_KEY, WEIGHT_PREFIX, FeatureSpec, table_schema

__all__ = ["EventTable", "labels", "read_features", "read_part_info", "write_part"]

DICTIONARY_COLUMNS = ["run", "luminosity_block", "dataset", "rapidity_region", "weight"]
"""Columns with dictionary encoding in parquet, which takes time and saves no space for values that rarely repeat."""


MAX_NAMED_EVENTS = 3
"""Maximum number of duplicate events that a message names."""


@dataclass(frozen=True)
class EventTable:
    """Selected events of one object variation, immutable.

    Attributes
    ----------
    table : pyarrow.Table
        The columns of `analysis.events.schema.FIXED_COLUMNS`, then one float32 column per feature.
    features : tuple of FeatureSpec
        Specifications of the feature columns.
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
        result._require_finite()
        return result

    @classmethod
    def from_parts(
        cls, paths: Iterable[Location], scales: Mapping[str, float] | None = None, *, weights: Sequence[str] = ()
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

        Returns
        -------
        EventTable

        Raises
        ------
        TableError
            If no parts are given, their features differ, or an event occurs twice.
        """
        parts = list(paths)
        if not parts:
            msg = "there are no parts to read: no event was selected, or the stage `process` has not run."
            raise TableError(msg)
        specs = {part: read_features(part) for part in parts}
        features = specs[parts[0]]
        if odd := [str(part) for part, found in specs.items() if found != features]:
            msg = f"{odd[0]} has other features than {parts[0]}; delete the folder of parts and process again."
            raise TableError(msg)
        names = table_schema(features, tuple(weights)).names
        table = pa.concat_tables(_read(part, names) for part in parts).unify_dictionaries().combine_chunks()
        result = cls(_sorted(table), features)
        result._require_finite()
        result._require_unique()
        return result._scaled(scales or {})

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

    def matrix(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Feature matrix for a classifier.

        Parameters
        ----------
        names : sequence of str
            Feature columns. The dijet mass, identities, weights and labels are rejected: with them, a classifier would
            learn the region or the truth.

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
        return np.stack([self.column(name) for name in names], axis=1).astype(np.float32, copy=False)

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

    def _scaled(self, scales: Mapping[str, float]) -> Self:
        if all(scale == 1.0 for scale in scales.values()):
            return self
        labels = self.column("dataset")
        factor = np.select([labels == name for name in scales], list(scales.values()), 1.0)
        scaled = [
            name
            for name in self.table.column_names
            if name == "weight" or (name.startswith(WEIGHT_PREFIX) and name not in self.feature_names)
        ]
        return self.replaced({name: self.column(name) * factor for name in scaled})

    def _require_finite(self) -> None:
        for name in ("mjj", "weight"):
            if bad := int((~np.isfinite(self.column(name))).sum()):
                msg = f"column '{name}' holds {bad} values that are not finite; such events must be cut before."
                raise TableError(msg)

    def _require_unique(self) -> None:
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
            f"{len(copies)} events occur twice, such as {named} of dataset {owners}. Copies end up in window counts "
            "and training alike: remove the overlapping file or dataset."
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


def write_part(path: Location, table: EventTable, info: Mapping[str, Any], *, quick: bool = False) -> None:
    """Write one part; any readable part is complete.

    Parameters
    ----------
    path : Location
        Target; its folder is created. Writing the same part again gives an identical part.
    table : EventTable
        Events of the part, may be empty.
    info : mapping
        JSON-ready record of the processing (entries, cutflow, sum of weights); read by `read_part_info`.
    quick : bool
        Write in half the time, with a sixth more space.

    Raises
    ------
    ResultsError
        If the part cannot be written, such as on a full disk.
    """
    document = {"features": [spec.to_json() for spec in table.features], "info": dict(info)}
    stored = table.table.replace_schema_metadata({METADATA_KEY: json.dumps(document).encode()})
    options = {"use_dictionary": DICTIONARY_COLUMNS, **_effort(table, quick=quick)}
    write_file(path, lambda target: pq.write_table(stored, target, **options))


def _effort(table: EventTable, *, quick: bool) -> dict[str, Any]:
    """Parquet options: varied weights are not compressed, which would take a tenth of the run time and save little."""
    names = table.table.column_names
    if quick:
        return {"compression": "lz4", "write_statistics": False}
    plain = [name for name in names if name.startswith(WEIGHT_PREFIX) and name not in table.feature_names]
    if not plain:
        return {"compression": "zstd"}
    others = [name for name in names if name not in plain]
    return {
        "compression": {**dict.fromkeys(others, "zstd"), **dict.fromkeys(plain, "none")},
        "write_statistics": others,
    }


def read_part_info(path: Location) -> dict[str, Any] | None:
    """Return the record of a part, or None if the file is not a complete part."""
    try:
        document = _read_document(path)
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
    info: dict[str, Any] = document["info"]
    return info


def _sorted(table: pa.Table) -> pa.Table:
    """Sort by identity, and by kinematics for repeated identities in simulation."""
    by_identity = table.sort_by("event_id")
    identity = by_identity["event_id"].to_numpy()
    if not np.any(identity[1:] == identity[:-1]):
        return by_identity
    return table.sort_by([(name, "ascending") for name in ("event_id", "mjj", "abs_dy")])


def read_features(path: Location) -> tuple[FeatureSpec, ...]:
    """Return the specifications of the feature columns of a part, in column order."""
    return tuple(FeatureSpec.from_json(spec) for spec in _read_document(path)["features"])


def _read(path: Location, names: Sequence[str]) -> pa.Table:
    with reading(path) as source:
        return pq.read_table(source, columns=names)


def _read_document(path: Location) -> dict[str, Any]:
    with reading(path) as source:
        document: dict[str, Any] = json.loads(pq.read_schema(source).metadata[METADATA_KEY])
    return document


def labels(codes: NDArray[np.integer[Any]], names: Sequence[str]) -> pa.DictionaryArray:
    """Return (n_events,) labels as an Arrow dictionary array: `codes` are indices into `names`."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def _to_arrow(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.DictionaryArray):
        return values.cast(kind)
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)
