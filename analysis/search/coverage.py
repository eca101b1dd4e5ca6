"""Notes on the part of the spectrum that the windows search, and on where it is known to be smooth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.regions import Interval, RegionScan, in_any

__all__ = ["coverage_notes"]

_LAST_EVENTS = 100
"""Number of events above the upper end of the spectrum: with fewer, a window has nothing to train on."""

_MIN_COVERED = 0.4
"""Covered fraction, in the logarithm of the mass, below which a note is written."""


def coverage_notes(
    masses: Iterable[NDArray[np.float64]], scan: RegionScan, edge: float | None, *, hidden: Sequence[Interval] = ()
) -> tuple[str, ...]:
    """Return notes if the spectrum may not be smooth, or most of it is not searched.

    Parameters
    ----------
    masses : iterable of (n,) float64
        Masses of the searched events, GeV, in blocks.
    scan : RegionScan
    edge : float or None
        Lowest mass at which the spectrum is known to be smooth, GeV; None if unknown. The most frequent mass takes its
        place.
    hidden : sequence of (low, high)
        Intervals whose events are not looked at, GeV.

    Returns
    -------
    tuple of str
        Plain text; empty without anything to tell.
    """
    counts, last = np.zeros(0, np.int64), np.zeros(0)
    for mjj in masses:
        seen = mjj[~in_any(mjj, hidden)]
        more = np.bincount((seen / scan.bin_width).astype(np.int64), minlength=len(counts))
        more[: len(counts)] += counts
        counts, last = more, np.sort(np.concatenate([last, seen]))[-_LAST_EVENTS:]
    if not last.size:
        return ()
    peak, top = float((np.argmax(counts) + 0.5) * scan.bin_width), float(last[0])
    notes = [] if edge is not None else [_unknown_edge(scan, peak)]
    start, origin = (peak, "the maximum of the spectrum") if edge is None else (edge, "the start of the smooth part")
    gaps = _gaps(scan, start, top)
    covered = 1.0 - sum(np.log(high / low) for low, high in gaps) / np.log(top / start) if top > start else 1.0
    if covered < _MIN_COVERED:
        left_out = " and ".join(f"{low:.0f}-{high:.0f}" for low, high in gaps)
        notes.append(
            f"Most of the smooth spectrum is not searched: the windows cover {covered:.0%} of the range from "
            f"{start:.0f} GeV, {origin}, to {top:.0f} GeV, above which there are {len(last)} "
            f"events, in the logarithm of the mass, and leave out {left_out} GeV. Set scan.first, last, width, step "
            "and fit_range, or scan.windows."
        )
    return tuple(notes)


def _unknown_edge(scan: RegionScan, peak: float) -> str:
    start = min(window.fit_range[0] for window in scan.windows)
    turn_on = f" The spectrum has its maximum near {peak:.0f} GeV, inside of it." if peak > start else ""
    return (
        f"Nothing tells where the spectrum is smooth, so nothing checks that the fit range, from {start:g} GeV, begins "
        f"there.{turn_on} A fit that reaches into the turn-on of a trigger or a generator cut can shift z by several "
        "standard deviations. Set scan.smooth_edge, or pt_hat_min of simulated datasets."
    )


def _gaps(scan: RegionScan, start: float, top: float) -> list[Interval]:
    """Return the parts of a range that belong to no signal region, GeV."""
    gaps, reached = [], start
    for low, high in sorted(window.signal for window in scan.windows):
        if low > reached:
            gaps.append((reached, min(low, top)))
        reached = max(reached, high)
        if reached >= top:
            break
    else:
        gaps.append((reached, top))
    return [(low, high) for low, high in gaps if high > low]
