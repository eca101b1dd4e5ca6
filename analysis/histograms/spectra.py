"""Dijet-mass spectra of the selections, as histograms."""

from __future__ import annotations

from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.events.table import EventTable
from analysis.learning import PassWeights
from analysis.regions import MassWindow

__all__ = ["NOMINAL", "failing_counts", "fill_spectrum", "selection_counts", "selection_variances", "window_counts"]

_FILLED = 1_000_000
"""Number of events that are filled at a time, to save memory."""

NOMINAL = "nominal"


def fill_spectrum(
    table: EventTable, edges: NDArray[np.float64], passes: PassWeights, *, of: NDArray[np.bool_] | None = None
) -> hist.Hist[Any]:
    """Histogram m_jj for every selection.

    Parameters
    ----------
    table : EventTable
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    passes : PassWeights
    of : (n_events,) bool, optional
        Events to fill. Default: all.

    Returns
    -------
    hist.Hist
        Axes `mjj` (GeV), `selection` and `variation`, filled with weight times pass weight, so that the variance is
        the sum of squared weights.
    """
    spectrum = hist.Hist(
        hist.axis.Variable(edges, name="mjj", label=r"$m_{jj}$ [GeV]"),
        hist.axis.StrCategory(passes.names, name="selection"),
        hist.axis.StrCategory([NOMINAL], name="variation"),
        storage=hist.storage.Weight(),
    )
    for index, name in enumerate(passes.names):
        for start in range(0, max(len(table), 1), _FILLED):
            some = slice(start, start + _FILLED)
            mjj, weight, values = table.mjj[some], table.weight[some], passes.values[some, index]
            passing = values > 0
            if of is not None:
                passing &= of[some]
            weight = weight[passing] * values[passing]
            spectrum.fill(mjj=mjj[passing], selection=name, variation=NOMINAL, weight=weight)
    return spectrum


def failing_counts(
    table: EventTable, edges: NDArray[np.float64], passing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Histogram m_jj of the events that fail a selection.

    Parameters
    ----------
    table : EventTable
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    passing : (n_events,) float64
        Pass weights, in [0, 1].

    Returns
    -------
    counts : (n_bins,) float64
    variances : (n_bins,) float64 or None
        Sums of squared weights; None if they equal the counts.
    """
    weight = table.weight * (1.0 - passing)
    counts, variances = (np.histogram(table.mjj, edges, weights=of)[0].astype(np.float64) for of in (weight, weight**2))
    return counts, None if (counts == variances).all() else variances


def selection_counts(spectrum: hist.Hist[Any], selection: str) -> NDArray[np.float64]:
    """Return the nominal counts (n_bins,) float64 of one selection."""
    axes = spectrum.axes
    counts = np.asarray(spectrum.values(), np.float64)
    return counts[:, axes["selection"].index(selection), axes["variation"].index(NOMINAL)]


def selection_variances(spectrum: hist.Hist[Any], selection: str) -> NDArray[np.float64] | None:
    """Return the nominal sums of squared weights (n_bins,) float64 of one selection; None if all weights are 1."""
    axes = spectrum.axes
    index = axes["selection"].index(selection), axes["variation"].index(NOMINAL)
    variances = np.asarray(spectrum.variances(), np.float64)[:, index[0], index[1]]
    return None if (variances == selection_counts(spectrum, selection)).all() else variances


def window_counts(table: EventTable, window: MassWindow, passes: PassWeights) -> NDArray[np.float64]:
    """Weighted number of passing events in the signal region, independent of the binning.

    Returns
    -------
    (n_selections,) float64
    """
    inside = window.in_signal(table.mjj)
    counts: NDArray[np.float64] = table.weight[inside] @ passes.values[inside]
    return counts
