"""The price of having looked many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

__all__ = ["GlobalResult", "bonferroni"]


@dataclass(frozen=True)
class GlobalResult:
    """Global p-value of the largest excess.

    Attributes
    ----------
    z : float or None
        Significance of `p0`; None where `p0` is 1, unknown, or too small for a float (z above 38).
    p0 : float or None
        None while blinded.
    method : str
    """

    z: float | None
    p0: float | None
    method: str


def bonferroni(p_values: Sequence[float], n_trials: int) -> GlobalResult:
    """Bound the global p-value by the smallest local one times the number of looks.

    Holds for any correlation between windows and selections; an upper bound, so conservative.

    Parameters
    ----------
    p_values : sequence of float
        Local one-sided p-values; may be empty while blinded.
    n_trials : int
        Number of looks, at least the number of p-values.

    Returns
    -------
    GlobalResult
    """
    method = "bonferroni-upper-bound"
    if not p_values:
        return GlobalResult(None, None, method)
    p0 = min(1.0, n_trials * min(p_values))
    return GlobalResult(float(stats.norm.isf(p0)) if 0 < p0 < 1 else None, float(p0), method)
