"""Pseudo-experiments of any workspace, fitted together.

They follow pyhf's ToyCalculator: nuisance parameters at their conditional best fit to the observed data, counts and
auxiliary data drawn around them. All signal strengths share the same random numbers: a limit is reproducible, and
p-values fall smoothly with the signal. Toys of both hypotheses are combined, each weighted with its density under the
tested hypothesis divided by the mean of both densities: the p-value of a deficit, which few toys with signal reach,
comes from toys without signal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from analysis.statistics.asymptotics import BANDS, asymptotic_limits, fit_reference
from analysis.statistics.crossings import crossings
from analysis.statistics.likelihood import Fits, Likelihood

__all__ = ["Toys", "signed_roots", "toy_limits", "toy_p0"]

Array = NDArray[np.float64]

_EQUAL = 1e-2  # test-statistic distance below which outcomes count as equal, as in `counting`
_TOLERANCE = 2e-2


class Toys:
    """Pseudo-experiments of a likelihood.

    Parameters
    ----------
    likelihood : Likelihood
    n_toys : int
        Number for each hypothesis.
    random_state : int or numpy.random.Generator
    """

    def __init__(self, likelihood: Likelihood, n_toys: int, *, random_state: int | np.random.Generator) -> None:
        rng = np.random.default_rng(random_state)
        shape = (n_toys, len(likelihood.data))
        self._likelihood = likelihood
        self._uniform: tuple[Array, Array] = (rng.random(shape), rng.random(shape))
        self._observed = fit_reference(likelihood, likelihood.data[None])
        self.background: Array = likelihood.draw(self._observed.null.parameters[0], self._uniform[0])
        self._background_fits = self._fit(self.background)

    def p_values(self, mu: float) -> Array:
        """(6, 2) float64: CLs+b and CLb of the observation, and of background-only data at -2 ... 2 deviations."""
        likelihood, null = self._likelihood, self._observed.null
        held = likelihood.fit(likelihood.data[None], np.array([mu]), start=self._observed.free.parameters)
        signal = likelihood.draw(held.parameters[0], self._uniform[1])
        without = self._q(self.background, mu, self._background_fits)
        q = np.concatenate([without, self._q(signal, mu, self._fit(signal))])
        data = np.concatenate([self.background, signal])
        twice_nll = [
            likelihood.evaluate(np.repeat(point, len(data), axis=0), data)[0]
            for point in (held.parameters, null.parameters)
        ]
        with_signal = 2.0 * special.expit((twice_nll[1] - twice_nll[0]) / 2.0)
        bands = np.quantile(without, stats.norm.sf(BANDS), method="higher")
        values = [_q(held.twice_nll, self._observed.free, mu, likelihood.poi)[0], *bands]
        return np.array([[_tail(q, value, weight) for weight in (with_signal, 2.0 - with_signal)] for value in values])

    def _fit(self, data: Array) -> Fits:
        return self._likelihood.fit(data)

    def _q(self, data: Array, mu: float, free: Fits) -> Array:
        held = self._likelihood.fit(data, np.full(len(data), mu), start=free.parameters)
        return _q(held.twice_nll, free, mu, self._likelihood.poi)


def toy_limits(
    likelihood: Likelihood,
    *,
    level: float,
    n_toys: int,
    random_state: int | np.random.Generator,
    cls: bool = True,
) -> Array:
    """Observed limit, then the expected limits at -2 ... 2 standard deviations, in units of the signal strength.

    Parameters
    ----------
    likelihood : Likelihood
    level : float
    n_toys : int
        Number for each hypothesis; with 2,000 a limit at level 0.05 is accurate to about 3 %.
    random_state : int or numpy.random.Generator
    cls : bool
        Whether to divide by CLb.

    Returns
    -------
    (6,) float64
    """
    toys = Toys(likelihood, n_toys, random_state=random_state)

    def function(points: Array) -> Array:
        values = np.maximum(np.array([toys.p_values(mu) for mu in points]), 0.5 / n_toys)
        p = values[:, :, 0] / values[:, :, 1] if cls else values[:, :, 0]
        return np.asarray(np.log(p / level))

    start = asymptotic_limits(likelihood, level=level)
    return crossings(function, start[start > 0], tolerance=_TOLERANCE)


def signed_roots(likelihood: Likelihood, data: Array) -> Array:
    """Signed root of the discovery statistic of data sets (n_rows, n_data): negative for a deficit."""
    null = likelihood.fit(data, np.zeros(len(data)))
    free = likelihood.fit(data, start=null.parameters, lowest_mu=likelihood.lowest_mu)
    q = np.maximum(null.twice_nll - free.twice_nll, 0.0)
    return np.asarray(np.where(free.parameters[:, likelihood.poi] >= 0, 1.0, -1.0) * np.sqrt(q))


def toy_p0(likelihood: Likelihood, *, n_toys: int, random_state: int | np.random.Generator) -> float:
    """Fraction of background-only toys with at least the observed discovery statistic, including the observation."""
    rng = np.random.default_rng(random_state)
    null = likelihood.fit(likelihood.data[None], np.zeros(1))
    toys = likelihood.draw(null.parameters[0], rng.random((n_toys, len(likelihood.data))))
    z = signed_roots(likelihood, np.concatenate([likelihood.data[None], toys]))
    q = np.sign(z) * z**2
    return float((1 + (q[1:] >= q[0] - _EQUAL).sum()) / (1 + n_toys))


def _q(held: Array, free: Fits, mu: float, poi: int) -> Array:
    q = np.maximum(held - free.twice_nll, 0.0)
    q[free.parameters[:, poi] > mu] = 0.0
    return q


def _tail(q: Array, value: float, weight: Array) -> float:
    return min(1.0, float((weight * (q >= value - _EQUAL)).mean()))
