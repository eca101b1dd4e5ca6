"""Numbers and texts of `analysis.results` for a terminal: plain hyphens, spaces and exponents, to be copied from it."""

from __future__ import annotations

import re

from analysis.results.numbers import SPACE, number, with_error

__all__ = ["plain", "plain_error", "plain_number"]

_PLAIN = str.maketrans({"−": "-", "–": "-", SPACE: " ", "₀": "0", "≤": "<=", "≥": ">="})
_RELATION = re.compile("<?= (?=< )")
"""Sign before a p-value that is too small for a float, which has a sign of its own."""

_EXPONENTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def plain(text: str) -> str:
    """Write a text with the characters of a keyboard, as far as there are such: 4.5 × 10⁻²⁰ is 4.5e-20."""
    typed = text.replace(f"{SPACE}×{SPACE}10", "e").translate(_EXPONENTS).translate(_PLAIN)
    return _RELATION.sub("", typed)


def plain_number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits."""
    return plain(number(value, digits))


def plain_error(value: float | None, error: float | None) -> str:
    """Write a value with its error in as few characters as possible."""
    return plain(with_error(value, error)).replace(" ", "")
