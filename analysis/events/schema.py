"""Interface between processors and analysis: the columns of the event table.

A parquet part written by a processor holds the fixed columns below, then one float32 column per feature. The label,
unit and binning of each feature are stored as `FeatureSpec` in the metadata of the parquet file. The varied weights of
simulation are in a part beside it, one column `weight_<name>Up`, `weight_<name>Down` or `weight_<name>_<member>` each.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

__all__ = [
    "FIXED_COLUMNS",
    "METADATA_KEY",
    "MISSING_TRIGGER",
    "SEARCH_REGION",
    "VALIDATION_REGION",
    "WEIGHT_PREFIX",
    "FeatureSpec",
    "table_schema",
    "weight_column",
]

METADATA_KEY = b"cwola"
"""Key of the JSON document in the parquet metadata of a part."""

SEARCH_REGION = "search"
"""`rapidity_region` of events with a small rapidity difference (default |Δy| < 1.2)."""

VALIDATION_REGION = "validation"
"""`rapidity_region` of the signal-poor events above the search region (default 1.2 <= |Δy| < 2)."""

MISSING_TRIGGER = "without_"
"""Prefix of the counter of events whose file lacks a trigger; the name of the trigger follows."""

WEIGHT_PREFIX = "weight_"
"""Prefix of the columns with varied weights."""

_LABEL = pa.dictionary(pa.int32(), pa.string())

FIXED_COLUMNS: dict[str, pa.DataType] = {
    "event_id": pa.uint64(),
    "run": pa.uint32(),
    "luminosity_block": pa.uint32(),
    "event": pa.uint64(),
    "dataset": _LABEL,
    "rapidity_region": _LABEL,
    "mjj": pa.float64(),
    "abs_dy": pa.float64(),
    "weight": pa.float64(),
}
"""Columns of every part, in order: `mjj` in GeV, `weight` raw (not normalised to a luminosity)."""


@dataclass(frozen=True)
class FeatureSpec:
    """Specification of a feature for plots and classifiers.

    Attributes
    ----------
    name : str
        Column name.
    label : str
        Axis label in matplotlib mathtext, without the unit.
    unit : str
        "GeV", or empty for a dimensionless feature.
    bins : tuple of (int, float, float)
        Number of bins, lower and upper edge for plots.
    """

    name: str
    label: str
    unit: str
    bins: tuple[int, float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the specification as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> FeatureSpec:
        """Build a specification from `to_json`."""
        count, low, high = document["bins"]
        return cls(document["name"], document["label"], document["unit"], (int(count), float(low), float(high)))


def weight_column(systematic: str, suffix: str) -> str:
    """Name of a column with varied weights; the suffix is "Up", "Down" or the number of a member."""
    return f"{WEIGHT_PREFIX}{systematic}{'' if suffix in ('Up', 'Down') else '_'}{suffix}"


def table_schema(features: tuple[FeatureSpec, ...], weights: tuple[str, ...] = ()) -> pa.Schema:
    """Arrow schema of a part with the given features.

    Parameters
    ----------
    features : tuple of FeatureSpec
        Features in column order.
    weights : tuple of str
        Columns with varied weights.

    Returns
    -------
    pyarrow.Schema
        The fixed columns, one float64 column per varied weight, then one float32 column per feature.
    """
    fields = [pa.field(name, kind) for name, kind in FIXED_COLUMNS.items()]
    fields += [pa.field(name, pa.float64()) for name in weights]
    return pa.schema(fields + [pa.field(spec.name, pa.float32()) for spec in features])
