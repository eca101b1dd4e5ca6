"""Tables and notes of a command as one JSON document, for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["collecting", "keep"]

_NUMBER = re.compile(r"[+\-−]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)

_Document = dict[str, Any]

_kept: ContextVar[_Document | None] = ContextVar("_kept", default=None)


@contextmanager
def collecting(command: str, stream: TextIO) -> Iterator[None]:
    """Keep tables and notes instead of printing them, and write all at the end.

    The document has `command`, `tables` and `notes`. A table has `title`, `columns`, `data` (rows of cells as printed:
    numbers where a cell is one, else text) and `caption`.

    Parameters
    ----------
    command : str
    stream : text stream
    """
    document: _Document = {"command": command, "tables": [], "notes": []}
    token = _kept.set(document)
    try:
        yield
    finally:
        _kept.reset(token)
        click.echo(json.dumps(document, indent=2, ensure_ascii=False), file=stream)


def keep(objects: tuple[Any, ...]) -> bool:
    """Keep what is printed; return whether it is to be kept instead of printed."""
    from rich.table import Table

    document = _kept.get()
    if document is None:
        return False
    for one in objects:
        if isinstance(one, Table):
            document["tables"].append(_table(one))
        else:
            document["notes"].append(str(one))
    return True


def _table(table: Table) -> _Document:
    columns = [" ".join(str(column.header).split()) for column in table.columns]
    cells = [[_cell(str(cell)) for cell in column.cells] for column in table.columns]
    title, caption = (None if one is None else str(one) for one in (table.title, table.caption))
    return {
        "title": title,
        "columns": columns,
        "data": [list(row) for row in zip(*cells, strict=True)],
        "caption": caption,
    }


def _cell(text: str) -> str | float | int:
    shown = text.strip()
    if not _NUMBER.fullmatch(shown):
        return shown
    plain = shown.replace("−", "-")
    return int(plain) if re.fullmatch(r"[+-]?\d+", plain) else float(plain)
