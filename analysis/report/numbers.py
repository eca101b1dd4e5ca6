"""Tables whose cells keep the unrounded value beside the text."""

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
        Unrounded number shown in the text.
    note : str
        Further lines in smaller type.
    strong : bool
        Whether the cell is highlighted.
    """

    text: str
    value: float | None = None
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row is the row header.

    Attributes
    ----------
    caption : str
    columns : tuple of str
        Column headers, with units.
    rows : tuple of tuple of Cell
    notes : tuple of str
        Notes below the table.
    text_columns : frozenset of int
        Indices of text columns, which are left-aligned like the first one.
    breaks : bool
        Whether long words, such as paths, may be broken.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset()
    breaks: bool = False
