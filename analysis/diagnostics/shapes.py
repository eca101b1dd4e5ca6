"""Sculpting of the m_jj spectrum by a selection: its efficiency against m_jj."""

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
"""Bins are merged for display until this many effective events are expected to pass."""


def sculpting(window: ScoredWindow) -> SculptingSection | None:
    """Measure the efficiency of each selection over the fit range.

    The test of flatness excludes the mask, since signal in the window raises the efficiency there. All numbers are
    taken from the spectrum of the window, without the bins in hidden masks.

    Parameters
    ----------
    window : ScoredWindow

    Returns
    -------
    SculptingSection or None
        Efficiency and error are given in bins of the fit, merged until enough events are expected to pass, and are
        None in empty bins, such as masked bins while blinded. Average and test use the bins beside the mask, see
        `analysis.validation.sculpting`. None if the window has no spectrum, or only the inclusive selection.
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
    """Fit bins, flags of the bins beside the masks, and all events in the bins."""

    edges: Array
    beside: NDArray[np.bool_]
    everything: Spectrum

    def joined(self, average: float) -> NDArray[np.int64]:
        """Return the first bins of merged groups, which do not cross the edges of the masks."""
        weight, squared = self.everything
        changes = np.flatnonzero(np.diff(self.beside)) + 1
        parts = np.split(np.arange(len(self.beside)), changes)
        starts: list[int] = []
        for part in parts:
            events = average * weight[part].cumsum() ** 2 / np.maximum(squared[part].cumsum(), 1e-300)
            starts += _starts(events, int(part[0]))
        return np.array(starts, np.int64)


def _starts(events: Array, first: int) -> list[int]:
    """Start a new group once the previous one holds enough; the remainder joins the last group."""
    starts, used = [first], 0.0
    for number, passed in enumerate(events[:-1], 1):
        if passed - used >= _MIN_EVENTS and events[-1] - passed >= _MIN_EVENTS:
            starts.append(first + number)
            used = passed
    return starts


def _content(spectrum: hist.Hist[Any], name: str, shown: NDArray[np.bool_]) -> Spectrum:
    """Return sums of weights and of squared weights, 0 in hidden bins regardless of their content."""
    counts, variances = selection_counts(spectrum, name), selection_variances(spectrum, name)
    return shown * counts, shown * (counts if variances is None else variances)


def _selection(name: str, fit: _Fit, passing: Spectrum) -> SelectionSculpting:
    spectra = fit.everything, passing
    flatness = spectrum_sculpting(
        name, fit.edges, *((fit.beside * values, fit.beside * squares) for values, squares in spectra)
    )
    starts = fit.joined(flatness.average)
    edges = np.append(fit.edges[starts], fit.edges[-1])
    joined = [(np.add.reduceat(values, starts), np.add.reduceat(squares, starts)) for values, squares in spectra]
    shown = spectrum_sculpting(name, edges, *joined)
    return SelectionSculpting(
        name=name,
        edges=tuple(edges.tolist()),
        efficiency=_listed(shown.efficiency),
        error=_listed(shown.error),
        average=flatness.average,
        chi2=flatness.chi2,
        ndof=flatness.ndof,
        p_value=flatness.p_value if flatness.ndof else None,
    )


def _listed(values: Array) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
