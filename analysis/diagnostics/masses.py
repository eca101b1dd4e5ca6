"""Plane of the two jet masses in a window and in its sidebands, and the selections of its classifiers there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.diagnostics.region_events import (
    LOWER,
    UPPER,
    WINDOW,
    RegionEvents,
    combine,
    expected_events,
    region_events,
    selected_events,
    side_scales,
)
from analysis.diagnostics.sections import MassesSection
from analysis.diagnostics.values import ScoredWindow
from analysis.events.table import EventTable
from analysis.histograms.mass_plane import MASSES, Edges, fill_plane, has_masses, plane_edges
from analysis.regions import MassWindow

__all__ = ["masses", "plane_pulls"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Plane:
    """Sums of weights and of squared weights in each cell, (n_1, n_2), and of all events, including overflow."""

    values: Array
    variances: Array
    total: float
    squares: float

    @property
    def mean_weight(self) -> float:
        """Sum of weights per effective event."""
        return self.squares / self.total if self.total > 0 else 0.0


def masses(window: ScoredWindow) -> MassesSection | None:
    """Histogram the two jet masses.

    Parameters
    ----------
    window : ScoredWindow

    Returns
    -------
    MassesSection or None
        All entries of the window are absent while blinded; for the pull see `plane_pulls`. None if the events have no
        jet masses, or all regions are empty.
    """
    if not has_masses(window.table):
        return None
    regions = region_events(window)
    selections = selected_events(window, regions[WINDOW]) if WINDOW in regions else {}
    tables = {name: _take(window.table, sample) for name, sample in (regions | selections).items()}
    if not any(map(len, tables.values())):
        return None
    edges = plane_edges(tables.values())
    planes = {name: _plane(tables[name], sample, edges) for name, sample in (regions | selections).items()}
    expected = expected_events(window)
    combined = None if expected is None else _combined(planes[LOWER], planes[UPPER], window.result.window, expected)
    inside = planes.get(WINDOW)
    score = None if inside is None else _mean_score(window, regions[WINDOW], tables[WINDOW], edges)
    return MassesSection(
        edges=(tuple(edges[0].tolist()), tuple(edges[1].tolist())),
        regions={name: _listed(planes[name].values) for name in regions},
        expected=expected,
        combined=None if combined is None else _listed(combined.values),
        pull=None if combined is None or inside is None else _listed(_pulls(inside, combined)),
        score=None if score is None else _listed(score),
        passing={} if inside is None else {name: _listed(_ratio(planes[name], inside)) for name in selections},
    )


def _take(table: EventTable, sample: RegionEvents) -> EventTable:
    specs = tuple(spec for spec in table.features if spec.name in MASSES)
    return EventTable(table.table.select(list(MASSES)).take(sample.rows), specs)


def _plane(table: EventTable, sample: RegionEvents, edges: Edges) -> _Plane:
    weight = sample.weight
    values, variances = fill_plane(table, weight, edges), fill_plane(table, weight**2, edges)
    return _Plane(values, variances, float(weight.sum()), float((weight**2).sum()))


def _combined(lower: _Plane, upper: _Plane, window: MassWindow, expected: float) -> _Plane | None:
    if lower.total <= 0 or upper.total <= 0:
        return None
    scales = side_scales(window, lower.total, upper.total, expected)
    values, variances = combine((lower.values, lower.variances), (upper.values, upper.variances), scales)
    # An empty cell of the sidebands does not imply zero expectation: it could have held one event.
    weight_of_one = max(scale * side.mean_weight for scale, side in zip(scales, (lower, upper), strict=True))
    return _Plane(values, np.maximum(variances, weight_of_one**2), expected, 0.0)


def plane_pulls(observed: Array, mean_weight: float, expected: Array, variances: Array) -> Array:
    """Return the difference in each cell over its expected error if the prediction is right.

    Parameters
    ----------
    observed : (n_1, n_2) float64
        Sums of weights.
    mean_weight : float
        Mean weight per observed effective event.
    expected, variances : (n_1, n_2) float64
        Prediction and its variance.

    Returns
    -------
    (n_1, n_2) float64
        NaN where both observation and prediction are zero.
    """
    error = np.sqrt(mean_weight * np.maximum(expected, 0.0) + variances)
    known = (error > 0) & ((observed != 0) | (expected != 0))
    return _divide(observed - expected, error, known)


def _pulls(inside: _Plane, combined: _Plane) -> Array:
    return plane_pulls(inside.values, inside.mean_weight, combined.values, combined.variances)


def _ratio(passing: _Plane, everything: _Plane) -> Array:
    return _divide(passing.values, everything.values, everything.values > 0)


def _mean_score(window: ScoredWindow, inside: RegionEvents, table: EventTable, edges: Edges) -> Array | None:
    if window.scores is None:
        return None
    score = window.scores[inside.rows].astype(np.float64)
    weight = np.where(np.isfinite(score), inside.weight, 0.0)
    total = fill_plane(table, weight, edges)
    summed = fill_plane(table, weight * np.nan_to_num(score), edges)
    return _divide(summed, total, total > 0)


def _divide(above: Array, below: Array, where: NDArray[np.bool_]) -> Array:
    """Return the ratio where the condition holds, NaN elsewhere."""
    ratio: Array = np.divide(above, below, out=np.full(above.shape, np.nan), where=where)
    return ratio


def _listed(plane: Array) -> tuple[tuple[float | None, ...], ...]:
    """Round to six decimals; None for NaN."""
    return tuple(tuple(None if np.isnan(value) else value for value in row) for row in plane.round(6).tolist())
