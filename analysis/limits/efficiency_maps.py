"""Efficiency maps of the classifiers in the plane of the two jet masses."""

from __future__ import annotations

from analysis.events.table import EventTable
from analysis.histograms.mass_plane import Edges, fill_plane, has_masses, plane_edges
from analysis.learning import PassWeights
from analysis.limits.injection_values import EfficiencyMap
from analysis.limits.values import Plane

__all__ = ["efficiency_map"]


def efficiency_map(
    data: EventTable, data_passes: PassWeights, signal: EventTable, signal_passes: PassWeights
) -> EfficiencyMap | None:
    """Histogram selected events against the two jet masses.

    Parameters
    ----------
    data, signal : EventTable
        Events of the window.
    data_passes, signal_passes : PassWeights
        One row per event of the tables.

    Returns
    -------
    EfficiencyMap or None
        None if the events have no jet masses or the signal is empty.
    """
    if not has_masses(data) or not len(signal):
        return None
    edges = plane_edges((data, signal))
    first, second = (tuple(map(float, one)) for one in edges)
    return EfficiencyMap((first, second), _planes(data, data_passes, edges), _planes(signal, signal_passes, edges))


def _planes(table: EventTable, passes: PassWeights, edges: Edges) -> dict[str, Plane]:
    planes = {
        name: fill_plane(table, table.weight * passes.values[:, index], edges)
        for index, name in enumerate(passes.names)
    }
    return {name: tuple(map(tuple, plane.round(6).tolist())) for name, plane in planes.items()}
