"""Expected data of pyhf's model as a few matrix products, for models of the required form.

With `histosys`, `normsys` and `lumi` the expectation is background(theta) + mu f(theta) signal(theta): background and
signal are linear in the nuisance parameters, f is a product of one function of each, and each bin of the background may
be multiplied by an exponential of them, the symmetric `normsys`. The components are extracted
from pyhf's own expectation and then compared with it at random points: if they do not agree, pyhf is used instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

__all__ = ["Factor", "Rates", "recognise"]

Array = NDArray[np.float64]

_PROBES = 24
_REACH = 4.0  # standard deviations
_DEGREE = 6  # degree of normsys inside one standard deviation, pyhf's interpolation code 4
_AGREES = 1e-9
_AGREES_LOGS = 1e-5  # pyhf's interpolation of normsys and an exponential differ by this if the log of the factor is 1
_ROUNDING = 1e-13
_LARGEST_LOG = 600.0


@dataclass(frozen=True)
class Factor:
    """Factor of one parameter on the whole signal.

    Attributes
    ----------
    index : int
        Index of the parameter.
    polynomial : (n,) float64
        Coefficients in the distance from the nominal value, the constant first.
    logs : (low, high) or None
        Logarithms of the factor at -1 and +1, with exponential extrapolation; None if the polynomial holds everywhere.
    """

    index: int
    polynomial: Array
    logs: tuple[float, float] | None

    def evaluate(self, shift: Array) -> tuple[Array, Array]:
        """Return the factor and its derivative at shifts (n_rows,)."""
        inside = np.clip(shift, -1.0, 1.0) if self.logs else shift
        value = np.asarray(polynomial.polyval(inside, self.polynomial), np.float64)
        slope = np.asarray(polynomial.polyval(inside, polynomial.polyder(self.polynomial)), np.float64)
        if self.logs is None:
            return value, slope
        rate = np.where(shift > 0, self.logs[1], -self.logs[0])
        beyond, outside = np.exp(rate * shift), np.abs(shift) >= 1
        return np.where(outside, beyond, value), np.where(outside, rate * beyond, slope)


@dataclass(frozen=True)
class Rates:
    """Expectation of a model; columns are counts, then auxiliary data.

    Attributes
    ----------
    start : (n_parameters,) float64
        Nominal values, without signal.
    poi : int
    background : (n_parameters + 1, n_data) float64
        Background at the nominal values, then its change with each parameter.
    logs : (n_parameters, n_data) float64
        Change of the logarithm of the background with each parameter; 0 for those in which it is linear.
    signal : (n_parameters + 1, n_data) float64
        The same as `background` for the signal, at one unit of the parameter of interest.
    factors : tuple of Factor
    floor : (n_data,) float64
        Lower bounds of the expected data.
    """

    start: Array
    poi: int
    background: Array
    logs: Array
    signal: Array
    factors: tuple[Factor, ...]
    floor: Array

    def expected(self, parameters: Array) -> Array:
        """(n_rows, n_data) float64: expected data at parameters (n_rows, n_parameters)."""
        shift = parameters - self.start
        factor = _product([item.evaluate(shift[:, item.index])[0] for item in self.factors], len(shift))
        rates = (self.background[0] + shift @ self.background[1:]) * self._exponential(shift)
        rates += (shift[:, self.poi] * factor)[:, None] * (self.signal[0] + shift @ self.signal[1:])
        return np.asarray(np.maximum(rates, self.floor))

    def slopes(self, parameters: Array, expected: Array) -> Array:
        """(n_rows, n_data, n_parameters) float64: derivatives of `expected`."""
        shift = parameters - self.start
        pairs = [item.evaluate(shift[:, item.index]) for item in self.factors]
        template = self.signal[0] + shift @ self.signal[1:]
        factor = _product([value for value, _ in pairs], len(shift))
        strength = shift[:, self.poi]
        exponential = self._exponential(shift)
        background = (self.background[0] + shift @ self.background[1:]) * exponential
        slopes = self.background[1:].T * exponential[:, :, None] + self.logs.T * background[:, :, None]
        slopes = slopes + (strength * factor)[:, None, None] * self.signal[1:].T
        slopes[:, :, self.poi] = factor[:, None] * template
        for item, (_, slope) in zip(self.factors, pairs, strict=True):
            others = [value for other, (value, _) in zip(self.factors, pairs, strict=True) if other is not item]
            slopes[:, :, item.index] += (strength * slope * _product(others, len(shift)))[:, None] * template
        return np.asarray(np.where((expected > self.floor)[:, :, None], slopes, 0.0))

    def _exponential(self, shift: Array) -> Array:
        return np.asarray(np.exp(np.clip(shift @ self.logs, -_LARGEST_LOG, _LARGEST_LOG)))


def recognise(
    expected: Callable[[Array], Array], start: Array, poi: int, *, bounds: Array, floor: Array
) -> Rates | None:
    """Extract the components of a model.

    Parameters
    ----------
    expected : callable
        Maps parameters (n_rows, n_parameters) to expected data (n_rows, n_data), at least `floor`.
    start : (n_parameters,) float64
        Nominal values, without signal.
    poi : int
    bounds : (n_parameters, 2) float64
        Range of the comparison.
    floor : (n_data,) float64

    Returns
    -------
    Rates or None
        None if the model has another form.
    """
    n_parameters = len(start)
    step = _steps(start, bounds)

    def signal(points: Array) -> Array:
        shifted = points.copy()
        shifted[:, poi] = 1.0
        return expected(shifted) - expected(points)

    at_start = start[None]
    nominal, template = expected(at_start)[0], signal(at_start)[0]
    moved = start + np.diag(step)
    moved[poi] = start
    background, logs = _background(nominal, expected(moved), expected(2 * start - moved), step)
    change = signal(moved) - template
    back = signal(2 * start - moved) - template
    linear, factors = np.zeros_like(background), []
    for k in np.flatnonzero(np.abs(change).max(axis=1) > _AGREES * template.max()):
        common = float(change[k].sum() / template.sum())
        if not np.allclose(change[k], common * template, atol=_AGREES * template.max()):
            linear[k] = change[k] / step[k]
        elif np.allclose(change[k], -back[k], atol=_AGREES * template.max()):
            factors.append(Factor(int(k), np.array([1.0, common / step[k]]), None))
        else:
            factors.append(_interpolated(int(k), signal, start, float(template.sum())))
    signals = np.vstack([template, linear])
    rates = Rates(start, poi, np.vstack([nominal, background]), logs, signals, tuple(factors), floor)
    probes = start + step * np.random.default_rng(0).uniform(-_REACH, _REACH, (_PROBES, n_parameters))
    probes = np.clip(probes, bounds[:, 0], bounds[:, 1])
    truth = expected(probes)
    agrees = _AGREES_LOGS if logs.any() else _AGREES
    return rates if np.allclose(rates.expected(probes), truth, rtol=agrees, atol=_AGREES * nominal.max()) else None


def _background(nominal: Array, up: Array, down: Array, step: Array) -> tuple[Array, Array]:
    """Change of the background, or of its logarithm, with each parameter, from (n_parameters, n_data) `up`, `down`."""
    linear = (up - nominal) / step[:, None]
    curved = ~np.isclose(up - nominal, nominal - down, rtol=_AGREES, atol=_ROUNDING * nominal.max())
    curved &= (up > 0) & (nominal > 0)
    ratio = np.where(curved, up, 1.0) / np.where(curved, nominal, 1.0)
    logs: Array = np.log(ratio) / step[:, None]
    linear[curved] = 0.0
    return linear, logs


def _interpolated(index: int, signal: Callable[[Array], Array], start: Array, total: float) -> Factor:
    shifts = np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
    points = np.tile(start, (len(shifts), 1))
    points[:, index] += shifts
    values = signal(points).sum(axis=1) / total
    coefficients = polynomial.polyfit(shifts, values, _DEGREE)
    return Factor(index, coefficients, (float(np.log(values[-1])), float(np.log(values[0]))))


def _product(factors: list[Array], n_rows: int) -> Array:
    return reduce(np.multiply, factors, np.ones(n_rows))


def _steps(start: Array, bounds: Array) -> Array:
    """(n_parameters,): one standard deviation, or less close to the bounds."""
    room = np.minimum(bounds[:, 1] - start, start - bounds[:, 0])
    return np.asarray(np.where(room > 0, np.minimum(1.0, room / 2), 1.0))
