"""Blinding of a searched window: removal of all results that depend on events inside the masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hist
import numpy as np

from analysis.background import outside
from analysis.core.fractions import fraction
from analysis.errors import StatisticsError
from analysis.histograms.spectra import selection_counts
from analysis.learning import INCLUSIVE
from analysis.regions import Interval, MassWindow
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import LimitResult, upper_limit

__all__ = ["blind_window", "empty_bins"]


def blind_window(result: WindowResult, masks: Sequence[Interval]) -> WindowResult:
    """Remove all results that depend on events inside the masks; a window with all of them hidden is unchanged.

    Parameters
    ----------
    result : WindowResult
    masks : sequence of (low, high)
        Masks of all windows of the search, GeV: sidebands of a neighbour would reveal the counts of a window.

    Returns
    -------
    WindowResult
        Result without counts, significances, observed limits, truth, pass weights, scores and choices, and without
        scalings that reveal counts; bins in the masks are empty and listed in `hidden`. Observations of workspaces are
        set to the expected background, and expected limits are recomputed without the counts.
    """
    hidden = tuple(dict.fromkeys((result.window.mask, *masks)))
    if set(hidden) <= set(result.hidden):
        return result
    hidden = tuple(dict.fromkeys((*result.hidden, *hidden)))
    spectrum = None if result.spectrum is None else empty_bins(result.spectrum, hidden)
    return replace(
        result,
        selections=tuple(_blind_selection(entry, result.window, spectrum, hidden) for entry in result.selections),
        spectrum=spectrum,
        passes=None,
        scores=None,
        scalings=tuple(scaling for scaling in result.scalings if not scaling.TELLS_COUNTS),
        choices=(),
        truth=None,
        hidden=hidden,
    )


def empty_bins(spectrum: hist.Hist[Any], masks: Sequence[Interval]) -> hist.Hist[Any]:
    """Empty the bins that overlap a mask (GeV), in a copy that is marked as blinded."""
    hidden: hist.Hist[Any] = spectrum.copy()
    nothing = np.zeros((1, 1, 1, 2))  # broadcast over (mjj, selection, variation); value and variance
    hidden.view(flow=False)[~outside(hidden.axes["mjj"].edges, masks)] = nothing
    # Stored as metadata in the file, so that the empty bins are not mistaken for a deficit.
    hidden.blinded = True  # type: ignore[attr-defined]
    return hidden


def _blind_selection(
    selection: SelectionResult, window: MassWindow, spectrum: hist.Hist[Any] | None, masks: Sequence[Interval]
) -> SelectionResult:
    if selection.n_obs is None:
        return selection
    blinded = replace(
        selection,
        efficiency_achieved=_shown_efficiency(selection, spectrum, masks),
        n_obs=None,
        discovery=None,
        calibration=None,
        s_over_sqrt_b=None,
        limit=None,
        members=None,
        seeds=tuple(_blind_selection(seed, window, None, masks) for seed in selection.seeds),
    )
    if selection.workspace is None:
        return blinded
    workspace = blinded.counting_workspace(window)
    limit = None if selection.limit is None else _expected_limit(selection.limit, workspace, selection.weight)
    return replace(blinded, workspace=workspace, limit=limit)


def _expected_limit(limit: LimitResult, workspace: dict[str, Any], weight: float) -> LimitResult | None:
    """Recompute the expected limit, because an unblinded one uses the background fitted to the observation."""
    options: dict[str, Any] = {"level": limit.level, "calculator": limit.calculator}
    try:
        return upper_limit(workspace, blinded=True, construction=limit.construction, **options).scaled(weight)
    except StatisticsError:
        return None


def _shown_efficiency(selection: SelectionResult, spectrum: hist.Hist[Any] | None, masks: Sequence[Interval]) -> float:
    """Efficiency in the visible bins: over all events it would reveal the number of events inside the mask."""
    if spectrum is None:
        return selection.efficiency
    shown = outside(spectrum.axes["mjj"].edges, masks)
    kept, everything = (selection_counts(spectrum, name)[shown].sum() for name in (selection.name, INCLUSIVE))
    return fraction(float(kept), float(everything)) if everything > 0 else 0.0
