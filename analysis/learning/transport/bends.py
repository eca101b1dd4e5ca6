"""How the ways of sideband events along m_jj bend, from the drift of the features inside the sidebands.

A share s of the way between the sidebands is 0 at the mean mass of the lower one and 1 at that of the upper one. At a
share s a feature has covered s - b s (1 - s) of its way: a quantile function that is quadratic in m_jj. The bend b of a
feature is a constant and a slope in the rank of the event, so that location and width can have different ones.

Moved to the mean mass of their own sideband, events must not depend on their masses. A bend that is too small leaves a
drift of one sign in the lower sideband and of the other in the upper one, which the covariances of m_jj with the first
two Legendre polynomials of the rank show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.learning.transport.quantiles import ranks

__all__ = ["Bends", "Drifting", "Ways", "fit_bends"]

Array = NDArray[np.float64]

_LARGEST = 0.6
"""Up to here the pace does not change its sign within sidebands that are as wide as 0.6 of their distance."""
_CLEAR = 9.0
"""Chi-squared of a common bend from which on it is applied; below, its error would move events more than the bend."""
_CLEAR_OWN = 9.21
"""The same for both numbers of a feature: one in a hundred by chance."""
_STEPS = 3
_SMALL = 0.05


@dataclass(frozen=True)
class Bends:
    """Bends of all features.

    Attributes
    ----------
    constant, slope : (n_features,) float64
        Bend of the median event, and its change up to the highest rank.
    """

    constant: Array
    slope: Array

    def at(self, rank: Array) -> Array:
        """(n_rows, n_features) float64: bends at ranks of the same shape, within the largest that is applied."""
        bend: Array = np.clip(self.constant + self.slope * (2 * rank - 1), -_LARGEST, _LARGEST)
        return bend


@dataclass(frozen=True)
class Ways:
    """Events of one sideband with their ways towards higher masses.

    Attributes
    ----------
    side : int
        0 is the lower and 1 the upper sideband.
    X, way : (n_rows, n_features) float64
        Features, and their change from the mean mass of the lower sideband to that of the upper one.
    share : (n_rows,) float64
        Share of the way that belongs to the mass of the event.
    """

    side: int
    X: Array = field(repr=False)
    way: Array = field(repr=False)
    share: Array = field(repr=False)

    def at(self, share: Array | float, bend: Array | float = 0.0) -> Array:
        """(n_rows, n_features) float64: features at other shares, (n_rows,), with bends (n_rows, n_features)."""
        start, end = (_pace(np.reshape(s, (-1, 1)), bend) for s in (self.share, share))
        moved: Array = self.X + (end - start) * self.way
        return moved


@dataclass(frozen=True)
class Drifting:
    """A sideband from which bends are learned.

    Attributes
    ----------
    ways : Ways
    rank : (n_rows, n_features) float64
        Ranks of the features at the mean mass of the sideband, NaN where undefined.
    weight : (n_rows,) float64
        Non-negative.
    """

    ways: Ways
    rank: Array = field(repr=False)
    weight: Array = field(repr=False)


def fit_bends(sides: Sequence[Drifting]) -> Bends:
    """Find the bends with which events, moved to the mean mass of their sideband, do not depend on their masses.

    All features share one bend, as they do if they follow the same function of m_jj. A feature gets numbers of its own
    if a drift is clearly left with the common one.

    Parameters
    ----------
    sides : sequence of Drifting
        Lower and upper sideband.

    Returns
    -------
    Bends
    """
    return _with_own(sides, _common(sides, Bends(*np.zeros((2, sides[0].rank.shape[1])))))


def _common(sides: Sequence[Drifting], straight: Bends) -> Bends:
    """Solve for one bend of all features, which count by how much it moves them; straight if it is not clear."""
    bends = straight
    for step in range(_STEPS):
        drifts = _drifts(sides, bends)
        slope = _derivatives(sides, bends, drifts, (_SMALL, 0.0))[0]
        power, along = float(slope @ slope), drifts[0] @ slope
        unclear = step == 0 and along.sum() ** 2 <= _CLEAR * float((along**2).sum())
        if power == 0 or unclear:
            return straight
        bends = _stepped(bends, -along.sum() / power, 0.0)
    return bends


def _with_own(sides: Sequence[Drifting], common: Bends) -> Bends:
    """Replace the bends of the features whose drift is clearly not removed by the common one."""
    before = _chi_squared(_drifts(sides, common))
    wanted = before > _CLEAR_OWN
    if not wanted.any():
        return common
    own = common
    for _ in range(_STEPS):
        drifts = _drifts(sides, own)
        both = [_derivatives(sides, own, drifts, small) for small in ((_SMALL, 0.0), (0.0, _SMALL))]
        inverse = np.linalg.pinv(np.moveaxis(np.stack(both, axis=1), -1, 0))
        steps = -np.einsum("jba,aj->bj", inverse, drifts.sum(axis=1))
        own = _stepped(own, *np.clip(steps, -_LARGEST / 2, _LARGEST / 2))
    better = wanted & (_chi_squared(_drifts(sides, own)) < before / 2)
    return Bends(np.where(better, own.constant, common.constant), np.where(better, own.slope, common.slope))


def _stepped(bends: Bends, constant: Array | float, slope: Array | float) -> Bends:
    both = (bends.constant + constant, bends.slope + slope)
    return Bends(*(np.clip(number, -_LARGEST, _LARGEST) for number in both))


def _derivatives(sides: Sequence[Drifting], bends: Bends, drifts: Array, small: tuple[float, float]) -> Array:
    """(2, n_features): change of the sums of `_drifts` with the constants or the slopes, whichever is not 0."""
    ahead = Bends(bends.constant + small[0], bends.slope + small[1])
    change: Array = (_drifts(sides, ahead) - drifts).sum(axis=1) / sum(small)
    return change


def _drifts(sides: Sequence[Drifting], bends: Bends) -> Array:
    """(2, n_events, n_features): contributions to the covariances of m_jj and rank, negated in the upper sideband."""
    found = []
    for drifting in sides:
        ways = drifting.ways
        moved = ways.at(ways.side, bends.at(drifting.rank))
        middle = np.full(moved.shape, np.nan)
        for j, x in enumerate(moved.T):
            known = np.isfinite(x)
            middle[known, j] = 2 * ranks(x[known], drifting.weight[known]) - 1
        distance = ((1 - 2 * ways.side) * drifting.weight * (ways.share - ways.side))[:, None]
        found.append(np.nan_to_num(np.stack([distance * middle, distance * (1.5 * middle**2 - 0.5)])))
    return np.concatenate(found, axis=1)


def _pace(share: Array, bend: Array | float) -> Array:
    """Part of a way that is covered at a share of it."""
    return share - bend * share * (1 - share)


def _chi_squared(drifts: Array) -> Array:
    """(n_features,): of both sums, expected to be 0."""
    total = drifts.sum(axis=1).T
    covariance = np.einsum("anj,bnj->jab", drifts, drifts)
    found: Array = np.einsum("ja,jab,jb->j", total, np.linalg.pinv(covariance), total)
    return found
