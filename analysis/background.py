"""The smooth background: dijet functions, their fit to the sidebands, and the choice of their order.

All functions are log-linear, log f(m) = sum_k c_k phi_k(x) with x = m / sqrt(s), so the binned Poisson likelihood is
nearly convex in the coefficients. The fit uses integrals of f over the bins, never values at bin centres, and a basis
that is orthonormal over the fitted bins, which keeps the coefficients weakly correlated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray
from scipy import stats

from analysis.errors import ConfigError, FitError

__all__ = [
    "FUNCTIONS",
    "BackgroundFit",
    "MassFunction",
    "OrderStep",
    "choose_order",
    "fit_background",
    "function_family",
]

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_MAX_SHIFT = 1.0
_MAX_LOG_DENSITY = 600.0  # far beyond any minimum; keeps trial steps of the minimiser from overflow


@dataclass(frozen=True)
class MassFunction:
    """A log-linear function of the dijet mass.

    Attributes
    ----------
    name : str
    terms : tuple of callable
        phi_k(x), x = m / sqrt(s), after the constant term.
    formula : str
        For people.
    """

    name: str
    terms: tuple[Callable[[Array], Array], ...]
    formula: str

    @property
    def n_parameters(self) -> int:
        """Number of coefficients, normalisation included."""
        return len(self.terms) + 1

    def basis(self, x: Array) -> Array:
        """(..., n_parameters): the terms at x = m / sqrt(s)."""
        return np.stack([np.ones_like(x), *(term(x) for term in self.terms)], axis=-1)


def _minus_log_power(k: int) -> Callable[[Array], Array]:
    return lambda x: -(np.log(x) ** k)


_DIJET_TERMS = (lambda x: np.log1p(-x), *(_minus_log_power(k) for k in (1, 2, 3)))
_DIJET_FORMULAE = (
    "p0 (1-x)^p1",
    "p0 (1-x)^p1 / x^p2",
    "p0 (1-x)^p1 / x^(p2 + p3 ln x)",
    "p0 (1-x)^p1 / x^(p2 + p3 ln x + p4 ln^2 x)",
)

FUNCTIONS: dict[str, MassFunction] = {
    f"dijet{n + 2}": MassFunction(f"dijet{n + 2}", _DIJET_TERMS[: n + 1], formula)
    for n, formula in enumerate(_DIJET_FORMULAE)
}
"""Background functions by name. `dijet4` is Eq. 2.4 of arXiv:2009.02205."""


@dataclass(frozen=True)
class OrderStep:
    """One step on the way to the chosen function.

    Attributes
    ----------
    function : str
    deviance : float or None
        -2 log likelihood ratio to the saturated model, over the fitted bins; None where the fit was not valid.
    preferred : bool
        Whether the function was preferred to the one before.
    p_value : float or None
        Of the likelihood-ratio test against the function before; None for the first.
    """

    function: str
    deviance: float | None
    preferred: bool
    p_value: float | None


@dataclass(frozen=True)
class BackgroundFit:
    """A valid fit.

    Attributes
    ----------
    function : MassFunction
    sqrt_s_gev : float
    coefficients : (n_parameters,) float64
        Coefficients of the orthonormal basis.
    covariance : (n_parameters, n_parameters) float64
        Of `coefficients`.
    transform : (n_parameters, n_parameters) float64
        Basis of the function times this is the orthonormal basis.
    deviance : float
        -2 log likelihood ratio to the saturated model (Baker, Cousins, NIM 221 (1984) 437).
    ndof : int
    path : tuple of OrderStep
        How the order was chosen.
    """

    function: MassFunction
    sqrt_s_gev: float
    coefficients: Array
    covariance: Array
    transform: Array
    deviance: float
    ndof: int
    path: tuple[OrderStep, ...] = ()

    @property
    def p_value(self) -> float:
        """Goodness of fit from the asymptotic chi-square distribution of the deviance."""
        return float(stats.chi2.sf(self.deviance, self.ndof))

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters of the published formula, by name; `ln_p0` is the log of the density in events per GeV."""
        values = (self.transform @ self.coefficients).tolist()
        return {"ln_p0" if k == 0 else f"p{k}": value for k, value in enumerate(values)}

    def expected(self, edges: Array) -> tuple[Array, Array]:
        """Integrate the background over bins.

        Parameters
        ----------
        edges : (n_bins + 1,) float64
            Any edges, GeV; they need not lie on the fit grid.

        Returns
        -------
        expected : (n_bins,) float64
            Events.
        covariance : (n_bins, n_bins) float64
            From the covariance of the fit.
        """
        mass, weight = _quadrature(edges[:-1], edges[1:])
        basis = self.function.basis(mass / self.sqrt_s_gev) @ self.transform
        expected, jacobian = _integrals(basis, weight, self.coefficients)
        return expected, jacobian @ self.covariance @ jacobian.T

    def integral(self, low: float, high: float) -> tuple[float, float]:
        """Return the expected events in [low, high) GeV, and their uncertainty from the fit."""
        expected, covariance = self.expected(np.array([low, high]))
        return float(expected[0]), float(np.sqrt(covariance[0, 0]))


