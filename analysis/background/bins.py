"""What a background fit is given: counts in bins, checked, without the masked ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.errors import FitError

__all__ = ["Interval", "Mask", "Sidebands", "intervals_of", "outside", "sidebands"]

Array = NDArray[np.float64]
Interval = tuple[float, float]
Mask = Interval | Sequence[Interval]
"""One interval [low, high) in GeV, or several."""

_WHOLE = 1e-6


@dataclass(frozen=True)
class Sidebands:
    """The bins that are fitted.

    Attributes
    ----------
    low, high : (n_bins,) float64
        Edges of each, GeV; increasing, with a gap where the mask is.
    observed : (n_bins,) float64
        Events.
    scale : (n_bins,) float64
        1 for plain counts, (sum w) / (sum w^2) for weighted ones: arXiv:1309.1287.
    mask : tuple of (low, high)
        GeV.
    """

    low: Array
    high: Array
    observed: Array
    scale: Array
    mask: tuple[Interval, ...]

    @property
    def events(self) -> float:
        """Number of events; of weighted ones, the number of unweighted events with the same relative error."""
        return float((self.observed * self.scale).sum())

    def within(self, fit_range: Interval) -> Sidebands:
        """Return the bins that lie inside a range, GeV."""
        kept = (self.low >= fit_range[0]) & (self.high <= fit_range[1])
        return Sidebands(self.low[kept], self.high[kept], self.observed[kept], self.scale[kept], self.mask)


def intervals_of(mask: Mask) -> tuple[Interval, ...]:
    """Return the intervals of a mask, which may be given as one pair of numbers."""
    array = np.asarray(mask, np.float64).reshape(-1, 2)
    if not np.isfinite(array).all() or (array[:, 0] > array[:, 1]).any():
        msg = f"a mask is (low, high) or several of them, in GeV with low <= high; found {mask}."
        raise FitError(msg)
    return tuple((float(low), float(high)) for low, high in array)


def outside(edges: Array, mask: Mask) -> NDArray[np.bool_]:
    """(n_bins,) bool: which bins overlap no interval of the mask. `edges` (n_bins + 1,), GeV."""
    fitted = np.ones(len(edges) - 1, bool)
    for low, high in intervals_of(mask):
        fitted &= (edges[1:] <= low) | (edges[:-1] >= high)
    return fitted


def sidebands(counts: Array, edges: Array, *, mask: Mask, variances: Array | None = None) -> Sidebands:
    """Check a spectrum, and leave out what is masked.

    Parameters
    ----------
    counts : (n_bins,) float64
        Events per bin. The masked bins are never looked at.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    mask : (low, high), or several
        Bins that overlap are left out, GeV.
    variances : (n_bins,) float64, optional
        Sums of squared weights. Without them the counts must be whole numbers.

    Returns
    -------
    Sidebands

    Raises
    ------
    FitError
        Naming the first bin that cannot be fitted.
    """
    counts, edges = np.asarray(counts, np.float64), np.asarray(edges, np.float64)
    _require_edges(counts, edges)
    fitted = outside(edges, mask)
    low, high, observed = edges[:-1][fitted], edges[1:][fitted], counts[fitted]
    _refuse(~np.isfinite(observed) | (observed < 0), low, high, observed, "a count that is negative or not finite")
    if variances is None:
        odd = np.abs(observed - np.round(observed)) > _WHOLE
        _refuse(odd, low, high, observed, "a count that is not a whole number; pass the sums of squared weights")
        scale = np.ones(len(observed))
    else:
        scale = _scale(observed, np.asarray(variances, np.float64)[fitted], low, high)
    return Sidebands(low, high, observed, scale, intervals_of(mask))


def _require_edges(counts: Array, edges: Array) -> None:
    if edges.ndim != 1 or len(edges) != len(counts) + 1:
        msg = f"{len(counts)} bins need {len(counts) + 1} edges; found {edges.size}."
        raise FitError(msg)
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        msg = f"bin edges must be finite and increase; found {edges}."
        raise FitError(msg)


def _scale(observed: Array, variances: Array, low: Array, high: Array) -> Array:
    _refuse(~np.isfinite(variances) | (variances < 0), low, high, variances, "a variance that is negative or undefined")
    filled = observed > 0
    _refuse(filled & (variances <= 0), low, high, variances, "events but a variance of zero")
    whole = observed.sum() / variances.sum() if variances.sum() > 0 else 1.0
    scale: Array = np.full(len(observed), whole)  # an empty bin has no weights of its own
    scale[filled] = observed[filled] / variances[filled]
    return scale


def _refuse(bad: NDArray[np.bool_], low: Array, high: Array, values: Array, what: str) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        msg = (
            f"the bin {low[first]:g}-{high[first]:g} GeV of the spectrum in {low[0]:g}-{high[-1]:g} GeV holds {what} "
            f"(found {values[first]:g}). Correct the spectrum, merge bins, or mask it."
        )
        raise FitError(msg)
