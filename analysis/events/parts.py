"""Parts of the event table on disk: parquet files that pandas, polars, awkward and pyarrow read, sealed against damage.

All parts of a selection have the same columns in one folder for each kind of table, so that any program can read a
folder as one table:

- `DIGEST/DATASET/`: the selected events;
- `varied/DIGEST/weights/DATASET/`: varied weights of the same rows;
- `varied/DIGEST/variations/NAME/DATASET/`: the selected events with varied jets.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.core.location import Location, read_file, reading, write_file
from analysis.core.quoting import quoted
from analysis.core.sealed import UNSEALED, is_sound, seal
from analysis.errors import ResultsError
from analysis.events.schema import FIXED_COLUMNS, METADATA_KEY, WEIGHT_PREFIX, FeatureSpec

__all__ = [
    "VARIED",
    "Events",
    "Part",
    "events_folder",
    "is_damaged",
    "read_part_info",
    "variation_folder",
    "weights_folder",
    "write_part",
    "write_weights",
]

VARIED = "varied"
"""Folder, beside those of the selections, of their varied weights and jets."""

_SEAL_KEY = b"cwola_sha256"

_DICTIONARY_COLUMNS = ["run", "luminosity_block", "dataset", "rapidity_region", "weight"]
"""Columns with dictionary encoding in parquet, which takes time and saves no space for values that rarely repeat."""

_LABELS = [name for name, kind in FIXED_COLUMNS.items() if pa.types.is_dictionary(kind)]
"""Columns that are dictionaries in memory, but strings on disk: awkward merges no dictionaries."""


def events_folder(top: Location, dataset: str) -> Location:
    """Return the folder with the selected events of a dataset; `top` is the folder of the selection."""
    return top / quoted(dataset)


def weights_folder(top: Location, dataset: str) -> Location:
    """Return the folder with the varied weights of a dataset; `top` is the folder of the selection."""
    return top.parent / VARIED / top.name / "weights" / quoted(dataset)


def variation_folder(top: Location, variation: str, dataset: str) -> Location:
    """Return the folder with the events of a dataset with varied jets; `top` is the folder of the selection."""
    return top.parent / VARIED / top.name / "variations" / quoted(variation) / quoted(dataset)


class Events(Protocol):
    """Events to write, as in `analysis.events.table.EventTable`."""

    @property
    def table(self) -> pa.Table:
        """Columns of the events."""

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """Specifications of the feature columns."""


@dataclass(frozen=True)
class Part:
    """An undamaged part, opened for reading.

    Attributes
    ----------
    file : pyarrow.parquet.ParquetFile
    document : dict
        JSON document in the metadata.
    """

    file: pq.ParquetFile
    document: dict[str, Any]

    @classmethod
    def open(cls, path: Location) -> Self:
        """Read a part into memory and check it before anything is decoded.

        Raises
        ------
        ResultsError
            If the file is missing, cannot be read, or differs from the written one in any byte.
        """
        try:
            content = read_file(path)
        except FileNotFoundError as error:
            msg = f"there is no file {path} of selected events. Run `cwola process` again: it makes missing files."
            raise ResultsError(msg) from error
        except OSError as error:
            msg = f"cannot read {path}: {error.strerror or error}. Mend this, or run `cwola process` again."
            raise ResultsError(msg) from error
        if not is_sound(content):
            msg = (
                f"{path} is damaged: its {len(content)} bytes do not have the SHA-256 that was stored with them. Run "
                "`cwola process` again with the same options: it makes this file anew and keeps the others."
            )
            raise ResultsError(msg)
        footer = pq.read_metadata(pa.BufferReader(content))
        file = pq.ParquetFile(
            pa.BufferReader(content),
            metadata=footer,
            page_checksum_verification=True,
            read_dictionary=[name for name in _LABELS if name in footer.schema.names],
        )
        return cls(file, json.loads(footer.metadata[METADATA_KEY]))

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """Specifications of the feature columns, in column order."""
        return tuple(FeatureSpec.from_json(spec) for spec in self.document["features"])

    def read(self, names: Sequence[str]) -> pa.Table:
        """Read some columns, without the metadata of the file."""
        return self.file.read(columns=list(names)).replace_schema_metadata()


def write_part(path: Location, table: Events, info: Mapping[str, Any], *, quick: bool = False) -> None:
    """Write one part without varied weights; any readable part is complete.

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
    stored = table.table.select([*FIXED_COLUMNS, *_names(table)])
    options = {"compression": "lz4", "write_statistics": False} if quick else {"compression": "zstd"}
    _write(path, stored, table.features, info, use_dictionary=_DICTIONARY_COLUMNS, **options)


def write_weights(path: Location, table: Events, info: Mapping[str, Any]) -> None:
    """Write the varied weights of a part, row by row beside the identities of the events.

    They are not compressed, which would take a tenth of the run time and save little. Parameters and errors as for
    `write_part`.
    """
    features = _names(table)
    names = [one for one in table.table.column_names if one.startswith(WEIGHT_PREFIX) and one not in features]
    stored = table.table.select(["event_id", *names])
    _write(path, stored, (), info, use_dictionary=False, compression="none", write_statistics=False)


def _names(table: Events) -> list[str]:
    return [spec.name for spec in table.features]


def _write(
    path: Location, table: pa.Table, features: Sequence[FeatureSpec], info: Mapping[str, Any], **options: Any
) -> None:
    document = {"features": [spec.to_json() for spec in features], "info": dict(info)}
    content = io.BytesIO()
    # Without the schema of Arrow, whose copy of the metadata could not be sealed, and which would keep dictionaries.
    with pq.ParquetWriter(content, table.schema, store_schema=False, write_page_checksum=True, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({METADATA_KEY: json.dumps(document).encode(), _SEAL_KEY: UNSEALED})
    write_file(path, seal(content.getvalue()))


def read_part_info(path: Location) -> dict[str, Any] | None:
    """Return the record of a part from its footer, or None if the file is not a complete part.

    The content is not checked: `is_damaged` does so.
    """
    try:
        with reading(path) as source:
            info = json.loads(pq.read_schema(source).metadata[METADATA_KEY])["info"]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
    return info if isinstance(info, dict) else None


def is_damaged(path: Location) -> bool:
    """Return whether a file is there, can be read, and is no undamaged part."""
    try:
        return not is_sound(read_file(path))
    except OSError:
        return False
