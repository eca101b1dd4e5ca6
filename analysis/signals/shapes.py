"""Signals in figures: samples with a mass inside a window, their strength, and their most sensitive selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.histograms.spectra import selection_counts
from analysis.regions import MassWindow
from analysis.signals.values import SignalResult, SignalSelection

__all__ = ["SignalShape", "SignalSpectra", "most_sensitive", "signal_shapes", "true_counts"]

SignalSpectra = Mapping[str, Mapping[str, hist.Hist[Any]]]
"""Spectra of signal samples by dataset and window, see `analysis.signals.points.PointResult`."""

_MOST = 2
_HEAVY = "A"
"""Particle whose mass is the dijet mass."""


@dataclass(frozen=True)
class SignalShape:
    """Signal sample in one selection of one window.

    Attributes
    ----------
    dataset : str
    counts : (n_bins,) float64
        Scaled events in the fit bins of the window.
    scale : float
        Strength in units of the sample's normalisation.
    origin : str
        Origin of the scale: "observed limit", "expected limit" or "its cross-section".
    """

    dataset: str
    counts: NDArray[np.float64]
    scale: float
    origin: str


def signal_shapes(
    window: MassWindow,
    selection: str,
    signals: Sequence[SignalResult],
    spectra: SignalSpectra,
) -> tuple[SignalShape, ...]:
    """Return the signal samples to show with a spectrum: at most two, closest to the centre of the window first.

    Each is scaled to its observed limit with these classifiers, in this selection. Without one, as while blinded, it is
    scaled to the median expected limit, and without a limit to the cross-section of the sample.

    Parameters
    ----------
    window : MassWindow
    selection : str
    signals : sequence of SignalResult
    spectra : mapping of dataset to window name to hist.Hist

    Returns
    -------
    tuple of SignalShape
        Excludes samples whose mass (mass of particle A, or else the fullest bin of all their events) lies outside the
        window, and samples with neither a limit nor a cross-section, or without events in the selection.
    """
    candidates = []
    for signal in signals:
        spectrum = spectra.get(signal.dataset, {}).get(window.name)
        strength = _strength(signal, selection)
        if spectrum is None or strength is None or selection not in spectrum.axes["selection"]:
            continue
        mass, counts = _mass(signal, spectrum), selection_counts(spectrum, selection)
        if window.signal[0] <= mass < window.signal[1] and counts.sum() > 0:
            shape = SignalShape(signal.dataset, strength[0] * counts, *strength)
            candidates.append((abs(mass - sum(window.signal) / 2), shape))
    return tuple(shape for _, shape in sorted(candidates, key=lambda place: place[0])[:_MOST])


def most_sensitive(signal: SignalResult) -> SignalSelection | None:
    """Return the selection with the lowest expected limit on a signal; None without a limit."""
    limited = [(limit, selection) for selection in signal.selections if (limit := _expected(selection)) is not None]
    return min(limited, key=lambda pair: pair[0], default=(None, None))[1]


def true_counts(truth: hist.Hist[Any] | None, selection: str) -> NDArray[np.float64] | None:
    """Return the hidden signal (n_bins,) in a selection, from `WindowResult.truth`; None without truth."""
    if truth is None or not (counts := selection_counts(truth, selection)).any():
        return None
    return counts


def _strength(signal: SignalResult, name: str) -> tuple[float, str] | None:
    for selection in signal.selections:
        if selection.selection == name and selection.limit is not None:
            if selection.limit.observed_strength is not None:
                return selection.limit.observed_strength, "observed limit"
            if (expected := _expected(selection)) is not None:
                return expected, "expected limit"
    return (1.0, "its cross-section") if signal.normalised else None


def _expected(selection: SignalSelection) -> float | None:
    """Median expected limit, in units of the sample's normalisation."""
    if selection.limit is None or selection.limit.expected_strength is None:
        return None
    return selection.limit.expected_strength[2]


def _mass(signal: SignalResult, spectrum: hist.Hist[Any]) -> float:
    if _HEAVY in signal.masses:
        return signal.masses[_HEAVY]
    axis = spectrum.axes["mjj"]
    return float(axis.centers[int(np.argmax(selection_counts(spectrum, spectrum.axes["selection"][0])))])
