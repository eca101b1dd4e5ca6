"""Global p-values: correction for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log1p, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.core.notebook import facts

__all__ = ["GlobalResult", "bonferroni", "global_significance", "retrained_significance", "wilson_interval"]

Array = NDArray[np.float64]

_INTERVAL_LEVEL = 0.95
_SIGMAS = float(stats.norm.isf((1 - _INTERVAL_LEVEL) / 2))


@dataclass(frozen=True)
class GlobalResult:
    """Global p-value of the largest excess.

    Attributes
    ----------
    z : float or None
        Significance of `p0`; None if `p0` is 1, unknown, or too small for a float (z above 38).
    p0 : float or None
        None while blinded. May be an upper bound, see `method`.
    method : str
        "bonferroni-upper-bound", "pseudo-experiments", or "pseudo-experiments-upper-bound" if no pseudo-experiment
        reached the observed excess; these p0 are never extrapolated. "retrained-scans" from scans without signal that
        train anew.
    n_trials : int or None
        Number of p-values in the search.
    n_toys : int or None
        Number of pseudo-experiments.
    interval : (low, high) or None
        95 % Wilson interval of p0 from the finite number of pseudo-experiments.
    effective_trials : float or None
        Number of independent tests that would give the same p0 for the same local p-value; None for a bound.
    miscalibration : float or None
        Factor by which the local p-value of the largest excess is too small, at least: the lower end of `interval` over
        the bound of `bonferroni`, which holds for correct local p-values whatever their correlation. None if that bound
        is respected.

    Examples
    --------
    >>> from analysis.statistics.trials import bonferroni
    >>> found = bonferroni([1e-5, 0.3], n_trials=25)
    >>> round(found.p0, 6), found.method
    (0.00025, 'bonferroni-upper-bound')
    """

    z: float | None
    p0: float | None
    method: str
    n_trials: int | None = None
    n_toys: int | None = None
    interval: Sequence[float] | None = None
    effective_trials: float | None = None
    miscalibration: float | None = None

    def _repr_html_(self) -> str:
        shown = {"p0": self.p0, "z": self.z, "Method": self.method_text, "Looks": self.n_trials}
        if self.warning is not None:
            shown["Local p-value"] = self.warning
        return facts("Global p-value of the largest excess", shown)

    @property
    def method_text(self) -> str:
        """Human-readable method of `p0`."""
        if self.method.startswith("pseudo-experiments"):
            toys = f"{self.n_toys} " if self.n_toys else ""
            return f"{toys}pseudo-experiments{self.method.removeprefix('pseudo-experiments').replace('-', ' ')}"
        if self.method == "retrained-scans":
            return f"{self.n_toys} scans without signal, trained anew"
        return self.method.replace("-", " ").capitalize()

    @property
    def toys_text(self) -> str:
        """Number and kind of the searches without signal behind `interval`."""
        return f"{self.n_toys} {'scans' if self.method == 'retrained-scans' else 'pseudo-experiments'}"

    @property
    def worth(self) -> str | None:
        """Comparison of the looks with independent ones, as text after their number; None for a bound."""
        if self.effective_trials is None:
            return None
        text = f"worth {_independent(round(self.effective_trials))}"
        if self.miscalibration is not None:
            return f"{text}, more than there are"
        if self.n_trials is not None and self.effective_trials > self.n_trials:
            return f"worth {_independent(self.n_trials)} within the error of {self.toys_text}"
        return text

    @property
    def warning(self) -> str | None:
        """Sentence on local p-values that are too small; None if the pseudo-experiments show none."""
        if self.miscalibration is None:
            return None
        return (
            f"The local p-value of the largest excess is too small, by a factor of {self.miscalibration:.2g} or more: "
            f"{self.n_trials} look{'s' * (self.n_trials != 1)} cannot raise a correct one to a global p-value of "
            f"{self.p0:.2g}. The global p-value is counted and does not rely on it."
        )


def bonferroni(p_values: Sequence[float], n_trials: int) -> GlobalResult:
    """Bound the global p-value by the smallest local p-value times the number of tests.

    Valid for any correlation between windows and selections; an upper bound, therefore conservative.

    Parameters
    ----------
    p_values : sequence of float
        Local one-sided p-values; may be empty while blinded.
    n_trials : int
        Number of tests, at least the number of p-values.

    Returns
    -------
    GlobalResult
    """
    method = "bonferroni-upper-bound"
    if not p_values:
        return GlobalResult(None, None, method, n_trials)
    p0 = min(1.0, n_trials * min(p_values))
    return GlobalResult(_z(p0), float(p0), method, n_trials)


def global_significance(z_observed: float, z_toys: Array, *, n_trials: int) -> GlobalResult:
    """Compare the largest excess in data with background-only pseudo-experiments.

    Parameters
    ----------
    z_observed : float
        Largest signed z over all tests in the data.
    z_toys : (n_toys,) float64
        Largest signed z over the same tests in each pseudo-experiment; -inf without a valid fit.
    n_trials : int
        Number of tests.

    Returns
    -------
    GlobalResult
        `p0` is the fraction of pseudo-experiments with at least the observed z. If this is zero, `p0` is the smaller of
        two bounds, named in `method`: the upper end of the interval, or the bound of `bonferroni`, which relies on the
        local p-value.
    """
    n_toys, n_above = len(z_toys), int((z_toys >= z_observed).sum())
    p_local = float(stats.norm.sf(z_observed))
    low, high = wilson_interval(n_above, n_toys)
    if n_above == 0:
        if n_trials * p_local < high:
            return replace(bonferroni([p_local], n_trials), n_toys=n_toys, interval=(low, high))
        return GlobalResult(_z(high), high, "pseudo-experiments-upper-bound", n_trials, n_toys, (low, high))
    p0 = n_above / n_toys
    effective = log1p(-p0) / log1p(-p_local) if p0 < 1 and p_local > 0 else None
    excess = low / (n_trials * p_local) if p_local > 0 else None
    return GlobalResult(
        _z(p0),
        p0,
        "pseudo-experiments",
        n_trials,
        n_toys,
        (low, high),
        effective,
        miscalibration=excess if excess is not None and excess > 1 else None,
    )


def retrained_significance(z_observed: float, z_scans: Array, *, n_trials: int) -> GlobalResult:
    """Compare the largest excess in data with scans without signal, each with classifiers trained anew.

    Such scans are too expensive for thousands of them. The upper half of their largest z is described by a number of
    independent tests, P(largest > z) = 1 - Phi(z)^effective_trials, which gives the p-values of larger excesses.

    Parameters
    ----------
    z_observed : float
        Largest calibrated z over all tests in the data.
    z_scans : (n_scans,) float64
        Largest calibrated z over the same tests in each scan.
    n_trials : int
        Number of tests.

    Returns
    -------
    GlobalResult
        With `interval` from the statistical error of the effective number of tests. `p0` is not above the bound of
        `bonferroni`.
    """
    distance = -stats.norm.logcdf(np.asarray(z_scans, np.float64))  # exponential, with rate effective_trials
    censored = float(np.median(distance))
    n_used = int((distance < censored).sum())
    rate = n_used / float(np.minimum(distance, censored).sum())
    observed = float(-stats.norm.logcdf(z_observed))
    error = _SIGMAS * rate / sqrt(n_used)
    low, p0, high = (-float(np.expm1(-max(value, 0.0) * observed)) for value in (rate - error, rate, rate + error))
    p0 = min(p0, n_trials * float(stats.norm.sf(z_observed)), 1.0)
    return GlobalResult(_z(p0), p0, "retrained-scans", n_trials, len(z_scans), (min(low, p0), max(high, p0)), rate)


def wilson_interval(successes: int, n: int, *, level: float = _INTERVAL_LEVEL) -> tuple[float, float]:
    """Confidence interval of a binomial probability (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209).

    Parameters
    ----------
    successes, n : int
        Successes and trials, n > 0.
    level : float

    Returns
    -------
    low, high : float
    """
    z = float(stats.norm.isf((1 - level) / 2))
    fraction, shrink = successes / n, 1 + z**2 / n
    centre = (fraction + z**2 / (2 * n)) / shrink
    half = z / shrink * sqrt(fraction * (1 - fraction) / n + z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else centre - half
    return low, 1.0 if successes == n else centre + half


def _independent(number: int) -> str:
    return f"{number} independent one{'s' * (number != 1)}"


def _z(p0: float) -> float | None:
    return float(stats.norm.isf(p0)) if 0 < p0 < 1 else None
