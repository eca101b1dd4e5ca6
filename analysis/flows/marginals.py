"""Conditional quantiles: features standardised to normal scores whose mapping follows m_jj.

A flow with m_jj as an input has to learn how features drift, in the sidebands, and to interpolate it; a small one does
so badly. Here the drift of each single feature is taken out beforehand: each of its quantiles is a straight line in
m_jj, fitted in the sidebands, and an event is replaced by the normal score of its quantile at its own m_jj. A location
and a width that drift linearly are thus removed exactly. The flow learns how features depend on one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["ConditionalQuantiles", "knot_scores", "weighted_quantiles"]

_KNOTS_PER_SIGMA = 8
_LARGEST_SCORE = 3.0
_LIMIT = 5.0
"""Scores are clipped to this absolute value."""

_EVENTS_IN_TAIL = 5
_EVENTS_PER_BIN = 2500
_MOST_BINS = 6
_TIES = 0.01
_TINY = 1e-9


@dataclass(frozen=True)
class ConditionalQuantiles:
    """Quantiles of each feature as straight lines in m_jj.

    Between the knots the score is linear in the feature; beyond them the lines go on. A value that a fraction of all
    events share (an atom, such as tau21 = 1) has a range of scores, and every score of that range leads back to it.

    Attributes
    ----------
    interval : (low, high)
        Range of m_jj, GeV, at whose ends the quantiles are given.
    scores : (n_knots,) float64
        Normal scores of the knots, equidistant.
    low, high : (n_features, n_knots) float64
        Values of the features at the knots at both ends of the interval; do not decrease along a row.
    smallest, largest : (n_features,) float64
        Range of the features in the sidebands.
    """

    interval: tuple[float, float]
    scores: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    smallest: NDArray[np.float64]
    largest: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        X: NDArray[np.float64],
        mjj: NDArray[np.float64],
        weight: NDArray[np.float64],
        sides: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> ConditionalQuantiles:
        """Fit the lines to quantiles in bins of m_jj inside the sidebands.

        Parameters
        ----------
        X : (n_rows, n_features) float64
            Finite.
        mjj : (n_rows,) float64, GeV
        weight : (n_rows,) float64
            Positive.
        sides : two (n_rows,) bool
            Rows of the lower and of the upper sideband.
        """
        bins = [rows for side in sides for rows in _bins(mjj, np.flatnonzero(side))]
        fewest = min(len(rows) for rows in bins)
        scores = knot_scores(fewest)
        interval = (float(mjj.min()), float(mjj.max()))
        ends = np.array([_lines(column, mjj, weight, bins, ndtr(scores), interval) for column in X.T])
        smallest, largest = X.min(axis=0), X.max(axis=0)
        # Lines that cross are uncrossed by sorting; a running maximum would carry one bad line to all above it.
        low, high = np.sort(ends, axis=2).transpose(1, 0, 2)
        return cls(interval, scores, low, high, smallest, largest)

    def transform(
        self,
        X: NDArray[np.float64],
        mjj: NDArray[np.float64],
        *,
        random_state: np.random.Generator | None = None,
        place: float = 0.5,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Replace features by normal scores.

        Parameters
        ----------
        X : (n_rows, n_features) float64
        mjj : (n_rows,) float64, GeV
        random_state : numpy.random.Generator, optional
            Spreads atoms over their scores.
        place : float
            Without it, where in the range of its scores an atom is put, from 0 to 1.

        Returns
        -------
        scores : (n_rows, n_features) float64
        log_slope : (n_rows,) float64
            Logarithm of the Jacobian determinant of scores with respect to features; that of an atom is large, but
            finite.
        """
        scores, log_slope = np.empty(X.shape), np.zeros(len(X))
        for j, column in enumerate(X.T):
            share = place if random_state is None else random_state.random(len(X))
            scores[:, j], own = self._score(j, column, mjj, share)
            log_slope += own
        return np.clip(scores, -_LIMIT, _LIMIT), log_slope

    def inverse(self, scores: NDArray[np.float64], mjj: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_rows, n_features) float64: features at the given normal scores, within the range of the sidebands."""
        step = self.scores[1] - self.scores[0]
        position = (np.clip(scores, -_LIMIT, _LIMIT) - self.scores[0]) / step
        left = np.clip(position.astype(int), 0, len(self.scores) - 2)
        rows, X = np.arange(len(scores)), np.empty(scores.shape)
        for j in range(scores.shape[1]):
            knots = self._at(j, mjj)
            start, end = knots[rows, left[:, j]], knots[rows, left[:, j] + 1]
            X[:, j] = start + (position[:, j] - left[:, j]) * (end - start)
        return np.clip(X, self.smallest, self.largest)

    def _at(self, feature: int, mjj: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_rows, n_knots) float64: values at the knots."""
        share = np.clip((mjj - self.interval[0]) / (self.interval[1] - self.interval[0]), 0.0, 1.0)[:, None]
        knots: NDArray[np.float64] = self.low[feature] + share * (self.high[feature] - self.low[feature])
        return knots

    def _score(
        self, feature: int, column: NDArray[np.float64], mjj: NDArray[np.float64], share: NDArray[np.float64] | float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        knots, rows, last = self._at(feature, mjj), np.arange(len(column)), len(self.scores) - 1
        tiny = _TINY * max(float(self.largest[feature] - self.smallest[feature]), _TINY)
        first = (knots < column[:, None] - tiny).sum(axis=1)
        after = (knots <= column[:, None] + tiny).sum(axis=1)
        left = np.clip(first - 1, 0, last - 1)
        start, end = knots[rows, left], knots[rows, left + 1]
        slope = (self.scores[left + 1] - self.scores[left]) / np.maximum(end - start, tiny)
        score = self.scores[left] + (column - start) * slope
        atom = after - first > 1
        ends = self.scores[np.minimum(first, last)], self.scores[np.clip(after - 1, 0, last)]
        return np.where(atom, ends[0] + share * (ends[1] - ends[0]), score), np.log(slope)


def _bins(mjj: NDArray[np.float64], rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Divide rows into bins of m_jj with equal numbers of rows."""
    n_bins = int(np.clip(len(rows) // _EVENTS_PER_BIN, 1, _MOST_BINS))
    return np.array_split(rows[np.argsort(mjj[rows], kind="stable")], n_bins)


def knot_scores(n_events: int) -> NDArray[np.float64]:
    """Equidistant normal scores (n_knots,) float64 that leave five events of a bin of `n_events` in each tail."""
    ladder = np.arange(1, _LARGEST_SCORE * _KNOTS_PER_SIGMA + 1) / _KNOTS_PER_SIGMA
    kept = ladder[ndtr(-ladder) * n_events > _EVENTS_IN_TAIL]
    half = kept if len(kept) else ladder[:1]
    return np.concatenate([-half[::-1], [0.0], half])


def _lines(
    column: NDArray[np.float64],
    mjj: NDArray[np.float64],
    weight: NDArray[np.float64],
    bins: list[NDArray[np.intp]],
    levels: NDArray[np.float64],
    interval: tuple[float, float],
) -> NDArray[np.float64]:
    """(2, n_levels) float64: straight lines through the quantiles of one feature, at both ends of the interval."""
    slope = 0.0 if _has_atom(column) else _slope(column, mjj, weight)
    rest = column - slope * mjj
    quantiles = np.array([weighted_quantiles(rest[rows], weight[rows], levels) for rows in bins])
    centres = np.array([np.average(mjj[rows], weights=weight[rows]) for rows in bins])
    totals = np.array([weight[rows].sum() for rows in bins])
    mean = np.average(centres, weights=totals)
    away = centres - mean
    own = (totals * away) @ (quantiles - np.average(quantiles, axis=0, weights=totals)) / (totals @ away**2)
    middle = np.average(quantiles, axis=0, weights=totals)
    return np.array([middle + own * (end - mean) + slope * end for end in interval])


def _has_atom(column: NDArray[np.float64]) -> bool:
    """Whether many rows share a value: it would be smeared by taking out a slope."""
    counts = np.unique(column, return_counts=True)[1]
    return bool(counts.max() > max(_TIES * len(column), 2))


def _slope(column: NDArray[np.float64], mjj: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Slope of the least-squares line of a feature against m_jj."""
    away = mjj - np.average(mjj, weights=weight)
    return float((weight * away) @ column / ((weight * away) @ away))


def weighted_quantiles(
    values: NDArray[np.float64], weight: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quantiles (n_levels,) float64 of weighted values (n_rows,), linear between them; weights positive."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return np.interp(levels, (total - weight[order] / 2) / total[-1], values[order])
