"""Percentile scaling: features as ranks within m_jj bins, so that their marginals do not depend on m_jj.

Each feature is replaced by its empirical distribution function in the m_jj bin of the event, which is uniform in every
bin: the decorrelation of ATLAS' first search, arXiv:2005.02983. Only the marginals are made equal; correlations of the
features may still change with m_jj.

A fold that is scored has its own distribution functions. With those of the training a classifier finds an excess where
there is none: their errors differ between window and sidebands and shift whatever is sharp in the plane of two features
by different amounts, and a shift that training and scored events share is learned, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from analysis.errors import TableError
from analysis.events.table import EventTable
from analysis.learning.training_set import positive_weights
from analysis.regions import MassWindow

__all__ = ["PercentileMap", "PercentileScaling", "mass_bins"]

Array = NDArray[np.float64]

MIN_EVENTS = 50
"""Bins outside window and sidebands with fewer events are merged with the next bin."""


def mass_bins(window: MassWindow, grid: Array) -> Array:
    """Mass bins of a window: its signal region, its two sidebands, and the fit bins beyond them.

    Parameters
    ----------
    window : MassWindow
    grid : (n_bins + 1,) float64
        Edges of the fit bins, GeV.

    Returns
    -------
    (n + 1,) float64
        Increasing edges, GeV.
    """
    low, high = window.lower[0], window.upper[1]
    inner = [low, window.signal[0], window.signal[1], high]
    return np.unique([*grid[grid < low], *inner, *grid[grid > high]])


@dataclass(frozen=True)
class PercentileScaling:
    """Settings of the scaling; `fit` learns the map from training events.

    Attributes
    ----------
    edges : tuple of float
        Edges of the m_jj bins, GeV.
    inner : (low, high)
        Outer ends of the sidebands, GeV. Bins between them are never merged; sparse bins beyond them are.
    only : tuple of str or None
        Features that are scaled; None for all.
    """

    SCORED_APART: ClassVar[bool] = True

    edges: tuple[float, ...]
    inner: tuple[float, float]
    only: tuple[str, ...] | None = None

    @classmethod
    def of_window(cls, window: MassWindow, grid: Array, only: tuple[str, ...] | None = None) -> Self:
        """Use the bins of `mass_bins`; `grid` are the edges (n_bins + 1,) of the fit bins, GeV."""
        return cls(tuple(mass_bins(window, grid).tolist()), (window.lower[0], window.upper[1]), only)

    def fit(self, training: EventTable, features: Sequence[str]) -> PercentileMap:
        """Learn the distribution functions.

        Parameters
        ----------
        training : EventTable
            Events of the training folds only, or of the fold that is scored.
        features : sequence of str

        Returns
        -------
        PercentileMap

        Raises
        ------
        TableError
            If the window or a sideband has no events, or the sum of weights is not positive.
        """
        edges = self._joined(training.mjj)
        names = tuple(name for name in features if self.only is None or name in self.only)
        return PercentileMap.fit(training.mjj, training.matrix(names), training.weight, edges, names)

    def _joined(self, mjj: Array) -> Array:
        edges = np.array(self.edges)
        counts = np.histogram(mjj, edges)[0]
        low, high = np.searchsorted(edges, self.inner)
        below = _join_sparse(edges[: low + 1], counts[:low])
        above = _join_sparse(edges[high:][::-1], counts[high:][::-1])
        return np.array([*below, *edges[low + 1 : high], *above[::-1]])


def _join_sparse(edges: Array, counts: NDArray[np.int64]) -> list[float]:
    """Edges that are kept, starting from the outermost; edges after fewer than `MIN_EVENTS` events are dropped."""
    kept, events = [float(edges[0])], 0
    for edge, count in zip(edges[1:], counts, strict=True):
        events += int(count)
        if events >= MIN_EVENTS:
            kept.append(float(edge))
            events = 0
    return kept


@dataclass(frozen=True)
class PercentileMap:
    """Frozen distribution functions of features in m_jj bins.

    Attributes
    ----------
    features : tuple of str
    edges : (n_bins + 1,) float64
        GeV.
    sizes : (n_features, n_bins) int64
        Number of knots of each function.
    values : (n_knots,) float32
        Distinct training values in increasing order, for each function in turn: features outermost, bins innermost.
    ranks : (n_knots,) float64
        Fraction of the training weight below each value, plus half of the weight at the value.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("edges", "sizes", "values", "ranks")
    TELLS_COUNTS: ClassVar[bool] = True

    features: tuple[str, ...]
    edges: Array = field(repr=False)
    sizes: NDArray[np.int64] = field(repr=False)
    values: NDArray[np.float32] = field(repr=False)
    ranks: Array = field(repr=False)

    @classmethod
    def fit(
        cls, mjj: Array, X: NDArray[np.float32], weight: Array, edges: Array, features: Sequence[str]
    ) -> PercentileMap:
        """Learn the distribution functions.

        Parameters
        ----------
        mjj : (n_events,) float64
            GeV.
        X : (n_events, n_features) float32
        weight : (n_events,) float64
            Event weights. Negative weights are dropped, and the others are scaled to the same sum.
        edges : (n_bins + 1,) float64
            Bin edges, GeV; events outside are not used.
        features : sequence of str

        Returns
        -------
        PercentileMap

        Raises
        ------
        TableError
            If a bin is empty, or its sum of weights is not positive.
        """
        bins = [(mjj >= low) & (mjj < high) for low, high in pairwise(edges)]
        for inside, low, high in zip(bins, edges[:-1], edges[1:], strict=True):
            if not inside.any():
                msg = (
                    f"percentile scaling: no event of a fold, or of its training, has m_jj in {low:g}-{high:g} GeV. "
                    'Widen the windows or sidebands, use fewer folds, add data, or set learning.decorrelation = "none".'
                )
                raise TableError(msg)
        weights = [
            positive_weights(weight[inside], f"m_jj in {low:g}-{high:g} GeV")
            for inside, low, high in zip(bins, edges[:-1], edges[1:], strict=True)
        ]
        functions = [
            _distribution(column[inside], kept) for column in X.T for inside, kept in zip(bins, weights, strict=True)
        ]
        sizes = np.array([len(values) for values, _ in functions], np.int64).reshape(len(features), len(bins))
        return cls(
            tuple(features),
            np.asarray(edges, np.float64),
            sizes,
            np.concatenate([values for values, _ in functions]),
            np.concatenate([ranks for _, ranks in functions]),
        )

    @classmethod
    def from_arrays(cls, features: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a map from its stored arrays, by name in `PARTS`."""
        return cls(tuple(features), *(arrays[name] for name in cls.PARTS))

    def transform(self, mjj: Array, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map features to ranks.

        Parameters
        ----------
        mjj : (n_events,) float64
            GeV.
        X : (n_events, n_features) float32

        Returns
        -------
        (n_events, n_features) float32
            In (0, 1), linear between training values and constant beyond them. NaN if the feature is NaN, outside the
            bins, and if no training event of the bin has the feature.
        """
        return self._apply(mjj, X, lambda values, ranks, column: np.interp(column, values, ranks))

    def inverse(self, mjj: Array, ranks: NDArray[Any], *, reference: int | None = None) -> NDArray[np.float32]:
        """Map ranks back to feature values.

        Parameters
        ----------
        mjj : (n_events,) float64
            GeV.
        ranks : (n_events, n_features) float
        reference : int, optional
            Index of the bin whose distribution is used for all events: the values have the units of the feature, and
            in every bin the distribution of this one. Default: the bin of each event, which inverts `transform`.

        Returns
        -------
        (n_events, n_features) float32
        """
        return self._apply(mjj, ranks, lambda values, knots, column: np.interp(column, knots, values), reference)

    def apply(self, table: EventTable) -> EventTable:
        """Replace the features of a table by their ranks; other columns are kept."""
        ranks = self.transform(table.mjj, table.matrix(self.features))
        return table.replaced(dict(zip(self.features, ranks.T, strict=True)))

    def _apply(self, mjj: Array, X: NDArray[Any], function: Any, reference: int | None = None) -> NDArray[np.float32]:
        result = np.full(X.shape, np.nan, np.float32)
        stops = np.cumsum(self.sizes).reshape(self.sizes.shape)
        for bin_index in range(len(self.edges) - 1):
            rows = np.flatnonzero((mjj >= self.edges[bin_index]) & (mjj < self.edges[bin_index + 1]))
            source = bin_index if reference is None else reference
            for j in range(len(self.features)):
                knots = slice(stops[j, source] - self.sizes[j, source], stops[j, source])
                column = X[rows, j]
                defined = ~np.isnan(column)
                if self.sizes[j, source]:
                    result[rows[defined], j] = function(self.values[knots], self.ranks[knots], column[defined])
        return result


def _distribution(values: NDArray[np.float32], weight: Array) -> tuple[NDArray[np.float32], Array]:
    """Distinct values in increasing order, and their mid-ranks, without NaN and values of zero weight."""
    defined = ~np.isnan(values) & (weight > 0)
    knots, position = np.unique(values[defined], return_inverse=True)
    at = np.bincount(position, weights=weight[defined], minlength=len(knots)).astype(np.float64)
    return knots, (np.cumsum(at) - at / 2) / max(at.sum(), np.finfo(float).tiny)
