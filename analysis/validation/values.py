"""Verdicts on the windows from signal-free samples, as in `validation.json` and `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.regions import Interval

__all__ = ["CombinedShift", "Flatness", "SourceSelection", "SourceVerdict", "WindowValidation", "WindowVerdict"]


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


@dataclass(frozen=True, kw_only=True)
class WindowValidation:
    """Verdict on a window without the results of single sources, as in `results.json`."""

    verdict: str
    reason: str
    flags: tuple[str, ...]
    decided: str
    combined: tuple[CombinedShift, ...]
    sources: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class WindowVerdict:
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
    sources : tuple of SourceVerdict
    max_shift : float
        Largest allowed shift of z.
    decided : str
        "before-scan" if no sample was searched after the window itself, otherwise "after-scan".
    """

    window: str
    verdict: str
    reason: str
    flags: tuple[str, ...]
    combined: tuple[CombinedShift, ...]
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
            sources={source.source: source.verdict for source in self.sources},
        )