def choose_order(
    counts: Array,
    edges: Array,
    *,
    mask: tuple[float, float],
    functions: Sequence[str],
    alpha: float,
    sqrt_s_gev: float,
) -> BackgroundFit:
    """Fit functions of rising order to the sidebands; stop when the next one is not preferred.

    Parameters
    ----------
    counts : (n_bins,) float64
        Events per bin. The masked bins are never looked at.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    mask : (low, high)
        Interval left out, GeV.
    functions : sequence of str
        Nested functions, fewest parameters first.
    alpha : float
        Threshold on the p-value of the likelihood-ratio test.
    sqrt_s_gev : float
        Collision energy, GeV.

    Returns
    -------
    BackgroundFit
        With the path taken.

    Raises
    ------
    ConfigError
        If a function is unknown or not the next in its family.
    FitError
        If the first function has no valid fit.
    """
    family = function_family(functions)
    arguments: dict[str, Any] = {"mask": mask, "sqrt_s_gev": sqrt_s_gev}
    best = fit_background(counts, edges, family[0], **arguments)
    path = [OrderStep(family[0].name, best.deviance, preferred=True, p_value=None)]
    for function in family[1:]:
        try:
            fit = fit_background(counts, edges, function, **arguments)
        except FitError:
            path.append(OrderStep(function.name, None, preferred=False, p_value=None))
            break
        gain, extra = max(best.deviance - fit.deviance, 0.0), function.n_parameters - best.function.n_parameters
        p_value = float(stats.chi2.sf(gain, extra))
        path.append(OrderStep(function.name, fit.deviance, preferred=p_value < alpha, p_value=p_value))
        if p_value >= alpha:
            break
        best = fit
    return _with_path(best, path)


def fit_background(
    counts: Array, edges: Array, function: MassFunction, *, mask: tuple[float, float], sqrt_s_gev: float
) -> BackgroundFit:
    """Fit one function to the bins outside the mask.

    Parameters
    ----------
    counts : (n_bins,) float64
        Events per bin.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    function : MassFunction
    mask : (low, high)
        Bins that overlap this interval are left out, GeV.
    sqrt_s_gev : float
        Collision energy, GeV.

    Returns
    -------
    BackgroundFit

    Raises
    ------
    FitError
        If there are too few filled bins, or no valid minimum is found.
    """
    low, high = edges[:-1], edges[1:]
    fitted = (high <= mask[0]) | (low >= mask[1])
    observed = counts[fitted]
    _require_information(observed, function, edges, mask)
    mass, weight = _quadrature(low[fitted], high[fitted])
    basis = function.basis(mass / sqrt_s_gev)
    transform = _orthonormalising(basis)
    orthonormal = basis @ transform
    minimum = _minimise(observed, orthonormal, weight, function, edges)
    return BackgroundFit(
        function=function,
        sqrt_s_gev=sqrt_s_gev,
        coefficients=np.array(minimum.values),
        covariance=np.array(minimum.covariance),
        transform=transform,
        deviance=float(minimum.fval),
        ndof=len(observed) - function.n_parameters,
    )


