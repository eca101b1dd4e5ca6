"""Blinding of results: removal of all values that depend on events inside the masks.

Results are blinded where they are made, and again where they are read with a configuration that hides more. No later
step has a switch of its own: figures, tables, reports and exports show the values that they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from analysis.diagnostics.sections import DiagnosedWindow
from analysis.limits.values import FailedLimit, InjectionLimit, InjectionScan, LimitsFile
from analysis.results.documents import reported_window
from analysis.results.values import Results, SelectionDocument, WindowDocument
from analysis.search.blinding import blind_window
from analysis.search.values import WindowResult
from analysis.signals.values import SignalResult, SignalSelection

__all__ = ["blind", "blind_diagnostics", "blind_search", "blind_windows"]

_UNBLINDED = {"background", "fit_p_value"}
"""Quantities of a training that come from outside the mask."""

T = TypeVar("T", Results, LimitsFile, WindowDocument, SignalResult)


def blind(value: T) -> T:
    """Remove all values that depend on events inside the masks; blinded values are unchanged.

    Parameters
    ----------
    value : Results, LimitsFile, WindowDocument or SignalResult

    Returns
    -------
    same type
        Without counts, significances, limits, pulls and settings chosen on the counts, and without sensitivities,
        whose counts include events of the windows. Expected limits are kept if they were set without the counts;
        otherwise their background was fitted to the counts.
    """
    if isinstance(value, Results):
        return replace(
            value,
            blinded=True,
            windows=tuple(map(blind, value.windows)),
            global_=replace(value.global_, z=None, p0=None, interval=None, effective_trials=None, miscalibration=None),
            signals=tuple(map(blind, value.signals)),
            limits=tuple(map(_blind_limit, value.limits)),
            sensitivity=(),
        )
    if isinstance(value, LimitsFile):
        scans = tuple(map(_blind_scan, value.injections))
        return replace(value, limits=tuple(map(_blind_limit, value.limits)), injections=scans, sensitivity=())
    if isinstance(value, WindowDocument):
        return replace(value, selections=tuple(map(_blind_selection, value.selections)), choices=())
    return replace(value, selections=tuple(map(_blind_signal, value.selections)))


def blind_search(results: Results, windows: Sequence[WindowResult]) -> tuple[Results, list[WindowResult]]:
    """Blind the results of a search together with its windows.

    Parameters
    ----------
    results : Results
    windows : sequence of WindowResult
        Windows from which the results were assembled.

    Returns
    -------
    results : Results
        Blinded as by `blind`, with the expected limits of the blinded windows.
    windows : list of WindowResult
    """
    blinded = blind_windows(windows)
    shown = tuple(
        replace(reported_window(window), validation=document.validation)
        for window, document in zip(blinded, results.windows, strict=True)
    )
    return replace(blind(results), windows=shown), blinded


def blind_windows(results: Sequence[WindowResult]) -> list[WindowResult]:
    """Blind each window of a search inside the masks of all windows; see `analysis.search.blinding.blind_window`."""
    masks = [result.window.mask for result in results]
    return [blind_window(result, masks) for result in results]


def blind_diagnostics(windows: Sequence[DiagnosedWindow]) -> list[DiagnosedWindow]:
    """Keep the diagnostics that were made without events inside the masks; others cannot be blinded afterwards."""
    return [window for window in windows if window.blinded]


def _blind_selection(selection: SelectionDocument) -> SelectionDocument:
    if selection.n_obs is None:
        return selection
    return replace(
        selection,
        n_obs=None,
        z=None,
        p0=None,
        p0_toys=None,
        p0_averaged=None,
        asymptotics_trusted=None,
        z_calibrated=None,
        z_calibrated_error=None,
        p0_calibrated=None,
        p0_calibrated_error=None,
        calibration=None,
        null_distribution=None,
        s_over_sqrt_b=None,
        limit=None,
        members=None,
        seeds={name: spread for name, spread in selection.seeds.items() if name in _UNBLINDED},
    )


def _blind_signal(selection: SignalSelection) -> SignalSelection:
    observed = selection.limit is not None and selection.limit.observed_events is not None
    return replace(selection, limit=None, impacts=None) if observed else selection


def _blind_limit(limit: InjectionLimit | FailedLimit) -> InjectionLimit | FailedLimit:
    return limit if isinstance(limit, FailedLimit) else replace(limit, observed_selected=None, observed_fb=None)


def _blind_scan(scan: InjectionScan) -> InjectionScan:
    unobserved = tuple(
        replace(one, observed=tuple(tuple(None for _ in row) for row in one.observed)) for one in scan.candidates
    )
    return replace(scan, candidates=unobserved, maps=tuple(replace(counts, data={}) for counts in scan.maps))
