"""Whether a selection changes the shape of the m_jj spectrum: its efficiency against m_jj."""

from __future__ import annotations

from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import outside
from analysis.diagnostics.values import ScoredWindow
from analysis.learning import INCLUSIVE
from analysis.sculpting import spectrum_sculpting
from analysis.spectra import selection_counts, selection_variances

__all__ = ["sculpting"]

Array = NDArray[np.float64]


def sculpting(window: ScoredWindow) -> dict[str, Any] | None:
    """Measure the efficiency of each selection over the fit range.

    Signal in the window raises the efficiency there, so that the test of flatness leaves the mask out. It takes all
    numbers from the spectrum of the window, which does not hold the masked bins while blinded.

    Parameters
    ----------
    window : ScoredWindow

    Returns
    -------
    dict or None
        "edges" of the fit bins in GeV, and "selections": one item each but the inclusive one, with "name"; "efficiency"
        and "error" by bin, null in empty bins, and inside the mask while blinded; "average", "chi2", "ndof" and
        "p_value" of the bins beside the mask, see `analysis.sculpting`; the last one is null without degrees of
        freedom. None where there is no spectrum, or no such selection.
    """
    spectrum = window.result.spectrum
    names = [one.name for one in window.result.selections if one.name != INCLUSIVE]
    if spectrum is None or not names:
        return None
    edges = np.asarray(spectrum.axes["mjj"].edges, np.float64)
    beside = outside(edges, window.result.window.mask)
    everything = _content(spectrum, INCLUSIVE)
    return {
        "edges": edges.tolist(),
        "selections": [
            _selection(name, edges, beside, everything, _content(spectrum, name), hidden=window.blinded)
            for name in names
        ],
    }


def _content(spectrum: hist.Hist[Any], name: str) -> tuple[Array, Array]:
    counts, variances = selection_counts(spectrum, name), selection_variances(spectrum, name)
    return counts, counts if variances is None else variances


def _selection(
    name: str,
    edges: Array,
    beside: NDArray[np.bool_],
    everything: tuple[Array, Array],
    passing: tuple[Array, Array],
    *,
    hidden: bool,
) -> dict[str, Any]:
    found, shown = (
        spectrum_sculpting(name, edges, *((kept * values, kept * squares) for values, squares in (everything, passing)))
        for kept in (beside, beside if hidden else np.ones(len(beside), bool))
    )
    return {
        "name": name,
        "efficiency": _listed(shown.efficiency),
        "error": _listed(shown.error),
        "average": found.average,
        "chi2": found.chi2,
        "ndof": found.ndof,
        "p_value": found.p_value if found.ndof else None,
    }


def _listed(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
