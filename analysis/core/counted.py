"""Numbers of things in messages."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, many: str | None = None) -> str:
    """Write how many there are, in the singular or the plural.

    Parameters
    ----------
    number : int
    one : str
        Such as "window".
    many : str, optional
        Default: `one` with an s.

    Examples
    --------
    >>> counted(1, "window"), counted(3, "window"), counted(2, "efficiency", "efficiencies")
    ('1 window', '3 windows', '2 efficiencies')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
