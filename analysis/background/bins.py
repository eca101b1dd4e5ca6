"""Input of a background fit: validated binned counts outside the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.errors import FitError

__all__ = ["Interval", "Mask", "Sidebands", "intervals_of", "outside", "pass_and_fail", "sidebands"]

Array = NDArray[np.float64]
Interval = tuple[float, float]
Mask = Interval | Sequence[Interval]
"""One interval [low, high) in GeV, or several."""

_WHOLE = 1e-6
_WEIGHT_TERMS = 3
_BINS_PER_TERM = 4
_MAX_STEPS = 50


@dataclass(frozen=True)
class Sidebands:
    """Bins used in the fit.

    Attributes
    ----------
    low, high : (n_bins,) float64
        Edges of each bin, GeV; increasing, with a gap at the mask.
    observed : (n_bins,) float64
        Events.
    scale : (n_bins,) float64
        1 for plain counts, (sum w) / (sum w^2) for weighted ones (arXiv:1309.1287), smooth in the mass.
    mask : tuple of (low, high)
        GeV.
    rest : (n_bins,) bool
        Bins of the events that fail the selection, which precede those of the events that pass; none for a spectrum
        that is fitted alone.
    """

    low: Array
    high: Array
    observed: Array
    scale: Array
    mask: tuple[Interval, ...]
    rest: NDArray[np.bool_]

    @property
    def events(self) -> float:
        """Number of events; for weighted events, the number of unweighted events with the same relative error."""
        return float((self.observed * self.scale).sum())

    def weight(self, intervals: Array) -> Array:
        """(n_intervals,): expected sum w^2 / sum w in intervals (n_intervals, 2) in GeV, independent of the counts."""
        centres, own = np.asarray(intervals, np.float64).mean(axis=1), ~self.rest
        weights: Array = np.exp(-np.interp(centres, (self.low + self.high)[own] / 2, np.log(self.scale[own])))
        return weights

    def part(self, kept: NDArray[np.bool_]) -> Sidebands:
        """Return some of the bins, (n_bins,) bool."""
        return Sidebands(
            self.low[kept], self.high[kept], self.observed[kept], self.scale[kept], self.mask, self.rest[kept]
        )

    @property
    def failing(self) -> Sidebands:
        """Bins of the events that fail the selection, as a spectrum of their own."""
        return replace(self.part(self.rest), rest=np.zeros(int(self.rest.sum()), bool))

    def within(self, fit_range: Interval) -> Sidebands:
        """Return the bins that lie inside a range, GeV."""
        return self.part((self.low >= fit_range[0]) & (self.high <= fit_range[1]))


def intervals_of(mask: Mask) -> tuple[Interval, ...]:
    """Return the intervals of a mask, which may be a single pair of numbers."""
    array = np.asarray(mask, np.float64).reshape(-1, 2)
    if not np.isfinite(array).all() or (array[:, 0] > array[:, 1]).any():
        msg = f"a mask is (low, high) or several of them, in GeV with low <= high; found {mask}."
        raise FitError(msg)
    return tuple((float(low), float(high)) for low, high in array)


def outside(edges: Array, mask: Mask) -> NDArray[np.bool_]:
    """(n_bins,) bool: bins that do not overlap any interval of the mask. `edges` (n_bins + 1,), GeV."""
    fitted = np.ones(len(edges) - 1, bool)
    for low, high in intervals_of(mask):
        fitted &= (edges[1:] <= low) | (edges[:-1] >= high)
    return fitted


def sidebands(counts: Array, edges: Array, *, mask: Mask, variances: Array | None = None) -> Sidebands:
    """Validate a spectrum and remove the masked bins.

    Parameters
    ----------
    counts : (n_bins,) float64
        Events per bin. The masked bins are never read.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    mask : (low, high), or several
        Overlapping bins are removed, GeV.
    variances : (n_bins,) float64, optional
        Sums of squared weights. Without them the counts must be whole numbers.

    Returns
    -------
    Sidebands

    Raises
    ------
    FitError
        Names the first bin that cannot be fitted.
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
    return Sidebands(low, high, observed, scale, intervals_of(mask), np.zeros(len(low), bool))


