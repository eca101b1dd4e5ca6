"""Where in the plane of the two jet masses classifiers select."""

from __future__ import annotations

from analysis.events.table import EventTable
from analysis.histograms.mass_plane import fill_plane, has_masses, plane_edges
from analysis.learning import PassWeights
from analysis.limits.injection_values import EfficiencyMap

__all__ = ["efficiency_map"]


def efficiency_map(
    data: EventTable, data_passes: PassWeights, signal: EventTable, signal_passes: PassWeights, *, blinded: bool
) -> EfficiencyMap | None:
    """Histogram selected events against the two jet masses.

    Parameters
    ----------
    data, signal : EventTable
        Events of the window.
    data_passes, signal_passes : PassWeights
        With as many rows as their tables.
    blinded : bool
        Leave the data out.

    Returns
    -------
    EfficiencyMap or None
        None where the events have no masses of jets.
    """
    if not has_masses(data) or not len(signal):
        return None
    edges = plane_edges((data, signal))
    tables = {"data": (data, data_passes), "signal": (signal, signal_passes)}
    found = {
        kind: {}
        if kind == "data" and blinded
        else {
            name: fill_plane(table, table.weight * passes.values[:, index], edges).round(6).tolist()
            for index, name in enumerate(passes.names)
        }
        for kind, (table, passes) in tables.items()
    }
    return EfficiencyMap((edges[0].tolist(), edges[1].tolist()), found["data"], found["signal"])
