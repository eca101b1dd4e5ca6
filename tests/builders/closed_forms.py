"""The counting experiment Pois(n | b + theta + mu) Gauss(a | theta, sigma) with numpy and scipy alone.

Independent of pyhf: the profiled nuisance solves a quadratic equation, the asymptotic formulae are those of Cowan,
Cranmer, Gross, Vitells, arXiv:1007.1727.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, poisson

__all__ = ["asymptotic_limits", "poisson_limit", "signed_z"]

_BACKGROUND_FLOOR = 1e-3
"""A background cannot be negative: it stays above this fraction of its expectation."""


def signed_z(n: float, b: float, sigma: float) -> float:
    """Significance by the closed form of Eq. 2.6 of arXiv:2009.02205, negative for a deficit."""
    theta = (-(b + sigma**2) + np.sqrt((b + sigma**2) ** 2 - 4 * sigma**2 * (b - n))) / 2
    saturated = n * np.log(n) - n if n > 0 else 0.0
    rate = b + theta
    null = (n * np.log(rate) if n > 0 else 0.0) - rate - theta**2 / (2 * sigma**2)
    return float(np.sign(n - b) * np.sqrt(max(2 * (saturated - null), 0.0)))


def _profiled_theta(n: float, a: float, mu: float, b: float, sigma: float) -> float:
    # d/dtheta: the rate r = b + theta + mu solves r^2 - (b + mu + a - sigma^2) r - sigma^2 n = 0.
    half = (b + mu + a - sigma**2) / 2
    root = np.sqrt(half**2 + sigma**2 * n)
    rate = half + root if half >= 0 else sigma**2 * n / (root - half)
    return max(rate - b - mu, -(1 - _BACKGROUND_FLOOR) * b)


def _twice_nll(n: float, a: float, mu: float, theta: float, b: float, sigma: float) -> float:
    rate = b + theta + mu
    return 2 * (rate - (n * np.log(rate) if n > 0 else 0.0)) + ((theta - a) / sigma) ** 2


def _q_tilde(mu: float, n: float, a: float, b: float, sigma: float) -> float:
    best = n - b - a
    if best >= mu:
        return 0.0
    best = max(best, 0.0)
    free = _twice_nll(n, a, best, a if best > 0 else _profiled_theta(n, a, 0.0, b, sigma), b, sigma)
    return max(_twice_nll(n, a, mu, _profiled_theta(n, a, mu, b, sigma), b, sigma) - free, 0.0)


def asymptotic_limits(n: float, b: float, sigma: float, level: float) -> list[float]:
    """Observed CLs limit in events, then the expected ones at -2 ... 2 standard deviations.

    The Asimov data follow the background with its nuisance profiled on the observed count.
    """
    theta = _profiled_theta(n, 0.0, 0.0, b, sigma)

    def observed(mu: float) -> float:
        q, q_asimov = _q_tilde(mu, n, 0.0, b, sigma), _q_tilde(mu, b + theta, theta, b, sigma)
        root = np.sqrt(q_asimov)
        if q <= q_asimov:
            return float(norm.sf(np.sqrt(q)) / norm.sf(np.sqrt(q) - root))
        return float(norm.sf((q + q_asimov) / (2 * root)) / norm.sf((q - q_asimov) / (2 * root)))

    def expected(mu: float, n_sigma: int) -> float:
        root = np.sqrt(_q_tilde(mu, b + theta, theta, b, sigma))
        return float(norm.sf(root - n_sigma) / norm.sf(-n_sigma))

    high = 10 * (abs(n - b) + 10 * np.hypot(np.sqrt(b), sigma) + 10)
    bands = [brentq(lambda mu, k=k: expected(mu, k) - level, 1e-6 * high, high) for k in (-2, -1, 0, 1, 2)]
    return [brentq(lambda mu: observed(mu) - level, 1e-6 * high, high), *bands]


def poisson_limit(n: int, b: float, level: float = 0.05) -> float:
    """Exact CLs limit for a known background: P(<= n | b + s) / P(<= n | b) = level."""
    return float(brentq(lambda s: poisson.cdf(n, b + s) / poisson.cdf(n, b) - level, 0, 20 + 10 * n))
