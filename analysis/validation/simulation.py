"""Source "simulation": simulated background of the search region in place of data."""

from __future__ import annotations

import numpy as np

from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.search.values import SearchData
from analysis.validation.samples import NotTestable, Pools, Setting, SignalFreeSample

__all__ = ["simulation_sample", "unweighted"]

_EQUAL = 1e-9


def simulation_sample(pools: Pools, setting: Setting) -> SignalFreeSample | NotTestable:
    """Use simulation in place of the data, with unit weights.

    If the method also needs simulation, the first dataset (or stitched group) replaces the data and the others remain
    simulation; a single dataset is split in halves by event identity.
    """
    if not pools.simulation:
        return NotTestable("there is no dataset of kind background.")
    parts = [(name, _in_range(table, setting)) for name, table in pools.simulation]
    if any((table.weight < 0).any() for _, table in parts):
        return NotTestable("the simulation has events of negative weight, which cannot play data.")
    names = ", ".join(name for name, _ in parts)
    seed = setting.config.random_state
    if not setting.needs_simulation:
        data, note = unweighted(EventTable.joined([table for _, table in parts]), seed)
        return _sample(data, None, (f"{names} as data: {note}",))
    first, others = parts[0], parts[1:]
    if others:
        data, note = unweighted(first[1], seed)
        beside = ", ".join(name for name, _ in others)
        return _sample(
            data, EventTable.joined([part for _, part in others]), (f"{first[0]} as data, {beside} beside it: {note}",)
        )
    half = uniform(first[1].event_id, seed, "validation halves") < 0.5
    data, note = unweighted(first[1].select(half), seed)
    text = f"half of {names} as data, the other half as simulation, which so agrees with the data perfectly: {note}"
    return _sample(data, first[1].select(~half), (text,))


def unweighted(table: EventTable, seed: int) -> tuple[EventTable, str]:
    """Keep events with a probability proportional to their weight, and set their weights to 1.

    Parameters
    ----------
    table : EventTable
        Events without negative weights.
    seed : int

    Returns
    -------
    table : EventTable
        Events with weight 1.
    note : str
        Number of kept events, as text.
    """
    weight = table.weight
    top = weight.max(initial=0.0)
    kept = table
    if top > 0 and weight.min() < top * (1 - _EQUAL):
        kept = table.select(uniform(table.event_id, seed, "validation unweighting") * top < weight)
    plain = kept.replaced({"weight": np.ones(len(kept))})
    return plain, f"{len(plain)} of {len(table)} events, unweighted."


def _sample(data: EventTable, simulation: EventTable | None, notes: tuple[str, ...]) -> SignalFreeSample | NotTestable:
    if len(data) == 0:
        return NotTestable("the simulation has no events in the fit range.")
    return SignalFreeSample(SearchData(data, simulation=simulation), notes)


def _in_range(table: EventTable, setting: Setting) -> EventTable:
    return table.select(setting.window.in_fit_range(table.mjj))
