"""Numbers and texts of `analysis.results` with plain hyphens, spaces and exponents, for copying from a terminal."""

from __future__ import annotations

import re

from analysis.results.numbers import SPACE, number, with_error

__all__ = ["plain", "plain_error", "plain_number"]

_PLAIN = str.maketrans({"−": "-", "–": "-", SPACE: " ", "₀": "0", "≤": "<=", "≥": ">="})
_RELATION = re.compile("<?= (?=< )")
"""Relation sign before a p-value below the smallest float, whose text starts with its own sign."""

_EXPONENTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def plain(text: str) -> str:
    """Replace special characters of a text by keyboard characters if possible, such as 4.5 × 10⁻²⁰ by 4.5e-20."""
    typed = text.replace(f"{SPACE}×{SPACE}10", "e").translate(_EXPONENTS).translate(_PLAIN)
    return _RELATION.sub("", typed)


def plain_number(value: float | None, digits: int = 3) -> str:
    """Format a number with `digits` significant digits."""
    return plain(number(value, digits))


def plain_error(value: float | None, error: float | None) -> str:
    """Format a value with its error in as few characters as possible."""
    return plain(with_error(value, error)).replace(" ", "")
