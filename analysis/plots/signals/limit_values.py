"""Limits on signal samples, sorted by figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.limits import RULES, LimitRule
from analysis.limits.values import FailedLimit, InjectionLimit, InjectionScan

__all__ = ["EitherLimit", "Limit", "LimitSet", "SignalLimits", "along_mass_a", "in_planes", "sort_limits"]

Array = NDArray[np.float64]
EitherLimit = InjectionLimit | FailedLimit


@dataclass(frozen=True)
class Limit:
    """One limit, in the unit of its figure.

    Attributes
    ----------
    expected : (5,) float64
        At -2 ... 2 standard deviations; NaN for absent limits.
    observed : float
        NaN while blinded, and without a limit.
    """

    expected: Array
    observed: float


@dataclass(frozen=True)
class SignalLimits:
    """All limits on one signal in one figure.

    Attributes
    ----------
    dataset : str
    masses : dict of str to float
        GeV.
    limit : Limit
        By the rule of the figure.
    references : dict of str to Limit
        By the rules that the figure compares with, if they have a limit.
    efficiency : float
        Signal efficiency of the selection of the limit, at the strength of the limit; NaN if not measured.
    has_bad_fit : bool
        Whether the background fits behind the limit are bad.
    """

    dataset: str
    masses: dict[str, float]
    limit: Limit
    references: dict[str, Limit]
    efficiency: float = np.nan
    has_bad_fit: bool = False


@dataclass(frozen=True)
class LimitSet:
    """Limits on several signals by one rule, in one unit.

    Attributes
    ----------
    signals : tuple of SignalLimits
        By masses and name; signals without an expected limit by this rule are left out.
    in_fb : bool
        Whether limits are in fb, available for all of them, or in signal events after the event selection.
    level : float or None
        One minus the confidence level, if all limits agree.
    """

    signals: tuple[SignalLimits, ...]
    in_fb: bool
    level: float | None

    @property
    def label(self) -> str:
        """Axis label, with the unit."""
        confidence = "" if self.level is None else f"{100 * (1 - self.level):.3g}% CL "
        return f"{confidence}CLs upper limit {self.quantity}"

    @property
    def quantity(self) -> str:
        """Limited quantity, with the unit."""
        return r"on $\mathit{\sigma}$ [fb]" if self.in_fb else "[selected signal events]"

    def distinct(self) -> LimitSet:
        """Keep the first of the signals with the same masses."""
        masses = [signal.masses for signal in self.signals]
        kept = tuple(signal for index, signal in enumerate(self.signals) if masses.index(signal.masses) == index)
        return replace(self, signals=kept)

    @property
    def references(self) -> list[LimitRule]:
        """Rules to compare with that have a limit on any of the signals, in their order."""
        names = {name for signal in self.signals for name in signal.references}
        return [rule for rule in RULES.values() if rule.name in names]

    def observed(self) -> Array:
        """Observed limits, (n_signals,) float64; NaN if absent."""
        return np.array([signal.limit.observed for signal in self.signals], np.float64)

    def bad_fits(self) -> tuple[NDArray[np.intp], Array]:
        """Positions of the signals whose limit is from bad background fits, and the limits: observed, else expected."""
        positions = np.flatnonzero([signal.has_bad_fit for signal in self.signals])
        observed = self.observed()
        return positions, np.where(np.isnan(observed), self.expected(2), observed)[positions]

    def expected(self, part: int, reference: str | None = None) -> Array:
        """Collect one component of the expected limits, by the rule of the figure or by a reference rule.

        Returns
        -------
        (n_signals,) float64
            NaN if absent.
        """
        limits = [signal.limit if reference is None else signal.references.get(reference) for signal in self.signals]
        return np.array([np.nan if limit is None else limit.expected[part] for limit in limits], np.float64)


def sort_limits(limits: Sequence[EitherLimit], rule: str, scans: Sequence[InjectionScan] = ()) -> LimitSet:
    """Collect the limits for a figure of one rule.

    Parameters
    ----------
    limits : sequence of InjectionLimit or FailedLimit
    rule : str
        Name in `analysis.limits.RULES`.
    scans : sequence of InjectionScan
        For the efficiencies.

    Returns
    -------
    LimitSet
    """
    found = {(limit.dataset, limit.rule): limit for limit in _usable(limits)}
    names = [name for name, using in found if using == rule]
    references = [known.name for known in RULES.values() if known.reference]
    compared = {rule, *references}
    shown = [limit for (name, using), limit in found.items() if name in names and using in compared]
    in_fb = all(limit.expected_fb is not None for limit in shown)
    levels = {limit.level for limit in shown}
    signals = [
        SignalLimits(
            name,
            dict(found[name, rule].masses),
            _limit(found[name, rule], in_fb),
            {other: _limit(found[name, other], in_fb) for other in references if (name, other) in found},
            _efficiency(found[name, rule], scans),
            found[name, rule].has_bad_fit,
        )
        for name in names
    ]
    ordered = sorted(signals, key=lambda signal: (sorted(signal.masses.items()), signal.dataset))
    return LimitSet(tuple(ordered), in_fb, levels.pop() if len(levels) == 1 else None)


def along_mass_a(limits: Sequence[EitherLimit], rule: str) -> dict[str, list[EitherLimit]]:
    """Group signals that differ only in m_A.

    Returns
    -------
    dict of str to list of InjectionLimit or FailedLimit
        By the other masses, such as "B500_C100": limits by all rules, for groups with limits at two or more m_A.
    """
    return _grouped(limits, rule, varied=("A",))


def in_planes(limits: Sequence[EitherLimit], rule: str) -> dict[str, list[EitherLimit]]:
    """Group signals by m_A, such as "A3700", with two or more pairs of m_B and m_C."""
    return _grouped([limit for limit in limits if "A" in limit.masses], rule, varied=("B", "C"))


def _grouped(limits: Sequence[EitherLimit], rule: str, varied: tuple[str, ...]) -> dict[str, list[EitherLimit]]:
    groups: dict[str, list[EitherLimit]] = {}
    for limit in limits:
        if set(varied) <= set(limit.masses):
            fixed = sorted((name, mass) for name, mass in limit.masses.items() if name not in varied)
            groups.setdefault("_".join(f"{name}{mass:g}" for name, mass in fixed), []).append(limit)
    places = {
        name: {tuple(limit.masses[mass] for mass in varied) for limit in _usable(group) if limit.rule == rule}
        for name, group in groups.items()
    }
    return {name: group for name, group in groups.items() if len(places[name]) > 1}


def _usable(limits: Sequence[EitherLimit]) -> list[InjectionLimit]:
    found = (limit for limit in limits if isinstance(limit, InjectionLimit))
    return [limit for limit in found if limit.expected_selected[2] is not None]


def _limit(limit: InjectionLimit, in_fb: bool) -> Limit:
    expected = limit.expected_fb if in_fb else limit.expected_selected
    observed = limit.observed_fb if in_fb else limit.observed_selected
    return Limit(np.array(expected, np.float64), np.nan if observed is None else observed)


def _efficiency(limit: InjectionLimit, scans: Sequence[InjectionScan]) -> float:
    """Return the median efficiency over the samplings, interpolated linearly between injected strengths."""
    wanted = (limit.method, limit.features, limit.selection)
    for scan in scans:
        for candidate in scan.candidates if scan.dataset == limit.dataset else ():
            if (candidate.method, candidate.features, candidate.selection) == wanted:
                values = np.array(candidate.efficiency, np.float64)
                known = np.isfinite(values).any(axis=1)
                strengths = np.array(candidate.strengths, np.float64)[known]
                if known.any():
                    return float(np.interp(limit.strength, strengths, np.nanmedian(values[known], axis=1)))
    return np.nan
