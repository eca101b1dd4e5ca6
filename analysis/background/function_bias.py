"""Choice of the function as an error: the bias of a fit if another smooth curve were the truth.

The alternatives are fitted to the same sidebands. One that describes them at least as well may be the truth: its curve
is taken as data without fluctuations, the function of the fit is fitted to it, and the difference in the window is the
signal that the function would fake. An alternative follows the fluctuations of the sidebands too, and differs from the
function where nothing is wrong; this part is in the error of the fit already. Only what goes beyond twice its standard
deviation is a bias. Without that, p-values would be too large by a factor of two where the function is right.

No function of the sidebands tells of a bend that hides under the mask. `hidden_shifts` tells what it would do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background.bins import Interval, Sidebands
from analysis.background.fit import BackgroundFit, fit_sidebands
from analysis.background.functions import MassFunction, PassFailFunction, look_up
from analysis.background.likelihood import Design, integrals, make_design, quadrature, solve
from analysis.errors import FitError

__all__ = [
    "ALTERNATIVES",
    "RESTS_ON_SMOOTHNESS",
    "SIZES",
    "FunctionBias",
    "function_bias",
    "hidden_shifts",
    "with_function_error",
]

Array = NDArray[np.float64]

ALTERNATIVES = ("dijet5", "ua2", "exp4", "gaussian-process")
"""Smooth functions of different kinds, by default."""

SIZES = {"bend": 0.5, "wave": 0.1}
"""Sizes of the distortions of `hidden_shifts`: of the spectral index, and of ln f."""

RESTS_ON_SMOOTHNESS = 0.3
"""Hidden shift, in standard deviations of n - b, above which a result is said to rest on a smooth spectrum."""

_GOOD_FIT = 0.01
_OWN_ERRORS = 2.0
_EXCLUDED = 9.0  # deviance


@dataclass(frozen=True)
class FunctionBias:
    """Signal that the function would fake if another smooth curve were the truth.

    Attributes
    ----------
    value : float
        The largest bias beyond its statistical part, in the unit of the counts; zero without an alternative that
        describes the sidebands as well as the function.
    shifts, errors : mapping of str to float
        For each such alternative: its window minus that of the function fitted to it, and the standard deviation of
        the difference under fluctuations of the sidebands.
    """

    value: float
    shifts: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)


def function_bias(
    fit: BackgroundFit, window: Interval, *, alternatives: Sequence[str | MassFunction] = ALTERNATIVES
) -> FunctionBias:
    """Measure the bias of the function of a fit against other smooth functions.

    An alternative counts if its asymptotic goodness of fit is p > 0.01, and its deviance plus number of parameters is
    at most that of the fit.

    Parameters
    ----------
    fit : BackgroundFit
        With its data.
    window : (low, high)
        Signal region, GeV.
    alternatives : sequence of str or MassFunction
        Those that the sidebands do not determine are left out.

    Returns
    -------
    FunctionBias

    Raises
    ------
    ConfigError
        If a function is unknown.
    FitError
        If the fit was read back without its data.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.background import FUNCTIONS, fit_background, function_bias
    >>> edges = np.arange(3000.0, 6501.0, 100.0)
    >>> x = (edges[1:] + edges[:-1]) / 2 / 13000
    >>> counts = np.round(40 * (1 - x) ** 9 / x**5)
    >>> for name in ("dijet3", "exp2"):
    ...     fit = fit_background(counts, edges, FUNCTIONS[name], mask=(3200, 3800), sqrt_s_gev=13000)
    ...     found = function_bias(fit, (3300, 3700), alternatives=["ua2", "exp4"])
    ...     print(name, round(found.value), {name: round(shift) for name, shift in found.shifts.items()})
    dijet3 0 {}
    exp2 82 {'ua2': -334, 'exp4': -314}
    """
    data = _data(fit)
    own = _Designs(fit.design(data.low, data.high), fit.design(*_edges(window)))
    expected, _ = integrals(own.fitted, fit.coefficients[None])
    found = {}
    for function in look_up(alternatives):
        if function.name != fit.function.name:
            curve = _alternative(fit, function, window, expected)
            if curve is not None:
                found[function.name] = curve
    if not found:
        return FunctionBias(0.0)
    curves = list(found.values())
    spectra = np.stack([curve.expected for curve in curves])
    scale = np.broadcast_to(data.scale, spectra.shape)
    refitted = solve(spectra, own.fitted, scale, near=spectra)
    _, jacobian = integrals(own.fitted, refitted.coefficients)
    values, slopes = integrals(own.target, refitted.coefficients)
    shifts, errors = {}, {}
    for k in np.flatnonzero(refitted.valid):
        curve, name = curves[k], list(found)[k]
        gain = refitted.covariance[k] @ (jacobian[k] * (data.scale / curve.expected)[:, None]).T
        change = curve.change - slopes[k, 0] @ gain @ curve.jacobian @ curve.gain
        shifts[name] = curve.value - float(values[k, 0])
        errors[name] = float(np.sqrt(change**2 @ (curve.expected / data.scale)))
    beyond = [max(abs(shifts[name]) - _OWN_ERRORS * errors[name], 0.0) for name in shifts]
    return FunctionBias(max(beyond, default=0.0), shifts, errors)


def hidden_shifts(fit: BackgroundFit, window: Interval, *, sizes: Mapping[str, float] = SIZES) -> dict[str, float]:
    """Return the shift of n - b, in its standard deviations, by distortions that the sidebands cannot exclude.

    "bend": the spectral index rises by a number at the centre of the window. "wave": ln f moves by a number at most, as
    the third Chebyshev polynomial of ln m over the fitted range. Each is reduced until the function, fitted to the
    distorted curve, has a deviance of at most nine. Beyond 0.3 the result rests on the smoothness of the spectrum,
    which no fit can tell.

    Parameters
    ----------
    fit : BackgroundFit
        With its data.
    window : (low, high)
        Signal region, GeV.
    sizes : mapping of str to float
        Distortions by name, and their sizes.

    Returns
    -------
    dict of str to float
        Absolute values; not a number where the distorted curve has no valid fit.

    Raises
    ------
    FitError
        If the fit was read back without its data.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.background import FUNCTIONS, fit_background, hidden_shifts
    >>> edges = np.arange(3000.0, 6501.0, 100.0)
    >>> x = (edges[1:] + edges[:-1]) / 2 / 13000
    >>> counts = np.round(40 * (1 - x) ** 9 / x**5)
    >>> fit = fit_background(counts, edges, FUNCTIONS["dijet4"], mask=(3200, 3800), sqrt_s_gev=13000)
    >>> {name: round(shift, 2) for name, shift in hidden_shifts(fit, (3300, 3700)).items()}
    {'bend': 0.46, 'wave': 0.33}
    """
    relative, _ = _relative_shifts(fit, window, sizes)
    b, error = _count(fit, window)
    return {name: shift * b / error for name, shift in relative.items()}


def with_function_error(fit: BackgroundFit, window: Interval, *, of_all: BackgroundFit | None = None) -> BackgroundFit:
    """Return a fit whose estimates hold the error from the choice of the function, measured in a window.

    A fraction of all events has the relative error of their shape.

    Parameters
    ----------
    fit : BackgroundFit
        With its data.
    window : (low, high)
        Signal region, GeV.
    of_all : BackgroundFit, optional
        Result of this function for all events, if it is at hand. By default the events that fail the selection are
        fitted again.

    Returns
    -------
    BackgroundFit
    """
    b, error = _count(fit, window)
    if of_all is not None and of_all.hidden_shift is not None and fit.function.n_ratio:
        all_events, error_of_all = _count(of_all, window)
        shift = of_all.hidden_shift * error_of_all / all_events * b / error
        return dataclasses.replace(fit, function_error=of_all.function_error, hidden_shift=shift)
    of_shape = _shape_of(fit)
    relative, total = _relative_shifts(of_shape, window, SIZES)
    bias = function_bias(of_shape, window).value / total
    shifts = [shift * b / error for shift in relative.values() if np.isfinite(shift)]
    return dataclasses.replace(fit, function_error=bias, hidden_shift=max(shifts, default=None))


def _shape_of(fit: BackgroundFit) -> BackgroundFit:
    """Fit the events that fail a selection alone; of one spectrum the fit itself."""
    if not isinstance(fit.function, PassFailFunction):
        return fit
    return fit_sidebands(_data(fit).failing, fit.function.shape, fit.sqrt_s_gev)


def _count(fit: BackgroundFit, window: Interval) -> tuple[float, float]:
    """Return the background of a window and the standard deviation of n - b, in the unit of the counts."""
    (b,), ((variance,),) = fit.expected(np.array(window))
    weight = float(_data(fit).weight(np.array([window]))[0])
    return float(b), float(np.sqrt(b * weight + variance))


def _relative_shifts(
    fit: BackgroundFit, window: Interval, sizes: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """Shifts of n - b relative to b by name, absolute values, and b, in the unit of the counts."""
    data = _data(fit)
    low, high = np.append(data.low, window[0]), np.append(data.high, window[1])
    design = fit.design(low, high)
    mass, _ = quadrature(low, high)
    events = np.exp(design.basis @ fit.coefficients) * design.weight
    fit_range = (float(data.low[0]), float(data.high[-1]))
    factors = [size * _DISTORTIONS[name](mass, window, fit_range) for name, size in sizes.items()]
    spectra = np.stack([(events * np.exp(factor)).sum(axis=1) for factor in factors])
    beside, scale = _without_last(design), np.broadcast_to(data.scale, (len(spectra), len(data.scale)))
    solution = solve(spectra[:, :-1], beside, scale, near=spectra[:, :-1])
    refitted, _ = integrals(design, solution.coefficients)
    b = float(events[-1].sum())
    allowed = np.sqrt(_EXCLUDED / np.maximum(solution.deviance, _EXCLUDED))
    shifts = abs(spectra[:, -1] - refitted[:, -1]) / b * allowed
    return dict(zip(sizes, np.where(solution.valid, shifts, np.nan).tolist(), strict=True)), b


def _bend(mass: Array, window: Interval, _fit_range: Interval) -> Array:
    bend: Array = -np.maximum(np.log(mass / np.mean(window)), 0.0)
    return bend


def _wave(mass: Array, _window: Interval, fit_range: Interval) -> Array:
    low, high = np.log(fit_range)
    at = (2.0 * np.log(mass) - low - high) / (high - low)
    wave: Array = 4.0 * at**3 - 3.0 * at
    return wave


_DISTORTIONS: Mapping[str, Callable[[Array, Interval, Interval], Array]] = {"bend": _bend, "wave": _wave}
"""Changes of ln f of unit size by name, of masses (GeV), window and fitted range."""


class _Designs(NamedTuple):
    fitted: Design
    target: Design


def _data(fit: BackgroundFit) -> Sidebands:
    if fit.data is None:
        msg = f"this fit of {fit.function.name} was read back without its data; fit again to measure its bias."
        raise FitError(msg)
    return fit.data


def _edges(window: Interval) -> tuple[Array, Array]:
    return np.array([window[0]]), np.array([window[1]])


def _without_last(design: Design) -> Design:
    return dataclasses.replace(design, basis=design.basis[:-1], weight=design.weight[:-1])


@lru_cache(maxsize=256)
def _designs(function: MassFunction, low: bytes, high: bytes, window: Interval, sqrt_s_gev: float) -> _Designs:
    """Designs of an alternative, which the selections of a window share."""
    fitted = make_design(function, np.frombuffer(low), np.frombuffer(high), sqrt_s_gev)
    return _Designs(fitted, make_design(function, *_edges(window), sqrt_s_gev, fitted.transform))


class _Curve(NamedTuple):
    """Alternative that may be the truth.

    Attributes
    ----------
    expected : (n_bins,) float64
        Contents of the fitted bins.
    value : float
        Integral over the window.
    change : (n_bins,) float64
        Derivatives of `value` in the observed counts.
    jacobian : (n_bins, n_coefficients) float64
        Derivatives of `expected` in the coefficients.
    gain : (n_coefficients, n_bins) float64
        Derivatives of the coefficients in the observed counts.
    """

    expected: Array
    value: float
    change: Array
    jacobian: Array
    gain: Array


def _alternative(fit: BackgroundFit, function: MassFunction, window: Interval, near: Array) -> _Curve | None:
    """Fit an alternative; None if it does not count."""
    data = _data(fit)
    n_bins = len(data.low)
    if n_bins <= function.n_parameters:
        return None
    try:
        adapted = function.adapted(data, fit.sqrt_s_gev)
    except FitError:
        return None
    designs = _designs(adapted, data.low.tobytes(), data.high.tobytes(), window, fit.sqrt_s_gev)
    solution = solve(data.observed[None], designs.fitted, data.scale[None], near=near)
    deviance, ndof = float(solution.deviance[0]), n_bins - function.n_parameters
    if not solution.valid[0] or deviance - ndof > fit.deviance - fit.ndof:
        return None
    if stats.chi2.sf(deviance, ndof) < _GOOD_FIT:
        return None
    expected, jacobian = (array[0] for array in integrals(designs.fitted, solution.coefficients))
    value, slope = (array[0, 0] for array in integrals(designs.target, solution.coefficients))
    gain = solution.covariance[0] @ (jacobian * (data.scale / expected)[:, None]).T
    return _Curve(expected, float(value), slope @ gain, jacobian, gain)
