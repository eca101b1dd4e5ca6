"""Quantiles of one feature given others, from the leaves of a small forest."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.learning.boosting import xgb

__all__ = ["PROBABILITIES", "Forest", "Quantiles", "displacement", "fit_quantiles", "quantiles_of", "ranks"]

Array = NDArray[np.float64]

_TAILS = (0.001, 0.003, 0.01, 0.02, 0.035)
PROBABILITIES = np.array([*_TAILS, *np.linspace(0.05, 0.95, 19), *(1 - p for p in reversed(_TAILS))])
"""Probabilities of the quantiles."""

_N_BINS = 64
"""Candidates for a split."""


@dataclass(frozen=True)
class Forest:
    """Settings of the forests that divide events by the other features.

    Attributes
    ----------
    n_trees, max_depth : int
    min_events : float
        Smallest number of events in a leaf, of those that a tree is grown on.
    subsample : float
        Fraction of the events that a tree is grown on; all events give the quantiles of its leaves.
    """

    n_trees: int = 20
    max_depth: int = 5
    min_events: float = 50.0
    subsample: float = 0.5

    def parameters(self, seed: int) -> dict[str, object]:
        """Return the parameters of xgboost: all trees in one round, without shrinkage."""
        return {
            "objective": "reg:squarederror",
            "num_parallel_tree": self.n_trees,
            "learning_rate": 1.0,
            "reg_lambda": 0.0,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_events,
            "subsample": self.subsample,
            "max_bin": _N_BINS,
            "tree_method": "hist",
            "nthread": 1,
            "seed": seed,
        }


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of one feature given others.

    Attributes
    ----------
    forest : xgboost.Booster or None
        Divides events by the other features; None if there are none.
    tables : tuple of (n_nodes, n_probabilities) float64
        Quantiles in the leaves of each tree.
    """

    forest: xgb.Booster | None = field(repr=False)
    tables: tuple[Array, ...] = field(repr=False)

    def predict(self, given: NDArray[np.float32]) -> Array:
        """(n_rows, n_probabilities) float64, ascending: for rows of the other features, (n_rows, n_given) float32."""
        if self.forest is None or not len(given):
            return np.broadcast_to(self.tables[0][0], (len(given), len(PROBABILITIES)))
        found = np.zeros((len(given), len(PROBABILITIES)))
        for leaf, table in zip(_leaves(self.forest, given).T, self.tables, strict=True):
            found += table[leaf]
        return found / len(self.tables)


def fit_quantiles(
    given: NDArray[np.float32],
    x: NDArray[np.float32],
    weight: Array,
    forest: Forest,
    random_state: np.random.SeedSequence,
) -> Quantiles:
    """Learn the quantiles of a feature given others.

    The trees are grown on the ranks of the feature, so that its scale and its tails do not matter.

    Parameters
    ----------
    given : (n_rows, n_given) float32
        The other features, possibly none, NaN where undefined.
    x : (n_rows,) float32
        The feature; rows with NaN are left out. If all are, every quantile is 0.
    weight : (n_rows,) float64
        Non-negative.
    forest : Forest
    random_state : numpy.random.SeedSequence

    Returns
    -------
    Quantiles
    """
    known = np.isfinite(x) & (weight > 0)
    if not (given.shape[1] and known.any()):
        return Quantiles(None, (quantiles_of(x, weight)[None],))
    order = np.argsort(x[known], kind="stable")
    given, value, weight = given[known][order], x[known][order].astype(np.float64), weight[known][order]
    matrix = xgb.QuantileDMatrix(given, ranks(value, weight), weight=weight / weight.mean(), max_bin=_N_BINS, nthread=1)
    grown = xgb.train(forest.parameters(int(random_state.generate_state(1)[0] >> 1)), matrix, 1)
    return Quantiles(grown, tuple(_in_leaves(value, weight, leaf) for leaf in _leaves(grown, given).T))


def quantiles_of(x: NDArray[np.floating], weight: Array) -> Array:
    """(n_probabilities,) float64: quantiles of values, (n_rows,), without NaN and weights of 0; 0 if none are left."""
    known = np.isfinite(x) & (weight > 0)
    if not known.any():
        return np.zeros(len(PROBABILITIES))
    order = np.argsort(x[known], kind="stable")
    return _at_probabilities(x[known][order].astype(np.float64), weight[known][order])


def displacement(x: Array, own: Array, other: Array, tie: Array) -> Array:
    """Distance of values to those with the same rank in another distribution.

    Parameters
    ----------
    x : (n_rows,) float64
    own, other : (n_rows, n_probabilities) float64
        Quantiles of both distributions, ascending.
    tie : (n_rows,) float64
        In [0, 1): rank of a value among equal ones.

    Returns
    -------
    (n_rows,) float64
        Constant beyond the outermost quantiles; NaN where x is.
    """
    last = own.shape[1] - 1
    below, upto = (own < x[:, None]).sum(axis=1), (own <= x[:, None]).sum(axis=1)
    rows, left, right = np.arange(len(x)), np.clip(below - 1, 0, last), np.clip(below, 0, last)
    step = own[rows, right] - own[rows, left]
    share = np.divide(x - own[rows, left], step, out=np.zeros(len(x)), where=step > 0)
    position = left + np.nan_to_num(share)
    position = np.where(upto > below + 1, below + tie * (upto - 1 - below), position)
    start = position.astype(np.int64)
    share, shift = position - start, other - own
    between = (1 - share) * shift[rows, start] + share * shift[rows, np.minimum(start + 1, last)]
    return np.where(np.isnan(x), np.nan, between)


def ranks(x: Array, weight: Array) -> Array:
    """(n_rows,) float64: fraction of the weight below each value, half of equal ones included; weights non-negative."""
    values, index = np.unique(x, return_inverse=True)
    total = np.bincount(index, weight, len(values))
    found: Array = ((np.cumsum(total) - total / 2) / total.sum())[index]
    return found


def _leaves(forest: xgb.Booster, given: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n_rows, n_trees): node of each row in each tree."""
    leaves = forest.predict(xgb.DMatrix(given, nthread=1), pred_leaf=True)
    return np.asarray(leaves).reshape(len(given), -1).astype(np.int64)


def _in_leaves(x: Array, weight: Array, leaf: NDArray[np.int64]) -> Array:
    """(n_nodes, n_probabilities): quantiles in each leaf of values in ascending order."""
    table = np.zeros((int(leaf.max()) + 1, len(PROBABILITIES)))
    order = np.argsort(leaf, kind="stable")
    starts = np.flatnonzero(np.diff(leaf[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        table[leaf[rows[0]]] = _at_probabilities(x[rows], weight[rows])
    return table


def _at_probabilities(x: Array, weight: Array) -> Array:
    position = np.cumsum(weight)
    found: Array = np.interp(PROBABILITIES * position[-1], position - weight / 2, x)
    return found
