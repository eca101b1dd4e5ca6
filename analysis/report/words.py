"""The verdict of a search in sentences, and what its parts are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from analysis.learning import ARGOS
from analysis.report.numbers import SPACE, count, interval, p_value, with_error, z_value
from analysis.statistics import GlobalResult

__all__ = [
    "DECIDED",
    "SIGNIFICANT",
    "Excess",
    "Verdict",
    "global_text",
    "largest_excess",
    "search_verdict",
    "selection_text",
    "total_error",
    "window_text",
]

SIGNIFICANT = 3.0
"""From this global significance on the verdict speaks of a significant excess."""

DECIDED = {"before-scan": "before it was searched", "after-scan": "after it had been searched"}
"""When a verdict of the validation was reached."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What stands on top of a report.

    Attributes
    ----------
    kind : str
        "excess", "none", "blinded" or "empty".
    headline : str
    sentences : tuple of str
    """

    kind: str
    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Excess:
    """One look; `selection` holds the numbers of the first training."""

    window: Document
    selection: Document
    z: float
    seed: int


def selection_text(name: str) -> str:
    """Return what a selection is called: "eff_0.05" is "efficiency 5 %"."""
    if name == ARGOS:
        return "efficiency by ARGOS"
    try:
        return f"efficiency{SPACE}{100 * float(name.removeprefix('eff_')):.4g}{SPACE}%"
    except ValueError:
        return name.replace("_", " ")


def window_text(window: Document) -> str:
    """Return the range of a window with its unit."""
    return f"{interval(window['signal'])}{SPACE}GeV"


def total_error(selection: Document) -> float | None:
    """Error of the background from the fit, and from its correction where there is one, events."""
    error: float | None = selection["background_error"]
    correction = selection.get("non_closure")
    if error is None or correction is None:
        return error
    uncorrected = (selection["background"] or 0.0) / (1 + correction["delta"])
    return float((error**2 + (correction["error"] * uncorrected) ** 2) ** 0.5)


def largest_excess(windows: Sequence[Document]) -> Excess | None:
    """Return the look with the largest significance, over windows, selections and trainings; None without any."""
    return max(_looks(windows), key=lambda look: look.z, default=None)


def _looks(windows: Sequence[Document]) -> Iterator[Excess]:
    for window in windows:
        for selection in window["selections"]:
            spread = (selection.get("seeds") or {}).get("z")
            values = [selection["z"]] if spread is None else spread["values"]
            for seed, z in enumerate(values):
                if z is not None:
                    yield Excess(window, selection, z, seed)


def search_verdict(results: Document) -> Verdict:
    """Say what a search found.

    Parameters
    ----------
    results : mapping
        `results.json`.

    Returns
    -------
    Verdict
        Failed windows are named in its sentences.
    """
    windows = results["windows"]
    failed = sum(window["status"] != "ok" for window in windows)
    lines = [f"{failed} of {len(windows)} windows failed or are incomplete; their reasons are below."] if failed else []
    largest = largest_excess(windows)
    if results["blinded"]:
        text = "Blinded: no count, significance or observed limit inside the windows is shown."
        lines.insert(0, "Backgrounds and expected limits below do not use the events inside the windows.")
        return Verdict("blinded", text, tuple(lines))
    if largest is None:
        return Verdict("empty", "No window has a result.", tuple(lines))
    found = GlobalResult(**results["global"])
    where = f"in {window_text(largest.window)} at {selection_text(largest.selection['name'])}"
    text = f"largest local z = {z_value(largest.z)} {where}"
    kind, begin = _kind(largest.z, found)
    invalid = (largest.window.get("validation") or {}).get("verdict") == "not valid"
    headline = f"{begin}{' in a window that is not valid' * invalid}: {text}, {_total(found)}."
    return Verdict(kind, headline, (*_counts(largest), global_text(results), *_judged(largest.window), *lines))


def _judged(window: Document) -> list[str]:
    """Say what the validation says of the window of the largest excess."""
    found = window.get("validation")
    if found is None:
        return []
    flags = f" It has flags: {'; '.join(found['flags'])}." if found["flags"] else ""
    return [f"The window is {found['verdict']}, decided {DECIDED[found['decided']]}: {found['reason']}.{flags}"]


def _kind(z: float, found: GlobalResult) -> tuple[str, str]:
    if z <= 0:
        return "none", "No excess"
    if found.p0 is not None and found.p0 <= stats.norm.sf(SIGNIFICANT):
        return "excess", "Significant excess"
    if z >= SIGNIFICANT and (found.p0 is None or _is_bound(found)):
        return "excess", "Excess whose global significance is not known well"
    return "none", "No significant excess"


def _total(found: GlobalResult) -> str:
    if found.p0 is None:
        return "no global significance"
    at_most, at_least = ("≤", "≥") if _is_bound(found) else ("=", "=")
    value = f"p₀ {at_most} {p_value(found.p0)}" if found.z is None else f"z {at_least} {z_value(found.z)}"
    return f"global {value} ({found.method_text})"


def _counts(largest: Excess) -> list[str]:
    selection = largest.selection
    if largest.seed:
        return [f"The largest is that of training seed {largest.seed}; tables show training seed 0."]
    background = with_error(selection["background"], total_error(selection))
    sentence = f"There {count(selection['n_obs'])} events are observed and {background} expected from background"
    return [f"{sentence} (local p₀ = {p_value(selection['p0'])})."]


def global_text(results: Document) -> str:
    """Say what the global p-value is and what it accounts for."""
    found, trials = GlobalResult(**results["global"]), results["trials"]
    if found.p0 is None:
        return "There is no global p-value."
    looks = f"{trials['total']} looks ({trials['windows']} windows, {trials['selections']} selections"
    looks += f", {trials['seeds']} trainings)" if trials.get("seeds", 1) > 1 else ")"
    worth = "" if found.effective_trials is None else f", worth {found.effective_trials:.0f} independent ones"
    relation = "≤" if _is_bound(found) else "="
    return f"The global p₀ {relation} {p_value(found.p0)} accounts for {looks}{worth}."


def _is_bound(found: GlobalResult) -> bool:
    return "upper-bound" in found.method
