"""How the parts of a search are called in a text, and its largest excess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.learning import ARGOS
from analysis.results.numbers import SPACE, interval, p_value
from analysis.statistics import GlobalResult

__all__ = [
    "Excess",
    "global_text",
    "is_bound",
    "largest_excess",
    "selection_text",
    "total_error",
    "window_text",
]


Document = Mapping[str, Any]


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


def global_text(results: Document) -> str:
    """Say what the global p-value is and what it accounts for."""
    found, trials = GlobalResult(**results["global"]), results["trials"]
    if found.p0 is None:
        return "There is no global p-value."
    looks = f"{trials['total']} looks ({trials['windows']} windows, {trials['selections']} selections"
    looks += f", {trials['seeds']} trainings)" if trials.get("seeds", 1) > 1 else ")"
    worth = "" if found.effective_trials is None else f", worth {found.effective_trials:.0f} independent ones"
    relation = "≤" if is_bound(found) else "="
    return f"The global p₀ {relation} {p_value(found.p0)} accounts for {looks}{worth}."


def is_bound(found: GlobalResult) -> bool:
    """Whether a global p-value is an upper bound."""
    return "upper-bound" in found.method
