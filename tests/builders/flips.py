"""Files with one changed byte, and what a reader makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from analysis.errors import CwolaError

T = TypeVar("T")

EQUAL = "equal"
CHANGED = "changed"
REFUSED = "refused"


def flips(content: bytes, n_flips: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Position and content of random copies, each with another value at one byte."""
    rng = np.random.default_rng(seed)
    for position, change in zip(rng.integers(len(content), size=n_flips), rng.integers(1, 256, n_flips), strict=True):
        copy = bytearray(content)
        copy[position] ^= int(change)
        yield int(position), bytes(copy)


def outcome(read: Callable[[Path], T], path: Path, is_right: Callable[[T], bool]) -> str:
    """`EQUAL`, `CHANGED` or `REFUSED` by one error that names the file; else the kind of the failure."""
    try:
        found = read(path)
    except CwolaError as error:
        is_clear = path.name in str(error) and "\n" not in str(error)
        return REFUSED if is_clear else f"unclear: {error}"
    except Exception as error:  # noqa: BLE001 - any other exception is a failure
        return f"{type(error).__name__}: {error}"
    return EQUAL if is_right(found) else CHANGED
