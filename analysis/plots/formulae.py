"""Formulae in figures, read once for all figures of a process."""

from __future__ import annotations

from functools import cache

from matplotlib.cbook import is_math_text
from matplotlib.mathtext import MathTextParser

__all__ = ["FORMULAE", "readable"]

FORMULAE = MathTextParser("path")
"""Parser with a memory, for every figure and format: a formula takes 5 ms, and a renderer of matplotlib starts anew."""


@cache
def readable(label: str) -> str:
    """Return a label that may hold formulae, or its plain text if they are not ones that matplotlib can read."""
    try:
        for line in label.split("\n"):
            if is_math_text(line):
                FORMULAE.parse(line)
    except ValueError:
        return label.replace("$", r"\$")
    return label
