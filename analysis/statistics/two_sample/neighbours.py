"""Estimate of the Kullback-Leibler divergence by nearest neighbours (De Simone, Jacques, arXiv:1807.06038)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from analysis.statistics.two_sample.permutations import PermutationTest, permutation_test, permuted
from analysis.statistics.two_sample.union import Union

__all__ = ["DIVERGENCE", "NEIGHBOURS", "Neighbours", "neighbour_test"]

DIVERGENCE = "divergence"

NEIGHBOURS = 5
"""Default number of neighbours, as published."""

_JITTER = 1e-6
"""Size of the noise that breaks ties, standard deviations of a feature: small against any distance but 0."""

_GROWTH = 4


class Neighbours:
    """Neighbours of every event of a union, found once for all permutations of the labels.

    Features are divided by their standard deviation in the union. An undefined feature is a value of its own, below
    all others by one standard deviation. Noise of a millionth of a standard deviation, the same for every labelling,
    breaks ties.

    Parameters
    ----------
    X : (n_events, n_features) float32
        NaN where a feature is undefined.
    n_first : int
        Number of events of the first sample.
    n_neighbours : int
    seed : int
        Seed of the noise.
    """

    def __init__(self, X: NDArray[np.float32], n_first: int, *, n_neighbours: int = NEIGHBOURS, seed: int = 0) -> None:
        self._X = _standardised(X, seed)
        self._n = n_neighbours
        self._tree = cKDTree(self._X)
        fewest = max(1, min(n_first, len(X) - n_first))
        self._searched = min(len(X), 1 + 2 * math.ceil(n_neighbours * len(X) / fewest))
        self._found = self._query(np.arange(len(X)), self._searched)

    def divergence(self, is_first: NDArray[np.bool_]) -> float:
        """Estimate the divergence of the first sample from the second.

        Parameters
        ----------
        is_first : (n_events,) bool

        Returns
        -------
        float
            Mean of log(p_first / p_second) over the events of the first sample; below 0 by fluctuation only.
        """
        rows = np.flatnonzero(is_first)
        own, other = self._distance(rows, is_first), self._distance(rows, ~is_first)
        sizes = (len(is_first) - len(rows)) / (len(rows) - 1)
        return float(self._X.shape[1] * np.log(other / own).mean() + math.log(sizes))

    def _distance(self, rows: NDArray[np.int64], wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Distance from each row to its n-th neighbour among the wanted events."""
        distance = np.empty(len(rows))
        searched, todo = self._searched, np.arange(len(rows))
        lengths, indices = (found[rows] for found in self._found)
        while len(todo):
            number = wanted[indices].cumsum(axis=1)
            enough = number[:, -1] >= self._n
            distance[todo[enough]] = lengths[enough, (number[enough] >= self._n).argmax(axis=1)]
            todo, searched = todo[~enough], min(searched * _GROWTH, len(self._X))
            lengths, indices = self._query(rows[todo], searched)
        return distance

    def _query(self, rows: NDArray[np.int64], searched: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distances and positions of the nearest events, without the event itself, which is the first."""
        lengths, indices = self._tree.query(self._X[rows], searched)
        return lengths[:, 1:], indices[:, 1:]


def neighbour_test(
    union: Union, *, permutations: int, n_neighbours: int = NEIGHBOURS, seed: int = 0
) -> PermutationTest:
    """Test two samples by the divergence of the first from the second.

    Parameters
    ----------
    union : Union
        Each sample has more events than `n_neighbours`.
    permutations : int
    n_neighbours : int
    seed : int

    Returns
    -------
    PermutationTest
    """
    neighbours = Neighbours(union.X, union.sizes[0], n_neighbours=n_neighbours, seed=seed)
    values = [neighbours.divergence(permuted(union.is_first, one, seed=seed)) for one in range(permutations + 1)]
    return permutation_test(DIVERGENCE, values)


def _standardised(X: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    columns = []
    for column in X.astype(np.float64).T:
        known = column[~np.isnan(column)]
        spread = float(known.std()) if len(known) else 0.0
        scaled = column / (spread or 1.0)
        columns.append(np.where(np.isnan(scaled), scaled[~np.isnan(scaled)].min(initial=0.0) - 1.0, scaled))
    noise = np.random.default_rng(seed).uniform(-_JITTER, _JITTER, X.shape)
    scaled_rows: NDArray[np.float64] = np.stack(columns, axis=1) + noise
    return scaled_rows
