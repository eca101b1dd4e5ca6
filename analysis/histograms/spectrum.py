"""Spectrum of the dijet mass: counts, or sums of weights, in bins of any widths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.core.counted import counted
from analysis.errors import InputFileError

__all__ = ["SINGLE_PRECISION", "Spectrum"]

Array = NDArray[np.float64]

SINGLE_PRECISION = 1e-6
"""Relative difference of numbers that are equal, of which one may have been stored in single precision."""

_EXPECTED = "the contents are not whole numbers and count as expected events, without fluctuations"


@dataclass(frozen=True)
class Spectrum:
    """Counts in bins of the dijet mass.

    Attributes
    ----------
    edges : (n_bins + 1,) float64
        Bin edges, GeV, increasing.
    counts : (n_bins,) float64
        Events, or sums of weights.
    variances : (n_bins,) float64 or None
        Sums of squared weights. None for counts: variances equal to the counts become None.
    source : str
        Origin of the spectrum, for messages.
    expected : bool
        Whether the counts are expected events, which do not fluctuate and need not be whole numbers. Counts that are
        not whole numbers are expected events if their variances say that they are counts.
    notes : tuple of str
        Remarks on how the contents of a file were understood.
    rest : ((n_bins,) float64, (n_bins,) float64 or None), optional
        Events that fail the selection, and their variances, if the file has the inclusive spectrum too.

    Raises
    ------
    InputFileError
        If the edges do not increase, a value is not finite, plain counts are negative or not whole numbers, variances
        do not match the counts, or fewer than two bins are filled.
    """

    edges: Array
    counts: Array
    variances: Array | None = None
    source: str = "the spectrum"
    expected: bool = False
    notes: tuple[str, ...] = ()
    rest: tuple[Array, Array | None] | None = None

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_edges(self)
        _check_finite(self)
        if self.variances is not None and np.allclose(self.variances, self.counts, rtol=SINGLE_PRECISION, atol=0):
            object.__setattr__(self, "variances", None)
            object.__setattr__(self, "expected", self.expected or bool((self.counts != np.round(self.counts)).any()))
        if self.expected:
            object.__setattr__(self, "notes", (*self.notes, _EXPECTED))
        if self.variances is None:
            _check_counts(self)
        else:
            _check_variances(self, self.variances)
        _check_filled(self)


def _check_shapes(spectrum: Spectrum) -> None:
    n_bins = len(spectrum.edges) - 1
    shapes = {np.shape(spectrum.counts)} | ({np.shape(spectrum.variances)} if spectrum.variances is not None else set())
    if spectrum.edges.ndim != 1 or shapes != {(n_bins,)}:
        msg = (
            f"{spectrum.source}: {spectrum.edges.size} edges need one count, and one variance if any, for each bin; "
            f"found {', '.join(map(str, sorted(shapes)))}."
        )
        raise InputFileError(msg)


def _check_edges(spectrum: Spectrum) -> None:
    edges = spectrum.edges
    if not np.isfinite(edges).all():
        msg = f"{spectrum.source}: the bin edges are not all finite. Use finite edges; leave the overflow out."
        raise InputFileError(msg)
    if (wrong := np.flatnonzero(np.diff(edges) <= 0)).size:
        i = wrong[0]
        msg = f"{spectrum.source}: bin edges must rise, but after {edges[i]:g} GeV comes {edges[i + 1]:g} GeV."
        raise InputFileError(msg)


def _check_finite(spectrum: Spectrum) -> None:
    for what, values in (("count", spectrum.counts), ("variance", spectrum.variances)):
        if values is not None and (wrong := np.flatnonzero(~np.isfinite(values))).size:
            msg = f"{_bin(spectrum, wrong[0])} has the {what} {values[wrong[0]]:g}, expected a finite number."
            raise InputFileError(msg)


def _check_counts(spectrum: Spectrum) -> None:
    counts = spectrum.counts
    fractional = (counts != np.round(counts)) & (not spectrum.expected)
    for kind, wrong in (("negative", counts < 0), ("not a whole number", fractional)):
        if wrong.any():
            i = int(np.argmax(wrong))
            msg = (
                f"{_bin(spectrum, i)} has the count {counts[i]:g}, which is {kind}. Sums of weights need variances, "
                "and so do expected events, equal to their counts: a column `variance` (CSV), Sumw2 (TH1) or weighted "
                "storage (UHI). Counts over the bin width need --per."
            )
            raise InputFileError(msg)


def _check_variances(spectrum: Spectrum, variances: Array) -> None:
    wrong = (variances < 0) | ((variances == 0) & (spectrum.counts != 0))
    if wrong.any():
        i = int(np.argmax(wrong))
        msg = (
            f"{_bin(spectrum, i)} has the variance {variances[i]:g} for the sum of weights {spectrum.counts[i]:g}; "
            "expected the sum of squared weights."
        )
        raise InputFileError(msg)


def _check_filled(spectrum: Spectrum) -> None:
    filled = np.flatnonzero(spectrum.counts)
    if not filled.size:
        msg = f"{spectrum.source} is empty: there are no events in its {counted(len(spectrum.counts), 'bin')}."
        raise InputFileError(msg)
    if filled.size == 1:
        msg = f"{_bin(spectrum, filled[0])} holds all events: a spectrum in one bin cannot be fitted. Use finer bins."
        raise InputFileError(msg)


def _bin(spectrum: Spectrum, index: int) -> str:
    return f"{spectrum.source}: the bin {spectrum.edges[index]:g}-{spectrum.edges[index + 1]:g} GeV"
