"""Formulae in figures, read once for all figures of a process."""

from __future__ import annotations

from matplotlib.cbook import is_math_text
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

__all__ = ["FORMULAE", "readable"]

FORMULAE = MathTextParser("path")
"""Parser with a memory, for every figure and format: a formula takes 5 ms, and a renderer of matplotlib starts anew."""


def readable(label: str, font: FontProperties | None = None) -> str:
    """Return a label that may hold formulae, or its plain text if they are not ones that matplotlib can read.

    With the font in which it is drawn, it is not read again for a PDF.
    """
    try:
        for line in label.split("\n"):
            if is_math_text(line):
                FORMULAE.parse(line, prop=font)
    except ValueError:
        return label.replace("$", r"\$")
    return label
