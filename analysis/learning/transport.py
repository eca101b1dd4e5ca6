"""Events of one sideband at another dijet mass: moved by conditional quantiles.

The features of an event are mapped one after the other: feature j to the value of the same rank in the other sideband,
given the features before it (the Knothe-Rosenblatt map). For a single feature this is the optimal transport; of several
it keeps the correlations. An event is then moved along the line to its image, as far as its own mass is from the new
one. This is exact for features that drift linearly with m_jj, or with a smooth function of m_jj that is the same for
all of them, whatever their distribution. No tree sees m_jj, so none extrapolates it.

CURTAINs (arXiv:2203.09470, arXiv:2305.04646) learns such a map between sidebands with normalising flows. This one by
trees is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.learning.quantiles import Forest, Quantiles, displacement, fit_quantiles, ranks
from analysis.learning.reweighting import derive_seed
from analysis.learning.training_set import Rows

__all__ = ["Sideband", "Transport", "fit_transport"]

Array = NDArray[np.float64]

_LARGEST_BEND = 0.3
"""Up to here the pace does not change its sign within sidebands that are as wide as 0.6 of their distance."""
_CLEAR = 3.0
"""Standard deviations from which on a bend is applied: below, its error would move events more than the bend."""
_STEPS = 4
_SMALL = 0.05


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
    bend : float
        How much faster features drift towards the upper sideband, see `pace`; 0 for a linear drift.
    """

    quantiles: tuple[tuple[Quantiles, ...], tuple[Quantiles, ...]] = field(repr=False)
    masses: tuple[float, float]
    bounds: Array = field(repr=False)
    bend: float = 0.0

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

    def pace(self, mass: Array) -> Array:
        """(n_rows,): way covered from the lower sideband, 0, to the upper one, 1, at masses in GeV."""
        share: Array = (mass - self.masses[0]) / (self.masses[1] - self.masses[0])
        return share - self.bend * share * (1 - share)

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
        way = (self.pace(to) - self.pace(mass)) * (1 - 2 * side)
        moved = X + way[:, None] * (image.astype(np.float64) - X)
        return np.clip(moved, *self.bounds).astype(np.float32)


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
    linear = Transport((quantiles[0], quantiles[1]), (lower.mean_mass, upper.mean_mass), bounds)
    ways = []
    for index, side in enumerate(both):
        tie = np.random.default_rng(derive_seed(random_state, len(both), index)).random(len(side.X))
        ways.append(linear.image(side.X, index, tie).astype(np.float64) - side.X)
    return replace(linear, bend=_fit_bend(linear, both, ways))


def _fit_bend(linear: Transport, sides: Sequence[Sideband], ways: Sequence[Array]) -> float:
    """Find the bend with which events, moved to the mean mass of their own sideband, do not depend on their masses.

    A bend that is too small leaves a drift of one sign in the lower sideband and of the other in the upper one, which
    ranks show. Features count by how much the bend moves them.
    """
    bend, clear = 0.0, False
    for step in range(_STEPS):
        now, ahead = (_drifts(replace(linear, bend=b), sides, ways) for b in (bend, bend + _SMALL))
        slope = (ahead - now).sum(axis=0) / _SMALL
        power = float(slope @ slope)
        if power == 0:
            return 0.0
        along = now @ slope
        if step == 0:
            clear = abs(along.sum()) > _CLEAR * float(np.sqrt((along**2).sum()))
        bend = float(np.clip(bend - along.sum() / power, -_LARGEST_BEND, _LARGEST_BEND))
    return bend if clear else 0.0


def _drifts(transport: Transport, sides: Sequence[Sideband], ways: Sequence[Array]) -> Array:
    """(n_events, n_features): contribution to the covariance of rank and mass, negated in the upper sideband."""
    found = []
    for index, (side, way) in enumerate(zip(sides, ways, strict=True)):
        sign, mean = 1 - 2 * index, np.array([side.mean_mass])
        moved = side.X + sign * (transport.pace(mean) - transport.pace(side.mass))[:, None] * way
        rank = np.full(moved.shape, 0.5)
        for j, x in enumerate(moved.T):
            known = np.isfinite(x)
            rank[known, j] = ranks(x[known], side.weight[known])
        found.append((sign * side.weight * (side.mass - mean))[:, None] * (rank - 0.5))
    return np.concatenate(found)
