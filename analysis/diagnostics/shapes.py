"""Whether a selection changes the shape of the m_jj spectrum: its efficiency against m_jj."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import outside
from analysis.diagnostics.sections import SculptingSection, SelectionSculpting
from analysis.diagnostics.values import ScoredWindow
from analysis.histograms.spectra import selection_counts, selection_variances
from analysis.learning import INCLUSIVE
from analysis.validation.sculpting import spectrum_sculpting

__all__ = ["sculpting"]

Array = NDArray[np.float64]
Spectrum = tuple[Array, Array]

_MIN_EVENTS = 10.0
"""Bins that are shown are joined until so many effective events are expected to pass."""


def sculpting(window: ScoredWindow) -> SculptingSection | None:
    """Measure the efficiency of each selection over the fit range.

    Signal in the window raises the efficiency there, so that the test of flatness leaves the mask out. It takes all
    numbers from the spectrum of the window, without the bins in the masks that are hidden.

    Parameters
    ----------
    window : ScoredWindow

    Returns
    -------
    SculptingSection or None
        Efficiency and error are in bins of the fit, neighbours joined until enough events are expected to pass, and
        None in empty bins, such as the masked ones while blinded. Average and test are of the bins beside the mask, see
        `analysis.validation.sculpting`. None where the window has no spectrum, or no selection but the inclusive one.
    """
    spectrum = window.result.spectrum
    names = [selection.name for selection in window.result.selections if selection.name != INCLUSIVE]
    if spectrum is None or not names:
        return None
    edges = np.asarray(spectrum.axes["mjj"].edges, np.float64)
    beside = outside(edges, [window.result.window.mask, *window.hidden])
    shown = outside(edges, window.hidden)
    fit = _Fit(edges, beside, _content(spectrum, INCLUSIVE, shown))
    selections = tuple(_selection(name, fit, _content(spectrum, name, shown)) for name in names)
    return SculptingSection(window.hidden, selections)


@dataclass(frozen=True)
class _Fit:
    """Fit bins, which of them lie beside the masks, and all events in them."""

    edges: Array
    beside: NDArray[np.bool_]
    everything: Spectrum

    def joined(self, average: float) -> NDArray[np.int64]:
        """Where groups of bins start: in the masks and beside them for itself, whatever passes in them."""
        weight, squared = self.everything
        changes = np.flatnonzero(np.diff(self.beside)) + 1
        parts = np.split(np.arange(len(self.beside)), changes)
        starts: list[int] = []
        for part in parts:
            events = average * weight[part].cumsum() ** 2 / np.maximum(squared[part].cumsum(), 1e-300)
            starts += _starts(events, int(part[0]))
        return np.array(starts, np.int64)


def _starts(events: Array, first: int) -> list[int]:
    """Begin a group where the one before holds enough; what is left at the end joins the last."""
    starts, used = [first], 0.0
    for number, passed in enumerate(events[:-1], 1):
        if passed - used >= _MIN_EVENTS and events[-1] - passed >= _MIN_EVENTS:
            starts.append(first + number)
            used = passed
    return starts


def _content(spectrum: hist.Hist[Any], name: str, shown: NDArray[np.bool_]) -> Spectrum:
    """Return sums of weights and of squared weights, 0 in bins that are not shown, whatever the spectrum holds."""
    counts, variances = selection_counts(spectrum, name), selection_variances(spectrum, name)
    return shown * counts, shown * (counts if variances is None else variances)


def _selection(name: str, fit: _Fit, passing: Spectrum) -> SelectionSculpting:
    spectra = fit.everything, passing
    found = spectrum_sculpting(
        name, fit.edges, *((fit.beside * values, fit.beside * squares) for values, squares in spectra)
    )
    starts = fit.joined(found.average)
    edges = np.append(fit.edges[starts], fit.edges[-1])
    joined = [(np.add.reduceat(values, starts), np.add.reduceat(squares, starts)) for values, squares in spectra]
    shown = spectrum_sculpting(name, edges, *joined)
    return SelectionSculpting(
        name=name,
        edges=tuple(edges.tolist()),
        efficiency=_listed(shown.efficiency),
        error=_listed(shown.error),
        average=found.average,
        chi2=found.chi2,
        ndof=found.ndof,
        p_value=found.p_value if found.ndof else None,
    )


def _listed(values: Array) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
