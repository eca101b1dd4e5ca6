"""Summary of a search in sentences, with the validation verdict of its window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from analysis.results.numbers import count, p_value, with_error, z_value
from analysis.results.values import Results, WindowDocument
from analysis.results.wording.significances import retraining_remark
from analysis.results.words import (
    Excess,
    fit_quality,
    fit_text,
    global_caveat,
    largest_excess,
    looks_text,
    selection_text,
    window_text,
)
from analysis.statistics import GlobalResult

__all__ = ["DECIDED", "SIGNIFICANT", "Verdict", "global_text", "is_bound", "search_verdict"]

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
