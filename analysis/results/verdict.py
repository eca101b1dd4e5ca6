"""Summary of a search in sentences, with the validation verdict of its window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy import stats

from analysis.learning import selection_text
from analysis.limits import chosen_limits
from analysis.results.blinding import blind
from analysis.results.numbers import SPACE, count, interval, number, p_value, percent, with_error, z_value
from analysis.results.values import Results, WindowDocument
from analysis.results.wording.significances import retraining_remark
from analysis.results.words import (
    Excess,
    bad_looks,
    fit_quality,
    fit_text,
    global_caveat,
    largest_excess,
    looks_text,
    window_text,
)
from analysis.statistics import GlobalResult
from analysis.validation.values import NOT_TESTABLE, NOT_VALID, VALID, verdict_text

__all__ = [
    "DECIDED",
    "SIGNIFICANT",
    "Verdict",
    "closing_lines",
    "global_text",
    "is_bound",
    "search_verdict",
    "searched_text",
    "validation_texts",
]

SIGNIFICANT = 3.0
"""Global significance from which an excess is called significant; tables highlight local ones from this value."""

DECIDED = {"before-scan": "before it was searched", "after-scan": "after it had been searched"}
"""Wording for the time at which a validation verdict was reached."""


@dataclass(frozen=True)
class Verdict:
    """Result of a search in words.

    Attributes
    ----------
    kind : str
        "excess", "doubtful" (an excess from a bad background fit), "none", "blinded" or "empty".
    headline : str
    sentences : tuple of str
    largest : Excess or None
        Excess described in the sentences; None while blinded, or without any result.
    failed : str or None
        Text on the number of failed or incomplete windows, without a full stop; None if all are complete.
    """

    kind: str
    headline: str
    sentences: tuple[str, ...] = ()
    largest: Excess | None = None
    failed: str | None = None


def search_verdict(results: Results) -> Verdict:
    """Summarise the result of a search in words.

    Parameters
    ----------
    results : Results

    Returns
    -------
    Verdict
    """
    windows = results.windows
    n_failed = sum(window.status != "ok" for window in windows)
    failed = f"{n_failed} of {len(windows)} windows failed or are incomplete" if n_failed else None
    if results.blinded:
        text = "Blinded: no count, significance or observed limit inside the windows is shown."
        return Verdict("blinded", text, _bad_fits(windows), failed=failed)
    largest, total = largest_excess(windows), results.global_
    if largest is None:
        return Verdict("empty", "No window has a result.", failed=failed)
    kind, begin = _kind(largest, total)
    validation = largest.window.validation
    invalid = validation is not None and validation.verdict == "not valid"
    begin += " in a window that is not valid" * invalid
    bad = ", from a bad background fit" if largest.has_bad_fit and kind == "none" else ""
    caveat = ", with bad fits taken as good" if fit_quality(windows).is_bad else ""
    headline = f"{begin}: largest local z = {_where(largest)}{bad}, {_total(total)}{caveat}."
    sentences = (
        _counts(largest),
        *_instead(largest, windows),
        global_text(results),
        *_bad_fits(windows),
        *_judged(largest.window),
    )
    return Verdict(kind, headline, sentences, largest, failed)


def _where(excess: Excess) -> str:
    return f"{excess.z_text} in {window_text(excess.window)} at {selection_text(excess.selection.name)}"


def _instead(largest: Excess, windows: Sequence[WindowDocument]) -> list[str]:
    """Warn of a bad fit behind the largest excess, and name the largest one of the good fits."""
    if not largest.has_bad_fit:
        return []
    good = largest_excess(windows, good_fits=True)
    text = f"Its background fit has p = {p_value(largest.fit_p_value)}: b, z and p₀ are not to be trusted."
    return [f"{text} {'No fit is good' if good is None else f'The largest local z of a good fit is {_where(good)}'}."]


def _bad_fits(windows: Sequence[WindowDocument]) -> tuple[str, ...]:
    text = fit_text(windows)
    return () if text is None else (text,)


def _judged(window: WindowDocument) -> list[str]:
    """Return the validation verdict of the window of the largest excess."""
    validation = window.validation
    if validation is None:
        return []
    flags = f" It has flags: {'; '.join(validation.flags)}." if validation.flags else ""
    decided = DECIDED[validation.decided]
    return [f"The window is {validation.text}, decided {decided}: {validation.reason}.{flags}"]


def _kind(largest: Excess, total: GlobalResult) -> tuple[str, str]:
    kind, begin = _kind_of_good_fit(largest.z, total)
    if largest.has_bad_fit and kind == "excess":
        return "doubtful", "Excess from a bad background fit"
    return kind, begin


def _kind_of_good_fit(z: float, total: GlobalResult) -> tuple[str, str]:
    if z <= 0:
        return "none", "No excess"
    if total.p0 is not None and total.p0 <= stats.norm.sf(SIGNIFICANT):
        return "excess", "Significant excess"
    if z >= SIGNIFICANT and (total.p0 is None or is_bound(total)):
        return "excess", "Excess whose global significance is not known well"
    return "none", "No significant excess"


def _total(total: GlobalResult) -> str:
    if total.p0 is None:
        return "no global significance"
    at_most, at_least = ("≤", "≥") if is_bound(total) else ("=", "=")
    value = f"p₀ {at_most} {p_value(total.p0)}" if total.z is None else f"z {at_least} {z_value(total.z)}"
    return f"global {value} ({total.method_text})"


def _counts(largest: Excess) -> str:
    selection = largest.selection
    if largest.seed:
        return f"The largest is that of training seed {largest.seed}; tables show training seed 0."
    background = with_error(selection.background, selection.total_error)
    sentence = f"There {count(selection.n_obs)} events are observed and {background} expected from background"
    return f"{sentence} (local p₀ = {largest.p0_text})."


def global_text(results: Results) -> str:
    """Return a sentence with the global p-value and the looks it accounts for, and the doubts about it."""
    total = results.global_
    if total.p0 is None:
        return "There is no global p-value."
    worth = "" if total.worth is None else f", {total.worth}"
    relation = "≤" if is_bound(total) else "="
    looks = f"{looks_text(results.trials)} in this folder"
    text = f"The global p₀ {relation} {p_value(total.p0)} accounts for {looks}{worth}."
    remarks = (retraining_remark(total, results.selections), total.warning, global_caveat(results.windows))
    return " ".join([text, *(remark for remark in remarks if remark)])


def is_bound(total: GlobalResult) -> bool:
    """Return whether a global p-value is an upper bound."""
    return "upper-bound" in total.method


def closing_lines(results: Results) -> tuple[str, str, str]:
    """Summarise a search in three lines to repeat to others: the search, its result, and what it can be trusted with.

    Parameters
    ----------
    results : Results

    Returns
    -------
    searched : str
        Events, windows and working points.
    found : str
        Headline of `search_verdict`, and the number of failed windows.
    checked : str
        Validation of the windows, and excluded signal samples or the best limit.
    """
    results = blind(results) if results.blinded else results
    verdict = search_verdict(results)
    found = [verdict.headline, *([] if verdict.failed is None else [f"{verdict.failed}."])]
    validated = validation_texts(results.windows)
    validation = f"Validation: {'; '.join(validated)}." if validated else "No window was validated."
    return searched_text(results), " ".join(found), f"{validation} {_limits_text(results)}"


def validation_texts(windows: Sequence[WindowDocument]) -> list[str]:
    """Count the validation verdicts of the windows, in words; empty without verdicts."""
    validations = [window.validation for window in windows if window.validation is not None]
    texts = []
    for verdict in (VALID, NOT_VALID, NOT_TESTABLE):
        judged = [validation for validation in validations if validation.verdict == verdict]
        flagged = sum(bool(validation.flags) for validation in judged)
        if judged:
            flags = f" ({flagged} with flags)" if flagged else ""
            words = verdict_text(verdict, [validation.detectable for validation in judged])
            texts.append(f"{len(judged)} of {len(windows)} windows {words}{flags}")
    return texts


def searched_text(results: Results) -> str:
    """Return a sentence on the searched events, windows and working points, without a count if they are blinded."""
    kinds: dict[str, list[str]] = {}
    for file in results.inputs:
        if file.kind in _OBSERVED and file.dataset not in kinds.setdefault(file.kind, []):
            kinds[file.kind].append(file.dataset)
    names = [name for of_kind in kinds.values() for name in of_kind if name in results.cutflow]
    events = sum(list(results.cutflow[name].values())[-1].events for name in names if results.cutflow[name])
    samples = " and ".join(f"{_OBSERVED[kind]} ({_some(names)})" for kind, names in kinds.items())
    n_windows, n_points = len(results.windows), results.trials.get("selections", 1) - 1
    ends = [end for window in results.windows for end in window.signal]
    where = f"{n_windows} window{'s' * (n_windows != 1)} of m_jj"
    if ends:
        where += f" in {interval((min(ends), max(ends)))}{SPACE}GeV"
    points = f"at {n_points} working point{'s' * (n_points != 1)} and inclusively" if n_points > 0 else "inclusively"
    if results.blinded:  # with the shown events beside the windows, their number would give the count inside
        return f"Searched {samples or 'the events'}, blinded: {where}, {points}."
    return f"Searched {events} events{f' of {samples}' * bool(samples)}: {where}, {points}."


_OBSERVED = {"data": "data", "pseudodata": "simulated pseudodata"}
"""Wording for the kinds of datasets that are searched."""


@dataclass(frozen=True)
class _Limit:
    """Limit on a signal sample; `strength` is the observed one, or else the expected one, in units of the sample."""

    dataset: str
    observed: float | None
    expected: float | None
    unit: str
    strength: float | None
    level: float
    has_bad_fit: bool

    def __str__(self) -> str:
        name = "σ" if self.unit == "fb" else "N"
        ends = ((self.observed, "observed"), (self.expected, "expected"))
        values = [f"{number(value)}{SPACE}{self.unit} {kind}" for value, kind in ends if value is not None]
        bad = ", from a bad background fit" if self.has_bad_fit else ""
        return f"{self.dataset} ({name} < {', '.join(values)}{bad})"


def _limits_text(results: Results) -> str:
    """Return a sentence on the excluded signal samples, or else on the best limit."""
    limits = list(_retrained_limits(results)) or list(_sample_limits(results))
    if not limits:
        without = "No signal sample has a limit" if results.signals or results.limits else "There is no signal sample"
        return f"{without}; limits on visible events are in results.json."
    level = f"{percent(1 - limits[0].level)} CL"
    excluded = [one for one in limits if one.strength is not None and one.strength < 1]
    if results.blinded:
        best = min(limits, key=_closeness)
        return f"Expected limit at {level}: {best}; {len(excluded)} of {len(limits)} would be excluded."
    if excluded:
        return f"Excluded at {level}: {_some(list(map(str, excluded)), '; ')}."
    tested = f"({len(limits)} tested)"
    return f"No signal sample is excluded at {level} {tested}; best limit: {min(limits, key=_closeness)}."


_MOST = 3
"""Largest number of samples that are named."""


def _some(names: Sequence[str], separator: str = ", ") -> str:
    """Join the first names, and count the others."""
    rest = len(names) - _MOST
    return separator.join(names[:_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _closeness(limit: _Limit) -> tuple[bool, float]:
    """Sort limits by the signal strength, those without one last."""
    values = (limit.strength, limit.observed, limit.expected)
    return limit.strength is None, next((value for value in values if value is not None), 0.0)


def _retrained_limits(results: Results) -> Iterator[_Limit]:
    """Yield the limits of `cwola limit`, one for each signal."""
    for dataset, best in chosen_limits(results.limits).items():
        numbers: tuple[float | None, float | None] = best.observed_selected, best.expected_selected[2]
        unit, strength = "selected events", None
        if best.expected_fb is not None:
            unit, numbers = "fb", (best.observed_fb, best.expected_fb[2])
            shown = numbers[1] if results.blinded else numbers[0]
            strength = None if shown is None or best.xsec_pb is None else shown / (1000 * best.xsec_pb)
        if any(value is not None for value in numbers):
            yield _Limit(dataset, *numbers, unit, strength, best.level, best.has_bad_fit)


def _sample_limits(results: Results) -> Iterator[_Limit]:
    """Yield the limits with the classifiers of the search, of each signal the one with the smallest expected limit."""
    bad = bad_looks(results.windows)
    for signal in results.signals:
        limits = [(one.limit, one) for one in signal.selections if one.limit is not None]
        known = [(limit.expected_strength[2], limit, one) for limit, one in limits if limit.expected_strength]
        if not known:
            continue
        expected, limit, one = min(known, key=lambda item: item[0])
        numbers: tuple[float | None, float] = limit.observed_events, limit.expected_events[2]
        unit, strength = "events in the window", None
        if limit.expected_fb is not None:
            unit, numbers = "fb", (limit.observed_fb, limit.expected_fb[2])
        if signal.normalised:
            strength = expected if results.blinded else limit.observed_strength
        has_bad_fit = (one.window, one.selection) in bad
        yield _Limit(signal.dataset, *numbers, unit, strength, limit.level, has_bad_fit)
