"""A figure as one value: file name, title, alternative text, data and drawing function."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from analysis.core.cells import cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SIGMAS", "Place", "ResultFigure", "Row", "Sketch", "all_windows", "csv_text"]

T = TypeVar("T")

Row = Sequence[object]

Place = Literal[
    "overview",
    "stitched",
    "fits",
    "validation",
    "classifiers",
    "significance",
    "spectrum",
    "diagnostics",
    "limits",
    "injections",
    "sensitivity",
    "visible",
    "cutflow",
    "impacts",
    "further",
]
"""Section of the report in which a figure is shown."""

SIGMAS = ("-2", "-1", "0", "+1", "+2")
"""Names of the points of an expected limit."""


@dataclass(frozen=True)
class Sketch:
    """Picture that can be drawn in this or in another process.

    Attributes
    ----------
    stem : str
        File name without suffix; the part before the first underscore is the kind of figure.
    draw : callable
        Draws the picture, and returns it with the axes below the name of an experiment. Picklable, such as
        `functools.partial` of a module-level function and its data.
    """

    stem: str
    draw: Callable[[], tuple[Figure, Axes]]


@dataclass(frozen=True)
class ResultFigure(Sketch):
    """Figure of a results folder, with all contents for the report, the files and an export.

    Attributes
    ----------
    title : str
        Caption, as plain text.
    alternative : callable
        Returns the alternative text, with the numbers of the figure.
    rows : callable
        Returns the data, starting with a header with units. Undefined and withheld values are None or NaN.
    place : str
        Section of the report.
    subject : str
        Name of the window, or dataset of the signal, under which it appears in the section; empty if the section is
        not divided.
    """

    title: str
    alternative: Callable[[], str]
    rows: Callable[[], Iterable[Row]]
    place: Place = "further"
    subject: str = ""


def csv_text(rows: Iterable[Row]) -> str:
    """Write rows, the header first; None and NaN as empty fields, floats without loss, no text as a formula."""
    out = io.StringIO()
    cells = [["" if _undefined(one) else cell(one) for one in row] for row in rows]
    csv.writer(out, lineterminator="\n").writerows(cells)
    return out.getvalue()


def _undefined(value: object) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def all_windows(rows: Callable[[T], Iterator[Row]], sections: Mapping[str, T]) -> Iterator[Row]:
    """Concatenate the rows of several windows, with the window as first column."""
    for index, (window, section) in enumerate(sections.items()):
        found = rows(section)
        header = next(found)
        if index == 0:
            yield "window [GeV]", *header
        yield from ((window, *row) for row in found)
