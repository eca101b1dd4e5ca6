"""Where in the plane of the two jet masses classifiers select."""

from __future__ import annotations

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.injection.values import EfficiencyMap
from analysis.learning import PassWeights
from analysis.table import EventTable

__all__ = ["MASSES", "efficiency_map"]

Array = NDArray[np.float64]

MASSES = ("mj1", "mj2")
"""Features that the axes are, GeV."""

_BINS = 20
_HELD = 0.995
"""Part of the signal, and of the data, that the axes must hold."""


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
    if not set(MASSES) <= set(data.feature_names) or not len(signal):
        return None
    edges = [_edges(data, signal, name) for name in MASSES]
    tables = {"data": (data, data_passes), "signal": (signal, signal_passes)}
    found = {
        kind: {}
        if kind == "data" and blinded
        else {
            name: _histogram(table, passes.values[:, index], edges).round(6).tolist()
            for index, name in enumerate(passes.names)
        }
        for kind, (table, passes) in tables.items()
    }
    return EfficiencyMap((edges[0].tolist(), edges[1].tolist()), found["data"], found["signal"])


def _edges(data: EventTable, signal: EventTable, name: str) -> Array:
    """Round edges from 0 that hold nearly all events; the last bin of the data is not meant to tell a maximum."""
    highest = max(float(np.nanquantile(table.column(name), _HELD)) for table in (data, signal) if len(table))
    return np.linspace(0.0, 100.0 * np.ceil(highest / 100.0), _BINS + 1)


def _histogram(table: EventTable, passes: Array, edges: list[Array]) -> Array:
    found = hist.Hist(*(hist.axis.Variable(one, flow=False) for one in edges), storage=hist.storage.Double())
    found.fill(*(table.column(name) for name in MASSES), weight=table.weight * passes)
    return np.asarray(found.values(), np.float64)
