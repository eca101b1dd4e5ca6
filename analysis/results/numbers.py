"""Formatting of numbers for readers."""

from __future__ import annotations

from math import floor, log10

__all__ = [
    "NOTHING",
    "SPACE",
    "count",
    "interval",
    "number",
    "p_value",
    "percent",
    "setting",
    "with_error",
    "z_value",
]

NOTHING = "–"
SPACE = "\N{NO-BREAK SPACE}"

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST = 1e-300


def number(value: float | None, digits: int = 3) -> str:
    """Format a number with `digits` significant digits, and powers of ten for very small and large values."""
    if value is None:
        return NOTHING
    text = f"{value:#.{digits}g}" if value else "0"
    if "e" not in text:
        return _minus(text.removesuffix("."))
    if 1 <= abs(value) < 1e6:
        return _minus(f"{value:.0f}")
    mantissa, exponent = text.split("e")
    return f"{_minus(mantissa.removesuffix('.'))}{SPACE}×{SPACE}10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def setting(value: float | None) -> str:
    """Format the value of a setting as it was given."""
    return NOTHING if value is None else f"{value:g}"


def count(value: float | None) -> str:
    """Format a number of events, without decimals if it is an integer."""
    if value is None:
        return NOTHING
    return f"{value:.0f}" if value == round(value) else number(value, 5)


def with_error(value: float | None, error: float | None) -> str:
    """Format a value with its error, with as many decimals as the first two digits of the error need."""
    if value is None or error is None:
        return NOTHING
    decimals = max(0, 1 - floor(log10(error))) if error > 0 else 1
    return f"{_minus(f'{value:.{decimals}f}')}{SPACE}±{SPACE}{error:.{decimals}f}"


def z_value(z: float | None) -> str:
    """Format a significance, without a negative zero."""
    return NOTHING if z is None else _minus(f"{round(z, 1) + 0.0:.1f}")


def p_value(p: float | None) -> str:
    """Format a p-value with two significant digits."""
    if p is None:
        return NOTHING
    if p < _SMALLEST:
        return f"<{SPACE}{number(_SMALLEST, 1)}"
    return f"{p:.2g}" if p == 1 else f"{p:#.2g}" if p >= 1e-3 else number(p, 2)


def percent(fraction: float | None, digits: int = 3) -> str:
    """Format a fraction in percent."""
    if fraction is None:
        return NOTHING
    value = 100 * fraction
    return f"{_minus(f'{value:.0f}' if abs(value) >= 10**digits else f'{value:.{digits}g}')}{SPACE}%"


def interval(ends: tuple[float, float] | list[float]) -> str:
    """Format a mass interval without its unit."""
    return f"{ends[0]:g}–{ends[1]:g}"


def _minus(text: str) -> str:
    return text.replace("-", "−")
