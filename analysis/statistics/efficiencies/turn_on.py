"""Turn-on of a trigger: efficiency against the mass, and the mass above which it is flat.

The model is an error function with a plateau, ε(m) = p Φ((m − μ)/σ). It is fitted by the binomial likelihood of all
bins with iminuit; each bin is evaluated at the mean mass of its reference events. The loss at m is 1 − ε(m)/p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray
from scipy import special, stats

from analysis.errors import StatisticsError

__all__ = ["Efficiency", "TurnOn", "TurnOnFit", "clopper_pearson", "measure_efficiency", "measure_turn_on", "turn_on"]

Array = NDArray[np.float64]

ONE_SIGMA = 0.682689492137086

_FULL = 1.0 - 1e-6
"""A fitted plateau above this value is taken as 1: the likelihood has its maximum at the end of the range."""

_EXPECTED = 5.0
"""Smallest expected number of events that pass, and that fail, in a group of bins that tests the fit."""

_VISIBLE = 0.01
"""p-value of a constant efficiency below which there is a turn-on to fit."""

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Efficiency:
    """Events that pass, in bins of mass.

    Attributes
    ----------
    edges : tuple of float
        n + 1 bin edges, GeV.
    means : tuple of float
        Mean mass of the reference events of each bin, GeV; the centre of an empty bin.
    total, passed : tuple of int
        Reference events, and those that pass.
    """

    edges: tuple[float, ...]
    means: tuple[float, ...]
    total: tuple[int, ...]
    passed: tuple[int, ...]

    def arrays(self) -> tuple[Array, Array, Array]:
        """Return means, total and passed of the bins with events, each (n,) float64."""
        total = np.array(self.total, np.float64)
        filled = total > 0
        return np.array(self.means)[filled], total[filled], np.array(self.passed, np.float64)[filled]


@dataclass(frozen=True)
class TurnOnFit:
    """Fit of ε(m) = p Φ((m − μ)/σ).

    Attributes
    ----------
    midpoint, width : float
        μ and σ, GeV.
    plateau : float
        p.
    midpoint_error, width_error, correlation : float
        Errors of μ and σ, GeV, and their correlation.
    plateau_error : float or None
        None if the plateau is 1, the end of its range.
    p_value : float or None
        Probability of a worse fit; None with too few events to test it.
    """

    midpoint: float
    width: float
    plateau: float
    midpoint_error: float
    width_error: float
    correlation: float
    plateau_error: float | None
    p_value: float | None

    def flat_from(self, loss: float) -> tuple[float, float]:
        """Return the mass above which the loss is smaller, and its error, GeV."""
        distance = float(special.ndtri(1.0 - loss))
        covariance = self.correlation * self.midpoint_error * self.width_error
        variance = self.midpoint_error**2 + (distance * self.width_error) ** 2 + 2 * distance * covariance
        return self.midpoint + distance * self.width, math.sqrt(max(variance, 0.0))


@dataclass(frozen=True)
class TurnOn:
    """Turn-on and the mass above which it is flat.

    Attributes
    ----------
    efficiency : Efficiency
    fit : TurnOnFit or None
        None if the efficiency is flat in the whole range, so that there is nothing to fit.
    loss : float
        Stated loss.
    flat_from, flat_from_error : float
        Mass above which less than `loss` is lost, GeV, and its error; the lowest mass with events without a fit.
    smooth_edge : float
        Proposal for `scan.smooth_edge`: `flat_from` plus its error, at the next multiple of the bin width, GeV.
    flat_p_value : float or None
        p-value for the same efficiency in the lower and the upper half of the events above `smooth_edge`; None with too
        few.
    """

    efficiency: Efficiency
    fit: TurnOnFit | None
    loss: float
    flat_from: float
    flat_from_error: float
    smooth_edge: float
    flat_p_value: float | None


def turn_on(mass: Array, midpoint: float, width: float, plateau: float) -> Array:
    """Efficiency (n,) at masses (n,), GeV."""
    values: Array = plateau * special.ndtr((mass - midpoint) / width)
    return values


def clopper_pearson(passed: Array, total: Array, level: float = ONE_SIGMA) -> tuple[Array, Array]:
    """Central confidence interval of efficiencies (Clopper and Pearson, Biometrika 26 (1934) 404).

    Parameters
    ----------
    passed, total : (n,) numbers
    level : float

    Returns
    -------
    low, high : (n,) float64
    """
    tail = (1.0 - level) / 2.0
    passed, total = np.asarray(passed, np.float64), np.asarray(total, np.float64)
    with np.errstate(invalid="ignore"):
        low = np.where(passed > 0, stats.beta.ppf(tail, passed, total - passed + 1), 0.0)
        high = np.where(passed < total, stats.beta.ppf(1.0 - tail, passed + 1, total - passed), 1.0)
    return low, high


def measure_efficiency(mass: Array, passes: NDArray[np.bool_], edges: Array) -> Efficiency:
    """Count reference events in bins of mass.

    Parameters
    ----------
    mass : (n_events,) float64
        GeV; masses beyond the edges are left out.
    passes : (n_events,) bool
    edges : (n_bins + 1,) float64
        GeV.

    Returns
    -------
    Efficiency
    """
    total, _ = np.histogram(mass, edges)
    passed, _ = np.histogram(mass[passes], edges)
    sums, _ = np.histogram(mass, edges, weights=mass)
    centres = (edges[1:] + edges[:-1]) / 2
    means = np.where(total > 0, sums / np.maximum(total, 1), centres)
    return Efficiency(tuple(edges.tolist()), tuple(means.tolist()), tuple(total.tolist()), tuple(passed.tolist()))


def measure_turn_on(mass: Array, passes: NDArray[np.bool_], edges: Array, *, loss: float, step: float) -> TurnOn:
    """Fit the turn-on of events.

    Parameters
    ----------
    mass : (n_events,) float64
        Masses of the reference events, GeV.
    passes : (n_events,) bool
        Whether they pass the trigger.
    edges : (n_bins + 1,) float64
        Bins, GeV.
    loss : float
        Largest loss at the smooth edge, a fraction of the plateau.
    step : float
        The smooth edge is a multiple of this, GeV.

    Returns
    -------
    TurnOn

    Raises
    ------
    StatisticsError
        If there are no events, none passes, or the fit does not converge, or finds no plateau within the range.
    """
    efficiency = measure_efficiency(mass, passes, edges)
    means, total, passed = efficiency.arrays()
    if not passed.sum():
        msg = (
            f"{total.sum():.0f} reference events between {edges[0]:g} and {edges[-1]:g} GeV, of which none passes the "
            "trigger: there is no turn-on to measure. Name another reference trigger, or another --range."
        )
        raise StatisticsError(msg)
    start = float(mass[(mass >= edges[0]) & (mass < edges[-1])].min())
    fit = None if _is_flat(total, passed) else _fit(means, total, passed)
    flat_from, error = (start, 0.0) if fit is None else fit.flat_from(loss)
    if flat_from < start:
        flat_from, error = start, 0.0
    smooth_edge = math.ceil((flat_from + error) / step - 1e-9) * step
    if not smooth_edge < means[-1]:
        msg = (
            f"the efficiency is within {loss:g} of its plateau only from {flat_from:.0f} ± {error:.0f} GeV, above the "
            f"last reference events at {means[-1]:.0f} GeV. Use more data, another reference trigger, or a wider "
            "--range."
        )
        raise StatisticsError(msg)
    flat = _halves(mass[mass >= smooth_edge], passes[mass >= smooth_edge])
    return TurnOn(efficiency, fit, loss, flat_from, error, smooth_edge, flat)


def _is_flat(total: Array, passed: Array) -> bool:
    """Whether no turn-on is visible: everything passes, or one efficiency describes all bins."""
    if passed.sum() == total.sum():
        return True
    p_value = _goodness(total, passed, passed.sum() / total.sum() * np.ones(len(total)), 1)
    return p_value is None or p_value > _VISIBLE


def _fit(means: Array, total: Array, passed: Array) -> TurnOnFit:
    failed = total - passed

    def nll(midpoint: float, width: float, plateau: float) -> float:
        chance = np.clip(turn_on(means, midpoint, width, plateau), _SMALLEST, 1.0 - _SMALLEST)
        return float(-(passed @ np.log(chance) + failed @ np.log1p(-chance)))

    minuit = Minuit(nll, *_start(means, total, passed))
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.limits["width"], minuit.limits["plateau"] = (1e-3, 10 * np.ptp(means) + 1.0), (_SMALLEST, 1.0)
    minuit.migrad(ncall=10_000)
    full = minuit.values["plateau"] > _FULL
    if full:
        minuit.values["plateau"], minuit.fixed["plateau"] = 1.0, True
        minuit.migrad(ncall=10_000)
    minuit.hesse()
    if not minuit.valid or minuit.covariance is None:
        msg = (
            f"the fit of the turn-on to {total.sum():.0f} reference events does not converge. Give a --range that "
            "holds the turn-on and the plateau, wider bins with --bin-width, or more data."
        )
        raise StatisticsError(msg)
    errors = minuit.errors
    covariance = float(minuit.covariance["midpoint", "width"])
    expected = turn_on(means, *minuit.values)
    return TurnOnFit(
        midpoint=float(minuit.values["midpoint"]),
        width=float(minuit.values["width"]),
        plateau=float(minuit.values["plateau"]),
        midpoint_error=float(errors["midpoint"]),
        width_error=float(errors["width"]),
        correlation=covariance / float(errors["midpoint"] * errors["width"]),
        plateau_error=None if full else float(errors["plateau"]),
        p_value=_goodness(total, passed, expected, 2 if full else 3),
    )


def _start(means: Array, total: Array, passed: Array) -> tuple[float, float, float]:
    """Plateau from the upper half of the events, midpoint and width from the crossings of a running efficiency."""
    upper = np.cumsum(total) > total.sum() / 2
    plateau = min(float(passed[upper].sum() / total[upper].sum()), 1.0)
    rising = np.maximum.accumulate(passed / total) / max(plateau, _SMALLEST)
    low, middle, high = (float(means[min(int(np.searchsorted(rising, x)), len(means) - 1)]) for x in (0.16, 0.5, 0.84))
    return middle, max((high - low) / 2, (means[-1] - means[0]) / 100, 1.0), min(max(plateau, 0.01), 0.999)


def _goodness(total: Array, passed: Array, chance: Array, free: int) -> float | None:
    group = _groups(total * chance, total * (1.0 - chance))
    n, k = (np.bincount(group, values).astype(np.float64) for values in (total, passed))
    if len(n) <= free:
        return None
    return _homogeneous(n, k, np.bincount(group, total * chance) / n, free)


def _homogeneous(total: Array, passed: Array, chance: Array, free: int) -> float:
    """p-value of the likelihood ratio of expected efficiencies to one free efficiency for each bin."""
    if len(total) <= free:
        return 1.0
    failed = total - passed
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = special.xlogy(passed, passed / (total * chance)) + special.xlogy(
            failed, failed / (total * (1 - chance))
        )
    return float(stats.chi2.sf(2.0 * terms.sum(), len(total) - free))


def _groups(passing: Array, failing: Array) -> NDArray[np.intp]:
    """Return the group of each bin: neighbours are joined until enough events are expected to pass and to fail."""
    group = np.zeros(len(passing), np.intp)
    number, sums = 0, np.zeros(2)
    for i, both in enumerate(zip(passing, failing, strict=True)):
        group[i] = number
        sums += both
        if (sums >= _EXPECTED).all():
            number, sums = number + 1, np.zeros(2)
    if number and (sums < _EXPECTED).any():
        group[group == number] = number - 1  # what is left over belongs to the last group
    return group


def _halves(mass: Array, passes: NDArray[np.bool_]) -> float | None:
    """p-value of Fisher's exact test of equal efficiencies below and above the median mass."""
    if len(mass) < 2:
        return None
    lower = mass < np.median(mass)
    table = [[int((passes & side).sum()), int((~passes & side).sum())] for side in (lower, ~lower)]
    return float(stats.fisher_exact(table).pvalue)
