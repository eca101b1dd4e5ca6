"""Sum of two power laws, with or without the turn-on of a trigger: functions that are not log-linear.

Their likelihood is maximised with the damped steps of K. Levenberg, Q. Appl. Math. 2 (1944) 164, and D. Marquardt, J.
SIAM 11 (1963) 431, from several starting points at once. The result is a log-linear function of the same name: the
logarithm of the best curve, plus the derivatives in the parameters times their distance from the best values. Errors,
profile likelihoods and toys are those of this expansion.

Two positive power laws bend the spectrum up. Dijet spectra bend down: the second power law may be subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.background.bins import Sidebands
from analysis.background.functions import AdaptedFunction, MassFunction, register_function
from analysis.background.likelihood import deviance_of, gradient_of, quadrature
from analysis.errors import FitError

__all__ = ["POWER_LAWS", "POWER_LAWS_4"]

Array = NDArray[np.float64]

_MAX_STEPS, _ENOUGH_STEPS = 200, 12
"""Steps at most, and after which a start that is ahead of the others and has converged is taken."""
_CONVERGED = 1e-6
"""Distance to the minimum, in units of the deviance; the Newton steps of the expansion remove it."""
_DETERMINED = 1e-9
"""Smallest eigenvalue of the correlation matrix of the scores with which the bins determine all parameters."""
_DAMPING, _MAX_DAMPING = 1e-3, 1e10
_BENT_UP = ((3.0, 0.0), (3.0, 3.0), (3.0, -3.0))
"""Values of p2 and p3 at which the search starts, besides the bend of the spectrum: from these f is positive."""
_MAX_LOG = 600.0
_SERIES = 1e-6


class _Curve(NamedTuple):
    """Logarithm of f and its derivatives in the parameters of the formula: ln p0, p1, p2, ...

    Attributes
    ----------
    value : (...) float64
    terms : tuple of (...) float64
        Without that of ln p0, which is one.
    """

    value: Array
    terms: tuple[Array, ...]


def _two_powers(log_y: Array, p1: Array, p2: Array, p3: Array) -> _Curve:
    square = p2 + p3**2
    d = np.sqrt(square.astype(complex))
    near = abs(square) * log_y**2 < _SERIES
    safe = np.where(near, 1.0, d)
    even = np.cosh(d * log_y).real
    odd = np.where(near, log_y, (np.sinh(safe * log_y) / safe).real)
    odd_slope = np.where(near, log_y**3 / 6, (log_y * even - odd) / (2 * (safe**2).real))
    total = even + p3 * odd
    slope = (log_y * odd / 2 + p3 * odd_slope) / total  # of ln total in d^2
    value = np.log(total) - (p1 + p3) * log_y
    return _Curve(value, (-log_y * np.ones_like(total), slope, odd / total + 2 * p3 * slope - log_y))


def _turn_on(mass: Array, p4: Array, p5: Array) -> _Curve:
    at = (mass - p4) / p5
    value = special.log_ndtr(at)
    slope = np.exp(-(at**2) / 2 - value) / np.sqrt(2 * np.pi)
    return _Curve(value, (-slope / p5, -at * slope / p5))


def _curve(mass: Array, reference: float, values: Array) -> _Curve:
    """Evaluate at masses for `values` (n_parameters, ...), the first of which, ln p0, is left out."""
    powers = _two_powers(np.log(mass / reference), values[1], values[2], values[3])
    if len(values) == 4:
        return powers
    turn_on = _turn_on(mass, values[4], values[5])
    return _Curve(powers.value + turn_on.value, powers.terms + turn_on.terms)


@dataclass(frozen=True)
class _Part:
    """Logarithm of the best curve without p0 (index 0), or its derivative in the parameter of an index."""

    index: int
    values: tuple[float, ...]
    reference: float
    sqrt_s_gev: float

    def __call__(self, x: Array) -> Array:
        curve = _curve(x * self.sqrt_s_gev, self.reference, np.array(self.values))
        return curve.terms[self.index - 1] if self.index else curve.value + self.values[0]


def _adapted(formula: str, name: str, n_parameters: int, data: Sidebands, sqrt_s_gev: float) -> MassFunction:
    reference = float(np.sqrt(data.low[0] * data.high[-1]))
    values = _best(name, n_parameters, data, reference)
    parts = [_Part(index, values, reference, sqrt_s_gev) for index in range(n_parameters)]
    return MassFunction(name, tuple(parts[1:]), formula, offset=parts[0], centre=values)


def _best(name: str, n_parameters: int, data: Sidebands, reference: float) -> tuple[float, ...]:
    """Parameters with the largest likelihood."""
    mass, weight = quadrature(data.low, data.high)

    def evaluate(points: Array) -> tuple[Array, Array, Array]:
        values = points.T[..., None, None]
        curve = _curve(mass, reference, values)
        events = np.exp(np.minimum(curve.value + values[0], _MAX_LOG)) * weight
        expected = events.sum(axis=-1)
        jacobian = np.stack([expected, *((events * term).sum(axis=-1) for term in curve.terms)], axis=-1)
        return deviance_of(data.observed, expected, data.scale), expected, jacobian

    with np.errstate(all="ignore"):
        points, valid, deviance = _descend(evaluate, _starts(data, n_parameters, reference), data)
    if not valid.any():
        other = ", as power-laws4 where no turn-on is visible" if n_parameters > POWER_LAWS_4.n_free else ""
        msg = (
            f"the fit of {name} to {data.low[0]:g}-{data.high[-1]:g} GeV ({len(data.low)} bins, "
            f"{data.observed.sum():g} events) found no valid minimum: the bins do not determine its {n_parameters} "
            "parameters, or it does not describe them where it is positive. Use another function"
            f"{other}, or another fit range."
        )
        raise FitError(msg)
    best: tuple[float, ...] = tuple(points[np.argmin(np.where(valid, deviance, np.inf))].tolist())
    return best


def _starts(data: Sidebands, n_parameters: int, reference: float) -> Array:
    """(n_starts, n_parameters): parameters with slope and bend of the spectrum in ln f over ln m."""
    centre, width = (data.low + data.high) / 2, data.high - data.low
    density = np.maximum(data.observed, 0.5 / data.scale) / width
    turn_on: tuple[float, ...] = ()
    falling = slice(0, None)
    if n_parameters > POWER_LAWS_4.n_free:
        peak = min(int(np.argmax(density)), len(density) - 4)
        falling = slice(peak, None)
        half = centre[: peak + 1][density[: peak + 1] <= density[peak] / 2]
        middle = float(half[-1]) if len(half) else float(data.low[0] - width[0])
        turn_on = (middle, max(float(centre[peak] - middle) / 2, float(width[0])))
    weight = np.sqrt(data.observed * data.scale + 1.0)[falling]
    log_y = np.log(centre / reference)
    bend, slope, constant = np.polyfit(log_y[falling], np.log(density[falling]), 2, w=weight)
    return np.array([[constant, -slope, p2, p3, *turn_on] for p2, p3 in ((2 * float(bend), 0.0), *_BENT_UP)])


def _descend(
    evaluate: Callable[[Array], tuple[Array, Array, Array]], points: Array, data: Sidebands
) -> tuple[Array, NDArray[np.bool_], Array]:
    """Minimise the deviance from starting points (n_starts, n_parameters); return points, whether valid, deviance."""
    damping = np.full(len(points), _DAMPING)
    deviance, expected, jacobian = evaluate(points)
    for number in range(_MAX_STEPS):
        slope = gradient_of(data.observed, expected, jacobian, data.scale) / 2
        information = np.matmul((jacobian * (data.scale / expected)[..., None]).transpose(0, 2, 1), jacobian)
        unit = 1.0 / np.sqrt(np.einsum("tpp->tp", information))
        scaled, gradient = information * unit[:, :, None] * unit[:, None, :], slope * unit
        usable = np.isfinite(scaled).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
        scaled[~usable], gradient[~usable] = np.eye(points.shape[1]), 0.0
        size, vectors = np.linalg.eigh(scaled)
        along = np.einsum("tpk,tp->tk", vectors, gradient)
        converged = (along**2 / np.maximum(size, _DETERMINED)).sum(axis=1) < _CONVERGED
        best = int(np.argmin(np.where(usable, deviance, np.inf)))
        if (converged | ~usable | (damping > _MAX_DAMPING)).all() or (number >= _ENOUGH_STEPS and converged[best]):
            break
        step = np.einsum("tpk,tk->tp", vectors, along / (size + damping[:, None])) * unit
        trial = points - np.where(usable[:, None], step, 0.0)
        found = evaluate(trial)
        better = found[0] <= deviance
        points = np.where(better[:, None], trial, points)
        deviance = np.where(better, found[0], deviance)
        expected = np.where(better[:, None], found[1], expected)
        jacobian = np.where(better[:, None, None], found[2], jacobian)
        damping = np.where(better, damping / 10, damping * 4)
    return points, usable & converged & (size[:, 0] > _DETERMINED), deviance


def _function(name: str, formula: str, n_parameters: int) -> AdaptedFunction:
    adapt = partial(_adapted, formula, name, n_parameters)
    function = AdaptedFunction(name, (), formula, n_free=n_parameters, adapt=adapt)
    register_function(function)
    return function


_FORMULA = "p0 y^(-p1 - p3) (cosh(d ln y) + p3 sinh(d ln y) / d), d^2 = p2 + p3^2, y = m / m0"
POWER_LAWS_4 = _function("power-laws4", _FORMULA, 4)
POWER_LAWS = _function("power-laws", f"{_FORMULA}, times (1 + erf((m - p4) / (sqrt(2) p5))) / 2", 6)
