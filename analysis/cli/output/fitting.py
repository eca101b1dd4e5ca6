"""Tables that fit the width of a terminal: narrower headings first, then columns in blocks below one another."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text, TextType

__all__ = ["UNLIMITED", "broken_at_words", "broken_text", "fitted", "natural_width"]

UNLIMITED = 10_000
"""Columns."""


def natural_width(console: Console, table: Table) -> int:
    """Return the width that a table needs without folding any cell, in columns."""
    return Measurement.get(console, console.options.update(max_width=UNLIMITED), table).maximum


def fitted(console: Console, given: Table, width: int) -> list[Table]:
    """Return a table as one or several tables that are at most `width` columns wide, if its cells are.

    No cell is folded: headings are broken at spaces, and if that is not enough, the columns are put into blocks. Each
    block repeats the leading left-justified columns, such as the window, as long as another column follows them.

    Parameters
    ----------
    console : rich.console.Console
    given : rich.table.Table
        Left as it is.
    width : int

    Returns
    -------
    list of rich.table.Table
        The title stands above each, the caption below the last.
    """
    table = _with_broken_texts(given, width)
    if natural_width(console, table) <= width:
        return [table]
    narrow = _of(table, [_narrow(console, column) for column in table.columns])
    narrow.collapse_padding, narrow.pad_edge = True, False
    if natural_width(console, narrow) <= width:
        return [narrow]
    narrow.min_width = None  # the caption is broken already
    blocks = _blocks(console, narrow, width)
    for block in blocks[:-1]:
        block.caption = None
    for block in blocks[1:]:
        block.title = None if table.title is None else broken_text(f"{given.title} (continued)", width)
    return blocks


def broken_at_words(text: str, width: int) -> str:
    """Replace spaces of a text by line ends where its lines would be wider than `width`; words stay whole."""
    return "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    if cell_len(line) <= width:
        return line
    broken, used = "", 0
    for number, word in enumerate(line.split(" ")):
        length = cell_len(word)
        fits = used + 1 + length <= width
        broken += word if number == 0 else f"{' ' if fits else chr(10)}{word}"
        used = used + 1 + length if number and fits else length
    return broken


def _with_broken_texts(table: Table, width: int) -> Table:
    """Return the table with title, caption and smallest width of at most `width` columns."""
    table = copy(table)
    if table.min_width is not None:
        table.min_width = min(table.min_width, width)
    table.title, table.caption = broken_text(table.title, width), broken_text(table.caption, width)
    return table


def broken_text(text: TextType | None, width: int) -> TextType | None:
    """Break a text at words, with its styles; see `broken_at_words`."""
    if not isinstance(text, Text):
        return None if text is None else broken_at_words(text, width)
    broken = text.copy()
    broken.plain = broken_at_words(text.plain, width)  # of the same length, so that styles stay where they are
    return broken


def _of(table: Table, columns: Sequence[Column]) -> Table:
    made = copy(table)
    made.columns = [replace(column, _index=index) for index, column in enumerate(columns)]
    return made


def _narrow(console: Console, column: Column) -> Column:
    """Break the heading of a column at spaces, but not below the width of its cells or of its longest word."""
    heading = str(column.header)
    cells = (Measurement.get(console, console.options.update(max_width=UNLIMITED), one) for one in column.cells)
    words = max(map(cell_len, heading.split()), default=0)
    broken = broken_at_words(heading, max(words, *(cell.maximum for cell in cells), 1))
    return replace(column, header=Text(broken) if isinstance(column.header, Text) else broken)


def _blocks(console: Console, table: Table, width: int) -> list[Table]:
    """Split the columns of a table into blocks, each with the columns that name its rows and at least one other."""
    named = next((i for i, column in enumerate(table.columns) if column.justify == "right"), 1) or 1
    names, others = table.columns[:named], table.columns[named:]
    n_blocks, first = 1, 0
    for stop in range(1, len(others) + 1):
        if stop - first > 1 and natural_width(console, _of(table, [*names, *others[first:stop]])) > width:
            n_blocks, first = n_blocks + 1, stop - 1
    # Few blocks of about as many columns each, unless wide columns need more blocks then.
    for number in range(n_blocks, len(others) + 1):
        ends = [len(others) * block // number for block in range(number + 1)]
        blocks = [_of(table, [*names, *others[start:stop]]) for start, stop in pairwise(ends)]
        if all(natural_width(console, block) <= width for block in blocks):
            break
    return blocks
