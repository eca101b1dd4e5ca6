"""Events of one sideband at another dijet mass: moved by conditional quantiles.

The features of an event are mapped one after the other: feature j to the value of the same rank in the other sideband,
given the features before it (the Knothe-Rosenblatt map). For a single feature this is the optimal transport; of several
it keeps the correlations. An event is then moved along the line to its image, as far as its own mass is from the new
one. This is exact for features that drift linearly with m_jj, or with a smooth function of m_jj that is the same for
all of them, whatever their distribution; `analysis.learning.transport.bends` describes others to second order. No tree
sees m_jj, so none extrapolates it.

CURTAINs (arXiv:2203.09470, arXiv:2305.04646) learns such a map between sidebands with normalising flows. This one by
trees is our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.learning.reweighting import derive_seed
from analysis.learning.training_set import Rows
from analysis.learning.transport.bends import Bends, Drifting, Ways, fit_bends
from analysis.learning.transport.quantiles import (
    PROBABILITIES,
    Forest,
    Quantiles,
    displacement,
    fit_quantiles,
    quantiles_of,
)

__all__ = ["Sideband", "Transport", "fit_transport"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sideband:
    """Events of one sideband, sorted so that nothing depends on their order.

    Attributes
    ----------
    X : (n_rows, n_features) float32
    weight : (n_rows,) float64
        Non-negative.
    mass : (n_rows,) float64
        GeV.
    """

    X: NDArray[np.float32] = field(repr=False)
    weight: Array = field(repr=False)
    mass: Array = field(repr=False)

    @classmethod
    def of(cls, rows: Rows, mass: Array) -> Sideband:
        """Sort rows and their masses, (n_rows,) in GeV."""
        order = np.lexsort((*rows.X.T, rows.weight, mass, rows.group))
        return cls(rows.X[order], rows.weight[order], mass[order])

    @property
    def mean_mass(self) -> float:
        """Mean of the masses, GeV."""
        return float(np.average(self.mass, weights=self.weight))


@dataclass(frozen=True)
class Transport:
    """Map between the two sidebands of a window.

    Attributes
    ----------
    quantiles : (tuple of Quantiles, tuple of Quantiles)
        Of the lower and the upper sideband, by feature.
    masses : (float, float)
        Mean masses of the sidebands, GeV.
    bounds : (2, n_features) float64
        Smallest and largest value of each feature in the sidebands; nothing is moved beyond.
    levels : tuple of (n_features, n_probabilities) float64
        Quantiles of the features at the mean masses of both sidebands; empty without bends.
    bends : Bends or None
        How much faster features drift towards the upper sideband; None for straight ways.
    """

    quantiles: tuple[tuple[Quantiles, ...], tuple[Quantiles, ...]] = field(repr=False)
    masses: tuple[float, float]
    bounds: Array = field(repr=False)
    levels: tuple[Array, ...] = field(default=(), repr=False)
    bends: Bends | None = None

    def image(self, X: NDArray[np.float32], side: int, tie: Array) -> NDArray[np.float32]:
        """Map events of a sideband to the other one.

        Parameters
        ----------
        X : (n_rows, n_features) float32
        side : int
            The sideband of the events: 0 is the lower and 1 the upper one.
        tie : (n_rows,) float64
            In [0, 1): rank among equal values, such as m = 0.

        Returns
        -------
        (n_rows, n_features) float32
            NaN where X is.
        """
        image = X.copy()
        for j, (own, other) in enumerate(zip(self.quantiles[side], self.quantiles[1 - side], strict=True)):
            here, there = own.predict(X[:, :j]), other.predict(image[:, :j])
            image[:, j] += displacement(X[:, j].astype(np.float64), here, there, tie)
        return image

    def move(
        self, X: NDArray[np.float32], image: NDArray[np.float32], side: int, mass: Array, to: Array
    ) -> NDArray[np.float32]:
        """Move events from their own masses to other ones.

        Parameters
        ----------
        X, image : (n_rows, n_features) float32
            Events of one sideband, and their images in the other one.
        side : int
            0 is the lower and 1 the upper sideband.
        mass, to : (n_rows,) float64
            Their own masses and the new ones, GeV.

        Returns
        -------
        (n_rows, n_features) float32
        """
        ways = self.ways(X, image, side, mass)
        bend = 0.0 if self.bends is None else self.bends.at(_ranks_at(ways, self.levels[side]))
        return np.clip(ways.at(self._share(to), bend), *self.bounds).astype(np.float32)

    def ways(self, X: NDArray[np.float32], image: NDArray[np.float32], side: int, mass: Array) -> Ways:
        """Return the ways of events through their images, see `move`."""
        x = X.astype(np.float64)
        return Ways(side, x, (image - x) * (1 - 2 * side), self._share(mass))

    def _share(self, mass: Array) -> Array:
        share: Array = (mass - self.masses[0]) / (self.masses[1] - self.masses[0])
        return share


def fit_transport(lower: Sideband, upper: Sideband, forest: Forest, random_state: np.random.SeedSequence) -> Transport:
    """Learn the map between two sidebands.

    Parameters
    ----------
    lower, upper : Sideband
    forest : Forest
    random_state : numpy.random.SeedSequence

    Returns
    -------
    Transport
    """
    both = (lower, upper)
    quantiles = [
        tuple(
            fit_quantiles(side.X[:, :j], side.X[:, j], side.weight, forest, derive_seed(random_state, index, j))
            for j in range(side.X.shape[1])
        )
        for index, side in enumerate(both)
    ]
    X = np.concatenate([side.X for side in both]).astype(np.float64)
    known = np.isfinite(X)
    bounds = np.stack([np.where(known, X, np.inf).min(axis=0), np.where(known, X, -np.inf).max(axis=0)])
    straight = Transport((quantiles[0], quantiles[1]), (lower.mean_mass, upper.mean_mass), bounds)
    levels, drifting = [], []
    for index, side in enumerate(both):
        tie = np.random.default_rng(derive_seed(random_state, len(both), index)).random(len(side.X))
        ways = straight.ways(side.X, straight.image(side.X, index, tie), index, side.mass)
        levels.append(np.stack([quantiles_of(x, side.weight) for x in ways.at(index).T]))
        drifting.append(Drifting(ways, _ranks_at(ways, levels[-1]), side.weight))
    return replace(straight, levels=tuple(levels), bends=fit_bends(drifting))


def _ranks_at(ways: Ways, levels: Array) -> Array:
    """(n_rows, n_features): ranks at the mean mass of the sideband, NaN where undefined."""
    middle = ways.at(ways.side).T
    return np.stack([np.interp(x, level, PROBABILITIES) for x, level in zip(middle, levels, strict=True)], axis=1)
