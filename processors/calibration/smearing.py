"""Smearing of simulation to the resolution of data: the hybrid method of CMS.

A jet with a matched generator jet is scaled by 1 + (s − 1)(x − x_gen)/x, any other by 1 + σ g √(max(s² − 1, 0)), with
the scale factor s of the resolution, the relative resolution σ, and a standard normal number g that depends on the
event and the place of the jet in it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from processors.calibration.inputs import Chunk, Collection, correct, find_named
from processors.calibration.matching import Directions, match
from processors.objects import Floats
from processors.selection.corrections import Correction
from processors.systematics import standard_normal

__all__ = ["Smearing", "hybrid_factor", "make_smearing"]

SIGMAS = 3.0
"""A match differs by less than this in p_T, in units of the resolution."""

SMALLEST_ENERGY = 0.01
"""Energy, GeV, below which no jet is smeared: CMS' own limit."""

SIDES = {"nom": 0, "up": 1, "down": -1}


def hybrid_factor(value: Floats, generated: Floats, scale: Floats, resolution: Floats, normal: Floats) -> Floats:
    """Factor on a quantity, all (n,) float64; `generated` is NaN without a match, and `normal` is only read there."""
    lone = np.flatnonzero(np.isnan(generated))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor: Floats = 1.0 + (scale - 1.0) * (value - generated) / value
        width, excess = (np.broadcast_to(one, factor.shape)[lone] for one in (resolution, scale))
        factor[lone] = 1.0 + width * normal[lone] * np.sqrt(np.maximum(excess**2 - 1.0, 0.0))
    return factor


@dataclass(frozen=True)
class Smearing:
    """Smearing of all jets of a chunk.

    Attributes
    ----------
    pt, generated_pt : (n_jets,) float64
        Before smearing, GeV; `generated_pt` is NaN without a match.
    energy : callable
        Positions of jets (n,) -> (n,) float64: energy before smearing, GeV.
    resolution, normal : (n_jets,) float64
        Relative p_T resolution, and standard normal numbers.
    scale_factor : callable
        "nom", "up" or "down" -> (n_jets,) float64.
    """

    pt: Floats
    energy: Callable[[NDArray[np.intp]], Floats]
    generated_pt: Floats
    resolution: Floats
    normal: Floats
    scale_factor: Callable[[str], Floats]
    _known: dict[str, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    def factor(self, side: str = "nom") -> Floats:
        """(n_jets,) float64: factor on the four-momentum of every jet."""
        if side not in self._known:
            factor = hybrid_factor(self.pt, self.generated_pt, self.scale_factor(side), self.resolution, self.normal)
            with np.errstate(divide="ignore", invalid="ignore"):
                # No energy is below p_T, so that all others are larger; NaN is among them.
                small = np.flatnonzero(~(factor * np.abs(self.pt) > 2 * SMALLEST_ENERGY))
                factor[small] = np.maximum(factor[small], SMALLEST_ENERGY / self.energy(small))
            self._known[side] = factor
        return self._known[side]


def make_smearing(chunk: Chunk, scale: Floats, directions: Directions) -> Smearing:
    """Match all jets of a chunk to generator jets, and look up resolutions.

    Parameters
    ----------
    chunk : Chunk
    scale : (n_jets,) float64
        Factor of the energy correction.
    directions : Directions
        With corrected p_T.

    Returns
    -------
    Smearing
    """
    config, pt = chunk.config, directions.pt

    def column(name: str) -> Floats:
        return pt if name == "pt" else chunk.column(name)

    resolution = correct(_named(chunk, "jer_resolution"), column)
    generated = Collection(chunk.dijets, config.gen_jets, "gen_jets")
    place = match(directions, generated, config.radius / 2, SIGMAS * resolution * pt)
    found = place >= 0
    generated_pt, normal = np.full(len(pt), np.nan), np.zeros(len(pt))
    generated_pt[found] = generated.column("pt")[place[found]]
    lone = np.flatnonzero(~found)
    normal[lone] = standard_normal(chunk.dijets.jet_identity(lone), ".jer", config.seed)

    def energy(rows: NDArray[np.intp]) -> Floats:
        mass = chunk.dijets.first.source.column("mass", rows) * scale[rows]
        return np.hypot(pt[rows] * np.cosh(chunk.column("eta")[rows]), mass)

    scale_factor = _scale_factors(chunk, column)
    return Smearing(pt, energy, generated_pt, resolution, normal, scale_factor)


def _scale_factors(chunk: Chunk, column: Callable[[str], Floats]) -> Callable[[str], Floats]:
    correction = _named(chunk, "jer_scale_factor")

    def value(side: str) -> Floats:
        if chunk.config.jer_uncertainty is None:
            return correct(correction, column, text=side)
        nominal = correct(correction, column, text="nom")
        if side == "nom":
            return nominal
        return nominal + SIDES[side] * correct(_named(chunk, "jer_uncertainty"), column)

    return value


def _named(chunk: Chunk, key: str) -> Correction:
    return find_named(chunk.config.file, getattr(chunk.config, key), key)
