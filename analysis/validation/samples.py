"""Inputs and outputs of the sources of signal-free samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.background import BackgroundFit, MassFunction, choose_order
from analysis.config import SearchConfig
from analysis.events.identity import string_hash
from analysis.events.table import EventTable
from analysis.regions import MassWindow
from analysis.search.values import SearchData

__all__ = [
    "NotTestable",
    "Pools",
    "Setting",
    "SignalFreeSample",
    "beside_mask",
    "draw_masses",
    "fit_counts",
    "is_beside_mask",
    "smooth_fit",
    "take_rows",
]

Array = NDArray[np.float64]

_FINE = 20
"""Steps per fit bin for drawing masses from a fit."""


@dataclass(frozen=True)
class Pools:
    """Events in the fit range of the scan from which signal-free samples are made, all normalised.

    Attributes
    ----------
    searched : EventTable
        Data of the search region. Sources exclude events inside the mask of the window.
    band : EventTable or None
        Data at larger |Δy|; None if no source needs them, or without such data.
    simulation : tuple of (str, EventTable)
        Background of the search region, one entry per dataset or group of stitched datasets.
    band_simulation : EventTable or None
        Background in the same band.
    """

    searched: EventTable
    band: EventTable | None = None
    simulation: tuple[tuple[str, EventTable], ...] = ()
    band_simulation: EventTable | None = None


@dataclass(frozen=True)
class Setting:
    """One window and its search settings.

    Attributes
    ----------
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    config : SearchConfig
    functions : tuple of MassFunction
        Background functions.
    needs_simulation : bool
        Whether the method needs simulation.
    draw : int
        Index of the repetition.
    """

    window: MassWindow
    edges: Array
    config: SearchConfig
    functions: tuple[MassFunction, ...]
    needs_simulation: bool
    draw: int = 0

    def rng(self, purpose: str) -> np.random.Generator:
        """Make the random generator of this window, draw and purpose."""
        key = (string_hash("validation"), string_hash(purpose), string_hash(self.window.name), self.draw)
        return np.random.default_rng(np.random.SeedSequence(self.config.random_state, spawn_key=key))


@dataclass(frozen=True)
class SignalFreeSample:
    """Signal-free sample, ready to be searched.

    Attributes
    ----------
    data : SearchData
    notes : tuple of str
        Information for the reader.
    overlap : float
        Fraction of the parents of a draw that another draw also uses; 0 if draws are independent.
    """

    data: SearchData
    notes: tuple[str, ...] = ()
    overlap: float = 0.0


@dataclass(frozen=True)
class NotTestable:
    """Reason why a source has no sample for a window.

    Attributes
    ----------
    reason : str
    """

    reason: str


def smooth_fit(table: EventTable, setting: Setting) -> BackgroundFit:
    """Fit the m_jj spectrum of unweighted events outside the mask, with the order chosen as in the search.

    Raises
    ------
    FitError
    """
    mjj = table.mjj
    counts = np.histogram(mjj[is_beside_mask(mjj, setting.window)], setting.edges)[0].astype(np.float64)
    return fit_counts(counts, setting)


def fit_counts(counts: Array, setting: Setting, variances: Array | None = None) -> BackgroundFit:
    """Fit a spectrum as in the search; non-integer counts need their variances.

    Raises
    ------
    FitError
    """
    background = setting.config.background
    return choose_order(
        counts,
        setting.edges,
        mask=setting.window.mask,
        functions=setting.functions,
        alpha=background.alpha,
        sqrt_s_gev=background.sqrt_s_gev,
        strategy=background.strategy,
        variances=variances,
    )


def draw_masses(fit: BackgroundFit, edges: Array, count: int, rng: np.random.Generator) -> Array:
    """(count,) float64, GeV: dijet masses between the outer edges, drawn from the fit."""
    fine = np.linspace(edges[0], edges[-1], _FINE * (len(edges) - 1) + 1)
    expected, _ = fit.expected(fine)
    cumulative = np.concatenate([[0.0], np.cumsum(expected)])
    masses = np.interp(rng.random(count) * cumulative[-1], cumulative, fine)
    inside: Array = np.minimum(masses, np.nextafter(edges[-1], edges[0]))
    return inside


def beside_mask(table: EventTable, window: MassWindow) -> EventTable:
    """Events of the fit range outside the mask."""
    return table.select(is_beside_mask(table.mjj, window))


def is_beside_mask(mjj: Array, window: MassWindow) -> NDArray[np.bool_]:
    """(n_events,) bool: events in the fit range and outside the mask. `mjj` in GeV."""
    return window.in_fit_range(mjj) & ~((mjj >= window.mask[0]) & (mjj < window.mask[1]))


def take_rows(table: EventTable, rows: NDArray[np.int64]) -> EventTable:
    """Return rows in the given order, with repetitions."""
    return EventTable(table.table.take(pa.array(rows)), table.features)
