"""ARGOS: comparison of classifiers and cuts without labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.learning.metrics import RocCurve

__all__ = ["argos", "argos_at"]


def argos(roc: RocCurve, *, floor: float) -> float:
    """Largest ε₁ / √ε₀ - √ε₀ over thresholds (arXiv:2511.14832).

    ε₁ and ε₀ are the fractions of class 1 (signal region of data) and class 0 (background template) above a threshold.
    If class 1 is the template with a signal fraction f, this equals f (ε_S / √ε₀ - √ε₀): the significance improvement,
    up to a factor and a term that is small for tight cuts, without labels.

    Parameters
    ----------
    roc : RocCurve
        Curve of class 1 as "signal" and class 0 as "background", from out-of-fold scores.
    floor : float
        Smallest ε₀ of the thresholds, above 0; below it, the value is dominated by noise.

    Returns
    -------
    float
        At least 0, the value if everything passes.
    """
    # Between vertices, a/√x + b√x has no maximum.
    candidates = np.append(roc.background[roc.background > floor], floor)
    return float(argos_at(roc, candidates).max())


def argos_at(roc: RocCurve, background: ArrayLike) -> NDArray[np.float64]:
    """ε₁ / √ε₀ - √ε₀ at given values of ε₀.

    Parameters
    ----------
    roc : RocCurve
    background : array_like
        Fractions ε₀ of class 0, above 0.

    Returns
    -------
    float64, with the shape of `background`
    """
    root = np.sqrt(np.asarray(background, np.float64))
    value: NDArray[np.float64] = roc.signal_at(background) / root - root
    return value
