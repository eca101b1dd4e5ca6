"""Verdict for every window from the records of signal-free samples, with reasons as text.

A shift is the effect of the non-closure delta on z at the size of the search, delta b / sqrt(b + sigma_b^2). A window
is "not valid" if its combined shift is larger than allowed and established, if a single source establishes one and the
combination is not small either, if the background cannot be fitted, or if the chain fails on an exact null; "not
testable" if no source that keeps the drift of the features could test it; otherwise "valid". A shift that is neither
established nor excluded is a flag. Numbers of standard deviations apply to all selections of a window together, and to
all sources if a single source decides (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from analysis.config.validation import ValidationConfig
from analysis.core.counted import counted
from analysis.core.documents import from_json
from analysis.learning import selection_text
from analysis.search.non_closure import NonClosure
from analysis.validation.averages import combine, combined_p
from analysis.validation.templates import TemplateTest, closure_of
from analysis.validation.values import (
    NOT_TESTABLE,
    NOT_VALID,
    POWER,
    VALID,
    CombinedShift,
    Flatness,
    SourceSelection,
    SourceVerdict,
    WindowVerdict,
)

__all__ = ["AFTER", "BEFORE", "NOT_TESTABLE", "NOT_VALID", "VALID", "corrections", "window_verdict"]

BEFORE, AFTER = "before-scan", "after-scan"
"""Whether a verdict was reached before or after the window was searched."""

Record = Mapping[str, Any]

_FEW = 0.5
"""Fraction of the search events below which a failed fit of a sample does not count against the search."""

_LEAST_FOR_SPREAD = 3

_NULL_SIGMAS = 3.0

_FLAT = 0.01


def window_verdict(
    window: str, records: Sequence[Record], drift: Iterable[str], settings: ValidationConfig, *, decided: str = BEFORE
) -> WindowVerdict:
    """Judge one window from its signal-free samples.

    Parameters
    ----------
    window : str
    records : sequence of mapping
        Records of its samples, from `analysis.validation.run_draws`.
    drift : iterable of str
        Sources whose features depend on m_jj as in real background.
    settings : ValidationConfig
    decided : str
        "before-scan" or "after-scan".

    Returns
    -------
    WindowVerdict
    """
    drift = set(drift)
    names = dict.fromkeys(record["source"] for record in records)
    judged = [
        _source(name, [record for record in records if record["source"] == name], name in drift, settings)
        for name in names
    ]
    sources = [entry.verdict for entry in judged]
    tested = [source for source in sources if source.keeps_drift and source.verdict != NOT_TESTABLE]
    combined = _with_power(_combined(tested), settings)
    wrong, flags = _judge_shifts(combined, settings)
    flags += _alone(tested, settings, of_sources=1) if not wrong else []
    # A shift established by a single source decides, unless the combination with the other sources is small.
    if not wrong and any(entry.shift is not None and abs(entry.shift) > settings.max_shift for entry in combined):
        wrong = _alone(tested, settings, of_sources=len(tested))
    flags += [f"{entry.verdict.source}: {text}" for entry in judged for text in entry.notable]
    wrong += [f"{entry.verdict.source}: {text}" for entry in judged for text in entry.broken]
    verdict, reason = VALID, "no shift is established, and the chain works"
    if wrong:
        verdict, reason = NOT_VALID, _joined(wrong)
    elif not tested:
        reasons = [f"{source.source}: {source.reason}" for source in sources if source.reason]
        verdict, reason = NOT_TESTABLE, _joined(reasons) or "no sample keeps the dependence of the features on m_jj"
    return WindowVerdict(
        window=window,
        verdict=verdict,
        reason=reason,
        flags=tuple(flag.removesuffix(".") for flag in flags),
        combined=tuple(combined),
        untested=_untested(tested, combined),
        sources=tuple(sources),
        max_shift=settings.max_shift,
        decided=decided,
    )


def _joined(texts: Sequence[str]) -> str:
    """Join reasons, some of them sentences, into a text without a full stop."""
    return "; ".join(text.removesuffix(".") for text in texts)


def corrections(verdicts: Iterable[WindowVerdict]) -> dict[str, dict[str, NonClosure]]:
    """Collect the measured non-closure by window and selection, combined over sources.

    Entries of windows that were not tested are empty.
    """
    return {
        verdict.window: {shift.name: NonClosure(shift.delta, shift.delta_error) for shift in verdict.combined}
        for verdict in verdicts
    }


@dataclass(frozen=True)
class _Judged:
    """Verdict of a source, with the texts that decide, and the texts that flag, the window."""

    verdict: SourceVerdict
    broken: tuple[str, ...] = ()
    notable: tuple[str, ...] = ()


def _source(name: str, records: Sequence[Record], keeps_drift: bool, settings: ValidationConfig) -> _Judged:
    tested = [record for record in records if record["status"] == "tested"]
    failed = [record for record in records if record["status"] == "failed"]
    untested = SourceVerdict(
        source=name,
        keeps_drift=keeps_drift,
        verdict=NOT_TESTABLE,
        reason=next((record["reason"] for record in records if record["reason"]), None),
        draws=len(tested),
        notes=tuple(dict.fromkeys(note for record in tested[:1] for note in record["notes"])),
        fit_range=tuple(tested[0]["fit_range"]) if tested else None,
        selections=(),
        template=closure_of([from_json(TemplateTest, one) for record in tested if (one := record.get("template"))]),
    )
    if not tested:
        if failed and not _is_small(failed[0]):
            broken = (f"the search fails: {failed[0]['reason']}",)
            return _Judged(replace(untested, verdict=NOT_VALID), broken)
        return _Judged(untested)
    names = dict.fromkeys(selection["name"] for record in tested for selection in record["selections"])
    selections = [_selection(selection, tested) for selection in names]
    broken_fits, flags = _judge_fits(selections, tested[0], settings)
    flags += _flat_flags(selections)
    if not keeps_drift:
        broken_fits += _judge_null(selections)
    shifted, unclear = _judge_shifts(selections, settings) if keeps_drift else ([], [])
    wrong = broken_fits + shifted
    verdict = replace(
        untested,
        verdict=NOT_VALID if wrong else VALID,
        reason="; ".join(wrong) or None,
        flags=(*unclear, *flags),
        selections=tuple(selections),
    )
    return _Judged(verdict, tuple(broken_fits), tuple(flags))


def _is_small(record: Record) -> bool:
    events, needed = record["events"], record["search_events"]
    return events is not None and needed is not None and events < _FEW * needed


def _selection(name: str, records: Sequence[Record]) -> SourceSelection:
    """Average one selection over the draws."""
    all_draws = [draw for record in records for draw in record["selections"] if draw["name"] == name]
    fitted = [draw for draw in all_draws if draw["delta"] is not None]
    average = SourceSelection(
        name=name,
        draws=len(fitted),
        failures=tuple(draw["reason"] for draw in all_draws if draw["delta"] is None),
        calibrated=all(draw["calibrated"] for draw in fitted),
        z=None,
        z_error=None,
    )
    if not fitted:
        return average
    overlap = float(records[0]["overlap"])
    own, shared = _mean(fitted, "own_variance"), _mean(fitted, "shared_variance")
    _, delta_error = _averaged([draw["delta"] for draw in fitted], own, shared, overlap)
    # Not the mean of the ratios, which is biased for small backgrounds.
    delta = _mean(fitted, "n") / _mean(fitted, "background") - 1
    further: dict[str, Any] = {}
    z = [draw["z"] for draw in fitted if draw["z"] is not None]
    if z:
        further["z"], further["z_error"] = _averaged(z, 1.0, shared / own, overlap)
        further["z_width"] = float(np.std(z, ddof=1)) if len(z) > 1 else None
    fits = [draw["fit_p"] for draw in fitted if draw["fit_p"] is not None]
    sized = [draw for draw in fitted if draw["search_background"] is not None]
    if sized:
        size = _Size(*(_mean(sized, f"search_{key}") for key in ("background", "error", "spread")))
        further |= _at_size(size, delta, delta_error)
    return replace(
        average,
        delta=delta,
        delta_error=delta_error,
        background=_mean(fitted, "background"),
        fit_p=combined_p(fits),
        **further,
        **_flatness(fitted),
    )


def _mean(found: Sequence[Record], key: str) -> float:
    return float(np.mean([draw[key] for draw in found]))


def _averaged(values: Sequence[float], own: float, shared: float, overlap: float) -> tuple[float, float]:
    """Return the mean and its error; the shared part of the variance averages out only over different parents."""
    n = len(values)
    variance = own / n + shared * (1 / n + (1 - 1 / n) * overlap)
    if n >= _LEAST_FOR_SPREAD:
        variance = max(variance, float(np.var(values, ddof=1)) / n)
    return float(np.mean(values)), float(variance**0.5)


@dataclass(frozen=True)
class _Size:
    """Background of the search, its error, and the standard deviation of n - b, events."""

    background: float
    error: float
    spread: float


def _at_size(size: _Size, delta: float, delta_error: float) -> dict[str, Any]:
    """Return the attributes of a shift at the size of the search."""
    scale = size.background / size.spread
    return {
        "search_background": size.background,
        "search_error": size.error,
        "search_spread": size.spread,
        "shift": delta * scale,
        "shift_error": delta_error * scale,
    }


def _flatness(found: Sequence[Record]) -> dict[str, Any]:
    flat = [draw["flatness"] for draw in found if draw["flatness"] is not None]
    closures = [draw["efficiency_non_closure"] for draw in found if draw["efficiency_non_closure"] is not None]
    further: dict[str, Any] = {}
    if flat:
        chi2, ndof = (float(np.mean([draw[key] for draw in flat])) for key in ("chi2", "ndof"))
        p = combined_p([float(stats.chi2.sf(draw["chi2"], draw["ndof"])) if draw["ndof"] else 1.0 for draw in flat])
        further["flatness"] = Flatness(chi2, ndof, 1.0 if p is None else p)
    if closures:
        further["non_closure"] = tuple(float(value) for value in np.mean(closures, axis=0))
    return further


def _combined(sources: Sequence[SourceVerdict]) -> list[CombinedShift]:
    """Average the non-closure of each selection over sources."""
    names = dict.fromkeys(selection.name for source in sources for selection in source.selections)
    return [shift for name in names if (shift := _combined_shift(name, sources)) is not None]


def _combined_shift(name: str, sources: Sequence[SourceVerdict]) -> CombinedShift | None:
    measured = [
        (selection, selection.delta, selection.delta_error)
        for source in sources
        for selection in source.selections
        if selection.name == name
        and selection.delta is not None
        and selection.delta_error is not None
        and selection.delta_error > 0
    ]
    if not measured:
        return None
    mean = combine([delta for _, delta, _ in measured], [error for *_, error in measured])
    sizes = [
        (selection.search_background, selection.search_error, selection.search_spread)
        for selection, *_ in measured
        if selection.search_background is not None
    ]
    further: dict[str, Any] = {"shift": None, "shift_error": None}
    if sizes:
        size = _Size(*(float(np.mean(column)) for column in zip(*sizes, strict=True)))
        further = _at_size(size, mean.value, mean.error)
    return CombinedShift(
        name=name, delta=mean.value, delta_error=mean.error, chi2=mean.chi2, n_sources=len(measured), **further
    )


def _with_power(found: Sequence[CombinedShift], settings: ValidationConfig) -> list[CombinedShift]:
    """Add the shift that is larger than allowed, and established, with the probability `POWER`."""
    errors = [shift.shift_error for shift in found if shift.shift is not None]
    limit, reach = _sigmas(settings.established, len(errors)), float(stats.norm.ppf(POWER))
    return [
        shift
        if shift.shift is None or (error := shift.shift_error) is None
        else replace(shift, detectable=max(settings.max_shift, limit * error) + reach * error)
        for shift in found
    ]


def _untested(sources: Sequence[SourceVerdict], combined: Sequence[CombinedShift]) -> tuple[str, ...]:
    """List the selections of the samples without a shift of z."""
    names = dict.fromkeys(selection.name for source in sources for selection in source.selections)
    known = {shift.name for shift in combined if shift.detectable is not None}
    return tuple(name for name in names if name not in known)


def _alone(sources: Sequence[SourceVerdict], settings: ValidationConfig, *, of_sources: int) -> list[str]:
    """Describe the shifts established by single sources, corrected for the number of sources."""
    shifts = {source.source: _judge_shifts(source.selections, settings, of_sources)[0] for source in sources}
    return [f"{source}: {text}" for source, texts in shifts.items() for text in texts]


def _judge_shifts(
    found: Sequence[SourceSelection | CombinedShift], settings: ValidationConfig, of_sources: int = 1
) -> tuple[list[str], list[str]]:
    """Return the shifts that are too large, split into established and not established ones."""
    measured = [
        (selection.name, selection.shift, selection.shift_error)
        for selection in found
        if selection.shift is not None and selection.shift_error is not None
    ]
    limit = _sigmas(settings.established, len(measured) * of_sources)
    large = [shift for shift in measured if abs(shift[1]) > settings.max_shift]
    texts = [f"{selection_text(name)}: {shift:+.1f} ± {error:.1f}" for name, shift, error in large]
    is_sure = [abs(shift) > limit * error for _, shift, error in large]
    sure = ", ".join(text for text, established in zip(texts, is_sure, strict=True) if established)
    unsure = ", ".join(text for text, established in zip(texts, is_sure, strict=True) if not established)
    wrong = [f"shift of z larger than {settings.max_shift:g}: {sure}"] if sure else []
    unclear = [f"shift of z neither established nor excluded: {unsure}"] if unsure else []
    return wrong, unclear


def _sigmas(one: float, looks: int) -> float:
    """Return the standard deviations in each of several looks with the same probability as `one` in a single look."""
    return float(stats.norm.isf(stats.norm.sf(one) / max(looks, 1)))


def _judge_fits(
    found: Sequence[SourceSelection], record: Record, settings: ValidationConfig
) -> tuple[list[str], list[str]]:
    broken: list[str] = []
    flags: list[str] = []
    for selection in found:
        if selection.failures:
            fail = counted(len(selection.failures), "fit fails", "fits fail")
            text = f"{selection_text(selection.name)}: {fail}: {selection.failures[0]}"
            (flags if selection.draws or _is_small(record) else broken).append(text)
    p_values = {selection.name: selection.fit_p for selection in found if selection.fit_p is not None}
    if p_values:
        worst = min(p_values, key=lambda name: p_values[name])
        p = min(1.0, p_values[worst] * len(p_values))
        if p < settings.min_fit_p:
            of = counted(len(p_values), "selection")
            broken.append(f"{selection_text(worst)}: the background fit has p = {p:.2g} for {of}")
    return broken, flags


def _judge_null(found: Sequence[SourceSelection]) -> list[str]:
    """Describe selections whose z is not standard normal, at three standard deviations for all of them together."""
    usable = [(selection, selection.z) for selection in found if selection.z is not None and selection.calibrated]
    if not usable:
        return []
    limit = _sigmas(_NULL_SIGMAS, len(usable))
    p = stats.norm.sf(limit)
    wrong = []
    for selection, z in usable:
        n, width, name = selection.draws, selection.z_width, selection_text(selection.name)
        if abs(z) > limit / n**0.5:
            wrong.append(f"{name}: mean z {z:+.2f} ± {n**-0.5:.2f} where it must be 0")
        if width is not None and not stats.chi2.isf(1 - p, n - 1) <= width**2 * (n - 1) <= stats.chi2.isf(p, n - 1):
            wrong.append(f"{name}: width of z {width:.2f} ± {(2 * (n - 1)) ** -0.5:.2f}, not 1")
    return wrong


def _flat_flags(found: Sequence[SourceSelection]) -> list[str]:
    uneven = (one for one in found if one.flatness is not None and one.flatness.p < _FLAT)
    names = [selection_text(selection.name) for selection in uneven]
    return [f"the efficiency depends on m_jj: {', '.join(names)}"] if names else []
