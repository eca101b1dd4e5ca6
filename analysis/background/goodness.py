"""Goodness of fit, valid also with nearly empty bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background.fit import BackgroundFit
from analysis.background.likelihood import integrals, make_design, solve
from analysis.errors import FitError

__all__ = ["GoodnessOfFit", "goodness_of_fit"]

Array = NDArray[np.float64]

_ENOUGH = 5.0
_MANY = 0.2
_LEAST_VALID = 0.5


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
    `n_toys` spectra are drawn from the fit and refitted in the same way.

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
    """
    if fit.data is None:
        msg = f"this fit of {fit.function.name} was read back without its data; fit again to test its goodness."
        raise FitError(msg)
    data = fit.data
    design = make_design(fit.function, data.low, data.high, fit.sqrt_s_gev, fit.transform)
    expected = integrals(design, fit.coefficients[None])[0][0]
    if (expected * data.scale < _ENOUGH).mean() <= _MANY:
        return GoodnessOfFit(fit.p_value, fit.deviance, fit.ndof, "asymptotics")
    rng = np.random.default_rng(random_state)
    scale = np.broadcast_to(data.scale, (n_toys, len(data.scale)))
    toys = rng.poisson(expected * scale) / scale
    usable = (toys > 0).sum(axis=1) > fit.function.n_parameters
    solution = solve(toys[usable], design, scale[usable])
    deviance = solution.deviance[solution.valid]
    if len(deviance) < _LEAST_VALID * n_toys:
        msg = (
            f"only {len(deviance)} of {n_toys} toys of {fit.function.name} in {data.low[0]:g}-{data.high[-1]:g} GeV "
            "could be fitted. Use fewer parameters or wider bins."
        )
        raise FitError(msg)
    p_value = (1 + int((deviance >= fit.deviance).sum())) / (1 + len(deviance))
    return GoodnessOfFit(p_value, fit.deviance, fit.ndof, "toys", len(deviance))


def chi_square_p_value(deviance: float, extra_parameters: int) -> float:
    """Asymptotic p-value of a likelihood-ratio test; a deviance below zero is a rounding error."""
    return float(stats.chi2.sf(max(deviance, 0.0), extra_parameters))
