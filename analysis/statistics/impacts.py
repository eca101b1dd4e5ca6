"""Impacts of the nuisance parameters on the fitted signal strength, and their pulls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.documents import ABSENT
from analysis.statistics.likelihood import Likelihood

__all__ = ["STATISTICAL", "GroupImpact", "Impact", "Impacts", "group_of", "impacts"]

Array = NDArray[np.float64]

_STEP = 1e-3

STATISTICAL = "statistical"
"""Name of the error with all nuisance parameters fixed."""

_GROUPS = (
    ("background fit", re.compile(r"background_fit(_\d+)?")),
    ("background model", re.compile("background_function|spurious_signal|non_closure")),
    ("luminosity", re.compile("lumi")),
    ("simulated events", re.compile("signal_statistics")),
)
_OTHER = "signal systematics"


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
class GroupImpact:
    """Part of the uncertainty of the signal strength.

    Attributes
    ----------
    name : str
        A group of nuisance parameters, see `group_of`, or "statistical".
    error : float
        The quadratic difference of the total uncertainty and that with the group fixed; for "statistical" the
        uncertainty with all of them fixed. Correlations between groups make their quadratic sum differ from the total.
    """

    name: str
    error: float


@dataclass(frozen=True)
class Impacts:
    """Signal strength and nuisance parameters of a fit.

    Attributes
    ----------
    strength, strength_error : float
        In units of the parameter of interest; may be negative.
    parameters : tuple of Impact
        Largest impact first.
    groups : tuple of GroupImpact
        The statistical uncertainty first, then the groups, the largest first.
    """

    strength: float
    strength_error: float
    parameters: tuple[Impact, ...]
    groups: tuple[GroupImpact, ...] = field(default=(), metadata=ABSENT)

    def scaled(self, factor: float) -> Impacts:
        """Convert to another unit of the strength."""
        return Impacts(
            self.strength * factor,
            self.strength_error * factor,
            tuple(replace(impact, up=impact.up * factor, down=impact.down * factor) for impact in self.parameters),
            tuple(replace(group, error=group.error * factor) for group in self.groups),
        )


def group_of(parameter: str) -> str:
    """Group of a nuisance parameter: "background fit", "background model", "luminosity", "simulated events" or others.

    Parameters
    ----------
    parameter : str
        Its name in a workspace of this package.

    Returns
    -------
    str
        "signal systematics" for all that are none of these.
    """
    return next((group for group, names in _GROUPS if names.fullmatch(parameter)), _OTHER)


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

    Examples
    --------
    >>> from analysis.statistics import Counting, counting_workspace, impacts
    >>> workspace = counting_workspace(Counting(120.0, 100.0, 5.0), channel="3300-3700", measurement="search")
    >>> found = impacts(workspace)
    >>> [parameter.name for parameter in found.parameters]
    ['background_fit']
    >>> [(group.name, round(group.error / found.strength_error, 2)) for group in found.groups]
    [('statistical', 0.91), ('background fit', 0.41)]
    """
    likelihood = Likelihood(workspace)
    data = likelihood.data
    if strength is not None:
        point = likelihood.start.copy()
        point[likelihood.poi] = strength
        data = likelihood.expected(point[None])[0]
    lowest = likelihood.lowest_mu
    best = likelihood.fit(data[None], lowest_mu=lowest).parameters[0]
    information = _information(likelihood, best, data)
    errors = _errors(information)
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
    nuisances = {names[index]: index for index in np.flatnonzero(prior > 0).tolist()}
    groups = _breakdown(information, likelihood.poi, nuisances)
    return Impacts(float(best[likelihood.poi]), float(errors[likelihood.poi]), tuple(ranking), groups)


def _breakdown(information: Array, poi: int, nuisances: Mapping[str, int]) -> tuple[GroupImpact, ...]:
    """Errors of the parameter of interest by group, from the information with and without each."""
    members: dict[str, list[int]] = {}
    for name, index in nuisances.items():
        members.setdefault(group_of(name), []).append(index)
    total = _variance(information, poi, [])
    parts = [
        GroupImpact(name, float(np.sqrt(max(total - _variance(information, poi, indices), 0.0))))
        for name, indices in members.items()
    ]
    statistical = float(np.sqrt(_variance(information, poi, list(nuisances.values()))))
    return (GroupImpact(STATISTICAL, statistical), *sorted(parts, key=lambda part: -part.error))


def _variance(information: Array, poi: int, fixed: Sequence[int]) -> float:
    """Variance of a parameter with others fixed."""
    free = [index for index in range(len(information)) if index == poi or index not in fixed]
    inverse = np.linalg.pinv(information[np.ix_(free, free)])
    return float(max(inverse[free.index(poi), free.index(poi)], 0.0))


def _errors(information: Array) -> Array:
    """(n_parameters,) float64: errors from the information."""
    return np.asarray(np.sqrt(np.maximum(np.diag(np.linalg.pinv(information)), 0.0)))


def _information(likelihood: Likelihood, best: Array, data: Array) -> Array:
    """(n_parameters, n_parameters) float64: second derivatives of the negative log likelihood at its minimum."""
    count = len(best)
    widths = likelihood.prior_errors()
    widths[likelihood.poi] = likelihood.mu_error(best, data)
    steps = np.diag(_STEP * np.where(widths > 0, widths, 1.0))
    points = np.concatenate([best + steps, best - steps])
    gradient, _ = likelihood.derivatives(points, np.tile(data, (2 * count, 1)), likelihood.expected(points))
    hessian = (gradient[:count] - gradient[count:]) / (2.0 * np.diag(steps)[:, None])
    return np.asarray((hessian + hessian.T) / 4.0)
