"""Events of a window and of its sidebands, and the prediction for the window from both sidebands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.diagnostics.values import ScoredWindow
from analysis.learning import INCLUSIVE, assign_folds, stratified_folds
from analysis.regions import MassWindow
from analysis.search.classifiers import Classifier

__all__ = [
    "LOWER",
    "UPPER",
    "WINDOW",
    "RegionEvents",
    "combine",
    "event_folds",
    "expected_events",
    "region_events",
    "selected_events",
    "side_scales",
]

Array = NDArray[np.float64]
Histogram = tuple[Array, Array]

WINDOW, LOWER, UPPER = "window", "lower", "upper"


@dataclass(frozen=True)
class RegionEvents:
    """Subset of the events of a table.

    Attributes
    ----------
    rows : (n_used,) int64
        Positions in the table, increasing.
    weight : (n_used,) float64
        Event weight, times the pass weight after a selection.
    """

    rows: NDArray[np.int64]
    weight: Array


def region_events(window: ScoredWindow) -> dict[str, RegionEvents]:
    """Find the events of the window and of its two sidebands.

    Returns
    -------
    dict of str to RegionEvents
        "window", "lower" and "upper"; without the window while blinded.
    """
    mass_window, mjj, weight = window.result.window, window.table.mjj, window.table.weight
    inside = {} if window.blinded else {WINDOW: mass_window.in_signal(mjj)}
    inside |= {LOWER: mass_window.in_lower(mjj), UPPER: mass_window.in_upper(mjj)}
    rows = {name: np.flatnonzero(mask) for name, mask in inside.items()}
    return {name: RegionEvents(positions, weight[positions]) for name, positions in rows.items()}


def selected_events(window: ScoredWindow, inside: RegionEvents) -> dict[str, RegionEvents]:
    """Find the events of the window that pass each selection.

    Parameters
    ----------
    window : ScoredWindow
    inside : RegionEvents
        Events of the window.

    Returns
    -------
    dict of str to RegionEvents
        By name, without the inclusive selection; empty without pass weights.
    """
    samples = {}
    passes = window.result.passes
    for index, selection in enumerate(window.result.selections if passes is not None else ()):
        if selection.name != INCLUSIVE and passes is not None:
            passing = passes[inside.rows, index].astype(np.float64)
            kept = passing > 0
            samples[selection.name] = RegionEvents(inside.rows[kept], (inside.weight * passing)[kept])
    return samples


def side_scales(window: MassWindow, lower: float, upper: float, total: float) -> tuple[float, float]:
    """Scale two sidebands so that their sum predicts the window.

    The shape of the distribution is interpolated linearly in m_jj between the centres of the sidebands, so that
    sidebands at equal distance contribute equally, regardless of their number of events.

    Parameters
    ----------
    window : MassWindow
    lower, upper : float
        Sums of weights of the sidebands, positive.
    total : float
        Expected events in the window.

    Returns
    -------
    tuple of float
        Scales of the lower and of the upper sideband.
    """
    below, inside, above = (sum(interval) / 2 for interval in (window.lower, window.signal, window.upper))
    share = (inside - below) / (above - below)
    return total * (1 - share) / lower, total * share / upper


def combine(lower: Histogram, upper: Histogram, scales: tuple[float, float]) -> Histogram:
    """Add scaled histograms of both sidebands.

    Parameters
    ----------
    lower, upper : pair of array
        Values and variances.
    scales : tuple of float
        From `side_scales`.

    Returns
    -------
    values, variances : array
        The variances account for the events in the sidebands; the uncertainty of the scales is neglected.
    """
    values = scales[0] * lower[0] + scales[1] * upper[0]
    variances = scales[0] ** 2 * lower[1] + scales[1] ** 2 * upper[1]
    return values, variances


def expected_events(window: ScoredWindow) -> float | None:
    """Return the fitted background of the inclusive selection in the window; None if the fit failed."""
    backgrounds = [selection.background for selection in window.result.selections if selection.name == INCLUSIVE]
    return backgrounds[0] if backgrounds else None


def event_folds(window: ScoredWindow, classifier: Classifier) -> NDArray[np.int8]:
    """Return the fold of each event, (n_events,) int8; needs all searched events."""
    table, n_folds = window.table, classifier.n_folds
    if not classifier.nested:
        return assign_folds(table.event_id, n_folds, random_state=window.random_state)
    edges = window.result.edges.tolist()
    return stratified_folds(table.event_id, table.mjj, edges, n_folds, random_state=window.random_state)
