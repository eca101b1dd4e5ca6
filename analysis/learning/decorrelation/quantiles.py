"""Conditional quantiles: features as ranks given m_jj, learned beside the window and interpolated into it.

Each quantile of a feature is a parabola in m_jj, fitted to its values in bins of the events outside the mask of the
window. An event is replaced by its rank among events of its own m_jj, which is uniform at every m_jj on background. The
window shapes nothing: a signal there, or a fluctuation, moves no rank. As with percentiles, correlations of the
features may still change with m_jj.

This is done twice. The first time quantiles are smeared by the drift of the feature within a bin; its ranks hardly
drift any more, so that little is left to smear the second time, when they take the place of the feature.

Integers are spread over half a unit to both sides, by a hash of the event, and any other value that more than one event
in a hundred shares is spread over its own ranks; its fraction may follow m_jj linearly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.errors import TableError
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.flows.marginals import knot_scores, weighted_quantiles
from analysis.learning.training_set import positive_weights
from analysis.regions import Interval, MassWindow

__all__ = ["QuantileMap", "QuantileScaling"]

Array = NDArray[np.float64]

_EVENTS_PER_BIN = 1000
_MOST_BINS = 24
_FEWEST = 100
_WIDEST = 100.0
"""GeV."""

_LEAST_EVENTS = 50
_TIES = 0.01
_LIMIT = 5.0
"""Normal scores are clipped to this absolute value."""

_ROWS = 50_000
"""Events whose quantiles are computed at a time."""

_TINY = 1e-12


@dataclass(frozen=True)
class QuantileScaling:
    """Settings of the scaling; `fit` learns the map from training events.

    Attributes
    ----------
    fit_range : (low, high)
        Range of m_jj, GeV.
    hidden : tuple of (low, high)
        Intervals of m_jj that shape nothing, GeV: the mask of the window.
    random_state : int
        Seed of the hash that spreads equal values.
    only : tuple of str or None
        Features that are scaled; None for all.
    """

    SCORED_APART: ClassVar[bool] = False

    fit_range: Interval
    hidden: tuple[Interval, ...]
    random_state: int = 0
    only: tuple[str, ...] | None = None

    @classmethod
    def of_window(cls, window: MassWindow, random_state: int = 0, only: tuple[str, ...] | None = None) -> Self:
        """Use the fit range of a window without its mask."""
        return cls(window.fit_range, (window.mask,), random_state, only)

    def fit(self, training: EventTable, features: Sequence[str]) -> QuantileMap:
        """Learn the quantiles.

        Parameters
        ----------
        training : EventTable
            Events of the training folds only; those in `hidden` are left out.
        features : sequence of str

        Returns
        -------
        QuantileMap

        Raises
        ------
        TableError
            If fewer than 50 events remain below or above the hidden intervals, or their weights do not add up to
            something positive.
        """
        names = tuple(name for name in features if self.only is None or name in self.only)
        mjj, (low, high) = training.mjj, self.fit_range
        kept = (mjj >= low) & (mjj < high)
        for start, stop in self.hidden:
            kept &= (mjj < start) | (mjj >= stop)
        table = training.select(kept)
        below = table.mjj < min((start for start, _ in self.hidden), default=high)
        for side, text in ((below, "below"), (~below, "above")):
            if side.sum() < _LEAST_EVENTS:
                msg = (
                    f"decorrelation by quantiles: {side.sum()} training events {text} the mask, fewer than "
                    f'{_LEAST_EVENTS}. Widen scan.fit_range, add data, or set learning.decorrelation = "none".'
                )
                raise TableError(msg)
        weight = positive_weights(table.weight, "events beside the mask")
        points = _Points.of(table.mjj, weight, below, self.fit_range)
        ties = _ties(table, names, self.random_state)
        curves = [points.curves(X.astype(np.float64), tie) for X, tie in zip(table.matrix(names).T, ties, strict=True)]
        return QuantileMap(
            names,
            np.array(self.fit_range),
            points.scores,
            np.array([one.knots for one in curves]).reshape(len(names), 2, len(points.scores), -1),
            np.array([one.spread for one in curves], np.float64),
            np.array([(j, *atom) for j, one in enumerate(curves) for atom in one.atoms]).reshape(-1, 4),
            np.array(self.random_state),
        )


@dataclass(frozen=True)
class QuantileMap:
    """Frozen quantiles of features as polynomials in t, m_jj from 0 to 1 over `fit_range`.

    Attributes
    ----------
    features : tuple of str
    fit_range : (2,) float64
        GeV; beyond it m_jj counts as its nearer end.
    scores : (n_knots,) float64
        Normal scores of the quantiles, ascending.
    curves : (n_features, 2, n_knots, n_coefficients) float64
        Coefficients of each quantile of the feature, then of its normal scores; of the constant first.
    spread : (n_features,) float64
        Width over which values are spread before they are ranked: 1 for integers, else 0.
    atoms : (n_atoms, 4) float64
        Values that many events share: number of the feature, value, fraction of events at t = 0 and at t = 1.
    random_state : () int
    """

    PARTS: ClassVar[tuple[str, ...]] = ("fit_range", "scores", "curves", "spread", "atoms", "random_state")
    TELLS_COUNTS: ClassVar[bool] = False

    features: tuple[str, ...]
    fit_range: Array
    scores: Array = field(repr=False)
    curves: Array = field(repr=False)
    spread: Array = field(repr=False)
    atoms: Array = field(repr=False)
    random_state: NDArray[np.int64]

    @classmethod
    def from_arrays(cls, features: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a map from its stored arrays, by name in `PARTS`."""
        return cls(tuple(features), *(arrays[name] for name in cls.PARTS))

    def apply(self, table: EventTable) -> EventTable:
        """Replace the features of a table by their ranks in (0, 1); other columns, and NaN, are kept."""
        ties = _ties(table, self.features, int(self.random_state))
        columns = zip(table.matrix(self.features).T, ties, strict=True)
        ranks = [self._rank(j, X.astype(np.float64), table.mjj, tie) for j, (X, tie) in enumerate(columns)]
        return table.replaced(dict(zip(self.features, ranks, strict=True)))

    def _rank(self, feature: int, x: Array, mjj: Array, tie: Array) -> NDArray[np.float32]:
        """Rank among the values that few events share, then with the atoms below and at the value."""
        t = _unit(mjj, self.fit_range)
        rank = self._continuous(feature, x + self.spread[feature] * (tie - 0.5), t)
        own = self.atoms[self.atoms[:, 0] == feature, 1:]
        fractions = own[:, 1] + t[:, None] * (own[:, 2] - own[:, 1])
        rank *= 1 - fractions.sum(axis=1)
        rank += (fractions * (own[:, 0] < x[:, None])).sum(axis=1)
        for (value, *_), fraction in zip(own, fractions.T, strict=True):
            at = x == value
            rank[at] += tie[at] * fraction[at]
        return rank.astype(np.float32)

    def _continuous(self, feature: int, x: Array, t: Array) -> Array:
        first, second = self.curves[feature]
        ranks: Array = ndtr(_scores(_scores(x, t, first, self.scores), t, second, self.scores))
        return ranks


