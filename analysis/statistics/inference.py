"""P-values and CLs limits from pyhf workspaces, with pyhf's known traps handled in one place.

- The default bounds of the parameter of interest, [0, 10], cut off small templates: workspaces carry their own.
- `upper_limit` returns the edge of a grid when CLs does not cross the level inside it, and ignores `level` in its
  root-finding mode (pyhf 0.7.6): the crossing is found here, from pyhf's own test at each point, and its absence is an
  error.
- A discovery test clips at zero for a deficit: the signed z uses the unclipped profile-likelihood ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyhf
from numpy.typing import NDArray
from scipy import stats
from scipy.interpolate import PchipInterpolator

from analysis.errors import StatisticsError

__all__ = ["DiscoveryResult", "LimitResult", "discovery", "upper_limit"]

T = TypeVar("T")

Array = NDArray[np.float64]

_LIMIT_PRECISION = 1e-3  # of CLs over the level
_MAX_STEPS = 60
_SMALLEST = 1e-300
_GAUSSIAN_LIMITS = (1.05, 1.41, 1.96, 2.73, 3.66)  # 95 % CLs limits, arXiv:1007.1727 Eq. 89


@dataclass(frozen=True)
class DiscoveryResult:
    """Test of the background-only hypothesis.

    Attributes
    ----------
    z : float
        Signed significance sign(mu_hat) sqrt(q), q = -2 log lambda(0): negative for a deficit.
    p0 : float
        One-sided p-value, the upper tail of the normal distribution at z; above 1/2 for a deficit.
    """

    z: float
    p0: float


@dataclass(frozen=True)
class LimitResult:
    """CLs upper limit on the number of signal events in the window after the selection.

    Attributes
    ----------
    rule : str
        "visible-events": at fixed selection, without credit for what the classifier would learn from more signal.
    calculator : str
        "asymptotics" (Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727).
    observed_events : float or None
        None while blinded.
    expected_events : tuple of float
        At -2, -1, 0, 1, 2 standard deviations of the background-only expectation.
    level : float
        The limit is at confidence level 1 - level.
    """

    rule: str
    calculator: str
    observed_events: float | None
    expected_events: tuple[float, ...]
    level: float = 0.05


def discovery(workspace: dict[str, Any]) -> DiscoveryResult:
    """Signed significance of an excess over the background.

    Parameters
    ----------
    workspace : dict
        pyhf workspace with one channel, one bin and a parameter of interest that scales the signal.

    Returns
    -------
    DiscoveryResult

    Raises
    ------
    StatisticsError
        If the fits fail.
    """
    z = _robustly("the discovery fit", lambda: _signed_z(*_model(workspace)))
    return DiscoveryResult(z=z, p0=float(stats.norm.sf(z)))


def upper_limit(workspace: dict[str, Any], *, level: float = 0.05, blinded: bool = False) -> LimitResult:
    """CLs limit on the visible signal events.

    Parameters
    ----------
    workspace : dict
        pyhf workspace; the signal sample of its first channel says how many events one unit of the parameter is.
    level : float
        Excluded where CLs < level.
    blinded : bool
        Give the expected limits only.

    Returns
    -------
    LimitResult

    Raises
    ------
    StatisticsError
        If the limit cannot be bracketed or a fit fails.
    """
    events = float(workspace["channels"][0]["samples"][0]["data"][0])
    observed, *expected = _robustly("the limit", lambda: _limits(*_model(workspace), level))
    return LimitResult(
        rule="visible-events",
        calculator="asymptotics",
        observed_events=None if blinded else observed * events,
        expected_events=tuple(value * events for value in expected),
        level=level,
    )


def _model(workspace: dict[str, Any]) -> tuple[pyhf.Model, list[float]]:
    loaded = pyhf.Workspace(workspace)
    model = loaded.model()
    return model, loaded.data(model)


def _signed_bounds(model: pyhf.Model) -> list[tuple[float, float]]:
    """Let the parameter of interest go down to where the expectation vanishes."""
    bounds = [tuple(pair) for pair in model.config.suggested_bounds()]
    signal, background = (model.spec["channels"][0]["samples"][i]["data"][0] for i in (0, 1))
    bounds[model.config.poi_index] = (-background / signal, bounds[model.config.poi_index][1])
    return bounds


def _saturated(model: pyhf.Model, data: list[float]) -> float:
    """-2 log likelihood where every rate equals its count and every nuisance its auxiliary datum: no fit is better.

    Without this floor a fit to zero events runs into negative rates, whose likelihood has no bound.
    """
    counts = np.asarray(data[: model.config.nmaindata])
    rates = pyhf.probability.Independent(pyhf.probability.Poisson(counts)).log_prob(counts)
    auxiliary = np.asarray(data[model.config.nmaindata :])
    constraint = model.constraint_logpdf(auxiliary, np.asarray(model.config.suggested_init()))
    return float(-2.0 * (rates + constraint))


def _limits(model: pyhf.Model, data: list[float], level: float) -> list[float]:
    """Observed limit and the five expected ones, in units of the parameter of interest.

    Each call of pyhf's test gives all six CLs values, so the points are shared: the next one lies where monotone
    interpolation of log CLs, over all points so far, crosses the level.
    """
    points = {mu: _log_cls(mu, model, data, level) for mu in _first_points(model, data)}
    return [_crossing(points, index, model, data, level) for index in range(6)]


def _log_cls(mu: float, model: pyhf.Model, data: list[float], level: float) -> Array:
    """(6,): log of CLs over the level, observed and expected; falls with mu."""
    observed, expected = pyhf.infer.hypotest(mu, data, model, test_stat="qtilde", return_expected_set=True)
    values = np.array([float(observed), *map(float, expected)])
    log_ratio: Array = np.log(np.maximum(values, _SMALLEST) / level)
    return log_ratio


def _first_points(model: pyhf.Model, data: list[float]) -> list[float]:
    """Where the limits lie if counts are Gaussian and one unit is one standard deviation, with points around them."""
    signal, background = (float(model.spec["channels"][0]["samples"][i]["data"][0]) for i in (0, 1))
    excess = max(0.0, (data[0] - background) / signal)
    observed = [] if excess < 1 else [excess + 1.0, excess + 2.5]
    return [0.7, *_GAUSSIAN_LIMITS, 5.5, *observed]


def _crossing(points: dict[float, Array], index: int, model: pyhf.Model, data: list[float], level: float) -> float:
    for _ in range(_MAX_STEPS):
        mu = np.array(sorted(points))
        values = np.array([points[x][index] for x in mu])
        if abs(values).min() < _LIMIT_PRECISION:
            return float(mu[abs(values).argmin()])
        if (values < 0).all():
            following = mu[0] / 2
        elif (values > 0).all():
            following = mu[-1] * 1.5
        else:
            above = np.flatnonzero(values > 0)[-1]
            near = slice(max(above - 1, 0), above + 3)
            following = _interpolate(mu[near], values[near], mu[above : above + 2])
        points[following] = _log_cls(following, model, data, level)
    msg = f"CLs does not cross {level:g} between {min(points):g} and {max(points):g} times the signal template"
    raise ValueError(msg)


def _interpolate(mu: Array, values: Array, bracket: Array) -> float:
    """Where `values` cross zero in the bracket: by monotone interpolation, or bisection where they are not monotone."""
    if (np.diff(values) < 0).all():
        crossing = float(PchipInterpolator(-values, mu)(0.0))
        if bracket[0] < crossing < bracket[1]:
            return crossing
    return float(bracket.mean())


def _signed_z(model: pyhf.Model, data: list[float]) -> float:
    bounds = _signed_bounds(model)
    _, null = pyhf.infer.mle.fixed_poi_fit(0.0, data, model, par_bounds=bounds, return_fitted_val=True)
    best, free = pyhf.infer.mle.fit(data, model, par_bounds=bounds, return_fitted_val=True)
    q = max(float(null) - max(float(free), _saturated(model, data)), 0.0)
    sign = 1.0 if best[model.config.poi_index] >= 0 else -1.0
    return sign * float(np.sqrt(q))


def _robustly(what: str, compute: Callable[[], T]) -> T:
    """Compute with scipy's minimiser, or with Minuit where that fails."""
    failure: Exception | None = None
    for optimizer in (pyhf.optimize.scipy_optimizer(), pyhf.optimize.minuit_optimizer()):
        pyhf.set_backend("numpy", optimizer)
        try:
            return compute()
        except (pyhf.exceptions.FailedMinimization, ValueError) as error:
            failure = error
    msg = f"{what} failed: {failure}. Check the background and its uncertainty; use a looser selection."
    raise StatisticsError(msg) from failure
