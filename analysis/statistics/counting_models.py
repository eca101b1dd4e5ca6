"""Likelihoods of one bin with a background known with finite precision, and their profiles in closed form.

Both are Pois(n | b(theta) + mu) Gauss(a | theta, 1), theta in standard deviations of the background.

"profile"
    b(theta) = b exp(s theta), log-normal. The profile likelihood of a sideband fit, as a function of ln b, is close to
    a parabola up to five standard deviations, because the rates of the fitted functions are exponentials of their
    coefficients: see `analysis.background.profile`, which chooses s.
"gaussian"
    b(theta) = b + sigma theta, above a floor: Eq. 2.6 of arXiv:2009.02205. A background far above its estimate is less
    probable than in the fit, so that large excesses come out too significant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.errors import StatisticsError

__all__ = [
    "LIKELIHOODS",
    "CountingModel",
    "GaussianCounting",
    "LogNormalCounting",
    "counting_z",
    "log_error",
    "require_likelihood",
]

Array = NDArray[np.float64]

LIKELIHOODS = ("profile", "gaussian")

_NEWTON_STEPS = 12
_LARGEST_STEP = 2.0  # standard deviations


@dataclass(frozen=True)
class CountingModel(ABC):
    """One bin with one nuisance parameter.

    Attributes
    ----------
    n : float
        Observed events.
    auxiliary : float
        Auxiliary measurement of the nuisance parameter, in standard deviations.
    background : float
        Expected events at the nominal value.
    """

    n: float
    auxiliary: float
    background: float

    @property
    @abstractmethod
    def sigma(self) -> float:
        """One standard deviation of the background, events."""

    @abstractmethod
    def rate(self, pull: Array | float) -> Array:
        """Background at a nuisance parameter, events."""

    @abstractmethod
    def profiled(self, n: Array | float, a: Array | float, mu: float) -> Array:
        """Return the best-fit nuisance parameter for a signal of mu events."""

    def measured(self, a: Array | float) -> Array:
        """Nuisance parameter if the signal is free: the auxiliary measurement, within the bounds."""
        return np.asarray(a, np.float64)

    def twice_nll(self, n: Array | float, a: Array | float, mu: Array | float, pull: Array | float) -> Array:
        """Twice the negative log likelihood, up to terms of n only."""
        rate = np.maximum(self.rate(pull) + mu, 1e-18)
        value: Array = 2.0 * (rate - special.xlogy(n, rate)) + (np.asarray(pull) - a) ** 2
        return value

    def limit_root(self, n: Array | float, a: Array | float, mu: float) -> Array:
        """Square root of q-tilde at mu (arXiv:1007.1727, Eq. 16); rises with a, falls with n."""
        pull = self.measured(a)
        best = n - self.rate(pull)
        without = self.twice_nll(n, a, 0.0, self.profiled(n, a, 0.0))
        free = np.where(best > 0, self.twice_nll(n, a, np.maximum(best, 0.0), pull), without)
        q = self.twice_nll(n, a, mu, self.profiled(n, a, mu)) - free
        root: Array = np.where(best >= mu, 0.0, np.sqrt(np.maximum(q, 0.0)))
        return root

    def signed_z(self, n: Array | float, a: Array | float) -> Array:
        """Signed root of the discovery statistic; falls with a, rises with n."""
        pull = self.measured(a)
        best = n - self.rate(pull)
        q = self.twice_nll(n, a, 0.0, self.profiled(n, a, 0.0)) - self.twice_nll(n, a, best, pull)
        z: Array = np.sign(best) * np.sqrt(np.maximum(q, 0.0))
        return z


@dataclass(frozen=True)
class GaussianCounting(CountingModel):
    """Background linear in its nuisance parameter.

    Attributes
    ----------
    error : float
        One standard deviation, events.
    floor : float
        Lower bound of the background, events.
    """

    error: float
    floor: float = 1e-9

    @property
    def sigma(self) -> float:
        """One standard deviation of the background, events."""
        return self.error

    def rate(self, pull: Array | float) -> Array:
        """Background at a nuisance parameter, events."""
        return np.asarray(np.maximum(self.background + self.error * np.asarray(pull), self.floor))

    def measured(self, a: Array | float) -> Array:
        """Nuisance parameter if the signal is free."""
        return np.maximum(np.asarray(a, np.float64), self._lowest)

    def profiled(self, n: Array | float, a: Array | float, mu: float) -> Array:
        """Return the best-fit nuisance parameter: the rate solves a quadratic equation."""
        centre = self.background + mu + self.error * np.asarray(a)
        rate = _root_of_quadratic(centre, self.error**2, np.asarray(n, np.float64))
        pull: Array = np.maximum((rate - self.background - mu) / self.error, self._lowest)
        return pull

    @property
    def _lowest(self) -> float:
        return (self.floor - self.background) / self.error


@dataclass(frozen=True)
class LogNormalCounting(CountingModel):
    """Background exponential in its nuisance parameter.

    Attributes
    ----------
    log_error : float
        One standard deviation of the logarithm of the background.
    """

    log_error: float

    @property
    def sigma(self) -> float:
        """One standard deviation of the background, events."""
        return float(self.background * np.expm1(self.log_error))

    def rate(self, pull: Array | float) -> Array:
        """Background at a nuisance parameter, events."""
        return np.asarray(self.background * np.exp(np.clip(self.log_error * np.asarray(pull), -600.0, 600.0)))

    def profiled(self, n: Array | float, a: Array | float, mu: float) -> Array:
        """Return the best-fit nuisance parameter: Wright's omega function without signal, Newton steps with one."""
        n, a = np.asarray(n, np.float64), np.asarray(a, np.float64)
        pull = _profiled_log_normal(n, a, self.background, self.log_error)
        return pull if mu == 0 else self._with_signal(n, a, mu, pull)

    def _with_signal(self, n: Array, a: Array, mu: float, start: Array) -> Array:
        s = self.log_error
        # Between the auxiliary measurement and the fit without signal: less background than that is needed.
        pull = np.minimum(start, np.maximum(a, start))
        for _ in range(_NEWTON_STEPS):
            rate = self.rate(pull)
            total = rate + mu
            slope = s * rate * (1.0 - n / total) + pull - a
            # The curvature, with a term that may be negative left out far from the minimum.
            curvature = 1.0 + s**2 * rate * np.maximum(1.0 - n * mu / total**2, 0.0)
            step = np.clip(slope / curvature, -_LARGEST_STEP, _LARGEST_STEP)
            pull = pull - step
            if np.abs(step).max() < 1e-9:
                break
        return pull