def _scores(x: Array, t: Array, curves: Array, scores: Array) -> Array:
    """Return the normal scores (n_rows,) of values among quantiles at their t, linear also beyond the last knots."""
    found = np.empty(len(x))
    for start in range(0, len(x), _ROWS):
        some = slice(start, start + _ROWS)
        value = x[some]
        knots = np.sort(np.polynomial.polynomial.polyval(t[some], curves.T).T, axis=1)
        left = np.clip((knots <= value[:, None]).sum(axis=1) - 1, 0, len(scores) - 2)
        rows = np.arange(len(value))
        low, high = knots[rows, left], knots[rows, left + 1]
        share = (value - low) / np.maximum(high - low, _TINY * np.maximum(np.abs(high), 1.0))
        found[some] = scores[left] + share * (scores[1] - scores[0])
    return np.clip(found, -_LIMIT, _LIMIT)


def _ties(table: EventTable, features: Sequence[str], seed: int) -> list[Array]:
    """Random numbers in [0, 1) that depend on the event and the feature alone."""
    return [uniform(table.event_id, seed, f"decorrelation {name}") for name in features]


def _unit(mjj: Array, fit_range: Sequence[float] | Array) -> Array:
    """m_jj from 0 to 1 over the fit range."""
    unit: Array = np.clip((mjj - fit_range[0]) / (fit_range[1] - fit_range[0]), 0.0, 1.0)
    return unit


