"""Smooth m_jj spectrum of the background in a window, fitted beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["WindowSpectrum", "fit_spectrum"]

_POINTS = 401
_STEPS = 50
_RIDGE = 1e-9
"""Keeps a step finite where all events have one mass."""


@dataclass(frozen=True)
class WindowSpectrum:
    """Spectrum in a window.

    Attributes
    ----------
    grid : (n_points,) float64
        Masses, GeV.
    cumulative : (n_points,) float64
        Fraction of the window below each of them.
    """

    grid: NDArray[np.float64]
    cumulative: NDArray[np.float64]

    def quantiles(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_levels,) float64: masses, GeV, below which these fractions of the window are."""
        return np.interp(levels, self.cumulative, self.grid)


def fit_spectrum(
    mjj: NDArray[np.float64],
    weight: NDArray[np.float64],
    sides: tuple[tuple[float, float], tuple[float, float]],
    window: tuple[float, float],
) -> WindowSpectrum:
    """Fit exp(a t + b t²), t being a linear function of m_jj, to the sidebands by maximum likelihood.

    Nothing inside the window is read.

    Parameters
    ----------
    mjj : (n_rows,) float64
        Masses in the sidebands, GeV.
    weight : (n_rows,) float64
        Positive.
    sides : two (low, high)
        Sidebands, GeV.
    window : (low, high)
        GeV.
    """
    centre, scale = sum(window) / 2, (sides[1][1] - sides[0][0]) / 2
    middles = [low + (high - low) * (np.arange(_POINTS) + 0.5) / _POINTS for low, high in sides]
    cells = np.repeat([high - low for low, high in sides], _POINTS)
    terms = _terms((np.concatenate(middles) - centre) / scale)
    target = weight @ _terms((mjj - centre) / scale) / weight.sum()
    found = np.zeros(2)
    for _ in range(_STEPS):
        density = np.exp(terms @ found - (terms @ found).max()) * cells
        density /= density.sum()
        mean = density @ terms
        spread = (terms - mean).T @ (density[:, None] * (terms - mean))
        step = np.linalg.solve(spread + _RIDGE * np.eye(2), target - mean)
        found = found + step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    grid = np.linspace(*window, _POINTS)
    logarithm = _terms((grid - centre) / scale) @ found
    height = np.exp(logarithm - logarithm.max())
    cumulative = np.concatenate([[0.0], np.cumsum((height[1:] + height[:-1]) / 2)])
    return WindowSpectrum(grid, cumulative / cumulative[-1])


def _terms(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([t, t**2], axis=1)
