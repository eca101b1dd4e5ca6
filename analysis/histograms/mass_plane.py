"""Histograms in the plane of the two jet masses."""

from __future__ import annotations

from collections.abc import Iterable

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.events.table import EventTable

__all__ = ["MASSES", "fill_plane", "has_masses", "plane_edges"]

Array = NDArray[np.float64]
Edges = tuple[Array, Array]

MASSES = ("mj1", "mj2")
"""Features on the axes, GeV."""

_BINS = 20
_HELD = 0.995
"""Minimum fraction of each sample inside the axes."""


def has_masses(table: EventTable) -> bool:
    """Whether a table has both jet masses."""
    return set(MASSES) <= set(table.feature_names)


def plane_edges(samples: Iterable[EventTable]) -> Edges:
    """Choose axes from 0 to a round mass that contain nearly all events of each sample.

    The last edge does not mark the maximum mass.

    Parameters
    ----------
    samples : iterable of EventTable
        At least one sample has events.

    Returns
    -------
    tuple of (n_bins + 1,) float64
        Edges of the first and of the second jet mass, GeV.
    """
    filled = [table for table in samples if len(table)]
    first, second = (_edges([table.column(name) for table in filled]) for name in MASSES)
    return first, second


def fill_plane(table: EventTable, weight: Array, edges: Edges) -> Array:
    """Histogram events inside the edges.

    Parameters
    ----------
    table : EventTable
    weight : (n_events,) float64
    edges : tuple of (n_bins + 1,) float64
        Bin edges, GeV.

    Returns
    -------
    (n_1, n_2) float64
        Sums of weights.
    """
    plane = hist.Hist(*(hist.axis.Variable(axis, flow=False) for axis in edges), storage=hist.storage.Double())
    plane.fill(*(table.column(name) for name in MASSES), weight=weight)
    return np.asarray(plane.values(), np.float64)


def _edges(columns: list[NDArray[np.float32]]) -> Array:
    highest = max(float(np.nanquantile(column, _HELD)) for column in columns)
    return np.linspace(0.0, 100.0 * np.ceil(highest / 100.0), _BINS + 1)
