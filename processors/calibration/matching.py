"""Generator jets that match jets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.calibration.inputs import Collection
from processors.objects import Floats

__all__ = ["Directions", "leading_pair_mass", "match"]

_BLOCK = 16_384
"""Jets that are matched at a time: their columns fit in the cache of a processor, which is three times as fast."""


@dataclass(frozen=True)
class Directions:
    """Flat jets of a chunk: η, φ and p_T in GeV, each (n_jets,) float64, and their event, (n_jets,) intp."""

    eta: Floats
    phi: Floats
    pt: Floats
    event: NDArray[np.intp]


def match(jets: Directions, generated: Collection, distance: float, tolerance: Floats | None) -> NDArray[np.intp]:
    """Find the nearest generator jet of the same event with ΔR < distance and |Δp_T| < tolerance.

    Parameters
    ----------
    jets : Directions
    generated : Collection
    distance : float
    tolerance : (n_jets,) float64 or None
        GeV; None for any p_T.

    Returns
    -------
    (n_jets,) intp
        Position among all generator jets of the chunk; -1 without a match.
    """
    counts = generated.counts
    starts = np.cumsum(counts) - counts
    found = np.full(len(jets.pt), -1, np.intp)
    for start in range(0, len(found), _BLOCK):
        some = slice(start, start + _BLOCK)
        event = jets.event[some]
        part = Directions(jets.eta[some], jets.phi[some], jets.pt[some], event)
        limit = None if tolerance is None else tolerance[some]
        found[some] = _nearest(part, generated, (starts[event], counts[event]), distance, limit)
    return found


def _nearest(
    jets: Directions,
    generated: Collection,
    ranges: tuple[NDArray[np.intp], NDArray[np.int64]],
    distance: float,
    tolerance: Floats | None,
) -> NDArray[np.intp]:
    """Match the jets of a block; `ranges` are the first generator jet of the event of each, and their number."""
    first, counts = ranges
    pt, last = generated.column("pt"), len(generated.column("pt")) - 1
    found, nearest = np.full(len(first), -1, np.intp), np.full(len(first), distance**2)
    for k in range(int(counts.max(initial=0))):
        place = np.minimum(first + k, last)
        near = counts > k
        if tolerance is not None:
            near &= np.abs(pt[place] - jets.pt) < tolerance
        rows = np.flatnonzero(near)
        place = place[rows]
        square = _square_distance(jets, rows, generated, place)
        closer = np.flatnonzero(square < nearest[rows])
        rows = rows[closer]
        found[rows], nearest[rows] = place[closer], square[closer]
    return found


Near = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.bool_]]


def _candidates(
    counts: NDArray[np.int64], event: NDArray[np.intp], near: Near
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield jets with a k-th object near them in their event, and its position among all objects, for k = 0, 1, ..."""
    starts = np.cumsum(counts) - counts
    rows = np.arange(len(event))
    for k in range(int(counts.max(initial=0))):
        rows = rows[counts[event[rows]] > k]
        place = starts[event[rows]] + k
        chosen = near(rows, place)
        yield rows[chosen], place[chosen]


def _square_distance(jets: Directions, rows: NDArray[np.intp], others: Collection, place: NDArray[np.intp]) -> Floats:
    eta = jets.eta[rows] - others.column("eta")[place]
    phi = np.abs(jets.phi[rows] - others.column("phi")[place])
    phi = np.minimum(phi, 2 * math.pi - phi)
    square: Floats = eta**2 + phi**2
    return square


def leading_pair_mass(centres: Directions, subjets: Collection, radius: float) -> Floats:
    """Mass of the two hardest subjets within a radius around each direction.

    Parameters
    ----------
    centres : Directions
    subjets : Collection
    radius : float

    Returns
    -------
    (n_jets,) float64
        GeV; NaN with fewer than two subjets.
    """
    n = len(centres.eta)
    hardest = np.full((2, n), -1, np.intp)
    pts = np.full((2, n), -np.inf)

    def inside(rows: NDArray[np.intp], place: NDArray[np.intp]) -> NDArray[np.bool_]:
        return _square_distance(centres, rows, subjets, place) < radius**2

    for rows, place in _candidates(subjets.counts, centres.event, inside):
        pt = subjets.column("pt")[place]
        first, second = pt > pts[0][rows], (pt <= pts[0][rows]) & (pt > pts[1][rows])
        hardest[1, rows[first]], pts[1, rows[first]] = hardest[0, rows[first]], pts[0, rows[first]]
        hardest[0, rows[first]], pts[0, rows[first]] = place[first], pt[first]
        hardest[1, rows[second]], pts[1, rows[second]] = place[second], pt[second]
    masses = np.full(n, np.nan)
    both = np.flatnonzero(hardest[1] >= 0)
    masses[both] = sum_mass(
        [[subjets.column(name)[one[both]] for name in ("pt", "eta", "phi", "mass")] for one in hardest]
    )
    return masses


def sum_mass(vectors: list[list[Floats]]) -> Floats:
    """Mass of the sum of four-momenta, each p_T, η, φ, m (n,) float64, GeV."""
    energy = px = py = pz = np.zeros(())
    for pt, eta, phi, mass in vectors:
        x, y, z = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
        energy, px, py, pz = energy + np.sqrt(x**2 + y**2 + z**2 + mass**2), px + x, py + y, pz + z
    total: Floats = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0))
    return total