def pass_and_fail(passing: Sidebands, rest: Sidebands) -> Sidebands:
    """Put the bins of events that fail a selection before those of the events that pass, to fit both together."""
    columns = [(getattr(rest, name), getattr(passing, name)) for name in ("low", "high", "observed", "scale")]
    low, high, observed, scale = (np.concatenate(pair) for pair in columns)
    flags = np.repeat([True, False], [len(rest.low), len(passing.low)])
    return Sidebands(low, high, observed, scale, passing.mask, flags)


def _require_edges(counts: Array, edges: Array) -> None:
    if edges.ndim != 1 or len(edges) != len(counts) + 1:
        msg = f"{len(counts)} bins need {len(counts) + 1} edges; found {edges.size}."
        raise FitError(msg)
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        msg = f"bin edges must be finite and increase; found {edges}."
        raise FitError(msg)


def _scale(observed: Array, variances: Array, low: Array, high: Array) -> Array:
    _refuse(~np.isfinite(variances) | (variances < 0), low, high, variances, "a variance that is negative or undefined")
    _refuse((observed > 0) & (variances <= 0), low, high, variances, "events but a variance of zero")
    try:
        return 1.0 / _weights(observed, variances, np.log(high + low))
    except np.linalg.LinAlgError as error:
        filled = (observed > 0) & (variances > 0)
        ratios = variances[filled] / observed[filled]
        msg = (
            f"variances over counts run from {ratios.min():.3g} to {ratios.max():.3g} in {low[0]:g}-{high[-1]:g} GeV, "
            "which no smooth curve describes. Give the sums of squared weights as variances."
        )
        raise FitError(msg) from error


def _weights(sums: Array, squares: Array, at: Array) -> Array:
    """(n_bins,): sum w^2 / sum w as a smooth curve, exp of a polynomial in `at`.

    Not bin by bin: in bins with few events, small weights would count for more than large ones, and the fit would be
    biased by about one event per bin. The terms solve sum phi (sum w^2 / r - sum w) = 0, which is linear in the sums
    and therefore unbiased.
    """
    if not squares.sum() > 0:
        return np.ones(len(sums))
    mean = float(squares.sum() / sums.sum())
    filled = squares > 0
    n_terms = min(_WEIGHT_TERMS, int(filled.sum()) // _BINS_PER_TERM)
    if n_terms < 2 or np.allclose(squares[filled], mean * sums[filled], rtol=1e-9):
        return np.full(len(sums), mean)
    centre = float(np.average(at, weights=sums))
    terms = ((at - centre) / np.ptp(at))[:, None] ** np.arange(n_terms)
    triangle = np.linalg.qr(terms * np.sqrt(sums)[:, None]).R
    terms = np.linalg.solve(triangle.T, terms.T).T
    coefficients = np.log(mean) * triangle[:, 0]  # constant
    for _ in range(_MAX_STEPS):
        ratio = squares * np.exp(-terms @ coefficients)
        step = np.linalg.solve((terms * ratio[:, None]).T @ terms, terms.T @ (ratio - sums))
        step *= min(1.0, 1.0 / float(abs(terms @ step).max() + 1e-300))
        coefficients = coefficients + step
        if abs(terms @ step).max() < _WHOLE:
            break
    summed = filled & (sums > 0)  # weights of both signs may add up to 0
    log_filled = np.log(squares[summed] / sums[summed])
    smooth: Array = np.exp(np.clip(terms @ coefficients, log_filled.min(), log_filled.max()))
    return smooth


def _refuse(bad: NDArray[np.bool_], low: Array, high: Array, values: Array, what: str) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        msg = (
            f"the bin {low[first]:g}-{high[first]:g} GeV of the spectrum in {low[0]:g}-{high[-1]:g} GeV holds {what} "
            f"(found {values[first]:g}). Correct the spectrum, merge bins, or mask it."
        )
        raise FitError(msg)
