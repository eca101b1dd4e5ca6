"""Impacts of the nuisance parameters on the fitted signal strength, and their pulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.likelihood import Likelihood

__all__ = ["Impact", "Impacts", "impacts"]

Array = NDArray[np.float64]

_STEP = 1e-3


@dataclass(frozen=True)
class Impact:
    """Impact and pull of one nuisance parameter.

    Attributes
    ----------
    name : str
    pull : float
        Fitted minus nominal value, divided by the prefit width.
    error : float
        Postfit width divided by prefit width.
    up, down : float
        Shift of the fitted signal strength with the parameter fixed one postfit width above, and below, its fitted
        value.
    """

    name: str
    pull: float
    error: float
    up: float
    down: float

    @property
    def size(self) -> float:
        """Larger of the two shifts."""
        return max(abs(self.up), abs(self.down))


@dataclass(frozen=True)
class Impacts:
    """Signal strength and nuisance parameters of a fit.

    Attributes
    ----------
    strength, strength_error : float
        In units of the parameter of interest; may be negative.
    parameters : tuple of Impact
        Largest impact first.
    """

    strength: float
    strength_error: float
    parameters: tuple[Impact, ...]


def impacts(workspace: dict[str, Any], *, strength: float | None = None) -> Impacts:
    """Rank the nuisance parameters of a workspace by their impact on the signal strength.

    Parameters
    ----------
    workspace : dict
        pyhf workspace.
    strength : float, optional
        Fit the expectation for this signal strength in place of the observed data.

    Returns
    -------
    Impacts

    Raises
    ------
    StatisticsError
        If the workspace cannot be used or a fit fails.
    """
    likelihood = Likelihood(workspace)
    data = likelihood.data
    if strength is not None:
        point = likelihood.start.copy()
        point[likelihood.poi] = strength
        data = likelihood.expected(point[None])[0]
    lowest = likelihood.lowest_mu
    best = likelihood.fit(data[None], lowest_mu=lowest).parameters[0]
    errors = _errors(likelihood, best, data)
    prior, names = likelihood.prior_errors(), likelihood.names()
    ranking = []
    for index in np.flatnonzero(prior > 0).tolist():
        start = np.tile(best, (2, 1))
        start[:, index] += errors[index] * np.array([1.0, -1.0])
        held = likelihood.fit(np.tile(data, (2, 1)), start=start, lowest_mu=lowest, held=index)
        up, down = (held.parameters[:, likelihood.poi] - best[likelihood.poi]).tolist()
        pull = (best[index] - likelihood.start[index]) / prior[index]
        ranking.append(Impact(names[index], float(pull), float(errors[index] / prior[index]), up, down))
    ranking.sort(key=lambda impact: -impact.size)
    return Impacts(float(best[likelihood.poi]), float(errors[likelihood.poi]), tuple(ranking))


def _errors(likelihood: Likelihood, best: Array, data: Array) -> Array:
    """(n_parameters,) float64: errors from the second derivatives of the likelihood at its minimum."""
    count = len(best)
    widths = likelihood.prior_errors()
    widths[likelihood.poi] = likelihood.mu_error(best, data)
    steps = np.diag(_STEP * np.where(widths > 0, widths, 1.0))
    points = np.concatenate([best + steps, best - steps])
    gradient, _ = likelihood.derivatives(points, np.tile(data, (2 * count, 1)), likelihood.expected(points))
    hessian = (gradient[:count] - gradient[count:]) / (2.0 * np.diag(steps)[:, None])
    inverse = np.linalg.pinv((hessian + hessian.T) / 4.0)
    return np.asarray(np.sqrt(np.maximum(np.diag(inverse), 0.0)))
