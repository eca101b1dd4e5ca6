"""The counting experiment Pois(n | b(theta) + mu) Gauss(a | theta, 1) with numpy and scipy alone.

b(theta) = b + sigma theta for the likelihood "gaussian", b (1 + sigma / b)^theta for "profile". Independent of pyhf:
the profiled nuisance is the root of the derivative, the asymptotic formulae are those of Cowan, Cranmer, Gross,
Vitells, arXiv:1007.1727.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, poisson

__all__ = ["asymptotic_limits", "poisson_limit", "quadrature", "signed_z"]

_BACKGROUND_FLOOR = 1e-3
"""A background cannot be negative: it stays above this fraction of its expectation."""


def quadrature(b: float, likelihood: str, *errors: float) -> float:
    """Error of a background with independent errors: they add in the logarithm where the background is log-normal."""
    if likelihood == "gaussian":
        return float(np.hypot.reduce(errors))
    return float(b * np.expm1(np.hypot.reduce(np.log1p(np.array(errors) / b))))


def signed_z(n: float, b: float, sigma: float, likelihood: str = "profile") -> float:
    """Significance of n, negative for a deficit."""
    if likelihood == "gaussian":  # Eq. 2.6 of arXiv:2009.02205, in closed form
        theta = (-(b + sigma**2) + np.sqrt((b + sigma**2) ** 2 - 4 * sigma**2 * (b - n))) / 2
        free = n * np.log(n) - n if n > 0 else 0.0
        held = (n * np.log(b + theta) if n > 0 else 0.0) - b - theta - theta**2 / (2 * sigma**2)
        return float(np.sign(n - b) * np.sqrt(max(2 * (free - held), 0.0)))
    one = _Counting(b, sigma, likelihood)
    saturated = 2 * (n - (n * np.log(n) if n > 0 else 0.0))
    null = one.twice_nll(n, 0.0, 0.0, one.profiled(n, 0.0, 0.0))
    return float(np.sign(n - b) * np.sqrt(max(null - saturated, 0.0)))


@dataclass(frozen=True)
class _Counting:
    b: float
    sigma: float
    likelihood: str

    def rate(self, theta: float) -> float:
        if self.likelihood == "gaussian":
            return self.b + self.sigma * theta
        return float(self.b * np.exp(np.log1p(self.sigma / self.b) * theta))

    def slope(self, theta: float) -> float:
        return self.sigma if self.likelihood == "gaussian" else float(np.log1p(self.sigma / self.b)) * self.rate(theta)

    @property
    def lowest(self) -> float:
        return -(1 - _BACKGROUND_FLOOR) * self.b / self.sigma if self.likelihood == "gaussian" else -400.0

    def profiled(self, n: float, a: float, mu: float) -> float:
        def derivative(theta: float) -> float:
            return (1 - n / max(self.rate(theta) + mu, 1e-300)) * self.slope(theta) + theta - a

        high = max(a, 0.0) + 1.0
        while derivative(high) < 0:
            high *= 2.0
        if derivative(self.lowest) > 0:
            return self.lowest
        return float(brentq(derivative, self.lowest, high, xtol=1e-13))

    def twice_nll(self, n: float, a: float, mu: float, theta: float) -> float:
        rate = self.rate(theta) + mu
        return 2 * (rate - (n * np.log(rate) if n > 0 else 0.0)) + (theta - a) ** 2

    def q_tilde(self, mu: float, n: float, a: float) -> float:
        best = n - self.rate(a)
        if best >= mu:
            return 0.0
        best = max(best, 0.0)
        free = self.twice_nll(n, a, best, a if best > 0 else self.profiled(n, a, 0.0))
        return max(self.twice_nll(n, a, mu, self.profiled(n, a, mu)) - free, 0.0)


def asymptotic_limits(n: float, b: float, sigma: float, level: float, likelihood: str = "profile") -> list[float]:
    """Observed CLs limit in events, then the expected ones at -2 ... 2 standard deviations.

    The Asimov data follow the background with its nuisance profiled on the observed count.
    """
    one = _Counting(b, sigma, likelihood)
    theta = one.profiled(n, 0.0, 0.0)

    def observed(mu: float) -> float:
        q, q_asimov = one.q_tilde(mu, n, 0.0), one.q_tilde(mu, one.rate(theta), theta)
        root = np.sqrt(q_asimov)
        if q <= q_asimov:
            return float(norm.sf(np.sqrt(q)) / norm.sf(np.sqrt(q) - root))
        return float(norm.sf((q + q_asimov) / (2 * root)) / norm.sf((q - q_asimov) / (2 * root)))

    def expected(mu: float, n_sigma: int) -> float:
        root = np.sqrt(one.q_tilde(mu, one.rate(theta), theta))
        return float(norm.sf(root - n_sigma) / norm.sf(-n_sigma))

    high = 10 * (abs(n - b) + 10 * np.hypot(np.sqrt(b), sigma) + 10)
    bands = [brentq(lambda mu, k=k: expected(mu, k) - level, 1e-6 * high, high) for k in (-2, -1, 0, 1, 2)]
    return [brentq(lambda mu: observed(mu) - level, 1e-6 * high, high), *bands]


def poisson_limit(n: int, b: float, level: float = 0.05) -> float:
    """Exact CLs limit for a known background: P(<= n | b + s) / P(<= n | b) = level."""
    return float(brentq(lambda s: poisson.cdf(n, b + s) / poisson.cdf(n, b) - level, 0, 20 + 10 * n))
