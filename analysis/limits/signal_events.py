"""Random choice of signal events, their addition to the data, and the rest of the sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from scipy import stats

from analysis.errors import TableError
from analysis.events.identity import string_hash, uniform
from analysis.events.schema import FIXED_COLUMNS
from analysis.events.table import EventTable, labels
from analysis.search.values import SearchData
from analysis.signals.yields import SignalSample

__all__ = ["add_signal", "held_out", "sample_signal"]


def sample_signal(pool: EventTable, strength: float, sampling: int, *, purpose: str, random_state: int) -> EventTable:
    """Draw a Poisson number of events without replacement, with probabilities proportional to their weights.

    Events are drawn in order of an exponential variate divided by the event weight (P. Efraimidis, P. Spirakis, Inf.
    Process. Lett. 97 (2006) 181); the variate is a function of the event identity. One quantile gives the Poisson
    number for all strengths: stronger samples contain the weaker ones, so that the efficiency rises with little noise.

    Parameters
    ----------
    pool : EventTable
    strength : float
        Expected number of events.
    sampling : int
    purpose : str
        Distinguishes the random choices of different signals.
    random_state : int

    Returns
    -------
    EventTable
        Rows in the order of the pool.

    Raises
    ------
    TableError
        If a weight is negative, or the pool is too small.
    """
    if strength <= 0:
        return pool.select(np.zeros(len(pool), bool))
    weight = pool.weight
    if (weight < 0).any() or not (weight > 0).any():
        msg = (
            f"signal {purpose}: {int((weight < 0).sum())} of {len(pool)} events have negative weights, and such events "
            "cannot be drawn into data. Use a sample of a generator with positive weights."
        )
        raise TableError(msg)
    name = f"injection {purpose} {sampling}"
    seed = np.random.SeedSequence(random_state, spawn_key=(string_hash(name),))
    number = int(stats.poisson.ppf(np.random.default_rng(seed).random(), strength))
    usable = int((weight > 0).sum())
    if number >= usable:
        msg = (
            f"signal {purpose}: {number} events are to be injected, but only {usable} are there. Simulate more of it "
            "(four times the injected number is good), or lower limits.strengths."
        )
        raise TableError(msg)
    with np.errstate(divide="ignore"):
        order = -np.log1p(-uniform(pool.event_id, random_state, name)) / weight
    chosen = np.zeros(len(pool), bool)
    chosen[np.argsort(order, kind="stable")[:number]] = True
    return pool.select(chosen)


def add_signal(data: SearchData, signal: EventTable, name: str) -> SearchData:
    """Append signal events to the searched ones, with unit weights and their own identities.

    Parameters
    ----------
    data : SearchData
    signal : EventTable
        With the features of the data.
    name : str
        Dataset name of the signal events.

    Returns
    -------
    SearchData

    Raises
    ------
    TableError
        If the features differ, or an event is already among the data.
    """
    table = data.table
    if not set(table.features) <= set(signal.features):
        msg = f"signal {name} has other features than the data: run `cwola process` again for both."
        raise TableError(msg)
    if shared := int(np.isin(signal.event_id, table.event_id).sum()):
        msg = f"{shared} events of signal {name} are among the searched ones: give the sample another run number."
        raise TableError(msg)
    names = [one for one in table.table.column_names if one in FIXED_COLUMNS or one in table.feature_names]
    plain = signal.replaced(
        {"weight": np.ones(len(signal)), "dataset": labels(np.zeros(len(signal), np.int32), [name])}
    )
    kept = table.table.select(names)
    joined = pa.concat_tables([kept, plain.table.select(names).cast(kept.schema)])
    truth = None if data.signal_datasets is None else (*data.signal_datasets, name)
    return replace(
        data, table=EventTable(joined.unify_dictionaries().combine_chunks(), table.features), signal_datasets=truth
    )


def held_out(sample: SignalSample, injected: EventTable) -> SignalSample:
    """Return the events of a sample that were not injected, in all its variations."""
    tables = {name: table.select(~np.isin(table.event_id, injected.event_id)) for name, table in sample.tables.items()}
    return replace(sample, tables=tables)
