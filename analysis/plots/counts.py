"""Counts of a spectrum figure, with the errors of its points."""

from __future__ import annotations

import numpy as np
from hist.intervals import poisson_interval
from numpy.typing import NDArray

from analysis.errors import WindowError
from analysis.histograms.spectra import selection_counts, selection_variances
from analysis.search.values import WindowResult

__all__ = ["shown_counts"]

Array = NDArray[np.float64]


def shown_counts(result: WindowResult, selection: str) -> tuple[Array, Array]:
    """Return the counts of a selection in the fit bins.

    Parameters
    ----------
    result : WindowResult
    selection : str

    Returns
    -------
    counts : (n_bins,) float64
        NaN where hidden.
    errors : (2, n_bins) float64
        Lower and upper Poisson errors, of scaled counts for weighted events.

    Raises
    ------
    WindowError
        If the window has no spectrum.
    """
    if result.spectrum is None:
        msg = f"window {result.window.name} GeV has no spectrum: {result.reason}"
        raise WindowError(msg)
    shown = result.shown_bins
    counts = np.where(shown, selection_counts(result.spectrum, selection), np.nan)
    variances = selection_variances(result.spectrum, selection)
    low, high = poisson_interval(counts, None if variances is None else np.where(shown, variances, np.nan))
    return counts, np.array([counts - low, high - counts])
