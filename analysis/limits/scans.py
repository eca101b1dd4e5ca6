"""Injections of one signal, sorted into scans over the strength, and their limits with signal uncertainties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.calibration import WindowCouplings
from analysis.config import StatisticsConfig
from analysis.errors import StatisticsError
from analysis.learning import INCLUSIVE
from analysis.limits.injection_values import InjectedSelection, InjectionResult
from analysis.limits.rules import LimitRule, StrengthLimits, StrengthScan
from analysis.search.null_distribution import Calibration
from analysis.statistics import Counting, LimitResult, counting_workspace, upper_limit

__all__ = [
    "Candidate",
    "Classifiers",
    "FinalTask",
    "candidates",
    "candidates_of",
    "naive_selection",
    "with_uncertainties",
]

Classifiers = tuple[str, tuple[str, ...]]
"""Method and features."""

_NONE = (np.inf,) * 5
_TOYS = 1000


@dataclass(frozen=True)
class Candidate:
    """One selection of one method with one set of features, at all injected strengths.

    Attributes
    ----------
    method : str
    features : tuple of str
    selection : str
    found : dict of float to tuple of (InjectedSelection or None)
        By increasing injected strength, then by sampling; None where the window failed.
    """

    method: str
    features: tuple[str, ...]
    selection: str
    found: Mapping[float, tuple[InjectedSelection | None, ...]]

    def calibration(
        self, found: InjectedSelection | None, z: float | None, couplings: WindowCouplings
    ) -> Calibration | None:
        """Calibrate a significance of one of `found`; None without it, and where the selection has no coupling."""
        if found is None or z is None:
            return None
        return couplings.calibration(self.selection, z, found.coupled_variance)

    @property
    def label(self) -> str:
        """Name used in messages."""
        return f"{self.method}, {' '.join(self.features)}, {self.selection}"

    @property
    def expected_scan(self) -> StrengthScan:
        """Expected limits, by which the rules choose."""
        return StrengthScan(
            self.label,
            tuple(
                StrengthLimits(strength, np.array([_expected(one) for one in of_strength]), None)
                for strength, of_strength in self.found.items()
            ),
        )

    @property
    def scan(self) -> StrengthScan:
        """Expected and observed limits; only expected ones without counts, such as while blinded."""
        counted = any(one is not None and one.n_obs is not None for of in self.found.values() for one in of)
        if not counted:
            return self.expected_scan
        points = self.expected_scan.points
        observed = [np.array([_observed(one) for one in of_strength]) for of_strength in self.found.values()]
        return StrengthScan(
            self.label, tuple(replace(point, observed=seen) for point, seen in zip(points, observed, strict=True))
        )

    def fit_p_value(self, strength: float) -> float | None:
        """Return the median p-value of the background fits over the samplings at the injected strength next to this."""
        nearest = min(self.found, key=lambda injected: abs(injected - strength))
        known = [one.fit_p_value for one in self.found[nearest] if one is not None and one.fit_p_value is not None]
        return float(np.median(known)) if known else None


def candidates(results: Iterable[InjectionResult]) -> list[Candidate]:
    """Sort the injections of one signal by method, features and selection.

    Parameters
    ----------
    results : iterable of InjectionResult
        In any order. The inclusive selection is taken once, since it does not depend on classifiers.

    Returns
    -------
    list of Candidate
        Inclusive first.
    """
    ordered = sorted(results, key=lambda result: (result.injection.strength, result.injection.sampling))
    names = dict.fromkeys(one.name for result in ordered for one in result.selections)
    groups = dict.fromkeys((result.injection.method, result.injection.features) for result in ordered)
    found: list[Candidate] = []
    for name in names:
        for method, features in groups:
            of_group = [r for r in ordered if (r.injection.method, r.injection.features) == (method, features)]
            strengths = dict.fromkeys(result.injection.strength for result in of_group)
            by_strength: Mapping[float, tuple[InjectedSelection | None, ...]] = {
                strength: tuple(r.selection(name) for r in of_group if r.injection.strength == strength)
                for strength in strengths
            }
            if name == INCLUSIVE:
                there = {x: tuple(one for one in of if one is not None) for x, of in by_strength.items()}
                by_strength = {strength: of for strength, of in there.items() if of}
            found.append(Candidate(method, features, name, by_strength))
            if name == INCLUSIVE:
                break
    return found


def candidates_of(rule: LimitRule, found: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates from which a rule reads its limit.

    Raises
    ------
    StatisticsError
        If the rule needs efficiencies with and without injection, and no selection has both.
    """
    if rule.selections == "inclusive":
        return [candidate for candidate in found if candidate.selection == INCLUSIVE]
    if rule.selections == "all":
        return list(found)
    pairs = [(candidate, naive_selection(candidate)) for candidate in found if candidate.selection != INCLUSIVE]
    fixed = [
        replace(candidate, found={max(candidate.found): (naive,)}) for candidate, naive in pairs if naive is not None
    ]
    if not fixed:
        msg = "no selection has both a background without injection and an efficiency with the strongest one."
        raise StatisticsError(msg)
    return fixed


