"""Smooth spectrum of the dijet mass beside a window, for masses inside it that no event in the window has shaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["MassSpectrum", "fit_spectrum"]

Array = NDArray[np.float64]
Interval = tuple[float, float]

_N_POINTS = 400
_STEPS = 50
_LOOSE = 20.0
"""Width of a prior on both coefficients, which only matters with a handful of events."""


@dataclass(frozen=True)
class MassSpectrum:
    """Density exp(a t + b t²), t = ln m scaled to -1 ... 1 from the lowest to the highest mass that was fitted.

    Attributes
    ----------
    coefficients : (2,) float64
        a and b.
    span : (low, high)
        Lowest and highest mass, GeV.
    """

    coefficients: Array = field(repr=False)
    span: Interval

    def density(self, mass: Array) -> Array:
        """(n_masses,) float64: density in m_jj, not normalised, at masses in GeV."""
        value: Array = np.exp(_powers(mass, self.span) @ self.coefficients)
        return value

    def quantile(self, probability: Array, interval: Interval) -> Array:
        """Masses (GeV) at cumulative probabilities within an interval (GeV), both (n,) float64."""
        grid = np.linspace(*interval, _N_POINTS)
        density = self.density(grid)
        cumulative = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
        return np.interp(probability, cumulative / cumulative[-1], grid)


def fit_spectrum(mass: Array, weight: Array, intervals: Sequence[Interval]) -> MassSpectrum:
    """Fit by maximum likelihood, without bins, to the events in some intervals alone.

    Parameters
    ----------
    mass : (n_events,) float64
        GeV; events outside the intervals are ignored.
    weight : (n_events,) float64
        Non-negative.
    intervals : sequence of (low, high)
        Such as the two sidebands of a window, GeV.

    Returns
    -------
    MassSpectrum
    """
    inside = np.any([(mass >= low) & (mass < high) for low, high in intervals], axis=0)
    mass, weight = mass[inside], weight[inside]
    span = (min(low for low, _ in intervals), max(high for _, high in intervals))
    effective = weight.sum() ** 2 / (weight**2).sum()
    observed = weight @ _powers(mass, span) / weight.sum()
    nodes, widths = zip(*map(_nodes, intervals), strict=True)
    powers, width = _powers(np.concatenate(nodes), span), np.concatenate(widths)
    found = np.zeros(2)
    for _ in range(_STEPS):
        density = width * np.exp(powers @ found)
        density /= density.sum()
        mean = density @ powers
        spread = (powers - mean).T @ ((powers - mean) * density[:, None]) + np.eye(2) / (effective * _LOOSE**2)
        step = np.linalg.solve(spread, observed - mean - found / (effective * _LOOSE**2))
        found = found + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    return MassSpectrum(found, span)


def _powers(mass: Array, span: Interval) -> Array:
    low, high = np.log(span)
    t = (2 * np.log(mass) - low - high) / (high - low)
    return np.stack([t, t**2], axis=1)


def _nodes(interval: Interval) -> tuple[Array, Array]:
    """Midpoints and widths of fine bins, GeV."""
    edges = np.linspace(*interval, _N_POINTS + 1)
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)