def _bins(mjj: Array, rows: NDArray[np.intp], n_all: int) -> list[NDArray[np.intp]]:
    """Divide rows into bins of m_jj: of many events each, but no wider than `_WIDEST` where that leaves some."""
    rows = rows[np.argsort(mjj[rows], kind="stable")]
    full = max(n_all // _MOST_BINS, _EVENTS_PER_BIN)
    bins, start = [], 0
    while len(rows) - start >= _FEWEST:
        within = int(np.searchsorted(mjj[rows], mjj[rows[start]] + _WIDEST))
        stop = min(start + full, max(within, start + _FEWEST))
        stop = stop if len(rows) - stop >= _FEWEST else len(rows)
        bins.append(rows[start:stop])
        start = stop
    return bins or [rows]


@dataclass(frozen=True)
class _Curves:
    """Quantiles of one feature: see `QuantileMap`."""

    knots: Array
    spread: float
    atoms: list[tuple[float, float, float]]


@dataclass(frozen=True)
class _Points:
    """Bins of m_jj in which quantiles are taken.

    Attributes
    ----------
    t : (n_events,) float64
    weight : (n_events,) float64
        Non-negative.
    bins : list of (n,) int
        Rows of each bin; no bin has events of both sides of the mask.
    scores : (n_knots,) float64
    order : int
        Degree of the polynomials.
    """

    t: Array
    weight: Array
    bins: list[NDArray[np.intp]]
    scores: Array
    order: int

    @classmethod
    def of(cls, mjj: Array, weight: Array, below: NDArray[np.bool_], fit_range: Interval) -> Self:
        sides = [_bins(mjj, np.flatnonzero(side & (weight > 0)), len(mjj)) for side in (below, ~below)]
        bins = [rows for side in sides for rows in side]
        order = 2 if len(bins) >= 6 and min(map(len, sides)) >= 2 else 1
        return cls(_unit(mjj, fit_range), weight, bins, knot_scores(_EVENTS_PER_BIN), order)

    def curves(self, x: Array, tie: Array) -> _Curves:
        """Fit the quantiles of one feature, NaN where undefined."""
        known = np.isfinite(x)
        if not known.any():
            return _Curves(np.zeros((2, len(self.scores), self.order + 1)), 0.0, [])
        values, n_equal = np.unique(x[known], return_counts=True)
        if np.array_equal(values, np.rint(values)):
            return _Curves(self._twice(x + tie - 0.5, known), 1.0, [])
        shared = values[n_equal > max(_TIES * known.sum(), 2)]
        atoms = [(float(value), *self._fraction(x == value, known)) for value in shared]
        return _Curves(self._twice(x, known & ~np.isin(x, shared)), 0.0, atoms)

    def _twice(self, x: Array, known: NDArray[np.bool_]) -> Array:
        """(2, n_knots, order + 1) float64: coefficients for the values, and for the normal scores that they give."""
        first = self._fitted(x, known)
        return np.array([first, self._fitted(_scores(x, self.t, first, self.scores), known)])

    def _fraction(self, at: NDArray[np.bool_], known: NDArray[np.bool_]) -> tuple[float, float]:
        """Fraction of events with a value, at both ends of the fit range."""
        rows = np.flatnonzero(known & (self.weight > 0))
        line = np.polynomial.polynomial.polyfit(self.t[rows], at[rows], 1, w=np.sqrt(self.weight[rows]))
        low, high = np.clip(np.polynomial.polynomial.polyval(np.array([0.0, 1.0]), line), 0.0, 1.0)
        return float(low), float(high)

    def _fitted(self, x: Array, known: NDArray[np.bool_]) -> Array:
        """(n_knots, order + 1) float64: coefficients of the quantiles."""
        if not known.any():
            return np.zeros((len(self.scores), self.order + 1))
        t, weight = self.t, self.weight
        bins = [rows[known[rows]] for rows in self.bins]
        bins = [rows for rows in bins if len(rows)]
        levels = ndtr(self.scores)
        quantiles = [weighted_quantiles(x[rows], weight[rows], levels) for rows in bins]
        centres = [np.average(t[rows], weights=weight[rows]) for rows in bins]
        totals = np.sqrt([weight[rows].sum() for rows in bins])
        order = min(self.order, len(bins) - 1)
        fitted = np.zeros((self.order + 1, len(levels)))
        fitted[: order + 1] = np.polynomial.polynomial.polyfit(centres, np.array(quantiles), order, w=totals)
        return fitted.T
