"""Pseudo-data without signal in which features know nothing of m_jj, for searches that train anew.

The features of an event are those of a random event beside the mask; its mass is drawn from the smooth fit to the
events beside the mask. Whether an event lies in the window is then independent of its features, so that every excess is
a fluctuation: an exact null. No event inside the mask is used, so that this can be done before unblinding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.background import BackgroundFit
from analysis.errors import WindowError
from analysis.events.identity import string_hash
from analysis.events.table import EventTable
from analysis.regions import Interval, MassWindow, in_any
from analysis.search.values import SearchData
from analysis.validation.samples import Setting, beside_mask, draw_masses, fit_counts, take_rows

__all__ = ["NullEvents", "null_events"]

Array = NDArray[np.float64]

LEAST_EVENTS = 1000
"""Smallest number of events whose features can stand for all."""


@dataclass(frozen=True)
class NullEvents:
    """Events and spectrum from which pseudo-data without signal are drawn.

    Attributes
    ----------
    events : EventTable
        Events that provide features and weights, none inside the mask.
    fit : BackgroundFit
        Spectrum of the masses.
    edges : (n_bins + 1,) float64
        Fit bins, GeV; masses lie between the outer ones.
    expected : float
        Expected number of events between the outer edges.
    simulation : EventTable or None
        Simulated background in the fit range, for methods that need it.
    """

    events: EventTable
    fit: BackgroundFit
    edges: Array
    expected: float
    simulation: EventTable | None = None

    def probability(self, window: MassWindow) -> float:
        """Return the probability that an event lies in the signal region of a window."""
        return float(self.fit.estimate(*window.signal).value / self.fit.expected(self.edges)[0].sum())

    def draw(self, random_state: int, number: int) -> SearchData:
        """Draw one set of pseudo-data.

        Parameters
        ----------
        random_state : int
            Seed of the search.
        number : int
            Index of the set; it depends on nothing but this and the seed.

        Returns
        -------
        SearchData
            A Poisson number of events with identities of their own. Simulation keeps its events and gets masses from
            the same spectrum.
        """
        rng = np.random.default_rng(
            np.random.SeedSequence(random_state, spawn_key=(string_hash("calibration"), number))
        )
        rows = rng.integers(0, len(self.events), int(rng.poisson(self.expected)))
        identities = rng.integers(0, 2**64, len(rows), dtype=np.uint64)
        masses = draw_masses(self.fit, self.edges, len(rows), rng)
        data = take_rows(self.events, rows).replaced({"mjj": masses, "event_id": identities})
        if self.simulation is None:
            return SearchData(data)
        masses = draw_masses(self.fit, self.edges, len(self.simulation), rng)
        return SearchData(data, simulation=self.simulation.replaced({"mjj": masses}))


def null_events(
    table: EventTable,
    setting: Setting,
    simulation: EventTable | None = None,
    *,
    masks: Iterable[Interval] = (),
) -> NullEvents:
    """Prepare pseudo-data of the size of a search.

    Parameters
    ----------
    table : EventTable
        Searched events; the ones inside the masks are not used.
    setting : Setting
        Window beside which the spectrum is fitted, fit bins and background functions.
    simulation : EventTable, optional
        Simulated background, for methods that need it.
    masks : iterable of (low, high)
        Further masks, GeV, whose events provide no features. The spectrum does not depend on them.

    Returns
    -------
    NullEvents

    Raises
    ------
    FitError
        If the spectrum beside the mask has no smooth fit.
    WindowError
        If too few events lie beside the masks.
    """
    beside = beside_mask(table, setting.window)
    counts, variances = (
        np.histogram(beside.mjj, setting.edges, weights=weight)[0].astype(np.float64)
        for weight in (beside.weight, beside.weight**2)
    )
    fit = fit_counts(counts, setting, variances)
    expected = fit.expected(setting.edges)[0]
    seen = (setting.edges[1:] <= setting.window.mask[0]) | (setting.edges[:-1] >= setting.window.mask[1])
    inside = None
    if simulation is not None:
        inside = simulation.select(setting.window.in_fit_range(simulation.mjj))
    n_expected = float(len(beside) * expected.sum() / expected[seen].sum())
    given = beside.select(~in_any(beside.mjj, masks))
    if len(given) < LEAST_EVENTS:
        msg = (
            f"only {len(given)} events lie beside the masks of the windows, {LEAST_EVENTS} are needed for pseudo-data "
            "without signal. Calibrate one window at a time, beside which there are more: --window NAME."
        )
        raise WindowError(msg)
    return NullEvents(given, fit, setting.edges, n_expected, inside)
