"""Binned Poisson likelihood of a log-linear density, and its maximum for one or many spectra at once.

The deviance, -2 ln(L / L_saturated), of log f = sum_k c_k phi_k is convex in the coefficients, except for the small
variation of phi_k inside a bin: Newton steps with the Fisher information, halved if they overshoot, reach the minimum
to rounding in five or six steps. All spectra of one call share their bins, so that a step of thousands of toys is a few
matrix products. iminuit finds the same minimum (the tests compare them), but handles one spectrum at a time and takes
two to six times as long, even with gradient and Hessian (`tests/benchmarks/background.py`); it is the fallback if the
steps do not converge.

Weighted counts use the scaled Poisson likelihood of G. Bohm and G. Zech, arXiv:1309.1287: n and mu of a bin are both
multiplied by s = (sum w) / (sum w^2).

An offset of the function is a factor of the quadrature weights. Gaussian priors of coefficients add their penalty to
the deviance that is minimised, and their precision to the information; the deviance of a solution is without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray

from analysis.background.functions import MassFunction

__all__ = [
    "Design",
    "Solution",
    "deviance_of",
    "gradient_of",
    "integrals",
    "make_design",
    "minuit_solution",
    "quadrature",
    "solve",
]

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_MAX_LOG_DENSITY = 600.0  # far beyond any minimum; prevents overflow of trial steps
_MAX_STEPS = 60
_MAX_HALVINGS = 30
_CONVERGED = 1e-9
"""Newton decrement (distance to the minimum in units of the deviance) below which only one more step is taken."""
_VALID = 1e-5
_SINGULAR = 1e-13
_STARTS = (0.0, 1.0, -1.0)


@dataclass(frozen=True)
class Design:
    """Function on the quadrature nodes of bins, in a basis that is orthonormal over the fitted bins.

    Attributes
    ----------
    function : MassFunction
    sqrt_s_gev : float
    transform : (n_parameters, n_parameters) float64
        The terms of the function times this matrix are the orthonormal basis.
    basis : (n_bins, n_nodes, n_parameters) float64
    weight : (n_bins, n_nodes) float64
        Quadrature weights, GeV, times the exponential of the function's offset.
    precision : (n_parameters, n_parameters) float64 or None
        Inverse covariance of the prior of the coefficients about zero; None without a prior.
    """

    function: MassFunction
    sqrt_s_gev: float
    transform: Array
    basis: Array
    weight: Array
    precision: Array | None = None


@dataclass(frozen=True)
class Solution:
    """Minima of the deviance.

    Attributes
    ----------
    coefficients : (n_spectra, n_parameters) float64
    covariance : (n_spectra, n_parameters, n_parameters) float64
        Inverse of the expected information at the minimum, that of the prior included.
    cumulants : (n_spectra, n_parameters, n_parameters, n_parameters) float64
        Third cumulants of the score, which are also the third derivatives of the log likelihood, negated.
    deviance : (n_spectra,) float64
    valid : (n_spectra,) bool
        Whether the minimum was reached and the information is regular. If False, the other attributes are meaningless.
    """

    coefficients: Array
    covariance: Array
    cumulants: Array
    deviance: Array
    valid: NDArray[np.bool_]


def quadrature(low: Array, high: Array) -> tuple[Array, Array]:
    """Masses and weights, (n_bins, n_nodes) in GeV, of the integrals over bins [low, high) in GeV."""
    half = (high - low) / 2
    return (high + low)[:, None] / 2 + half[:, None] * _NODES, half[:, None] * _WEIGHTS


def make_design(
    function: MassFunction,
    low: Array,
    high: Array,
    sqrt_s_gev: float,
    transform: Array | None = None,
    *,
    rest: NDArray[np.bool_] | None = None,
) -> Design:
    """Evaluate a function on bins [low, high) in GeV, both (n_bins,); without a transform these are the fitted bins.

    In the bins `rest`, (n_bins,), of events that fail the selection, only the shape counts, not the pass/fail ratio.
    """
    mass, weight = quadrature(low, high)
    terms = function.basis(mass / sqrt_s_gev)
    if rest is not None:
        terms[rest, :, terms.shape[-1] - function.n_ratio :] = 0.0
    if transform is None:
        transform = _transform(function, terms.reshape(-1, terms.shape[-1]))
    if function.offset is not None:
        weight = weight * np.exp(function.offset(mass / sqrt_s_gev))
    precision = None
    if any(function.precision):
        precision = transform.T @ np.diag([0.0, *function.precision]) @ transform
    return Design(function, sqrt_s_gev, transform, terms @ transform, weight, precision)


def _transform(function: MassFunction, terms: Array) -> Array:
    """Matrix that makes the free terms (n_nodes, n_parameters) orthonormal; those with a prior have a scale already."""
    free = np.append(True, ~np.array(function.precision, bool)) if function.precision else np.ones(terms.shape[1], bool)
    transform = np.eye(terms.shape[1])
    transform[np.ix_(free, free)] = np.linalg.inv(np.linalg.qr(terms[:, free]).R) * np.sqrt(len(terms))
    return transform


def integrals(design: Design, coefficients: Array) -> tuple[Array, Array]:
    """Bin integrals and their derivatives.

    Parameters
    ----------
    design : Design
    coefficients : (n_spectra, n_parameters) float64

    Returns
    -------
    expected : (n_spectra, n_bins) float64
        Events.
    jacobian : (n_spectra, n_bins, n_parameters) float64
    """
    log_density = np.clip(design.basis @ coefficients.T, -_MAX_LOG_DENSITY, _MAX_LOG_DENSITY)
    events = np.exp(log_density) * design.weight[..., None]
    jacobian = np.matmul(design.basis.transpose(0, 2, 1), events)
    return events.sum(axis=1).T, jacobian.transpose(2, 0, 1)


def deviance_of(observed: Array, expected: Array, scale: Array) -> Array:
    """(n_spectra,): sum over bins of 2 s (mu - n + n ln(n / mu)), s = 1 for plain counts.

    Deviance of S. Baker and R. Cousins, NIM 221 (1984) 437, scaled for weighted counts.
    """
    safe = np.where(observed > 0, observed, 1.0)
    log_ratio = np.where(observed > 0, np.log(safe / expected), 0.0)
    deviance: Array = 2.0 * (scale * (expected - observed + observed * log_ratio)).sum(axis=-1)
    return deviance


def gradient_of(observed: Array, expected: Array, jacobian: Array, scale: Array) -> Array:
    """(n_spectra, n_parameters): derivatives of the deviance."""
    residual = scale * (1.0 - observed / expected)
    slope: Array = 2.0 * np.matmul(residual[:, None, :], jacobian)[:, 0]
    return slope


def solve(observed: Array, design: Design, scale: Array, *, near: Array | None = None) -> Solution:
    """Minimise the deviance of every spectrum.

    Parameters
    ----------
    observed : (n_spectra, n_bins) float64
        Events.
    design : Design
        Design of the same bins.
    scale : (n_spectra, n_bins) float64
        1 for plain counts, (sum w) / (sum w^2) for weighted ones.
    near : (n_spectra, n_bins) float64, optional
        Smooth contents close to the minimum, from which fewer steps are needed.

    Returns
    -------
    Solution
    """
    coefficients = _start(observed if near is None else near, design, scale)
    distance = np.full(len(observed), np.inf)
    active = np.arange(len(observed))
    for _ in range(_MAX_STEPS):
        counts, factor = observed[active], scale[active]
        coefficients[active], distance[active] = _step(counts, factor, design, coefficients[active])
        active = active[~(distance[active] < _CONVERGED)]
        if len(active) == 0:
            break
    return _solution(observed, scale, design, coefficients, distance < _VALID)


def _step(observed: Array, scale: Array, design: Design, coefficients: Array) -> tuple[Array, Array]:
    """Take one damped Newton step; return the new coefficients and the Newton decrement before the step."""
    expected, jacobian = integrals(design, coefficients)
    slope = (gradient_of(observed, expected, jacobian, scale) + _penalty_gradient(design, coefficients)) / 2.0
    step = np.linalg.solve(_information(expected, jacobian, scale, design), slope[..., None])[..., 0]
    before = deviance_of(observed, expected, scale) + _penalty(design, coefficients)
    limit = before + 1e-10 * (1.0 + np.abs(before))
    length = np.ones(len(observed))
    after = coefficients - step
    for _ in range(_MAX_HALVINGS):
        reached = deviance_of(observed, integrals(design, after)[0], scale) + _penalty(design, after)
        worse = ~(reached <= limit)
        if not worse.any():
            break
        length[worse] /= 2
        after = coefficients - length[:, None] * step
    return after, (step * slope).sum(axis=1)


def _penalty(design: Design, coefficients: Array) -> Array | float:
    """(n_spectra,): contribution of the prior to the deviance."""
    if design.precision is None:
        return 0.0
    penalty: Array = np.einsum("tp,pr,tr->t", coefficients, design.precision, coefficients)
    return penalty


def _penalty_gradient(design: Design, coefficients: Array) -> Array | float:
    """(n_spectra, n_parameters): derivatives of the penalty."""
    return 0.0 if design.precision is None else 2.0 * coefficients @ design.precision


def _information(expected: Array, jacobian: Array, scale: Array, design: Design) -> Array:
    """(n_spectra, n_parameters, n_parameters): expected information, kept invertible within rounding."""
    scores = jacobian * (scale / expected)[..., None]
    information = np.matmul(scores.transpose(0, 2, 1), jacobian)
    if design.precision is not None:
        information = information + design.precision
    size = np.trace(information, axis1=1, axis2=2)[:, None, None]
    kept: Array = information + _SINGULAR * size * np.eye(information.shape[-1])
    return kept


def _solution(
    observed: Array, scale: Array, design: Design, coefficients: Array, converged: NDArray[np.bool_]
) -> Solution:
    expected, jacobian = integrals(design, coefficients)
    information = _information(expected, jacobian, scale, design)
    size = np.linalg.eigvalsh(information)
    scores = jacobian / expected[..., None]
    weighted = scores * (scale * expected)[..., None]
    n_spectra, n_bins, n_parameters = scores.shape
    squares = (scores[..., :, None] * scores[..., None, :]).reshape(n_spectra, n_bins, n_parameters**2)
    cumulants = np.matmul(weighted.transpose(0, 2, 1), squares).reshape(n_spectra, *(3 * [n_parameters]))
    covariance = np.asarray(np.linalg.inv(information), np.float64)
    return Solution(
        coefficients=coefficients,
        covariance=covariance,
        cumulants=cumulants,
        deviance=deviance_of(observed, expected, scale),
        valid=converged & (size[:, 0] > 10 * n_parameters * _SINGULAR * size[:, -1]),
    )


def minuit_solution(observed: Array, design: Design, scale: Array) -> Solution:
    """Minimise the deviance of one spectrum with iminuit, from several starting points.

    Parameters
    ----------
    observed : (1, n_bins) float64
    design : Design
    scale : (1, n_bins) float64

    Returns
    -------
    Solution
    """

    def deviance(coefficients: Array) -> float:
        expected = integrals(design, coefficients[None])[0]
        return float((deviance_of(observed, expected, scale) + _penalty(design, coefficients[None]))[0])

    def gradient(coefficients: Array) -> Array:
        slope = gradient_of(observed, *integrals(design, coefficients[None]), scale)
        total: Array = (slope + _penalty_gradient(design, coefficients[None]))[0]
        return total

    start = _start(observed, design, scale)[0]
    for shift in _STARTS:
        minuit = Minuit(deviance, start + shift, grad=gradient)
        minuit.errordef = Minuit.LEAST_SQUARES
        minuit.migrad()
        if minuit.valid:
            break
    best = np.array(minuit.values)[None]
    return _solution(observed, scale, design, best, np.array([minuit.valid]))


def _start(observed: Array, design: Design, scale: Array) -> Array:
    """(n_spectra, n_parameters): least-squares fit of the log counts, weighted by the counts."""
    width = design.weight.sum(axis=1)
    centre = (design.basis * design.weight[..., None]).sum(axis=1) / width[:, None]
    weight = observed * scale + 1.0
    target = np.log(np.maximum(observed, 0.5 / scale) / width)
    normal = np.matmul(centre.T * weight[:, None, :], centre)
    if design.precision is not None:
        normal = normal + design.precision
    start: Array = np.linalg.solve(normal, ((weight * target) @ centre)[..., None])[..., 0]
    return start
