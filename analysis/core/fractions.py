"""Fractions of weighted events."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["fraction"]

_ROUNDING = 1e-9

Array = NDArray[np.float64]


@overload
def fraction(part: float, whole: float) -> float: ...
@overload
def fraction(part: Array, whole: float) -> Array: ...
def fraction(part: float | Array, whole: float) -> float | Array:
    """Divide a sum of weights by the sum over all events, without what rounding adds beyond 0 and 1.

    Two sums of the same weights in another order differ in their last digits. Fractions that are really outside of
    [0, 1], from negative weights, stay as they are.

    Parameters
    ----------
    part : float or (n,) float64
    whole : float
        Not zero.

    Returns
    -------
    float or (n,) float64
    """
    value = np.asarray(part, np.float64) / whole
    rounded = np.where(np.abs(value - 1.0) < _ROUNDING, np.minimum(value, 1.0), value)
    rounded = np.where(np.abs(value) < _ROUNDING, np.maximum(rounded, 0.0), rounded)
    return float(rounded) if np.ndim(part) == 0 else rounded
