"""Limits as stored in `results.json`: all rules side by side, in selected events and in fb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.calibration import WindowCouplings
from analysis.errors import StatisticsError
from analysis.histograms.spectra import NOMINAL
from analysis.learning import INCLUSIVE
from analysis.limits.injection_values import InjectedSelection, InjectionResult
from analysis.limits.points import LimitPoint
from analysis.limits.rules import RULES, LimitRule, RuleLimit, atlas_2025
from analysis.limits.scans import Candidate, Classifiers, FinalTask, candidates, candidates_of
from analysis.limits.values import FailedLimit, InjectionCandidate, InjectionLimit, InjectionScan, PlaneCounts
from analysis.signals.yields import SignalSample

__all__ = ["failed_limit", "injection_limits", "injection_scan"]

Finish = Callable[[Sequence[FinalTask]], list[InjectedSelection]]


@dataclass(frozen=True)
class _Signal:
    point: LimitPoint
    sample: SignalSample

    @property
    def fb_per_event(self) -> float | None:
        """Cross-section in fb at which one selected event is expected."""
        selected, generated = float(self.sample.tables[NOMINAL].weight.sum()), self.sample.generated
        if not generated or not self.sample.lumi_ifb:
            return None
        return generated / (selected * self.sample.lumi_ifb)


def injection_limits(
    point: LimitPoint, sample: SignalSample, results: Sequence[InjectionResult], *, finish: Finish
) -> list[InjectionLimit | FailedLimit]:
    """Apply all rules to the injections of one signal.

    The expected limits without signal uncertainties determine the selection and strength of a limit. The signal
    uncertainties enter the limits of the chosen selection.

    Parameters
    ----------
    point : LimitPoint
    sample : SignalSample
    results : sequence of InjectionResult
    finish : callable
        Maps tasks to selections whose limits include the signal uncertainties, in the same order.

    Returns
    -------
    list of InjectionLimit or FailedLimit
        One per rule.
    """
    signal, found = _Signal(point, sample), candidates(results)
    return [_by_rule(signal, rule, found, finish) for rule in RULES.values()]


def failed_limit(sample: SignalSample, reason: str, rule: str | None = None) -> FailedLimit:
    """Return the reason why a signal has no limit."""
    return FailedLimit(**_identity(sample), rule=rule, reason=reason)


def injection_scan(
    point: LimitPoint, results: Sequence[InjectionResult], couplings: Mapping[Classifiers, WindowCouplings]
) -> InjectionScan:
    """Tabulate efficiencies and limits of every selection against the injected strength, for figures.

    The maps count the data and held-out signal events of the window in the plane of the jet masses by selection,
    without injection and near the limit.

    Parameters
    ----------
    point : LimitPoint
    results : sequence of InjectionResult
    couplings : mapping of (method, features) to WindowCouplings
        Of the window, to calibrate the expected significances.

    Returns
    -------
    InjectionScan
    """
    window = point.window
    return InjectionScan(
        dataset=point.signal,
        signal=window.signal,
        lower=window.lower,
        upper=window.upper,
        mask=window.mask,
        fit_range=window.fit_range,
        left_out=tuple(point.left_out),
        candidates=tuple(
            InjectionCandidate(
                method=one.method,
                features=tuple(one.features),
                selection=one.selection,
                strengths=tuple(one.found),
                efficiency=_tabulated(one, lambda s: s.signal),
                expected_z=_tabulated(one, lambda s: s.expected_z),
                expected_z_calibrated=_calibrated(one, couplings[one.method, one.features]),
                expected=_tabulated(one, lambda s: s.expected[2] if s.expected else None),
                observed=_tabulated(one, lambda s: s.observed),
            )
            for one in candidates(results)
        ),
        maps=_maps(results),
    )


def _tabulated(
    candidate: Candidate, value: Callable[[InjectedSelection], float | None]
) -> tuple[tuple[float | None, ...], ...]:
    """Tabulate one value by strength and sampling; None where the window failed."""
    return tuple(tuple(None if s is None else value(s) for s in of) for of in candidate.found.values())


def _calibrated(candidate: Candidate, couplings: WindowCouplings) -> tuple[tuple[float | None, ...], ...]:
    """Tabulate the calibrated expected significances; empty if there are none."""

    def value(found: InjectedSelection) -> float | None:
        calibration = candidate.calibration(found, found.expected_z, couplings)
        return None if calibration is None else calibration.z

    table = _tabulated(candidate, value)
    return table if any(z is not None for of in table for z in of) else ()


def _maps(results: Sequence[InjectionResult]) -> tuple[PlaneCounts, ...]:
    """Return the efficiency maps without injection and at the strength closest to the expected limit."""
    mapped = {r.injection.strength: r for r in results if r.maps is not None}
    try:
        root = atlas_2025([one.expected_scan for one in candidates(results)]).expected[2]
    except StatisticsError:
        return ()
    shown = sorted({min(mapped), min(mapped, key=lambda strength: abs(strength - root))}) if mapped else []
    return tuple(
        PlaneCounts(strength, maps.edges, maps.data, maps.signal)
        for strength in shown
        if (maps := mapped[strength].maps) is not None
    )


def _identity(sample: SignalSample) -> dict[str, Any]:
    return {
        "dataset": sample.name,
        "masses": dict(sample.masses),
        "xsec_pb": sample.xsec_pb,
        "lumi_ifb": sample.lumi_ifb,
    }


def _by_rule(
    signal: _Signal, rule: LimitRule, found: Sequence[Candidate], finish: Finish
) -> InjectionLimit | FailedLimit:
    try:
        usable = candidates_of(rule, found)
        chosen = usable[rule.reading([one.expected_scan for one in usable]).scan]
        final = _finished(chosen, signal.point.signal, finish)
        _require_own_limit(final)
        limit = rule.reading([final.scan])
    except StatisticsError as error:
        return failed_limit(signal.sample, str(error), rule.name)
    return _limit(signal, rule.name, chosen, limit)


def _require_own_limit(final: Candidate) -> None:
    """Raise with the reason of the selection if the candidate has a single one, without a limit."""
    selections = [selection for of in final.found.values() for selection in of if selection is not None]
    if len(selections) == 1 and not selections[0].expected:
        raise StatisticsError(selections[0].reason or "there is no limit.")


def _finished(chosen: Candidate, signal: str, finish: Finish) -> Candidate:
    """Recompute all limits of a candidate with the signal uncertainties."""
    places = [(strength, i) for strength, of in chosen.found.items() for i, one in enumerate(of) if one is not None]
    tasks = [FinalTask(signal, one) for strength, i in places if (one := chosen.found[strength][i]) is not None]
    done = dict(zip(places, finish(tasks), strict=True))
    return replace(
        chosen,
        found={
            strength: tuple(done.get((strength, i)) for i in range(len(of))) for strength, of in chosen.found.items()
        },
    )


def _limit(signal: _Signal, rule: str, chosen: Candidate, limit: RuleLimit) -> InjectionLimit:
    factor, inclusive = signal.fb_per_event, chosen.selection == INCLUSIVE
    observed = _finite(limit.observed)
    low2, low, median, high, high2 = map(_finite, limit.expected)
    expected = (low2, low, median, high, high2)
    return InjectionLimit(
        **_identity(signal.sample),
        rule=rule,
        window=signal.point.window.signal,
        mask=signal.point.window.mask,
        method=None if inclusive else chosen.method,
        features=() if inclusive else tuple(chosen.features),
        selection=chosen.selection,
        strength=limit.strength,
        level=signal.point.inclusive.level,
        observed_selected=observed,
        expected_selected=expected,
        spread_selected=limit.spread,
        fit_p_value=chosen.fit_p_value(limit.strength),
        fb_per_selected=factor,
        observed_fb=_times(observed, factor),
        expected_fb=None
        if factor is None
        else (
            _times(low2, factor),
            _times(low, factor),
            _times(median, factor),
            _times(high, factor),
            _times(high2, factor),
        ),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _times(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else value * factor