def naive_selection(candidate: Candidate) -> InjectedSelection | None:
    """Pair the counts without injection with the efficiency of the classifiers trained with the strongest signal.

    This limit at fixed efficiency is wrong: a weak signal is not learned, and its efficiency is lower.

    Returns
    -------
    InjectedSelection or None
        None if one of the two failed.
    """
    strengths = sorted(candidate.found)
    usable = [
        [one for one in candidate.found[strength] if one is not None and one.expected]
        for strength in (strengths[0], strengths[-1])
    ]
    if not all(usable):
        return None
    first, strongest = usable[0][0], _median_of(usable[1])
    scale = first.net / strongest.net
    return replace(
        first,
        signal=strongest.signal,
        signal_error=strongest.signal_error,
        absorbed=strongest.absorbed,
        modifiers=strongest.modifiers,
        expected=tuple(value * scale for value in first.expected),
        observed=None if first.observed is None else first.observed * scale,
    )


@dataclass(frozen=True)
class FinalTask:
    """Selection whose limit is recomputed with the signal uncertainties.

    Attributes
    ----------
    signal : str
    selection : InjectedSelection
    """

    signal: str
    selection: InjectedSelection


def with_uncertainties(task: FinalTask, settings: StatisticsConfig) -> InjectedSelection:
    """Recompute the limit with all signal modifiers in the workspace.

    Parameters
    ----------
    task : FinalTask
    settings : StatisticsConfig

    Returns
    -------
    InjectedSelection
        Unchanged without a limit.
    """
    one = task.selection
    if not one.expected:
        return one
    try:
        expected = _limit(task, settings, None).expected_events
        observed = None if one.n_obs is None else _limit(task, settings, one.n_obs).observed_events
    except StatisticsError as error:
        return replace(one, expected=(), observed=None, reason=str(error))
    return replace(
        one,
        expected=tuple(value / one.net for value in expected),
        observed=None if observed is None else observed / one.net,
    )


def _limit(task: FinalTask, settings: StatisticsConfig, n_obs: float | None) -> LimitResult:
    one = task.selection
    systematics = [stored.systematic for stored in one.modifiers]
    counting = Counting(n_obs, one.background or 0.0, one.background_error or 0.0, settings.likelihood)
    return upper_limit(
        counting_workspace(
            counting.effective(one.weight),
            channel=one.name,
            measurement=task.signal,
            signal_systematics=systematics,
        ),
        level=settings.cls_level,
        calculator=settings.calculator,
        n_toys=_TOYS,
    ).scaled(one.weight)


def _median_of(selections: Sequence[InjectedSelection]) -> InjectedSelection:
    ordered = sorted(selections, key=lambda one: one.net)
    return ordered[(len(ordered) - 1) // 2]


def _expected(one: InjectedSelection | None) -> tuple[float, ...]:
    return one.expected if one is not None and one.expected else _NONE


def _observed(one: InjectedSelection | None) -> float:
    return one.observed if one is not None and one.observed is not None else np.inf
