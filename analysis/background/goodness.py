"""Goodness of fit, valid also with nearly empty bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background.fit import BackgroundFit
from analysis.background.likelihood import Design, deviance_of, integrals, solve
from analysis.errors import FitError

__all__ = ["BAD_FIT", "GoodnessOfFit", "goodness_of_fit", "is_bad_fit"]

Array = NDArray[np.float64]

BAD_FIT = 0.01
"""p-value below which a background fit is called bad wherever its numbers are shown."""

_ENOUGH = 5.0
_MANY = 0.2
_LEAST_VALID = 0.5

_CLEARLY_GOOD = 0.05
"""p-value above which toys need no fit of their own: the parabola is close enough, within 0.08 in the p-value."""

_REACHED = 10
"""Toys that must reach the deviance of the fit; otherwise there are `_FURTHER` times as many more."""

_FURTHER = 3


@dataclass(frozen=True)
class GoodnessOfFit:
    """Probability of a deviance at least as large if the fitted function is correct.

    Attributes
    ----------
    p_value : float
    deviance : float
        -2 log likelihood ratio to the saturated model.
    ndof : int
    method : str
        "asymptotics" (chi-square distribution) or "toys".
    n_toys : int
        Number of pseudo-experiments behind the p-value; 0 for asymptotics.
    """

    p_value: float
    deviance: float
    ndof: int
    method: str
    n_toys: int = 0


def goodness_of_fit(
    fit: BackgroundFit, *, n_toys: int = 500, random_state: int | np.random.Generator = 0
) -> GoodnessOfFit:
    """Test the fit by its saturated-likelihood deviance, with toys if the chi-square distribution is not valid.

    The deviance follows a chi-square distribution only if few bins are nearly empty. By W. Cochran's rule, Biometrics
    10 (1954) 417, at most one in five fitted bins may have an expectation below five (effective) events; otherwise
    `n_toys` spectra are drawn from the fit. A first p-value takes the minimum of their deviance from the score and the
    information at the fit. If it is not above 0.05, the toys are refitted; if fewer than 10 of them reach the deviance,
    three times as many more are drawn. A deviance that no toy reaches has the tail of the gamma distribution with the
    mean and variance of the toys (a chi-square distribution if the bins are filled).

    Parameters
    ----------
    fit : BackgroundFit
        Result of a fit in this process, not read from a file.
    n_toys : int
    random_state : int or numpy.random.Generator

    Returns
    -------
    GoodnessOfFit

    Raises
    ------
    FitError
        If the fit has no data, or most toys have no valid fit.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.background import FUNCTIONS, fit_background, goodness_of_fit
    >>> edges = np.arange(3000.0, 6501.0, 100.0)
    >>> x = (edges[1:] + edges[:-1]) / 2 / 13000
    >>> counts = np.round(40 * (1 - x) ** 9 / x**5)
    >>> for name in ("dijet3", "exp1"):
    ...     fit = fit_background(counts, edges, FUNCTIONS[name], mask=(3200, 3800), sqrt_s_gev=13000)
    ...     print(name, goodness_of_fit(fit).p_value > 0.01)
    dijet3 True
    exp1 False
    """
    if fit.data is None:
        msg = f"this fit of {fit.function.name} was read back without its data; fit again to test its goodness."
        raise FitError(msg)
    data = fit.data
    design = fit.design(data.low, data.high, data.rest)
    expected, jacobian = (array[0] for array in integrals(design, fit.coefficients[None]))
    if (expected * data.scale < _ENOUGH).mean() <= _MANY:
        return GoodnessOfFit(fit.p_value, fit.deviance, fit.ndof, "asymptotics")
    rng = np.random.default_rng(random_state)
    averaged = _averaged(design, fit.coefficients, expected, jacobian)
    toys = _toys(fit, expected, data.scale, n_toys, rng)
    found = _quick_deviance(toys, expected, jacobian, data.scale)
    if not _share_reached(found, fit.deviance) > _CLEARLY_GOOD:
        found = _refitted_deviance(toys, averaged, data.scale)
        if (found >= fit.deviance).sum() < _REACHED:
            further = _toys(fit, expected, data.scale, _FURTHER * n_toys, rng)
            found = np.concatenate([found, _refitted_deviance(further, averaged, data.scale)])
            n_toys *= 1 + _FURTHER
    if len(found) < _LEAST_VALID * n_toys:
        msg = (
            f"only {len(found)} of {n_toys} toys of {fit.function.name} in {data.low[0]:g}-{data.high[-1]:g} GeV "
            "could be fitted. Use fewer parameters or wider bins."
        )
        raise FitError(msg)
    return GoodnessOfFit(_toy_p_value(found, fit.deviance), fit.deviance, fit.ndof, "toys", len(found))


def is_bad_fit(p_value: float | None) -> bool:
    """Return whether a fit is called bad; a fit without a p-value is not."""
    return p_value is not None and p_value < BAD_FIT


def _averaged(design: Design, coefficients: Array, expected: Array, jacobian: Array) -> Design:
    """Return the design with one node in each bin, the mean of the function at the fit: several times as fast.

    Minima of toys agree with those of the full design within 0.1 in the deviance.
    """
    basis = jacobian / expected[:, None]
    width = expected / np.exp(basis @ coefficients)
    return Design(design.function, design.sqrt_s_gev, design.transform, basis[:, None, :], width[:, None])


def _toys(fit: BackgroundFit, expected: Array, scale: Array, n_toys: int, rng: np.random.Generator) -> Array:
    """(n_usable, n_bins): toys with enough filled bins for a fit."""
    toys = rng.poisson(expected * scale, (n_toys, len(scale))) / scale
    return np.asarray(toys[(toys > 0).sum(axis=1) > fit.function.n_parameters], np.float64)


def _quick_deviance(toys: Array, expected: Array, jacobian: Array, scale: Array) -> Array:
    """(n_toys,): minima of the deviance if it were a parabola around the fit."""
    scores = jacobian / expected[:, None]
    score = ((toys - expected) * scale) @ scores
    information = scores.T @ (scores * (scale * expected)[:, None])
    gain: Array = (score * np.linalg.solve(information, score.T).T).sum(axis=1)
    return deviance_of(toys, expected[None], scale[None]) - gain


def _refitted_deviance(toys: Array, design: Design, scale: Array) -> Array:
    """(n_valid,): minima of the deviance of toys with a valid fit."""
    solution = solve(toys, design, np.broadcast_to(scale, toys.shape))
    return solution.deviance[solution.valid]


def _share_reached(found: Array, deviance: float) -> float:
    return (1 + int((found >= deviance).sum())) / (1 + len(found))


def _toy_p_value(found: Array, deviance: float) -> float:
    share = _share_reached(found, deviance)
    mean, variance = float(found.mean()), float(found.var())
    if deviance <= found.max() or not variance > 0:
        return share
    return min(share, float(stats.gamma.sf(deviance, mean**2 / variance, scale=variance / mean)))


def chi_square_p_value(deviance: float, extra_parameters: int) -> float:
    """Asymptotic p-value of a likelihood-ratio test; a deviance below zero is a rounding error."""
    return float(stats.chi2.sf(max(deviance, 0.0), extra_parameters))