def counting_z(n: Array, background: Array, error: Array, likelihood: str = "profile") -> Array:
    """Signed significance of counts over a background known with finite precision, in closed form.

    The profile likelihood ratio of the models of this module at mu = 0. Agrees with `discovery` on the workspace of the
    same numbers, without a minimiser.

    Parameters
    ----------
    n : float64 array
        Observed events.
    background, error : float64 array
        Expected events and their uncertainty, both positive.
    likelihood : str
        "profile" or "gaussian".

    Returns
    -------
    float64 array
        Negative for a deficit.
    """
    n, background, error = (np.asarray(value, np.float64) for value in (n, background, error))
    if require_likelihood(likelihood) == "gaussian":
        rate = _root_of_quadratic(background, error**2, n)
        distance = (rate - background) / error
    else:
        s = log_error(background, error)
        distance = _profiled_log_normal(n, np.zeros(()), background, s)
        rate = background * np.exp(s * distance)
    safe = np.where(n > 0, n, 1.0)
    logs = np.where(n > 0, np.log(safe / np.where(n > 0, rate, 1.0)), 0.0)
    q = 2 * (n * logs + rate - n) + distance**2
    z: Array = np.sign(n - background) * np.sqrt(np.maximum(q, 0.0))
    return z


def log_error(background: Array | float, error: Array | float) -> Array:
    """One standard deviation of the logarithm of a background whose upward error is `error`, both in events."""
    return np.asarray(np.log1p(np.asarray(error) / np.asarray(background)))


def require_likelihood(name: str) -> str:
    """Return the name of a likelihood.

    Raises
    ------
    StatisticsError
        If it is unknown.
    """
    if name not in LIKELIHOODS:
        msg = f"unknown likelihood '{name}' of the background. Likelihoods: {', '.join(LIKELIHOODS)}."
        raise StatisticsError(msg)
    return name


def _root_of_quadratic(centre: Array, variance: Array | float, n: Array) -> Array:
    """Rate r with r^2 - (centre - variance) r - variance n = 0; each of two equal forms keeps precision on one side."""
    half = (np.asarray(centre) - variance) / 2.0
    root = np.sqrt(half**2 + variance * n)
    return np.asarray(np.where(half >= 0, half + root, variance * n / np.maximum(root - half, 1e-300)))


def _profiled_log_normal(n: Array, a: Array, background: Array | float, s: Array | float) -> Array:
    """Minimum of 2 (b exp(s theta) - n s theta) + (theta - a)^2.

    With u = n s + a - theta the condition is s u exp(s u) = b s^2 exp(s (n s + a)), solved by Lambert's W function,
    here in the form that does not overflow.
    """
    furthest = n * np.asarray(s) + a
    exponent = np.log(np.asarray(background) * np.asarray(s) ** 2) + s * furthest
    return np.asarray(furthest - special.wrightomega(exponent) / s)
