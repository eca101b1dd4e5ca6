"""Table cells that keep the full value beside the text."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cell", "Table"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    value : float or None
        The number behind the text, unrounded.
    note : str
        A second, smaller line.
    strong : bool
        Set off.
    """

    text: str
    value: float | None = None
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row is its header.

    Attributes
    ----------
    caption : str
    columns : tuple of str
        With units.
    rows : tuple of tuple of Cell
    notes : tuple of str
        Below the table.
    text_columns : frozenset of int
        Columns of words, set to the left; the first always is.
    breaks : bool
        Whether long words, such as paths, may be broken.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset()
    breaks: bool = False
