"""Gaussian process: dijet3 times the exponential of a smooth random function of ln m.

The idea is that of M. Frate, K. Cranmer, S. Kalia, A. Vandenberg-Rodes and D. Whiteson, arXiv:1709.05681, whose kernel
has a length that grows linearly with the mass. Here the length is proportional to the mass, so that the kernel in ln m
is the squared exponential

    K(m, m') = A^2 exp(-(ln m - ln m')^2 / (2 L^2)),

and the mean, dijet3, is fitted with the process. A and L are fixed, not fitted: a length that follows the sidebands
would let their fluctuations decide about the freedom in the window. The process is the sum of the eigenfunctions of the
kernel over the fitted range with weights of unit Gaussian prior (Karhunen-Loeve), which makes ln f linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.background.bins import Sidebands
from analysis.background.functions import FUNCTIONS, AdaptedFunction, MassFunction, Term, register_function

__all__ = ["AMPLITUDE", "GAUSSIAN_PROCESS", "LENGTH", "kernel"]

Array = NDArray[np.float64]

AMPLITUDE = 0.2
"""Standard deviation of ln f about dijet3."""

LENGTH = 0.3
"""Correlation length in ln m, wider than the masks of a search: windows are 10 % of their mass."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_LEAST = 1e-3
"""Eigenfunctions whose standard deviation is below this, relative to the first, are left out."""


def kernel(log_m: Array, other: Array) -> Array:
    """(n, n_other): covariance of ln f at masses whose logarithms are (n,) and (n_other,)."""
    distance = (log_m[:, None] - other) / LENGTH
    covariance: Array = AMPLITUDE**2 * np.exp(-(distance**2) / 2)
    return covariance


@dataclass(frozen=True, eq=False)
class _Eigenfunction:
    """Eigenfunction times its standard deviation, by the Nystrom formula from its values at quadrature nodes."""

    nodes: Array
    values: Array

    def __call__(self, x: Array) -> Array:
        value: Array = (kernel(np.log(x).ravel(), self.nodes) @ self.values).reshape(x.shape)
        return value


@cache
def _between(low: float, high: float) -> MassFunction:
    """Gaussian process between two values of x."""
    middle, half = np.log(high * low) / 2, np.log(high / low) / 2
    nodes, root = middle + half * _NODES, np.sqrt(half * _WEIGHTS)
    sizes, vectors = np.linalg.eigh(kernel(nodes, nodes) * root[:, None] * root)
    kept = np.flatnonzero(sizes > _LEAST**2 * sizes[-1])[::-1]
    values = vectors[:, kept] * root[:, None] / np.sqrt(sizes[kept])
    mean = FUNCTIONS["dijet3"].terms
    terms: tuple[Term, ...] = (*mean, *(_Eigenfunction(nodes, column) for column in values.T))
    return MassFunction(_NAME, terms, _FORMULA, precision=(*(0.0 for _ in mean), *(1.0 for _ in kept)))


def _adapted(data: Sidebands, sqrt_s_gev: float) -> MassFunction:
    return _between(float(data.low[0]) / sqrt_s_gev, float(data.high[-1]) / sqrt_s_gev)


_NAME = "gaussian-process"
_FORMULA = "p0 (1-x)^p1 / x^p2 exp(p3 g1(ln m) + p4 g2(ln m) + ...), eigenfunctions g of the kernel"
GAUSSIAN_PROCESS = AdaptedFunction(_NAME, (), _FORMULA, n_free=3, adapt=_adapted)
register_function(GAUSSIAN_PROCESS)
