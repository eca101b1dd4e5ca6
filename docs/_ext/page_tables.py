"""Tables and numbers in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["signed", "table_of", "value_of"]


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table; bars in cells are escaped."""
    lines = [" | ".join(cell.replace("|", r"\|") for cell in line) for line in (head, *rows)]
    return "\n".join([f"| {lines[0]} |", "|---" * len(head) + "|", *(f"| {line} |" for line in lines[1:])])


def signed(value: float, digits: int) -> str:
    """Round, with a true minus sign, and none before zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def value_of(number: float) -> str:
    """Write a large number with spaces between thousands."""
    return f"{number:,.0f}".replace(",", " ")
