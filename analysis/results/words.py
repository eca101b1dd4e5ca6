"""Names of windows and selections for readers, and the largest excess of a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy import stats

from analysis.learning import ARGOS
from analysis.results.numbers import SPACE, interval, p_value
from analysis.results.values import Results, SelectionDocument, WindowDocument
from analysis.statistics import GlobalResult

__all__ = [
    "Excess",
    "global_text",
    "is_bound",
    "largest_excess",
    "selection_text",
    "window_text",
]


@dataclass(frozen=True)
class Excess:
    """Excess in one selection, window and training.

    Attributes
    ----------
    window : WindowDocument
    selection : SelectionDocument
        Selection with the numbers of the first training.
    z : float
        Local significance of the training `seed`.
    seed : int
    """

    window: WindowDocument
    selection: SelectionDocument
    z: float
    seed: int

    @property
    def p0(self) -> float | None:
        """Local p-value."""
        return float(stats.norm.sf(self.z)) if self.seed else self.selection.p0

    @property
    def n_obs(self) -> float | None:
        """Observed events."""
        return self._of_training("n_obs", self.selection.n_obs)

    @property
    def background(self) -> float | None:
        """Expected background, events."""
        return self._of_training("background", self.selection.background)

    def _of_training(self, quantity: str, first: float | None) -> float | None:
        spread = self.selection.seeds.get(quantity)
        if self.seed == 0:
            return first
        return None if spread is None else spread.values[self.seed]


def selection_text(name: str) -> str:
    """Return the name of a selection for readers, such as "efficiency 5 %" for "eff_0.05"."""
    if name == ARGOS:
        return "efficiency by ARGOS"
    try:
        return f"efficiency{SPACE}{100 * float(name.removeprefix('eff_')):.4g}{SPACE}%"
    except ValueError:
        return name.replace("_", " ")


def window_text(window: WindowDocument) -> str:
    """Return the range of a window with its unit."""
    return f"{interval(window.signal)}{SPACE}GeV"


def largest_excess(windows: Sequence[WindowDocument]) -> Excess | None:
    """Return the excess with the largest significance over windows, selections and trainings; None without any."""
    return max(_looks(windows), key=lambda look: look.z, default=None)


def _looks(windows: Sequence[WindowDocument]) -> Iterator[Excess]:
    for window in windows:
        for selection in window.selections:
            spread = selection.seeds.get("z")
            values = (selection.z,) if spread is None else spread.values
            for seed, z in enumerate(values):
                if z is not None:
                    yield Excess(window, selection, z, seed)


def global_text(results: Results) -> str:
    """Return a sentence with the global p-value and the looks it accounts for."""
    total, trials = results.global_, results.trials
    if total.p0 is None:
        return "There is no global p-value."
    looks = f"{trials['total']} looks ({trials['windows']} windows, {trials['selections']} selections"
    looks += f", {trials['seeds']} trainings)" if trials.get("seeds", 1) > 1 else ")"
    worth = "" if total.effective_trials is None else f", worth {total.effective_trials:.0f} independent ones"
    relation = "≤" if is_bound(total) else "="
    return f"The global p₀ {relation} {p_value(total.p0)} accounts for {looks}{worth}."


def is_bound(total: GlobalResult) -> bool:
    """Return whether a global p-value is an upper bound."""
    return "upper-bound" in total.method
