"""Notebook representations: small HTML tables, without colours, scripts or content from the network.

A class needs only one line, `def _repr_html_(self) -> str: return facts(...)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["facts", "grid", "text_of"]

NOTHING = "–"

_LONGEST = 100
"""Maximum number of characters in a cell; longer text is truncated."""

_MOST_ROWS = 40

_WHOLE = 1e9
"""Integers below this value are written with all digits."""


def facts(title: str, values: Mapping[str, object], *, below: str = "") -> str:
    """Lay out names and values in two columns.

    Parameters
    ----------
    title : str
    values : mapping of str to object
        Formatted by `text_of`.
    below : str
        HTML that follows the table, such as a `grid`.

    Returns
    -------
    str
        HTML. Everything except `below` is escaped.
    """
    rows = "".join(f"<tr>{_cell('th', name)}{_cell('td', value)}</tr>" for name, value in values.items())
    return f"<table>{_caption(title)}<tbody>{rows}</tbody></table>{below}"


def grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows below a header; the first cell of each row is its name.

    Parameters
    ----------
    title : str
    columns : sequence of str
    rows : iterable of sequence of object
        One cell per column in each row. Only the first rows of a long table are shown.

    Returns
    -------
    str
        HTML. Everything is escaped.
    """
    all_rows = list(rows)
    head = "".join(_cell("th", name, "col") for name in columns)
    body = "".join(
        f"<tr>{_cell('th', row[0])}{''.join(_cell('td', value) for value in row[1:])}</tr>"
        for row in all_rows[:_MOST_ROWS]
    )
    more = f"<p>and {len(all_rows) - _MOST_ROWS} more</p>" if len(all_rows) > _MOST_ROWS else ""
    return f"<table>{_caption(title)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def text_of(value: object) -> str:
    """Format a value briefly: numbers with four digits, lists with commas, a dash for None.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        Text, not escaped.
    """
    match value:
        case None | bool():
            return {None: NOTHING, True: "yes", False: "no"}[value]
        case float():
            return f"{value:.0f}" if value.is_integer() and abs(value) < _WHOLE else f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{name}: {text_of(one)}" for name, one in value.items()) or NOTHING
        case list() | tuple():
            return ", ".join(map(text_of, value)) or NOTHING
        case _:
            return str(value)


def _cell(tag: str, value: object, scope: str = "row") -> str:
    text = text_of(value)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    head = f' scope="{scope}"' if tag == "th" else ""
    return f'<{tag}{head} style="text-align: left">{escape(shown)}</{tag}>'


def _caption(title: str) -> str:
    return f'<caption style="text-align: left">{escape(title)}</caption>'
