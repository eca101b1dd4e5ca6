"""P-value of a large excess from toys of the sidebands and the exact Poisson tail of the count.

The asymptotic p-value of an excess assumes that the signed root of the likelihood ratio is a standard normal variable,
which nobody has checked at five standard deviations by counting: 3e-7 of the toys are needed. The count of the window
is independent of the sidebands, so that its tail can be summed instead of drawn: each toy of the sidebands is fitted,
gives the smallest count with at least the observed significance, and contributes the Poisson probability of that count
or more. Sidebands that fluctuate down are drawn on purpose and weighted by their probability (importance sampling, with
the balance heuristic of E. Veach and L. Guibas, SIGGRAPH 1995), because they make most of the tail.

Toys are drawn from the fit to sidebands and window together, without signal, as in a parametric bootstrap. The function
of the fit is kept; the choice of its order is not repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from analysis.background import BackgroundFit
from analysis.background.estimate import error_of, estimate_bins
from analysis.background.likelihood import Design, integrals, solve
from analysis.regions import Interval
from analysis.statistics import DiscoveryResult, checked, counting_z, discovery

__all__ = ["checked_discovery", "direction_of", "draw_sidebands", "least_count", "sideband_p0"]

Array = NDArray[np.float64]

_N_TOYS = 2000
_BISECTIONS = 50
_CHECKED = 3.0  # z above which the p-value is checked
_FURTHER = 1.0  # standard deviations that sidebands are drawn below what the excess asks for
_STEEPEST = 3.0  # largest change of ln(expected count) of a bin in drawn sidebands


def checked_discovery(
    workspace: dict[str, Any], fit: BackgroundFit, window: Interval, n_obs: float, likelihood: str
) -> DiscoveryResult:
    """Test the background-only hypothesis, above three standard deviations with toys of the sidebands.

    Parameters
    ----------
    workspace : dict
        pyhf workspace of the count and the estimate of `fit`, without further errors of the background.
    fit : BackgroundFit
    window : (low, high)
        Signal region, GeV.
    n_obs : float
        Observed events.
    likelihood : str
        As in `analysis.statistics.Counting`.

    Returns
    -------
    DiscoveryResult
    """
    found = discovery(workspace)
    p0 = sideband_p0(fit, window, n_obs, likelihood=likelihood) if found.z > _CHECKED else None
    return found if p0 is None else checked(found, p0)


def sideband_p0(
    fit: BackgroundFit,
    window: Interval,
    n_obs: float,
    *,
    likelihood: str = "profile",
    n_toys: int = _N_TOYS,
    random_state: int | np.random.Generator = 0,
) -> float | None:
    """Probability of an excess at least as significant as the observed one, without signal.

    Parameters
    ----------
    fit : BackgroundFit
        With its data.
    window : (low, high)
        Signal region, GeV.
    n_obs : float
        Observed events.
    likelihood : str
        As in `analysis.statistics.Counting`.
    n_toys : int
    random_state : int or numpy.random.Generator

    Returns
    -------
    float or None
        None if the fit has no data, or the fit with the window has no minimum.
    """
    if fit.data is None:
        return None
    data, rng = fit.data, np.random.default_rng(random_state)
    estimate = fit.estimate(*window)
    weight = estimate.weight
    n = n_obs / weight
    b, sigma = np.array(estimate.value / weight), np.array(estimate.error(likelihood) / weight)
    observed = counting_z(np.array(n), b, sigma, likelihood)
    fitted = fit.design(data.low, data.high, data.rest)
    target = fit.design(np.array([window[0]]), np.array([window[1]]))
    null = _null(fit, window, n_obs, weight)
    if null is None:
        return None
    rates, expected = integrals(fitted, null)[0][0] * data.scale, float(integrals(target, null)[0][0, 0]) / weight
    toys, weights = draw_sidebands(rates, direction_of(fitted, target, null, data.scale), float(observed), n_toys, rng)
    scale = np.broadcast_to(data.scale, toys.shape)
    solution = solve(toys / data.scale, fitted, scale)
    with np.errstate(all="ignore"):
        found = estimate_bins(target, solution, weight, fitted=(fitted, scale)).widened(fit.function_error)
    value = found.value[:, 0] / weight
    error = error_of(found.value, found.up, found.log_error, likelihood)[:, 0] / weight
    usable = solution.valid & np.isfinite(value) & np.isfinite(error) & (value > 0) & (error > 0)
    tail = np.zeros(len(toys))
    least = least_count(value[usable], error[usable], float(observed), likelihood)
    tail[usable] = stats.poisson.sf(np.ceil(least - 1e-9) - 1, expected)
    return float(weights @ tail / len(toys))


def _null(fit: BackgroundFit, window: Interval, n_obs: float, weight: float) -> Array | None:
    """Coefficients (1, n_parameters) of the fit to sidebands and window together."""
    assert fit.data is not None
    data = fit.data
    low, high = np.append(data.low, window[0]), np.append(data.high, window[1])
    counts, scale = np.append(data.observed, n_obs)[None], np.append(data.scale, 1.0 / weight)[None]
    solution = solve(counts, fit.design(low, high, np.append(data.rest, False)), scale)
    return solution.coefficients if solution.valid[0] else None


def direction_of(fitted: Design, target: Design, null: Array, scale: Array) -> Array:
    """Return how ln b of the window changes with each (effective) count of the sidebands, to first order.

    Parameters
    ----------
    fitted, target : Design
        Bins of the fit, and one interval.
    null : (1, n_parameters) float64
        Coefficients.
    scale : (n_bins,) float64
        1 for plain counts, (sum w) / (sum w^2) for weighted ones.

    Returns
    -------
    (n_bins,) float64
    """
    expected, jacobian = (array[0] for array in integrals(fitted, null))
    b, slope = (array[0] for array in integrals(target, null))
    information = (jacobian * (scale / expected)[:, None]).T @ jacobian
    direction: Array = (jacobian / expected[:, None]) @ np.linalg.solve(information, slope[0] / b[0])
    return direction


def draw_sidebands(
    rates: Array, direction: Array, z: float, n_toys: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw sidebands, some of them with low estimates, and their weights.

    Parameters
    ----------
    rates, direction : (n_bins,) float64
        Expected counts, and the result of `direction_of`.
    z : float
        Significance of the excess whose tail is wanted.
    n_toys : int
    rng : numpy.random.Generator

    Returns
    -------
    counts : (n_drawn, n_bins) float64
        At least n_toys.
    weights : (n_drawn,) float64
        Their mean is one but for the statistical error.
    """
    error = float(np.sqrt(direction**2 @ rates))
    tilts = -np.concatenate([[0.0], np.arange(0.0, max(z, 0.0) + _FURTHER + 1.0)]) / error
    # Bounded: far bins without events would be drawn with thousands, or more than can be drawn.
    exponents = np.clip(tilts[:, None] * direction, -_STEEPEST, _STEEPEST)
    means = rates * np.exp(exponents)
    each = -(-n_toys // len(tilts))
    toys = np.concatenate([rng.poisson(mean, (each, len(rates))) for mean in means]).astype(float)
    # Probability under each tilt over that without: exponential, since the tilt of a Poisson variable is one.
    logs = exponents @ toys.T - (means - rates).sum(axis=1)[:, None]
    return toys, np.exp(np.log(len(tilts)) - special.logsumexp(logs, axis=0))


def least_count(value: Array, error: Array, z: float, likelihood: str) -> Array:
    """Count, not rounded, at which each background has the significance z.

    Parameters
    ----------
    value, error : (n,) float64
        Background and its upward error, events.
    z : float
    likelihood : str
        As in `analysis.statistics.Counting`.

    Returns
    -------
    (n,) float64
    """
    low, high = np.zeros_like(value), value + 10.0 * (abs(z) + 2.0) * np.hypot(np.sqrt(value) + 1.0, error)
    while True:
        short = counting_z(high, value, error, likelihood) < z
        if not short.any():
            break
        high[short] *= 2.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        above = counting_z(middle, value, error, likelihood) >= z
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high
