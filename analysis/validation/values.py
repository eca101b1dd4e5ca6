"""Verdicts on the windows from signal-free samples, as in `validation.json` and `results.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.learning import selection_text
from analysis.regions import Interval

__all__ = [
    "NOT_TESTABLE",
    "NOT_VALID",
    "POWER",
    "VALID",
    "CombinedShift",
    "Flatness",
    "SourceSelection",
    "SourceVerdict",
    "TemplateClosure",
    "WindowValidation",
    "WindowVerdict",
    "verdict_text",
]

VALID, NOT_VALID, NOT_TESTABLE = "valid", "not valid", "not testable"

POWER = 0.95
"""Probability with which a shift of the size `detectable` makes a window not valid."""


@dataclass(frozen=True, kw_only=True)
class CombinedShift:
    """Non-closure of one selection, averaged over the sources that keep the drift of the features with m_jj.

    Attributes
    ----------
    name : str
        Name of the selection.
    delta, delta_error : float
        Mean of (n - b) / b without signal, and its error.
    chi2 : float
        Chi-squared of the sources around their mean.
    n_sources : int
    search_background, search_error, search_spread : float or None
        Background expected in the search with its error, and the standard deviation of n - b, events.
    shift, shift_error : float or None
        Shift of z for the number of events in the search.
    detectable : float or None
        True shift of z, up or down, that would have made the window not valid with the probability `POWER`.
    """

    name: str
    delta: float
    delta_error: float
    chi2: float
    n_sources: int
    search_background: float | None = None
    search_error: float | None = None
    search_spread: float | None = None
    shift: float | None
    shift_error: float | None
    detectable: float | None = None


@dataclass(frozen=True)
class Flatness:
    """Test whether the efficiency is flat in m_jj."""

    chi2: float
    ndof: float
    p: float


@dataclass(frozen=True, kw_only=True)
class SourceSelection:
    """One selection of the samples of one source, averaged over the draws; further attributes as in `CombinedShift`.

    Attributes
    ----------
    draws : int
    failures : tuple of str
        Reasons of draws without a fit.
    calibrated : bool
    z, z_error, z_width : float or None
        Mean, its error, and the standard deviation over the draws.
    background : float or None
    fit_p : float or None
        p-value of the background fits.
    flatness : Flatness or None
    non_closure : tuple of float, or None
        Non-closure of the efficiency.
    """

    name: str
    draws: int = 0
    failures: tuple[str, ...] = ()
    calibrated: bool
    z: float | None
    z_error: float | None
    z_width: float | None = None
    delta: float | None = None
    delta_error: float | None = None
    shift: float | None = None
    shift_error: float | None = None
    search_background: float | None = None
    search_error: float | None = None
    search_spread: float | None = None
    background: float | None = None
    fit_p: float | None = None
    flatness: Flatness | None = None
    non_closure: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class TemplateClosure:
    """Divergence of the window from the template in the samples of one source, without signal.

    Attributes
    ----------
    divergence : float
        Mean over the draws, above that of samples of the same distribution.
    spread : float
        Its standard deviation for samples of the same distribution, in one draw.
    p : float
        Exact for one draw; of several, twice their median, which is valid however they depend on each other.
    draws : int
    n_window, n_template : int
        Numbers of events that were compared in the first draw.
    """

    divergence: float
    spread: float
    p: float
    draws: int
    n_window: int
    n_template: int


@dataclass(frozen=True, kw_only=True)
class SourceVerdict:
    """Verdict on a window from the samples of one source.

    Attributes
    ----------
    source : str
    keeps_drift : bool
        Whether features depend on m_jj as in real background.
    verdict : str
    reason : str or None
    flags, notes : tuple of str
    draws : int
        Number of searched samples.
    fit_range : (low, high) or None
        GeV.
    selections : tuple of SourceSelection
    template : TemplateClosure or None
        Window against the template of the method; no part of the verdict.
    """

    source: str
    keeps_drift: bool = True
    verdict: str
    reason: str | None = None
    flags: tuple[str, ...] = ()
    draws: int = 0
    notes: tuple[str, ...] = ()
    fit_range: Interval | None = None
    selections: tuple[SourceSelection, ...]
    template: TemplateClosure | None = None


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """Properties of a verdict on a window."""

    verdict: str
    combined: tuple[CombinedShift, ...]
    untested: tuple[str, ...] = ()

    @property
    def detectable(self) -> float | None:
        """Shift of z that is detected in whichever selection it is; None if none was measured."""
        return max((shift.detectable for shift in self.combined if shift.detectable is not None), default=None)

    @property
    def power(self) -> str:
        """Power of a valid verdict in words; empty for others."""
        text = _power_text(self.verdict, [self.detectable])
        untested = ", ".join(map(selection_text, self.untested))
        return f"{text}, not tested in {untested}" if untested and text else text

    @property
    def text(self) -> str:
        """Verdict in words, with the power of a valid one."""
        return ", ".join(filter(None, (self.verdict, self.power)))


def verdict_text(verdict: str, detectable: Iterable[float | None]) -> str:
    """Put a verdict on one or several windows in words: a valid one with the shifts of z to which it is sensitive.

    Parameters
    ----------
    verdict : str
    detectable : iterable of float or None
        One per window.

    Returns
    -------
    str
        Such as "valid, sensitive to shifts above 1.2".
    """
    return ", ".join(filter(None, (verdict, _power_text(verdict, detectable))))


def _power_text(verdict: str, detectable: Iterable[float | None]) -> str:
    if verdict != VALID:
        return ""
    known = [value for value in detectable if value is not None]
    if not known:
        return "sensitive to no shift"
    ends = dict.fromkeys(f"{value:.1f}" for value in (min(known), max(known)))
    return f"sensitive to shifts above {' to '.join(ends)}"


@dataclass(frozen=True, kw_only=True)
class WindowValidation(_Judged):
    """Verdict on a window without the results of single sources, as in `results.json`; see `WindowVerdict`."""

    reason: str
    flags: tuple[str, ...]
    decided: str
    sources: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class WindowVerdict(_Judged):
    """Verdict on a window.

    Attributes
    ----------
    window : str
        Window name, such as "3300-3700".
    verdict : str
        "valid", "not valid" or "not testable".
    reason : str
    flags : tuple of str
    combined : tuple of CombinedShift
    untested : tuple of str
        Selections of the samples without a combined shift.
    sources : tuple of SourceVerdict
    max_shift : float
        Largest allowed shift of z.
    decided : str
        "before-scan" if no sample was searched after the window itself, otherwise "after-scan".
    """

    window: str
    reason: str
    flags: tuple[str, ...]
    sources: tuple[SourceVerdict, ...]
    max_shift: float
    decided: str = "before-scan"

    @property
    def summary(self) -> WindowValidation:
        """Return the verdict without the results of single sources."""
        return WindowValidation(
            verdict=self.verdict,
            reason=self.reason,
            flags=self.flags,
            decided=self.decided,
            combined=self.combined,
            untested=self.untested,
            sources={source.source: source.verdict for source in self.sources},
        )
