"""Docstrings for autodoc: numpy's sections become lists, and what is prose to numpy stays prose.

Types of parameters are words here ("(n_events,) float64, GeV"), and single backticks are code, so nothing is turned
into a reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

EXAMPLES = "Examples"
"""Section of doctests, which are reStructuredText already."""

_CODE = re.compile(r"(`+[^`]*`+)")


def as_restructured_text(lines: Sequence[str]) -> list[str]:
    """Lines of a numpy-style docstring in reStructuredText."""
    return list(_converted(lines))


def _converted(lines: Sequence[str]) -> Iterator[str]:
    in_section, in_examples = False, False
    for line, below in zip(lines, [*lines[1:], ""], strict=False):
        if line and set(below) == {"-"} and len(below) >= len(line):
            in_section, in_examples = True, line == EXAMPLES
            yield from ("", f".. rubric:: {line}", "")
        elif line and set(line) == {"-"}:
            continue
        elif in_examples:
            yield line
        elif in_section and line and not line.startswith(" "):
            name, colon, kind = line.partition(" : ")
            yield from ("", f"- **{_escaped(name)}**{f': {_escaped(kind)}' if colon else ''}", "")
        else:
            yield _escaped(line[2:] if in_section else line)


def _escaped(text: str) -> str:
    """Escape what means something in reStructuredText and nothing in a docstring, outside of code."""
    parts = _CODE.split(text)
    return "".join(one if one.startswith("`") else re.sub(r"([|*\\]|_(?!\w))", r"\\\1", one) for one in parts)


def convert(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Convert a docstring in place, for the event `autodoc-process-docstring`."""
    lines[:] = as_restructured_text(lines)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", convert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