def _minimise(observed: Array, basis: Array, weight: Array, function: MassFunction, edges: Array) -> Minuit:
    def deviance(coefficients: Array) -> float:
        return _deviance(observed, _integrals(basis, weight, coefficients)[0])

    def gradient(coefficients: Array) -> Array:
        expected, jacobian = _integrals(basis, weight, coefficients)
        slope: Array = 2.0 * (1.0 - observed / expected) @ jacobian
        return slope

    start = _start(observed, basis, weight)
    for shift in (0.0, _MAX_SHIFT, -_MAX_SHIFT):
        minuit = Minuit(deviance, start + shift, grad=gradient)
        minuit.errordef = Minuit.LEAST_SQUARES
        minuit.migrad()
        minuit.hesse()
        if minuit.valid and minuit.accurate:
            return minuit
    msg = (
        f"the fit of {function.name} to {edges[0]:g}-{edges[-1]:g} GeV found no valid minimum "
        f"({len(observed)} bins, {observed.sum():g} events). Use fewer parameters, wider bins or another "
        "scan.fit_range."
    )
    raise FitError(msg)


def _require_information(observed: Array, function: MassFunction, edges: Array, mask: tuple[float, float]) -> None:
    if not np.isfinite(observed).all() or (observed < 0).any():
        msg = f"the spectrum in {edges[0]:g}-{edges[-1]:g} GeV holds bins that are negative or not finite."
        raise FitError(msg)
    filled = int((observed > 0).sum())
    if filled <= function.n_parameters:
        msg = (
            f"{filled} filled bins of {edges[0]:g}-{edges[-1]:g} GeV outside the mask {mask[0]:g}-{mask[1]:g} GeV are "
            f"too few for the {function.n_parameters} parameters of {function.name}. Use a looser selection or widen "
            "scan.fit_range."
        )
        raise FitError(msg)


def _start(observed: Array, basis: Array, weight: Array) -> Array:
    """Least squares of the log counts, weighted by counts."""
    width = weight.sum(axis=1)
    error = np.sqrt(observed + 1.0)
    centre = (basis * weight[..., None]).sum(axis=1) / width[:, None]
    start: Array = np.linalg.lstsq(
        centre * error[:, None], np.log(np.maximum(observed, 0.5) / width) * error, rcond=None
    )[0]
    return start


def _deviance(observed: Array, expected: Array) -> float:
    filled = observed > 0
    log_ratio = np.log(observed[filled] / expected[filled])
    return float(2.0 * (expected.sum() - observed.sum() + (observed[filled] * log_ratio).sum()))


def _integrals(basis: Array, weight: Array, coefficients: Array) -> tuple[Array, Array]:
    """Bin integrals (n_bins,) and their derivatives (n_bins, n_parameters)."""
    density = np.exp(np.clip(basis @ coefficients, -_MAX_LOG_DENSITY, _MAX_LOG_DENSITY)) * weight
    return density.sum(axis=1), np.einsum("bq,bqp->bp", density, basis)


def _quadrature(low: Array, high: Array) -> tuple[Array, Array]:
    """Gauss-Legendre nodes (n_bins, 8) in GeV and weights in GeV."""
    half = (high - low) / 2
    return (high + low)[:, None] / 2 + half[:, None] * _NODES, half[:, None] * _WEIGHTS


def _orthonormalising(basis: Array) -> Array:
    flat = basis.reshape(-1, basis.shape[-1])
    transform: Array = np.linalg.inv(np.linalg.qr(flat).R) * np.sqrt(len(flat))
    return transform


def function_family(names: Sequence[str]) -> tuple[MassFunction, ...]:
    """Look up nested functions, fewest parameters first.

    Raises
    ------
    ConfigError
        If a function is unknown, or does not extend the one before it.
    """
    if unknown := [name for name in names if name not in FUNCTIONS]:
        msg = f"unknown background function '{unknown[0]}'. Functions: {', '.join(FUNCTIONS)}."
        raise ConfigError(msg)
    family = tuple(FUNCTIONS[name] for name in names)
    for lower, higher in pairwise(family):
        if higher.terms[: len(lower.terms)] != lower.terms or len(higher.terms) == len(lower.terms):
            msg = f"background.functions must be nested with rising order; {higher.name} does not extend {lower.name}."
            raise ConfigError(msg)
    if not family:
        msg = "background.functions is empty."
        raise ConfigError(msg)
    return family


def _with_path(fit: BackgroundFit, path: list[OrderStep]) -> BackgroundFit:
    return dataclasses.replace(fit, path=tuple(path))
