"""What of the signals is shown: samples whose mass fits a window, how strong, and where they are limited best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.histograms.spectra import selection_counts
from analysis.regions import MassWindow

__all__ = ["SignalShape", "SignalSpectra", "most_sensitive", "signal_shapes", "true_counts"]

SignalSpectra = Mapping[str, Mapping[str, hist.Hist[Any]]]
"""Spectra of signal samples by dataset and window, see `analysis.signals.points.PointResult`."""

_MOST = 2
_HEAVY = "A"
"""Particle whose mass the dijet mass is."""


@dataclass(frozen=True)
class SignalShape:
    """A signal sample in one selection of one window.

    Attributes
    ----------
    dataset : str
    counts : (n_bins,) float64
        Events in the fit bins of the window, scaled.
    scale : float
        Strength in units of the sample's normalisation.
    origin : str
        What the scale is: "observed limit", "expected limit" or "its cross-section".
    """

    dataset: str
    counts: NDArray[np.float64]
    scale: float
    origin: str


def signal_shapes(
    window: MassWindow,
    selection: str,
    signals: Sequence[Mapping[str, Any]],
    spectra: SignalSpectra,
    *,
    blinded: bool = False,
) -> tuple[SignalShape, ...]:
    """Return the signal samples that a spectrum is shown with: at most two, those in the middle of the window first.

    Each is scaled to its observed limit with these classifiers, in this selection; while blinded to the median expected
    one, and without a limit to the cross-section of the sample.

    Parameters
    ----------
    window : MassWindow
    selection : str
    signals : sequence of mapping
        "signals" of `results.json`.
    spectra : mapping of dataset to window name to hist.Hist
    blinded : bool

    Returns
    -------
    tuple of SignalShape
        Without samples whose mass (that of particle A, or else the fullest bin of all their events) lies outside the
        window, and without those that have neither a limit nor a cross-section, or no events in the selection.
    """
    found = []
    for signal in signals:
        spectrum = spectra.get(signal["dataset"], {}).get(window.name)
        strength = _strength(signal, selection, blinded=blinded)
        if spectrum is None or strength is None or selection not in spectrum.axes["selection"]:
            continue
        mass, counts = _mass(signal, spectrum), selection_counts(spectrum, selection)
        if window.signal[0] <= mass < window.signal[1] and counts.sum() > 0:
            shape = SignalShape(signal["dataset"], strength[0] * counts, *strength)
            found.append((abs(mass - sum(window.signal) / 2), shape))
    return tuple(shape for _, shape in sorted(found, key=lambda one: one[0])[:_MOST])


def most_sensitive(signal: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the selection with the lowest expected limit on a signal; None where none has one.

    Parameters
    ----------
    signal : mapping
        Item of "signals" of `results.json`.
    """
    limited = [one for one in signal["selections"] if one["limit"] is not None]
    known = [one for one in limited if one["limit"]["expected_strength"][2] is not None]
    return min(known, key=lambda one: float(one["limit"]["expected_strength"][2]), default=None)


def true_counts(truth: hist.Hist[Any] | None, selection: str) -> NDArray[np.float64] | None:
    """Return the hidden signal (n_bins,) in a selection, from `WindowResult.truth`; None where there is none."""
    if truth is None or not (counts := selection_counts(truth, selection)).any():
        return None
    return counts


def _strength(signal: Mapping[str, Any], selection: str, *, blinded: bool) -> tuple[float, str] | None:
    for one in signal["selections"]:
        if one["selection"] == selection and (limit := one["limit"]) is not None:
            observed = limit["observed_strength"]
            if observed is not None and not blinded:
                return float(observed), "observed limit"
            if limit["expected_strength"][2] is not None:
                return float(limit["expected_strength"][2]), "expected limit"
    return (1.0, "its cross-section") if signal["normalised"] else None


def _mass(signal: Mapping[str, Any], spectrum: hist.Hist[Any]) -> float:
    if _HEAVY in signal["masses"]:
        return float(signal["masses"][_HEAVY])
    axis = spectrum.axes["mjj"]
    return float(axis.centers[int(np.argmax(selection_counts(spectrum, spectrum.axes["selection"][0])))])
