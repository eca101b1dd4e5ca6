"""A dijet spectrum with known truth, from scipy's quadrature."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate

from analysis.background import FUNCTIONS, BackgroundFit, choose_order, fit_background
from tests.builders.toy_tables import SQRT_S, dijet_density

Array = NDArray[np.float64]

EDGES = np.arange(3000.0, 6501.0, 100.0)
MASK = (3200.0, 3800.0)
MASKED = (EDGES[:-1] >= MASK[0]) & (EDGES[1:] <= MASK[1])
NARROW = (3333.0, 3711.0)  # inside the mask, off the grid
TRUTH = (9.0, 5.0)
CURVED = (9.0, -7.0, -4.0)  # as steep, with curvature in ln x
FAMILY = ("dijet2", "dijet3", "dijet4", "dijet5")
DIJET = FAMILY


def quad(low: float, high: float, parameters: Sequence[float]) -> float:
    return float(integrate.quad(dijet_density, low, high, args=tuple(parameters), epsabs=0, epsrel=1e-12)[0])


def expectation(n_events: float, parameters: Sequence[float] = TRUTH, edges: Array = EDGES) -> Array:
    """Bin contents of a dijet density."""
    bins = np.array([quad(a, b, parameters) for a, b in itertools.pairwise(edges)])
    return n_events * bins / bins.sum()


def fit(
    counts: Array, name: str = "dijet3", mask: Any = MASK, edges: Array = EDGES, variances: Array | None = None
) -> BackgroundFit:
    return fit_background(counts, edges, FUNCTIONS[name], mask=mask, sqrt_s_gev=SQRT_S, variances=variances)


def asimov(counts: Array, name: str = "dijet3") -> BackgroundFit:
    """Fit expectations, which are not whole, as if they had been counted."""
    return fit(counts, name, variances=counts)


def choose(
    counts: Array, functions: Sequence[str], alpha: float = 0.05, strategy: str = "likelihood-ratio", **options: Any
) -> BackgroundFit:
    options = {"mask": MASK, "sqrt_s_gev": SQRT_S} | options
    return choose_order(counts, EDGES, functions=functions, alpha=alpha, strategy=strategy, **options)


def toys(n_toys: int, n_events: float, parameters: Sequence[float] = TRUTH, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return rng.poisson(expectation(n_events, parameters), (n_toys, len(EDGES) - 1)).astype(float)


def integral(result: BackgroundFit, low: float, high: float) -> tuple[float, float]:
    """Integral of the fitted curve, and its error."""
    value, covariance = result.expected(np.array([low, high]))
    return float(value[0]), float(np.sqrt(covariance[0, 0]))
