"""Test of whether a selection changes the shape of the m_jj spectrum without signal.

A cut with an efficiency that depends on m_jj makes bumps and dips. On samples without signal the efficiency must be the
same in all mass bins: tested here with the chi-squared and the likelihood ratio of a two-by-n contingency table (K.
Pearson 1900; S. Wilks 1935), generalised to weighted events and to pass weights between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import chi2

from analysis.core.fractions import fraction
from analysis.events.table import EventTable
from analysis.learning import PassWeights
from analysis.regions import MassWindow

__all__ = ["NonClosure", "Sculpting", "sculpting", "spectrum_sculpting"]

Array = NDArray[np.float64]
Spectrum = tuple[Array, Array]

MIN_EVENTS = 5.0
"""Bins are merged until this many (effective) events are expected to pass, and to fail."""


@dataclass(frozen=True)
class NonClosure:
    """Relative difference between the efficiencies of a window and of its sidebands.

    Attributes
    ----------
    value : float
        Efficiency in the window divided by the mean efficiency of the two sidebands, minus 1: the excess from the
        selection, relative to the background, if the sidebands are interpolated. Both sidebands have equal weight in
        the mean, so that an efficiency that is linear in m_jj closes for sidebands of equal width.
    error : float
        Binomial uncertainty, with weights.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Sculpting:
    """Efficiency of one selection against m_jj.

    Attributes
    ----------
    selection : str
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    efficiency, error : (n_bins,) float64
        Sum of passing weights divided by the sum of weights in each bin, and its uncertainty for a constant efficiency;
        NaN in empty bins.
    average : float
        Best-fit constant efficiency.
    chi2, likelihood_ratio : float
        Statistics of the test for equal efficiencies, after sparse bins were merged; they agree for many events.
    ndof : int
        Merged bins minus one; 0 with too few events for a test.
    p_value : float
        p-value of the chi-squared; 1 without a test.
    non_closure : NonClosure or None
        Non-closure of a window; None without a window, or if one of its intervals has no passing event.
    """

    selection: str
    edges: Array
    efficiency: Array
    error: Array
    average: float
    chi2: float
    likelihood_ratio: float
    ndof: int
    p_value: float
    non_closure: NonClosure | None = None


@dataclass(frozen=True)
class _Sums:
    """Sums over the events of each bin: weight, passing weight, squared weight."""

    weight: Array
    passing: Array
    squared: Array

    def merged(self, starts: NDArray[np.int64]) -> _Sums:
        return _Sums(*(np.add.reduceat(sums, starts) for sums in (self.weight, self.passing, self.squared)))


def sculpting(
    table: EventTable, passes: PassWeights, edges: Array, *, window: MassWindow | None = None
) -> tuple[Sculpting, ...]:
    """Measure and test every selection except the inclusive one.

    Parameters
    ----------
    table : EventTable
        Events of a sample without signal.
    passes : PassWeights
        Pass weights of these events, from out-of-fold scores; the edges must not include ranges with NaN scores.
    edges : (n_bins + 1,) float64
        Mass bins, GeV.
    window : MassWindow, optional
        Window for the non-closure.

    Returns
    -------
    tuple of Sculpting
        Ordered like the selections.
    """
    return tuple(
        _one(name, table, passes.values[:, index].astype(np.float64), edges, window)
        for index, name in enumerate(passes.names)
        if passes.efficiencies[index] != 1
    )


def spectrum_sculpting(name: str, edges: Array, everything: Spectrum, passing: Spectrum) -> Sculpting:
    """Measure and test one selection from histograms only, such as those from a blinded search.

    Parameters
    ----------
    name : str
        Name of the selection.
    edges : (n_bins + 1,) float64
        Mass bins, GeV.
    everything, passing : pair of (n_bins,) float64
        Sums of weights, and of squared weights, of all events and of passing events; zero in excluded bins.

    Returns
    -------
    Sculpting
        Identical to `sculpting` on the events if these have equal weights. Otherwise, the variance of the pass weights
        assumes that event weights do not depend on whether events pass.
    """
    (weight, squared), (passed, passed_squared) = everything, passing
    sums = _Sums(weight, passed, squared)
    average, norm = _average(sums), squared.sum()
    if norm <= 0 or weight.sum() <= 0:
        return _measured(name, edges, sums, 0.0)
    mean = passed.sum() / weight.sum()
    return _measured(name, edges, sums, passed_squared.sum() / norm - 2 * average * mean + average**2)


