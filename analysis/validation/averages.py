"""Means of values with errors, and combined p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Mean", "combine", "combined_p"]


@dataclass(frozen=True)
class Mean:
    """Weighted mean.

    Attributes
    ----------
    value, error : float
        The error is multiplied by the square root of chi-squared per degree of freedom if that is above 1.
    chi2 : float
        Chi-squared of the values around their mean.
    """

    value: float
    error: float
    chi2: float


def combine(values: Sequence[float], errors: Sequence[float]) -> Mean:
    """Average independent values following the Particle Data Group (Phys. Rev. D 110, 030001, section 5.2.2).

    Parameters
    ----------
    values, errors : sequence of float
        As many errors as values, all positive.

    Returns
    -------
    Mean
    """
    x, weight = np.asarray(values), 1 / np.square(errors)
    mean = float((weight * x).sum() / weight.sum())
    chi2 = float((weight * (x - mean) ** 2).sum())
    scale = max(1.0, chi2 / (len(x) - 1)) ** 0.5 if len(x) > 1 else 1.0
    return Mean(mean, scale / float(weight.sum()) ** 0.5, chi2)


def combined_p(values: Sequence[float]) -> float | None:
    """Combine p-values to twice their median, which is valid for any dependence between them; None without any."""
    if not values:
        return None
    return float(values[0]) if len(values) == 1 else min(1.0, 2 * float(np.median(values)))
