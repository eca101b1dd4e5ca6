"""Rules that combine injections at several strengths into one limit: of two ATLAS searches, and the naive one.

All numbers are strengths: numbers of signal events after the event selection. A scan holds the limits of one selection
with classifiers trained at each injected strength; the limits fall as the injected signal is learned. The scan and
strength of a limit are always chosen by the expected limits, never by the observed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.core.registry import Registry
from analysis.errors import StatisticsError
from analysis.limits.values import FailedLimit, InjectionLimit

__all__ = [
    "INCLUSIVE_RULE",
    "NAIVE",
    "RULES",
    "LimitRule",
    "RuleLimit",
    "StrengthLimits",
    "StrengthScan",
    "apply_rule",
    "atlas_2020",
    "atlas_2025",
    "chosen_limits",
    "limit_rules",
    "register_limit_rule",
    "rule_text",
]

INCLUSIVE_RULE, NAIVE = "inclusive", "fixed-efficiency"
"""Rules that serve as references for the others."""

Array = NDArray[np.float64]

_MEDIAN = 2
_N_BANDS = 5


@dataclass(frozen=True)
class StrengthLimits:
    """Limits of classifiers trained with one injected strength.

    Attributes
    ----------
    strength : float
        Injected strength.
    expected : (n_samplings, 5) float64
        Expected limits at -2 ... 2 standard deviations, for each random choice of the injected events; infinite
        without a limit.
    observed : (n_samplings,) float64, or None
        None while blinded.
    """

    strength: float
    expected: Array
    observed: Array | None


@dataclass(frozen=True)
class StrengthScan:
    """All strengths of one selection of one method with one set of features.

    Attributes
    ----------
    label : str
        For the report and for messages.
    points : tuple of StrengthLimits
        By rising strength.
    """

    label: str
    points: tuple[StrengthLimits, ...]

    def __post_init__(self) -> None:
        strengths = [point.strength for point in self.points]
        if not strengths or sorted(set(strengths)) != strengths or strengths[0] < 0:
            msg = f"the scan {self.label} needs injected strengths that rise from 0 or more, found {strengths}."
            raise StatisticsError(msg)


@dataclass(frozen=True)
class RuleLimit:
    """A limit by one of the rules.

    Attributes
    ----------
    rule : str
    scan : int
        Index of the chosen scan.
    strength : float
        Strength at which the limit was read: the injected one, or the expected root for "atlas-2025".
    expected : tuple of float
        At -2 ... 2 standard deviations.
    observed : float or None
        None while blinded.
    spread : float
        Standard deviation of the expected limit over the samplings, included in the band.
    """

    rule: str
    scan: int
    strength: float
    expected: tuple[float, ...]
    observed: float | None
    spread: float


def atlas_2020(scans: Sequence[StrengthScan]) -> RuleLimit:
    """Return the smallest median of max(limit, injected strength) over the injected strengths.

    The rule of ATLAS' first search (arXiv:2005.02983; slides on its statistical analysis). A limit above the injected
    strength is kept: a stronger signal would be learned better. A limit below it is raised to the injected strength: a
    weaker signal might not be learned. The median is over the random choices of injected events. The scan and strength
    with the smallest expected limit are chosen, and the observed limit is read there. The band of the median sampling
    is widened in quadrature by the spread over the samplings.

    Parameters
    ----------
    scans : sequence of StrengthScan

    Returns
    -------
    RuleLimit

    Raises
    ------
    StatisticsError
        If no scan has a limit.
    """
    pairs = [(scan, point) for scan, found in enumerate(scans) for point in found.points]
    expected = [float(np.median(np.maximum(point.expected[:, _MEDIAN], point.strength))) for _, point in pairs]
    _require_limit(expected, scans)
    index = int(np.argmin(expected))
    scan, point = pairs[index]
    observed = None if point.observed is None else float(np.median(np.maximum(point.observed, point.strength)))
    band, spread = _with_spread(_middle(point.expected), point.expected[:, _MEDIAN])
    expected_band = np.maximum(band - band[_MEDIAN] + expected[index], point.strength)
    return RuleLimit("atlas-2020", scan, point.strength, tuple(expected_band.tolist()), observed, spread)


def atlas_2025(scans: Sequence[StrengthScan]) -> RuleLimit:
    """Return the strength equal to its own limit: sigma enters both the yield and the efficiency.

    The rule of ATLAS' second search (arXiv:2502.09770): N_sig(sigma) = sigma L A epsilon(sigma) = N_95(sigma), the
    strength at which the limit of the classifiers trained with it equals the strength itself. Between the injected
    strengths the logarithm of the median limit over the samplings is interpolated linearly in the logarithm of the
    strength (linearly from zero strength), and the smallest root is taken. If the strongest injection is still below
    its limit, that limit is the result: a stronger signal would be learned better. The scan with the smallest expected
    root is chosen. The band consists of the roots of the band of limits, in quadrature with the spread of the roots
    over the samplings, both in logarithms.

    Parameters
    ----------
    scans : sequence of StrengthScan

    Returns
    -------
    RuleLimit

    Raises
    ------
    StatisticsError
        If no scan has a limit.
    """
    medians = [np.stack([np.median(point.expected, axis=0) for point in scan.points]) for scan in scans]
    strengths = [np.array([point.strength for point in scan.points]) for scan in scans]
    roots = [_root(x, found[:, _MEDIAN]) for x, found in zip(strengths, medians, strict=True)]
    _require_limit(roots, scans)
    index = int(np.argmin(roots))
    x, points = strengths[index], scans[index].points
    band = np.array([_root(x, column) for column in medians[index].T])
    n_samplings = min(len(point.expected) for point in points)
    single = [_root(x, np.array([point.expected[i, _MEDIAN] for point in points])) for i in range(n_samplings)]
    # In logarithms, so that no limit becomes negative if the samplings differ widely.
    logarithms, relative = _with_spread(np.log(band), np.log(single))
    band, spread = np.exp(logarithms), roots[index] * relative
    counts = [None if point.observed is None else float(np.median(point.observed)) for point in points]
    known = [value for value in counts if value is not None]
    observed = _root(x, np.array(known)) if len(known) == len(x) else None
    return RuleLimit("atlas-2025", index, roots[index], tuple(band.tolist()), observed, spread)


def fixed_efficiency(scans: Sequence[StrengthScan]) -> RuleLimit:
    """Return the smallest expected limit of scans with one selection each; see `LimitRule.selections`.

    Raises
    ------
    StatisticsError
        If no scan has a limit.
    """
    expected = [float(scan.points[0].expected[0, _MEDIAN]) for scan in scans]
    _require_limit(expected, scans)
    index = int(np.argmin(expected))
    point = scans[index].points[0]
    observed = None if point.observed is None else float(point.observed[0])
    return RuleLimit(NAIVE, index, point.strength, tuple(point.expected[0].tolist()), observed, 0.0)


@dataclass(frozen=True)
class LimitRule:
    """Rule to read a limit from the scans over the injected strength, and its display.

    Attributes
    ----------
    name : str
        In `results.json`, in file names and in titles of figures.
    text : str
        In tables of the terminal and of the report.
    legend : str
        In legends of figures.
    description : str
        A sentence or two for exported tables.
    marker, color : str
        In figures, as matplotlib names them.
    reading : callable
        Maps scans to the limit. It is first called with expected limits only, to choose a scan, and then with the
        chosen scan alone, which includes the signal uncertainties.
    selections : str
        Scans passed to it: "all", "inclusive", or "fixed-efficiency", where each selection with a classifier has one
        point, at the strongest injection: counts without injection, with the efficiency of the strongest one.
    reference : bool
        Whether it is drawn in the figures of the other rules, for comparison, without figures of its own.
    headline : int
        Priority: of each signal, the limit by the rule with the largest number is named first.

    Examples
    --------
    >>> from analysis.limits.rules import RULES
    >>> list(RULES)
    ['inclusive', 'fixed-efficiency', 'atlas-2020', 'atlas-2025']
    >>> RULES["atlas-2020"].selections, RULES["fixed-efficiency"].reference
    ('all', True)
    """

    name: str
    text: str
    legend: str
    description: str
    marker: str
    color: str
    reading: Callable[[Sequence[StrengthScan]], RuleLimit]
    selections: Literal["all", "inclusive", "fixed-efficiency"] = "all"
    reference: bool = False
    headline: int = 0


RULES: Registry[LimitRule] = Registry("limit rule")
"""By name in `results.json`, in the order of its limits."""


def register_limit_rule(rule: LimitRule) -> None:
    """Add a rule under its name, here or in a plugin.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> from analysis.limits import LimitRule, register_limit_rule
    >>> from analysis.limits.rules import RULES, atlas_2020
    >>> register_limit_rule(LimitRule("own", "own", "own rule", "As ATLAS' first search.", "o", "black", atlas_2020))
    >>> RULES["own"].selections
    'all'
    >>> RULES.remove("own")
    """
    RULES.add(rule.name, rule, origin=rule.reading.__qualname__)


def limit_rules() -> list[LimitRule]:
    """Return the rules with figures of their own, without those drawn for comparison."""
    return [rule for rule in RULES.values() if not rule.reference]


def chosen_limits(limits: Iterable[InjectionLimit | FailedLimit]) -> dict[str, InjectionLimit]:
    """Return the limit to name for each signal: by the rule of the largest `headline` that has one.

    The choice does not depend on the limits, so that it cannot follow a fluctuation. Reference rules are left out, and
    those of plugins that are not loaded come last.
    """
    priority = {rule.name: rule.headline for rule in RULES.values() if not rule.reference}
    found = [
        one for one in limits if isinstance(one, InjectionLimit) and (one.rule in priority or one.rule not in RULES)
    ]
    chosen: dict[str, InjectionLimit] = {}
    for limit in sorted(found, key=lambda one: -priority.get(one.rule, 0)):
        chosen.setdefault(limit.dataset, limit)
    return {name: chosen[name] for name in dict.fromkeys(one.dataset for one in found)}


def rule_text(name: str) -> str:
    """Return the text of a rule for tables, or its name if its plugin is not loaded."""
    return RULES[name].text if name in RULES else name


_RULES = (
    LimitRule(
        INCLUSIVE_RULE,
        text="inclusive dijet search",
        legend="Inclusive dijet search",
        description="The dijet search without a classifier.",
        marker="D",
        color="C0",
        reading=atlas_2020,
        selections="inclusive",
        reference=True,
    ),
    LimitRule(
        NAIVE,
        text="naive (fixed efficiency)",
        legend="Naive (fixed efficiency, does not cover)",
        description=(
            "Naive: counts of the search as it is, with the efficiency of the strongest injected signal. Does not "
            "cover; for comparison."
        ),
        marker="X",
        color="C3",
        reading=fixed_efficiency,
        selections="fixed-efficiency",
        reference=True,
    ),
    LimitRule(
        "atlas-2020",
        text="atlas-2020",
        legend="smallest max(limit, injected)",
        description="Smallest over injected strengths of max(limit, strength), arXiv:2005.02983.",
        marker="*",
        color="C2",
        reading=atlas_2020,
        headline=1,
    ),
    LimitRule(
        "atlas-2025",
        text="atlas-2025",
        legend="limit = injected",
        description="Strength that is its own limit, arXiv:2502.09770.",
        marker="P",
        color="white",
        reading=atlas_2025,
        headline=2,
    ),
)
for _rule in _RULES:
    register_limit_rule(_rule)


def apply_rule(rule: str, scans: Sequence[StrengthScan]) -> RuleLimit:
    """Apply a rule by name.

    Raises
    ------
    StatisticsError
        If the rule is not registered, or no scan has a limit.
    """
    if rule not in RULES:
        msg = f"there is no limit rule '{rule}'; rules: {', '.join(one.name for one in limit_rules())}."
        raise StatisticsError(msg)
    return RULES[rule].reading(scans)


def _require_limit(expected: Sequence[float], scans: Sequence[StrengthScan]) -> None:
    if not np.isfinite(expected).any():
        labels = ", ".join(scan.label for scan in scans) or "none"
        msg = f"no injected strength gives an expected limit in any selection ({labels}). Use looser selections."
        raise StatisticsError(msg)


def _middle(expected: Array) -> Array:
    """Return the band of the sampling with the median expected limit; the lower median for even numbers."""
    order = np.argsort(expected[:, _MEDIAN], kind="stable")
    return np.asarray(expected[order[(len(order) - 1) // 2]])


def _with_spread(band: Array, limits: Array) -> tuple[Array, float]:
    """Widen a band by the spread of limits over samplings, per standard deviation."""
    usable = limits[np.isfinite(limits)]
    spread = float(usable.std(ddof=1)) if len(usable) > 1 else 0.0
    sigmas = np.arange(_N_BANDS) - _MEDIAN
    away = band - band[_MEDIAN]
    return band[_MEDIAN] + np.sign(sigmas) * np.hypot(away, sigmas * spread), spread


def _root(strength: Array, limit: Array) -> float:
    """Return the smallest strength equal to its own limit; infinite without a limit."""
    usable = np.isfinite(limit)
    strength, limit = strength[usable], limit[usable]
    if not len(strength):
        return float(np.inf)
    below = np.flatnonzero(limit <= strength)
    if not len(below):
        return float(limit[-1])
    right = int(below[0])
    if right == 0:
        return float(strength[0])  # weaker injections are not tested: raise the limit, like the first search
    left = right - 1
    if strength[left] <= 0:
        slope = (limit[right] - limit[left]) / (strength[right] - strength[left])
        return float((limit[left] - slope * strength[left]) / (1.0 - slope))
    x, y = np.log(strength[left : right + 1]), np.log(limit[left : right + 1])
    gap = y - x
    return float(np.exp(x[0] + (x[1] - x[0]) * gap[0] / (gap[0] - gap[1])))
