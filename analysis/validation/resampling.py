"""Sources from the data outside the mask of a window: "up-down-sampling" and "exact-null". Both recipes are our own.

ATLAS' second search (arXiv:2502.09770) validates with a sample called up-down-sampling, whose recipe is not public.
Neither source uses events inside the mask, so that both are independent of the content of the window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.errors import FitError
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.regions import MassWindow
from analysis.search.values import SearchData
from analysis.validation.samples import (
    NotTestable,
    Pools,
    Setting,
    SignalFreeSample,
    beside_mask,
    draw_masses,
    smooth_fit,
    take_rows,
)
from analysis.validation.simulation import unweighted

__all__ = ["choose_parents", "exact_null", "up_down_sampling"]

Array = NDArray[np.float64]

LEAST_PARENTS = 50
"""Minimum number of events in the strip on either side of the mask."""


def up_down_sampling(pools: Pools, setting: Setting) -> SignalFreeSample | NotTestable:
    """Thin out the data, and resample them to full size along a smooth spectrum.

    Down: keep a fraction `down_fraction` of the events outside the mask. Up: a Poisson number of masses is drawn from
    the smooth fit to all of them, and each mass gets the features of a nearby kept event, see `choose_parents`. The
    spectrum has no bump, features drift with m_jj as in the data, and structures narrower than `smearing` are washed
    out. Copies keep the identity of their event, and with it the fold. Simulation, for methods that need it, keeps its
    masses and gets features in the same way, so that it still resembles the data.
    """
    validation, window = setting.config.validation, setting.window
    data = beside_mask(pools.searched, window)
    try:
        fit = smooth_fit(data, setting)
    except FitError as error:
        return NotTestable(f"the spectrum beside the mask has no smooth fit: {error}")
    rng = setting.rng("up-down-sampling")
    purpose = f"validation down-sampling {setting.draw}"
    kept = data.select(uniform(data.event_id, setting.config.random_state, purpose) < validation.down_fraction)
    total = fit.expected(setting.edges)[0].sum()
    masses = draw_masses(fit, setting.edges, int(rng.poisson(total)), rng)
    sample = _resampled(kept, masses, setting, rng)
    simulation = _simulation(pools, setting)
    if simulation is not None:
        if (simulation.weight < 0).any():
            return NotTestable("the simulation has events of negative weight, which cannot be resampled.")
        plain, _ = unweighted(simulation, setting.config.random_state)
        inside = plain.select(window.in_fit_range(plain.mjj))
        simulation = _resampled(beside_mask(inside, window), inside.mjj, setting, rng)
    if sample is None or (simulation is None and setting.needs_simulation):
        return NotTestable(
            f"fewer than {LEAST_PARENTS} events lie within {validation.smearing:.0%} of the mask "
            f"{window.mask[0]:g}-{window.mask[1]:g} GeV on one side."
        )
    note = f"{len(masses)} events drawn, with the features of {len(kept)} of {len(data)} events beside the mask."
    return SignalFreeSample(SearchData(sample, simulation=simulation), (note,), validation.down_fraction)


def _resampled(table: EventTable, masses: Array, setting: Setting, rng: np.random.Generator) -> EventTable | None:
    rows = choose_parents(table.mjj, masses, setting.window, setting.config.validation.smearing, rng)
    return None if rows is None else take_rows(table, rows).replaced({"mjj": masses})


def choose_parents(
    parents: Array, masses: Array, window: MassWindow, smearing: float, rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """Choose for each mass an event that provides its features.

    Each mass is smeared with a symmetric triangular kernel of half-width `smearing` times the mass, less towards the
    ends of the fit range. Outside the mask the event nearest to the smeared mass is taken; inside it, any event of the
    strip of relative width `smearing` below or above the mask. The probability of the upper strip is linear in the
    smeared mass, such that the mean mass of the chosen events is the smeared mass: a feature whose mean is linear in
    m_jj keeps its mean everywhere.

    Parameters
    ----------
    parents : (n_parents,) float64
        Masses of the candidate events, none inside the mask, GeV.
    masses : (n_masses,) float64
        Masses in the fit range, GeV.
    window : MassWindow
    smearing : float
    rng : numpy.random.Generator

    Returns
    -------
    (n_masses,) int64 or None
        Indices into `parents`; None if a strip has fewer than `LEAST_PARENTS` events.
    """
    (low, high), (start, stop) = window.mask, window.fit_range
    below = np.flatnonzero((parents >= low * (1 - smearing)) & (parents < low))
    above = np.flatnonzero((parents >= high) & (parents < high * (1 + smearing)))
    if min(len(below), len(above)) < LEAST_PARENTS:
        return None
    reach = np.minimum(smearing * masses, np.minimum(masses - start, stop - masses))
    target = masses + reach * (rng.random(len(masses)) + rng.random(len(masses)) - 1)
    rows = _nearest(parents, target)
    inside = np.flatnonzero((target >= low) & (target < high))
    lower, upper = parents[below].mean(), parents[above].mean()
    is_upper = rng.random(len(inside)) < (target[inside] - lower) / (upper - lower)
    chosen = np.where(is_upper, rng.choice(above, len(inside)), rng.choice(below, len(inside)))
    rows[inside] = chosen
    return rows


def exact_null(pools: Pools, setting: Setting) -> SignalFreeSample | NotTestable:
    """Redraw the mass of every event outside the mask from the smooth fit, so that no feature depends on m_jj.

    The features are thus permuted without replacement. This tests the analysis chain, not the drift of the features.
    """
    data = beside_mask(pools.searched, setting.window)
    try:
        fit = smooth_fit(data, setting)
    except FitError as error:
        return NotTestable(f"the spectrum beside the mask has no smooth fit: {error}")
    rng = setting.rng("exact-null")

    def shuffled(table: EventTable) -> EventTable:
        return table.replaced({"mjj": draw_masses(fit, setting.edges, len(table), rng)})

    simulation = _simulation(pools, setting)
    note = f"{len(data)} events beside the mask, with masses from the smooth fit."
    return SignalFreeSample(
        SearchData(
            shuffled(data), simulation=None if simulation is None else shuffled(beside_mask(simulation, setting.window))
        ),
        (note,),
    )


def _simulation(pools: Pools, setting: Setting) -> EventTable | None:
    if not setting.needs_simulation:
        return None
    return EventTable.joined([table for _, table in pools.simulation])


def _nearest(values: Array, target: Array) -> NDArray[np.int64]:
    """(n_targets,) int64: indices of the values nearest to the targets."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    right = np.clip(np.searchsorted(ordered, target), 1, len(values) - 1)
    left_is_nearer = target - ordered[right - 1] < ordered[right] - target
    nearest: NDArray[np.int64] = order[right - left_is_nearer]
    return nearest
