"""Summary of a search in sentences, with the validation verdict of its window."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from analysis.results.numbers import count, p_value, with_error, z_value
from analysis.results.values import Results, WindowDocument
from analysis.results.words import Excess, global_text, is_bound, largest_excess, selection_text, window_text
from analysis.statistics import GlobalResult

__all__ = ["DECIDED", "SIGNIFICANT", "Verdict", "search_verdict"]

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
        "excess", "none", "blinded" or "empty".
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
        return Verdict("blinded", text, failed=failed)
    largest, total = largest_excess(windows), results.global_
    if largest is None:
        return Verdict("empty", "No window has a result.", failed=failed)
    where = f"in {window_text(largest.window)} at {selection_text(largest.selection.name)}"
    text = f"largest local z = {z_value(largest.z)} {where}"
    kind, begin = _kind(largest.z, total)
    validation = largest.window.validation
    invalid = validation is not None and validation.verdict == "not valid"
    headline = f"{begin}{' in a window that is not valid' * invalid}: {text}, {_total(total)}."
    sentences = (_counts(largest), global_text(results), *_judged(largest.window))
    return Verdict(kind, headline, sentences, largest, failed)


def _judged(window: WindowDocument) -> list[str]:
    """Return the validation verdict of the window of the largest excess."""
    validation = window.validation
    if validation is None:
        return []
    flags = f" It has flags: {'; '.join(validation.flags)}." if validation.flags else ""
    decided = DECIDED[validation.decided]
    return [f"The window is {validation.verdict}, decided {decided}: {validation.reason}.{flags}"]


def _kind(z: float, total: GlobalResult) -> tuple[str, str]:
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
    return f"{sentence} (local p₀ = {p_value(selection.p0)})."