def _one(name: str, table: EventTable, passes: Array, edges: Array, window: MassWindow | None) -> Sculpting:
    mjj, weight = table.mjj, table.weight
    closure = None if window is None else _non_closure(mjj, weight, passes, window)
    inside = (mjj >= edges[0]) & (mjj < edges[-1])
    if not inside.all():  # else nothing is copied
        mjj, weight, passes = mjj[inside], weight[inside], passes[inside]
    sums = _sums(mjj, weight, passes, edges)
    return replace(_measured(name, edges, sums, _variance(weight, passes, _average(sums))), non_closure=closure)


def _measured(name: str, edges: Array, sums: _Sums, variance: float) -> Sculpting:
    average = _average(sums)
    filled = np.where(sums.weight != 0, sums.weight, np.nan)
    starts = _merge(sums, average)
    statistic = ratio = 0.0
    if len(starts) > 1:
        statistic, ratio = _statistics(sums.merged(starts), variance)
    ndof = max(len(starts) - 1, 0)
    return Sculpting(
        selection=name,
        edges=edges,
        efficiency=sums.passing / filled,
        error=np.sqrt(variance * sums.squared) / np.abs(filled),
        average=average,
        chi2=statistic,
        likelihood_ratio=ratio,
        ndof=ndof,
        p_value=float(chi2.sf(statistic, ndof)) if ndof else 1.0,
    )


def _sums(mjj: Array, weight: Array, passes: Array, edges: Array) -> _Sums:
    def summed(content: Array) -> Array:
        return np.histogram(mjj, edges, weights=content)[0].astype(np.float64)

    return _Sums(summed(weight), summed(weight * passes), summed(weight**2))


def _average(sums: _Sums) -> float:
    """Minimise the chi-squared: for events of weight 1, passing events over all events."""
    filled = sums.squared > 0
    weight, passing, squared = sums.weight[filled], sums.passing[filled], sums.squared[filled]
    norm = (weight**2 / squared).sum()
    return float((weight * passing / squared).sum() / norm) if norm > 0 else 0.0


def _variance(weight: Array, passes: Array, average: float) -> float:
    """Variance of the pass weight of one event: p (1 - p) if events pass or fail, less if members vote."""
    norm = (weight**2).sum()
    return float((weight**2 * (passes - average) ** 2).sum() / norm) if norm > 0 else 0.0


def _merge(sums: _Sums, average: float) -> NDArray[np.int64]:
    """Start bins of groups with enough events, independent of how many events pass in each bin."""
    rare = min(average, 1 - average)
    starts, first = [], 0
    for last in range(1, len(sums.weight) + 1):
        weight, squared = sums.weight[first:last].sum(), sums.squared[first:last].sum()
        if weight > 0 and rare * weight**2 >= MIN_EVENTS * squared:
            starts.append(first)
            first = last
    return np.array(starts, np.int64)


def _statistics(sums: _Sums, variance: float) -> tuple[float, float]:
    average = _average(sums)
    if variance <= 0:
        return 0.0, 0.0
    terms = (sums.passing - average * sums.weight) ** 2 / (variance * sums.squared)
    # Scaled so that the number of binomial trials of a bin matches its variance.
    scale = sums.weight / sums.squared * (average * (1 - average) / variance)
    fraction = np.clip(sums.passing / sums.weight, 0, 1)
    log_ratio = xlogy(fraction, fraction / average) + xlogy(1 - fraction, (1 - fraction) / (1 - average))
    return float(terms.sum()), float((2 * scale * sums.weight * log_ratio).sum())


def _non_closure(mjj: Array, weight: Array, passes: Array, window: MassWindow) -> NonClosure | None:
    masks = (window.in_signal(mjj), window.in_lower(mjj), window.in_upper(mjj))
    measured = [_efficiency(weight[mask], passes[mask]) for mask in masks]
    if not all(value > 0 for value, _ in measured):
        return None
    (signal, signal_error), (lower, lower_error), (upper, upper_error) = measured
    beside, beside_error = (lower + upper) / 2, np.hypot(lower_error, upper_error) / 2
    ratio = signal / beside
    return NonClosure(ratio - 1, float(ratio * np.hypot(signal_error / signal, beside_error / beside)))


def _efficiency(weight: Array, passes: Array) -> tuple[float, float]:
    total = weight.sum()
    if total <= 0:
        return 0.0, 0.0
    value = fraction(float((weight * passes).sum()), float(total))
    return value, float(np.sqrt(_variance(weight, passes, value) * (weight**2).sum()) / total)
