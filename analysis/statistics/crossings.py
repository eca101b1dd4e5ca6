"""Zeros of falling functions of the signal strength, all found together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from analysis.errors import StatisticsError

__all__ = ["crossings"]

Array = NDArray[np.float64]

_MAX_ROUNDS = 60
_BISECT_EVERY = 4
_NEGLIGIBLE = 1e-4
"""Fraction of the smallest first point below which likelihood ratios are lost in rounding and the answer is 0."""


def crossings(function: Callable[[Array], Array], start: Array, *, tolerance: float) -> Array:
    """Find the zeros of several falling functions with common evaluations.

    Each round evaluates one new point per unfinished function, all together: by monotone interpolation over all points
    so far, and occasionally by bisection, so that steps (toys, discrete counts) end in a narrow bracket.

    Parameters
    ----------
    function : callable
        Maps (n_points,) to (n_points, n_functions).
    start : (n_points,) float64
        First points, positive.
    tolerance : float
        Tolerance on the function values, and on the relative width of the bracket.

    Returns
    -------
    (n_functions,) float64
        0 if a function is negative at all positive arguments.

    Raises
    ------
    StatisticsError
        If a function stays positive, so that no limit exists.
    """
    x = np.unique(start)
    values = function(x)
    zeros = np.full(values.shape[1], np.nan)
    smallest = _NEGLIGIBLE * x[0]
    for turn in range(_MAX_ROUNDS):
        following = set()
        for index in np.flatnonzero(np.isnan(zeros)):
            answer, done = _next_point(x, values[:, index], tolerance, bisect=turn % _BISECT_EVERY == _BISECT_EVERY - 1)
            if done or answer < smallest:
                zeros[index] = answer if done else 0.0
            else:
                following.add(answer)
        if not following:
            return zeros
        new = np.array(sorted(following))
        x, order = np.unique(np.concatenate([x, new]), return_index=True)
        values = np.concatenate([values, function(new)])[order]
    msg = (
        f"the limit does not cross its level between {x[0]:g} and {x[-1]:g} times the signal template. Check that the "
        "signal template is not tiny against the background and its error."
    )
    raise StatisticsError(msg)


def _next_point(x: Array, values: Array, tolerance: float, *, bisect: bool) -> tuple[float, bool]:
    """Return the zero and True, or the next point to evaluate and False."""
    nearest = int(np.abs(values).argmin())
    if abs(values[nearest]) < tolerance:
        return float(x[nearest]), True
    if (values < 0).all():
        return float(x[0] / 4), False
    above = int(np.flatnonzero(values > 0)[-1])
    if above == len(x) - 1:
        return float(x[-1] * 1.6), False
    low, high = float(x[above]), float(x[above + 1])
    if high - low < tolerance * high:
        share = values[above] / (values[above] - values[above + 1])
        return low + float(share) * (high - low), True
    near = slice(max(above - 2, 0), above + 4)
    if not bisect and (np.diff(values[near]) < 0).all():
        guess = float(PchipInterpolator(-values[near], x[near])(0.0))
        if low < guess < high:
            return guess, False
    return (low + high) / 2, False
