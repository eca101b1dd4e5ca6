"""A figure as one value: the name of its file, title, text for those who do not see it, data, and how to draw it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

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
"""Section of the report that shows a figure."""

SIGMAS = ("-2", "-1", "0", "+1", "+2")
"""Names of the points of an expected limit."""


@dataclass(frozen=True)
class Sketch:
    """A picture that can be drawn, here or in another process.

    Attributes
    ----------
    stem : str
        File name without suffix; up to the first underscore it is the kind of figure.
    draw : callable
        Makes the picture, and returns it with the axes that an experiment's name is written above. Picklable, such as
        `functools.partial` of a function of a module and of its data.
    """

    stem: str
    draw: Callable[[], tuple[Figure, Axes]]


@dataclass(frozen=True)
class ResultFigure(Sketch):
    """A figure of a results folder, with everything that the report, the files and an export take of it.

    Attributes
    ----------
    title : str
        Caption, as plain text.
    alternative : callable
        Returns a text with the numbers of the figure, for those who do not see it.
    rows : callable
        Returns its data, the header with units first. Undefined and withheld values are None or NaN.
    place : str
        Section of the report.
    subject : str
        Name of the window, or dataset of the signal, whose part of the section it belongs to; empty where the section
        has no parts.
    """

    title: str
    alternative: Callable[[], str]
    rows: Callable[[], Iterable[Row]]
    place: Place = "further"
    subject: str = ""


def csv_text(rows: Iterable[Row]) -> str:
    """Write rows, the header first; None and NaN as nothing, floats without loss."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["" if _undefined(one) else one for one in row] for row in rows])
    return out.getvalue()


def _undefined(value: object) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def all_windows(rows: Callable[[T], Iterator[Row]], sections: Mapping[str, T]) -> Iterator[Row]:
    """Put the rows of several windows below one another, with the window in front."""
    for index, (window, section) in enumerate(sections.items()):
        found = rows(section)
        header = next(found)
        if index == 0:
            yield "window [GeV]", *header
        yield from ((window, *row) for row in found)
