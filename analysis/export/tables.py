"""Tables of numbers with names, units, qualifiers and uncertainties, in the data model of HEPData."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "EVENTS",
    "FB",
    "GEV",
    "Axis",
    "Column",
    "DataTable",
    "Value",
    "band_errors",
    "defined",
    "limit_columns",
    "mass_axes",
    "rows_table",
    "window_axis",
]

Value = float | str | None
Error = float | tuple[float, float] | None

GEV, FB, EVENTS = "GeV", "fb", "events"

_MASSES = ("A", "B", "C")


@dataclass(frozen=True)
class Axis:
    """An independent variable.

    Attributes
    ----------
    name : str
    values : tuple of float, str or (low, high)
        One value per row; bins by their edges.
    units : str
    """

    name: str
    values: tuple[float | str | tuple[float, float], ...]
    units: str = ""

    @property
    def is_binned(self) -> bool:
        """Whether the values are bins."""
        return bool(self.values) and isinstance(self.values[0], tuple)


@dataclass(frozen=True)
class Column:
    """A dependent variable.

    Attributes
    ----------
    name : str
    values : tuple of float, str or None
        One value per row; None where undefined.
    units : str
    qualifiers : mapping of str to str or float
        Properties that distinguish the column from the others.
    errors : mapping of str to tuple
        Errors by label, one per row: a symmetric error, a signed pair (down, up), or None where undefined.
    """

    name: str
    values: tuple[Value, ...]
    units: str = ""
    qualifiers: Mapping[str, str | float] = field(default_factory=dict)
    errors: Mapping[str, tuple[Error, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataTable:
    """One table.

    Attributes
    ----------
    name : str
    description : str
    axes : tuple of Axis
    columns : tuple of Column
    observables : tuple of str
        Keywords of HEPData.
    """

    name: str
    description: str
    axes: tuple[Axis, ...]
    columns: tuple[Column, ...]
    observables: tuple[str, ...]


def defined(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns that have at least one value."""
    return tuple(column for column in columns if any(value is not None for value in column.values))


def window_axis(windows: Sequence[Sequence[float]]) -> Axis:
    """Return the axis of mass windows (low, high), GeV."""
    return Axis("Window in $m_{jj}$", tuple((float(low), float(high)) for low, high in windows), GEV)


def mass_axes(masses: Sequence[Mapping[str, float]], names: Sequence[str]) -> tuple[Axis, ...]:
    """Return an axis for each particle whose mass is given for a signal sample, and an axis of the sample names."""
    given = {name for sample in masses for name in sample}
    particles = [*(name for name in _MASSES if name in given), *sorted(given - set(_MASSES))]
    axes = [Axis(f"$m_{{{name}}}$", tuple(sample.get(name, "-") for sample in masses), GEV) for name in particles]
    return (*axes, Axis("Signal sample", tuple(names)))


def limit_columns(
    label: str,
    observed: Sequence[float | None],
    expected: Sequence[Sequence[float | None] | None],
    units: str,
    qualifiers: Mapping[str, str | float],
) -> tuple[Column, Column]:
    """Return a column of observed limits, and a column of median expected limits with their bands.

    Parameters
    ----------
    label : str
        Label after "Observed" and "Expected" in the column names.
    observed : sequence of float or None
        One value per row.
    expected : sequence of five numbers, or None
        Limits at -2 ... 2 standard deviations, per row.
    units : str
    qualifiers : mapping of str to str or float
    """
    median = tuple(None if limit is None else limit[2] for limit in expected)
    return (
        Column(f"Observed {label}", tuple(observed), units, qualifiers),
        Column(f"Expected {label}", median, units, qualifiers, band_errors(expected)),
    )


def band_errors(expected: Sequence[Sequence[float | None] | None]) -> dict[str, tuple[Error, ...]]:
    """Return the bands of expected limits as errors of the medians.

    Parameters
    ----------
    expected : sequence of five numbers, or None
        Limits at -2 ... 2 standard deviations, per row. A band with an undefined end is omitted.
    """
    return {label: tuple(_band(limit, reach) for limit in expected) for reach, label in ((1, "1 s.d."), (2, "2 s.d."))}


def _band(expected: Sequence[float | None] | None, reach: int) -> Error:
    if expected is None:
        return None
    low, median, high = (expected[2 + step] for step in (-reach, 0, reach))
    return None if low is None or median is None or high is None else (low - median, high - median)


def rows_table(name: str, description: str, rows: Iterable[Sequence[object]]) -> DataTable | None:
    """Build a table from the rows of data of a figure.

    Parameters
    ----------
    name, description : str
    rows : iterable of sequence
        Header first, with units in brackets. The first column is the independent variable; None and NaN are undefined.

    Returns
    -------
    DataTable or None
        None without rows, or with a single column.
    """
    header, *values = rows
    heads = [re.fullmatch(r"(.*?)(?: \[(.*)\])?", str(label)) for label in header]
    names = [(head[1], head[2] or "") for head in heads if head is not None]
    if not values or len(names) < 2:
        return None
    (first, *others), (axis, *columns) = names, zip(*values, strict=True)
    places = tuple(place if isinstance(place, (int, float)) else str(place) for place in axis)
    dependent = tuple(
        Column(label, tuple(map(_value, column)), units) for (label, units), column in zip(others, columns, strict=True)
    )
    return DataTable(name, description, (Axis(first[0], places, first[1]),), dependent, ())


def _value(value: object) -> Value:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return float(value) if isinstance(value, (int, float)) else str(value)
