"""Limits as they stand in `results.json`: every rule side by side, in selected events and in fb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.errors import StatisticsError
from analysis.histograms.spectra import NOMINAL
from analysis.learning import INCLUSIVE
from analysis.limits.injection_values import InjectedSelection, InjectionResult
from analysis.limits.points import LimitPoint
from analysis.limits.rules import RULES, LimitRule, RuleLimit, atlas_2025
from analysis.limits.scans import Candidate, FinalTask, candidates, candidates_of
from analysis.signals.yields import SignalSample

__all__ = ["failed_document", "limit_documents", "scan_document"]

Finish = Callable[[Sequence[FinalTask]], list[InjectedSelection]]


@dataclass(frozen=True)
class _Signal:
    point: LimitPoint
    sample: SignalSample
    blinded: bool

    @property
    def fb_per_event(self) -> float | None:
        """Cross-section in fb of which one selected event is expected."""
        selected, generated = float(self.sample.tables[NOMINAL].weight.sum()), self.sample.generated
        if not generated or not self.sample.lumi_ifb:
            return None
        return generated / (selected * self.sample.lumi_ifb)


def limit_documents(
    point: LimitPoint, sample: SignalSample, results: Sequence[InjectionResult], *, blinded: bool, finish: Finish
) -> list[dict[str, Any]]:
    """Apply all rules to the injections of one signal.

    Which selection and strength a limit comes from is decided by the expected limits without uncertainties of the
    signal; these enter the limits of the chosen selection.

    Parameters
    ----------
    point : LimitPoint
    sample : SignalSample
    results : sequence of InjectionResult
    blinded : bool
    finish : callable
        From tasks to selections whose limits hold the uncertainties of the signal, in the same order.

    Returns
    -------
    list of dict
        JSON-ready items of "limits".
    """
    signal, found = _Signal(point, sample, blinded), candidates(results)
    return [_by_rule(signal, rule, found, finish) for rule in RULES.values()]


def failed_document(sample: SignalSample, reason: str) -> dict[str, Any]:
    """Say why a signal has no limit."""
    return {**_identity(sample), "rule": None, "reason": reason}


def scan_document(point: LimitPoint, results: Sequence[InjectionResult]) -> dict[str, Any]:
    """Tabulate efficiencies and limits of every selection against the injected strength, for figures.

    Returns
    -------
    dict
        JSON-ready; lists run over strengths, and over samplings inside. "maps" counts data and held-out signal of the
        window in the plane of the jet masses by selection, without injection and near the limit.
    """
    return {
        "dataset": point.signal,
        **point.window.to_json(),
        "left_out": list(point.left_out),
        "candidates": [
            {
                "method": one.method,
                "features": list(one.features),
                "selection": one.selection,
                "strengths": list(one.found),
                "efficiency": [[_or_none(s, "signal") for s in of] for of in one.found.values()],
                "expected_z": [[_or_none(s, "expected_z") for s in of] for of in one.found.values()],
                "expected": [[_median(s) for s in of] for of in one.found.values()],
                "observed": [[_or_none(s, "observed") for s in of] for of in one.found.values()],
            }
            for one in candidates(results)
        ],
        "maps": _maps(results),
    }


def _maps(results: Sequence[InjectionResult]) -> list[dict[str, Any]]:
    """Efficiency maps without injection and at the strength that is closest to the expected limit."""
    mapped = {r.injection.strength: r for r in results if r.maps is not None}
    try:
        root = atlas_2025([one.scan(blinded=True) for one in candidates(results)]).expected[2]
    except StatisticsError:
        return []
    shown = sorted({min(mapped), min(mapped, key=lambda strength: abs(strength - root))}) if mapped else []
    return [
        {"strength": strength, "edges": list(maps.edges), "data": maps.data, "signal": maps.signal}
        for strength in shown
        if (maps := mapped[strength].maps) is not None
    ]


def _or_none(selection: InjectedSelection | None, name: str) -> Any:
    return None if selection is None else getattr(selection, name)


def _median(selection: InjectedSelection | None) -> float | None:
    return None if selection is None or not selection.expected else selection.expected[2]


def _identity(sample: SignalSample) -> dict[str, Any]:
    return {
        "dataset": sample.name,
        "masses": dict(sample.masses),
        "xsec_pb": sample.xsec_pb,
        "lumi_ifb": sample.lumi_ifb,
    }


def _by_rule(signal: _Signal, rule: LimitRule, found: Sequence[Candidate], finish: Finish) -> dict[str, Any]:
    try:
        usable = candidates_of(rule, found)
        chosen = usable[rule.reading([one.scan(blinded=True) for one in usable]).scan]
        final = _finished(chosen, signal.point.signal, finish)
        _require_own_limit(final)
        limit = rule.reading([final.scan(blinded=signal.blinded)])
    except StatisticsError as error:
        return failed_document(signal.sample, str(error)) | {"rule": rule.name}
    return _document(signal, rule.name, chosen, limit)


def _require_own_limit(final: Candidate) -> None:
    """Say why there is no limit, where it hangs on one selection at one strength."""
    found = [one for of in final.found.values() for one in of if one is not None]
    if len(found) == 1 and not found[0].expected:
        raise StatisticsError(found[0].reason or "there is no limit.")


def _finished(chosen: Candidate, signal: str, finish: Finish) -> Candidate:
    """Set all limits of a candidate again, with the uncertainties of the signal."""
    places = [(strength, i) for strength, of in chosen.found.items() for i, one in enumerate(of) if one is not None]
    tasks = [FinalTask(signal, one) for strength, i in places if (one := chosen.found[strength][i]) is not None]
    done = dict(zip(places, finish(tasks), strict=True))
    return replace(
        chosen,
        found={
            strength: tuple(done.get((strength, i)) for i in range(len(of))) for strength, of in chosen.found.items()
        },
    )


def _document(signal: _Signal, rule: str, chosen: Candidate, limit: RuleLimit) -> dict[str, Any]:
    factor = signal.fb_per_event
    document: dict[str, Any] = {
        **_identity(signal.sample),
        "rule": rule,
        "window": list(signal.point.window.signal),
        "mask": list(signal.point.window.mask),
        "method": None if chosen.selection == INCLUSIVE else chosen.method,
        "features": [] if chosen.selection == INCLUSIVE else list(chosen.features),
        "selection": chosen.selection,
        "strength": limit.strength,
        "level": signal.point.inclusive.level,
        "observed_selected": _finite(limit.observed),
        "expected_selected": [_finite(value) for value in limit.expected],
        "spread_selected": limit.spread,
        "fb_per_selected": factor,
        "reason": None,
    }
    for name in ("observed", "expected"):
        document[f"{name}_fb"] = _times(document[f"{name}_selected"], factor)
    return document


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _times(value: Any, factor: float | None) -> Any:
    if value is None or factor is None:
        return None
    return [_times(one, factor) for one in value] if isinstance(value, list) else value * factor
