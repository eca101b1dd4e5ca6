"""Names of windows and selections for readers, the largest excess of a search, and the marks of bad background fits.

Two rules on fits use one threshold, `analysis.background.BAD_FIT`. A single fit is bad, and marked, if its p-value is
smaller: a reader looks at one number, and of good fits one in a hundred is marked. All fits together are found wanting
if the smallest p-value times their number is smaller (Bonferroni's bound, valid however many events the fits share),
because among hundreds of good fits a few are marked by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from analysis.background import BAD_FIT, RESTS_ON_SMOOTHNESS, is_bad_fit
from analysis.learning import selection_text
from analysis.limits.values import InjectionLimit
from analysis.regions import Interval
from analysis.results.documents import calibration_of
from analysis.results.numbers import SPACE, interval, p_value, z_value
from analysis.results.values import SelectionDocument, WindowDocument
from analysis.results.wording.significances import UNCALIBRATED, z_with_error
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.values import SignalLimit
from analysis.statistics import LimitResult

__all__ = [
    "BAD_FIT_MARK",
    "BAD_FIT_NOTE",
    "SMOOTHNESS_MARK",
    "SMOOTHNESS_NOTE",
    "Excess",
    "FitQuality",
    "bad_looks",
    "expectation_text",
    "fit_mark",
    "fit_quality",
    "fit_text",
    "global_caveat",
    "largest_excess",
    "looks_text",
    "window_text",
    "z_mark",
]


BAD_FIT_MARK = "!"
BAD_FIT_NOTE = (
    f"{BAD_FIT_MARK} Bad background fit (p < {BAD_FIT:g}): background, z, p₀ and limits are not to be trusted."
)

SMOOTHNESS_MARK = "~"
SMOOTHNESS_NOTE = (
    f"{SMOOTHNESS_MARK} Rests on a smooth spectrum: a bend under the mask or a wave of 10 %, which no sideband can "
    f"exclude, would shift z by more than {RESTS_ON_SMOOTHNESS:g} (hidden_shift in results.json)."
)

Windows = Sequence[WindowDocument] | Sequence[WindowResult]


@dataclass(frozen=True)
class Excess:
    """Excess in one selection, window and training.

    Attributes
    ----------
    window : WindowDocument
    selection : SelectionDocument
        Selection with the numbers of the first training.
    z : float
        Local significance of the training `seed`, calibrated if possible.
    seed : int
    z_error : float or None
        Statistical error of the calibration of `z`; None without one, and if it is exact.
    nominal_z : float or None
        Significance of the count alone, where `z` is another one.
    """

    window: WindowDocument
    selection: SelectionDocument
    z: float
    seed: int
    z_error: float | None = None
    nominal_z: float | None = None

    @property
    def z_text(self) -> str:
        """Significance with its error, and the nominal one; or that it is not calibrated with retraining."""
        notes = [f"nominal {z_value(self.nominal_z)}"] if self.nominal_z is not None else []
        notes += [UNCALIBRATED] * self.selection.lacks_calibration
        return z_with_error(self.z, self.z_error) + "".join(f" ({note})" for note in notes)

    @property
    def p0(self) -> float | None:
        """Local p-value, calibrated if possible."""
        return float(stats.norm.sf(self.z)) if self.seed else self.selection.local_p0

    @property
    def p0_text(self) -> str:
        """Local p-value, and the nominal one."""
        if self.nominal_z is None:
            return p_value(self.p0)
        nominal = float(stats.norm.sf(self.nominal_z)) if self.seed else self.selection.nominal_p0
        return f"{p_value(self.p0)}, nominal {p_value(nominal)}"

    @property
    def n_obs(self) -> float | None:
        """Observed events."""
        return self._of_training("n_obs", self.selection.n_obs)

    @property
    def background(self) -> float | None:
        """Expected background, events."""
        return self._of_training("background", self.selection.background)

    @property
    def fit_p_value(self) -> float | None:
        """p-value of the background fit."""
        return self._of_training("fit_p_value", self.selection.fit_p_value)

    @property
    def has_bad_fit(self) -> bool:
        """Whether the background fit of this training is bad."""
        return is_bad_fit(self.fit_p_value)

    def _of_training(self, quantity: str, first: float | None) -> float | None:
        spread = self.selection.seeds.get(quantity)
        if self.seed == 0:
            return first
        return None if spread is None else spread.values[self.seed]


def window_text(window: WindowDocument) -> str:
    """Return the range of a window with its unit."""
    return f"{interval(window.signal)}{SPACE}GeV"


def largest_excess(windows: Sequence[WindowDocument], *, good_fits: bool = False) -> Excess | None:
    """Return the excess with the largest significance over windows, selections and trainings; None without any.

    Significances are calibrated with retraining if possible.

    With `good_fits` those from a bad background fit are left out.
    """
    looks = (look for look in _looks(windows) if not (good_fits and look.has_bad_fit))
    return max(looks, key=lambda look: look.z, default=None)


def _looks(windows: Sequence[WindowDocument]) -> Iterator[Excess]:
    for window in windows:
        for selection in window.selections:
            spread, calibration = selection.seeds.get("z"), calibration_of(selection)
            values = (selection.z,) if spread is None else spread.values
            for seed, z in enumerate(values):
                if z is None:
                    continue
                if calibration is None:
                    yield Excess(window, selection, z, seed)
                else:
                    shown = calibration.again(z)
                    nominal = None if shown.source == "exact" else z
                    yield Excess(window, selection, shown.z, seed, shown.z_error or None, nominal)


def looks_text(trials: Mapping[str, int]) -> str:
    """Return the number of looks of a search, and how it arises from windows, selections and trainings."""
    kinds = {"windows": "window", "selections": "selection"}
    if trials.get("seeds", 1) > 1:
        kinds["seeds"] = "training"
    each = ", ".join(f"{trials[key]} {name}{'s' * (trials[key] != 1)}" for key, name in kinds.items())
    return f"{trials['total']} look{'s' * (trials['total'] != 1)} ({each})"


def expectation_text(limits: Iterable[LimitResult | SignalLimit | None]) -> str:
    """Return "post-fit" or "pre-fit" for expected limits of one kind; empty without limits."""
    kinds = sorted({limit.expectation for limit in limits if limit is not None})
    return " or ".join(kinds)


@dataclass(frozen=True)
class FitQuality:
    """p-values of all background fits of a search, of all trainings.

    Attributes
    ----------
    n_fits, n_bad : int
        Number of fits with a p-value, and of bad ones.
    smallest : float or None
        Smallest p-value; None without any fit.
    where : str
        Window and selection of the smallest p-value.
    """

    n_fits: int = 0
    n_bad: int = 0
    smallest: float | None = None
    where: str = ""

    @property
    def by_chance(self) -> float:
        """Expected number of bad fits if all functions are right."""
        return BAD_FIT * self.n_fits

    @property
    def is_bad(self) -> bool:
        """Whether chance does not make the smallest of so many p-values as small."""
        return self.smallest is not None and is_bad_fit(self.smallest * self.n_fits)


def fit_quality(windows: Windows) -> FitQuality:
    """Summarise the background fits of a search.

    Parameters
    ----------
    windows : sequence of WindowDocument or WindowResult
    """
    found = list(_fits(windows))
    if not found:
        return FitQuality()
    smallest, where = min(found)
    return FitQuality(len(found), sum(is_bad_fit(p) for p, _ in found), smallest, where)


def _fits(windows: Windows) -> Iterator[tuple[float, str]]:
    for window in windows:
        for one in window.selections:
            where = f"{interval(_signal(window))}{SPACE}GeV, {selection_text(one.name)}"
            yield from ((p, where) for p in one.fit_p_values if p is not None)


def _signal(window: WindowDocument | WindowResult) -> Interval:
    return window.window.signal


def bad_looks(windows: Windows) -> frozenset[tuple[Interval, str]]:
    """Return signal region (GeV) and selection of each bad fit of the first training."""
    return frozenset((_signal(window), one.name) for window in windows for one in window.selections if one.has_bad_fit)


def fit_mark(found: SelectionDocument | SelectionResult | InjectionLimit) -> str:
    """Return the mark behind the numbers of a selection, or behind a limit: empty for a good fit."""
    return BAD_FIT_MARK if found.has_bad_fit else ""


def fit_text(windows: Windows) -> str | None:
    """Return a sentence on the bad fits of a search; None without any."""
    found = fit_quality(windows)
    if not found.n_bad:
        return None
    count = _bad(found)
    worst = f"the smallest p is {p_value(found.smallest)} in {found.where}"
    if found.is_bad:
        return f"{count}; {worst}. Background, z, p₀ and limits of these are not to be trusted."
    return f"{count}; {worst}. Chance alone explains that among so many fits."


def global_caveat(windows: Windows) -> str:
    """Return the sentence to put behind a global p-value: empty if all fits are good."""
    return "It takes every background fit as good." if fit_quality(windows).n_bad else ""


def _bad(found: FitQuality) -> str:
    fits, are = ("fit", "is") if found.n_fits == 1 else ("fits", "is" if found.n_bad == 1 else "are")
    chance = f"p < {BAD_FIT:g}; {found.by_chance:.2g} expected by chance"
    return f"{found.n_bad} of {found.n_fits} background {fits} {are} bad ({chance})"


def z_mark(selection: SelectionDocument) -> str:
    """Return the marks behind a significance: of a bad fit, and of a result that rests on a smooth spectrum."""
    return fit_mark(selection) + SMOOTHNESS_MARK * selection.rests_on_smoothness
